"""The logistic function as a sum of sines of odd multiples, for values that are only known in shares.

On |z| <= half / 2, with angles k pi z / half for k = 1, 3, 5, ...:

    sigmoid(z) - 1/2          = sum b_k sin,             b_k = (2 pi / half) / sinh(k pi^2 / half)
    z / 2                     = sum t_k sin,             t_k = +-2 half / (pi^2 k^2), signs alternate
    softplus(z) - z / 2       = a - sum c_k cos,         c_k = b_k half / (pi k),  a = ln 2 + sum of all c_k

(Fourier series of the periodic continuation whose sign flips at half / 2; Poisson summation gives b_k.) With 16 terms
at half 64, or 32 at 128, sigmoid is off by at most 0.0045 up to 0.9 of the range.

Both parties turn the same public number into sines and multiply their shares by them: a single unit of difference
would leave a random word in the result. So everything here that both compute is made of additions and
multiplications, which IEEE 754 rounds alike on every machine; library sines are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from federatedml.crypto.ring import Floats, Words, low

PI = Decimal("3.1415926535897932384626433832795028841972")
TURN = float(2 * PI)
SIN = [(-1) ** i / math.factorial(2 * i + 1) for i in range(9)]
COS = [(-1) ** i / math.factorial(2 * i) for i in range(10)]
QUARTERS = np.array([[0.0, 1.0, 0.0, -1.0], [1.0, 0.0, -1.0, 0.0]])  # sine, cosine of quarter turns


@dataclass(frozen=True)
class Series:
    """Coefficients for one range.

    Attributes:
        half: half the period; values beyond half / 2 are folded back.
        sigmoid: (terms, 1) b_k.
        linear: (terms, 1) t_k.
        even: (terms, 1) c_k.
        constant: a.
    """

    half: int
    sigmoid: Floats
    linear: Floats
    even: Floats
    constant: float

    @property
    def terms(self) -> int:
        """How many multiples."""
        return len(self.sigmoid)


@cache
def series(half: int, terms: int) -> Series:
    """The coefficients, correctly rounded (decimal arithmetic), hence the same on every machine."""
    with localcontext() as context:
        context.prec = 40
        tail = [_coefficient(k, half) for k in range(1, 8 * terms, 2)]
        even = [b * half / (PI * k) for k, b in zip(range(1, 8 * terms, 2), tail, strict=True)]
        linear = [(-1) ** m * 2 * half / (PI * (2 * m + 1)) ** 2 for m in range(terms)]
        constant = Decimal(2).ln() + sum(even)
    return Series(half, _column(tail[:terms]), _column(linear), _column(even[:terms]), float(constant))


def _column(values: list[Decimal]) -> Floats:
    return np.array([[float(v)] for v in values])


def _coefficient(k: int, half: int) -> Decimal:
    x = PI * PI * k / half
    return 2 * (2 * PI / half) / (x.exp() - (-x).exp())


def waves(words: Words, bits: int, doublings: int, terms: int) -> Floats:
    """(2, terms + 1, n): sines and cosines of 1, 3, 5, ... times an angle, and last of the slow angle.

    The slow angle makes a full turn in 2^bits, the other 2^doublings turns. ``terms`` is a power of two and ``bits`` at
    most 53. Errors are below 1e-12 for up to 32 terms, and the same on every machine.
    """
    turns = low(words, bits) / 2.0**bits
    quarter = np.rint(4 * turns)
    angle = (turns - quarter / 4) * TURN  # |angle| <= pi / 4
    square = angle * angle
    sine, cosine = _polynomial(SIN, square) * angle, _polynomial(COS, square)
    qs, qc = QUARTERS[:, quarter.astype(np.int64) & 3]
    s, c = qs * cosine + qc * sine, qc * cosine - qs * sine
    wave = np.empty((2, terms + 1, len(words)))
    wave[0, terms], wave[1, terms] = s, c
    for _ in range(doublings):
        s, c = _doubled(s, c)
    wave[0, 0], wave[1, 0] = s, c
    rs, rc = _doubled(s, c)
    known = 1
    while known < terms:  # the multiples 1, 3, ..., 2 known - 1, turned by 2 known times the angle
        s, c = wave[:, :known]
        np.add(s * rc, c * rs, out=wave[0, known : 2 * known])
        np.subtract(c * rc, s * rs, out=wave[1, known : 2 * known])
        rs, rc = _doubled(rs, rc)
        known *= 2
    return wave


def _doubled(s: Floats, c: Floats) -> tuple[Floats, Floats]:
    """Sine and cosine of twice the angle."""
    return 2 * s * c, 1 - 2 * s * s


def _polynomial(coefficients: list[float], x: Floats) -> Floats:
    value = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value *= x
        value += c
    return value
