"""Sines of masked angles times dealt shares, row by row and compiled: what ``shared_linear`` spends its time on.

The arithmetic is that of ``series.waves``, operation by operation: additions and multiplications of doubles, which
compiled without fast-math are rounded alike on every machine, and then words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federatedml.compute.kernels import compiled, compiled_unless_little
from federatedml.crypto.ring import Floats, Words, encode
from federatedml.crypto.series import COS, QUARTERS, SIN, TURN, waves

_SIN, _COS = np.array(SIN), np.array(COS)


@dataclass(frozen=True)
class Turn:
    """How words are angles: see ``series.waves``."""

    bits: int
    doublings: int
    terms: int


@dataclass(frozen=True)
class Factors:
    """Public factors of the terms, times two to their fraction bits, (terms,) each.

    Attributes:
        sigmoid, linear, even: of the three series.
        guard: of the guard's cosines.
    """

    sigmoid: Floats
    linear: Floats
    even: Floats
    guard: float


Shares = tuple[Words, Words, Words, Words]


def shares_of(delta: Words, turn: Turn, factors: Factors, sine: Words, cosine: Words) -> Shares:
    """One party's shares of the three series, (n,) each, and of the sum of the guard's cosines, (1,).

    Args:
        delta: (n,) the angles less what was dealt, opened.
        sine, cosine: (terms + 1, n) shares of the dealt angle's, the guard's last.
    """
    found = np.zeros((3, len(delta)), np.uint64), np.zeros(1, np.uint64)
    f = factors
    _shares(delta, *_shape(turn), f.sigmoid, f.linear, f.even, f.guard, sine, cosine, *found)
    return (*found[0], found[1])


def encoded_waves(words: Words, turn: Turn, bits: int) -> Words:
    """(2, terms + 1, n) words of ``series.waves``, with ``bits`` of fraction."""
    found = np.empty((2, turn.terms + 1, len(words)), np.uint64)
    _encoded(words, *_shape(turn), 2.0**bits, found)
    return found


def _shape(turn: Turn) -> tuple[np.uint64, float, int, int]:
    return np.uint64(2**turn.bits - 1), 2.0**-turn.bits, turn.doublings, turn.terms


@compiled
def _waves_of(word: np.uint64, mask: np.uint64, unit: float, doublings: int, terms: int, s: Floats, c: Floats) -> None:
    """Fill s and c, (terms + 1,), with sines and cosines of one word."""
    turns = np.float64(word & mask) * unit
    quarter = np.rint(4.0 * turns)
    angle = (turns - quarter / 4.0) * TURN
    square = angle * angle
    sine, cosine = _SIN[-1], _COS[-1]
    for i in range(len(_SIN) - 2, -1, -1):
        sine = sine * square + _SIN[i]
    for i in range(len(_COS) - 2, -1, -1):
        cosine = cosine * square + _COS[i]
    sine *= angle
    q = np.int64(quarter) & 3
    qs, qc = QUARTERS[0, q], QUARTERS[1, q]
    a, b = qs * cosine + qc * sine, qc * cosine - qs * sine
    s[terms], c[terms] = a, b
    for _ in range(doublings):
        a, b = 2.0 * a * b, 1.0 - 2.0 * a * a
    s[0], c[0] = a, b
    rs, rc = 2.0 * a * b, 1.0 - 2.0 * a * a
    known = 1
    while known < terms:
        for k in range(known):
            s[known + k] = s[k] * rc + c[k] * rs
            c[known + k] = c[k] * rc - s[k] * rs
        rs, rc = 2.0 * rs * rc, 1.0 - 2.0 * rs * rs
        known *= 2


@compiled
def _word(x: float) -> np.uint64:
    return np.uint64(np.int64(np.rint(x)))


def _shares_by_numpy(
    delta: Words,
    mask: np.uint64,
    unit: float,
    doublings: int,
    terms: int,
    sigmoid: Floats,
    linear: Floats,
    even: Floats,
    guard: float,
    sine: Words,
    cosine: Words,
    found: Words,
    total: Words,
) -> None:
    wave = waves(delta, int(mask).bit_length(), doublings, terms)
    s, c = ([encode(wave[side, :-1] * row[:, None], 0) for row in (sigmoid, linear, even)] for side in (0, 1))
    found[0], found[1] = (_folded(s[i], cosine) + _folded(c[i], sine) for i in (0, 1))
    found[2] = _folded(c[2], cosine) - _folded(s[2], sine)
    gs, gc = encode(wave[:, -1] * guard, 0)
    total += np.atleast_1d(np.vdot(gc, cosine[-1])) - np.atleast_1d(np.vdot(gs, sine[-1]))


def _folded(factors: Words, shares: Words) -> Words:
    """Sums over the terms; the guard's shares are the last row."""
    found: Words = np.einsum("kn,kn->n", factors, shares[:-1])
    return found


@compiled_unless_little(_shares_by_numpy, lambda delta, *rest: 2e-6 * len(delta))
def _shares(
    delta: Words,
    mask: np.uint64,
    unit: float,
    doublings: int,
    terms: int,
    sigmoid: Floats,
    linear: Floats,
    even: Floats,
    guard: float,
    sine: Words,
    cosine: Words,
    found: Words,
    total: Words,
) -> None:
    s, c = np.empty(terms + 1), np.empty(terms + 1)
    for j in range(len(delta)):
        _waves_of(delta[j], mask, unit, doublings, terms, s, c)
        first, second, third = np.uint64(0), np.uint64(0), np.uint64(0)
        for k in range(terms):
            ds, dc = sine[k, j], cosine[k, j]
            first += _word(s[k] * sigmoid[k]) * dc + _word(c[k] * sigmoid[k]) * ds
            second += _word(s[k] * linear[k]) * dc + _word(c[k] * linear[k]) * ds
            third += _word(c[k] * even[k]) * dc - _word(s[k] * even[k]) * ds
        found[0, j], found[1, j], found[2, j] = first, second, third
        total[0] += _word(c[terms] * guard) * cosine[terms, j] - _word(s[terms] * guard) * sine[terms, j]


def _encoded_by_numpy(
    words: Words, mask: np.uint64, unit: float, doublings: int, terms: int, scale: float, found: Words
) -> None:
    wave = waves(words, int(mask).bit_length(), doublings, terms)
    found[:] = encode(wave * scale, 0)


@compiled_unless_little(_encoded_by_numpy, lambda words, *rest: 1e-6 * len(words))
def _encoded(
    words: Words, mask: np.uint64, unit: float, doublings: int, terms: int, scale: float, found: Words
) -> None:
    s, c = np.empty(terms + 1), np.empty(terms + 1)
    for j in range(len(words)):
        _waves_of(words[j], mask, unit, doublings, terms, s, c)
        for k in range(terms + 1):
            found[0, k, j], found[1, k, j] = _word(s[k] * scale), _word(c[k] * scale)
