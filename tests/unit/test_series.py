"""The logistic function from sines: accuracy, and the same bits whatever computes it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from federatedml.crypto import series_kernels
from federatedml.crypto.encoding import MAX_ROWS, MAX_SCALE, MEAN_SCALE, WEIGHTED_ROWS, choose
from federatedml.crypto.ring import encode
from federatedml.crypto.series import COS, SIN, TURN, series, waves
from federatedml.crypto.series_kernels import encoded_waves, shares_of
from federatedml.crypto.stream import Stream
from federatedml.errors import DataError

RANGES = [(64, 16), (128, 32)]
BITS = 43


def angles(half: int, terms: int, z: np.ndarray) -> np.ndarray:
    return np.arange(1, 2 * terms, 2)[:, None] * np.pi * z / half


@pytest.mark.parametrize(("half", "terms"), RANGES)
def test_the_three_series_are_near_their_functions(half: int, terms: int) -> None:
    z = np.linspace(-0.45 * half, 0.45 * half, 4001)
    a, s = angles(half, terms, z), series(half, terms)
    sigmoid = 1 / (1 + np.exp(-z))
    assert np.abs(0.5 + (s.sigmoid * np.sin(a)).sum(0) - sigmoid).max() < 0.0045
    assert np.abs((s.linear * np.sin(a)).sum(0) - z / 2)[np.abs(z) < 20].max() < 0.011
    assert np.abs(s.constant - (s.even * np.cos(a)).sum(0) - (np.logaddexp(0, z) - z / 2)).max() < 0.0026


def test_beyond_the_range_the_sign_flips() -> None:
    s = series(64, 16)
    assert (s.sigmoid * np.sin(angles(64, 16, np.array([80.0])))).sum() < -0.4


@pytest.mark.parametrize(("doublings", "terms"), [(4, 16), (3, 32), (0, 1)])
def test_waves_are_sines_and_cosines(doublings: int, terms: int) -> None:
    words = Stream(bytes(32), b"waves").words("w", 0, 500)
    turns = (words & np.uint64(2**BITS - 1)) / 2.0**BITS
    fast = 2 * np.pi * ((turns * 2**doublings) % 1.0)
    a = np.vstack([np.outer(np.arange(1, 2 * terms, 2), fast), 2 * np.pi * turns])
    wave = waves(words, BITS, doublings, terms)
    assert wave.shape == (2, terms + 1, 500)
    assert np.abs(wave - [np.sin(a), np.cos(a)]).max() < 1e-12


def test_waves_hold_at_quarter_turns() -> None:
    quarters = np.array([0, 1, 2, 3], np.uint64) << np.uint64(BITS - 2)
    wave = waves(quarters, BITS, 0, 1)
    assert np.array_equal(wave[:, 0], [[0, 1, 0, -1], [1, 0, -1, 0]])


def scalar_waves(word: int, doublings: int, terms: int) -> list[tuple[float, float]]:
    """The same formula on Python's floats, one operation at a time: IEEE 754 doubles without fused operations."""
    turns = (word % 2**BITS) / 2.0**BITS
    quarter = float(round(4 * turns))
    angle = (turns - quarter / 4) * TURN
    square = angle * angle
    sine, cosine = horner(SIN, square) * angle, horner(COS, square)
    qs, qc = [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)][int(quarter) % 4]
    slow = s, c = qs * cosine + qc * sine, qc * cosine - qs * sine
    for _ in range(doublings):
        s, c = 2 * s * c, 1 - 2 * s * s
    found, turn = [(s, c)], (2 * s * c, 1 - 2 * s * s)
    while len(found) < terms:
        found += [(s * turn[1] + c * turn[0], c * turn[1] - s * turn[0]) for s, c in found]
        turn = 2 * turn[0] * turn[1], 1 - 2 * turn[0] * turn[0]
    return [*found, slow]


def horner(coefficients: list[float], x: float) -> float:
    value = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        value = value * x
        value = value + c
    return value


@pytest.mark.parametrize("count", [1, 7, 320])
def test_waves_are_the_same_bits_one_by_one_and_in_vectors(count: int) -> None:
    words = Stream(bytes(32), b"bits").words("w", 0, count)
    wave = waves(words, BITS, 4, 16)
    for i, word in enumerate(words.tolist()):
        assert list(zip(*wave[:, :, i].tolist(), strict=True)) == scalar_waves(word, 4, 16)


def test_coefficients_agree_with_library_functions() -> None:
    for half, terms in RANGES:
        for m, b in enumerate(series(half, terms).sigmoid[:, 0]):
            assert b == pytest.approx(2 * math.pi / half / math.sinh((2 * m + 1) * math.pi**2 / half), rel=1e-13)


@pytest.mark.parametrize(
    ("rate", "rows", "batch", "epochs"),
    [(0.15, 569, 320, 30), (0.01, 30_000, 30_000, 100), (10.0, 20, 10, 300), (0.15, MAX_ROWS, 320, 3)],
)
def test_the_bits_of_an_encoding_fit(rate: float, rows: int, batch: int, epochs: int) -> None:
    e = choose(rate, rows, batch, epochs > 100 or rate >= 1)
    assert 64 - e.gradient_bits >= e.angle_bits  # weights still determine the angle
    assert e.angle_bits <= 53  # exact as a double
    assert 1 <= e.dropped_bits(rate / batch) <= 62
    assert rate / batch * 2.0**e.residual_bits >= 16
    biggest = 2 * e.series.even.sum() + e.series.half / 2
    assert rows * biggest * 2.0 ** (e.loss_bits + 20) < 2.0**63
    assert rows * 2.0 ** (e.guard_bits + 20) < 2.0**63


def test_the_bits_of_an_encoding_with_weights_of_rows_fit() -> None:
    rows = WEIGHTED_ROWS
    e = choose(0.15, rows, 320, False, weighted=True)
    biggest = 2 * e.series.even.sum() + e.series.half / 2
    assert rows * MEAN_SCALE * biggest * 2.0 ** (e.loss_bits + e.label_bits + 20) < 2.0**63
    residual = 2.0 ** (e.factor_bits(0.15 / 320) + 20) * 0.15 / 320
    assert residual * MAX_SCALE * 2.0**e.scale_bits < 2.0**62
    assert e.loss_bits >= 4
    with pytest.raises(DataError, match="1048577 rows"):
        choose(0.15, rows + 1, 320, False, weighted=True)


KERNELS = {name: getattr(series_kernels, name) for name in ("_shares", "_encoded")}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("step", [0.15 / 320, 10.0, 1 / 3])
def test_compiled_shares_are_the_same_bits_as_in_numpy(
    wide: bool, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One party might compute otherwise than the other: a unit of difference would leave a random word."""
    e, stream = choose(0.15, 500, 320, wide), Stream(bytes(32), b"kernels")
    n, terms = 700, e.series.terms + 1
    delta = stream.words("delta", 0, n) & np.uint64(2**e.angle_bits - 1)
    delta[:4] = np.arange(4, dtype=np.uint64) << np.uint64(e.angle_bits - 2)
    sine, cosine = stream.words("dealt", 0, 2 * terms * n).reshape(2, terms, n)
    factors = e.factors(step, step)
    found = []
    for way in ("machine", "twin"):
        for name in ("_shares", "_encoded"):
            monkeypatch.setattr(series_kernels, name, getattr(KERNELS[name], way))
        found.append([*shares_of(delta, e.turn, factors, sine, cosine), encoded_waves(delta, e.turn, 20)])
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))
    assert np.array_equal(found[0][-1], encode(waves(delta, e.angle_bits, e.doublings, terms - 1), 20))


@pytest.mark.parametrize("power", [-20, -10, 0, 3])
def test_factors_stay_below_their_bound_around_powers_of_two(power: int) -> None:
    """And without a logarithm, whose last digit differs between libraries: both parties must take the same bits."""
    e, two = choose(0.15, 569, 320, False), 2.0**power
    assert e.factor_bits(two) == e.factor_bits(math.nextafter(two, 0)) == 34 - power
    above = math.nextafter(two, 100)
    assert e.factor_bits(above) == 33 - power
    assert above * 2.0 ** e.factor_bits(above) <= 2.0**34


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="16777217 rows"):
        choose(0.15, MAX_ROWS + 1, 320, False)
    with pytest.raises(DataError, match="learning_rate 1e-07 over batches of 320 rows"):
        choose(1e-7, 1000, 320, False)
