"""Products of powers of the same bases modulo a number, for many columns of small exponents.

Buckets (Pippenger 1976; Bernstein, Doumen, Lange, Oosterwijk 2012): digits of the exponents in balanced radix 2^w, one
bucket per digit and sign, one multiplication per base and digit, and two per bucket at the end. Positive and negative
digits are kept apart, so that one inverse per column is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from federatedml.crypto.paillier.montgomery import Modulus, Numbers, square, weigh
from federatedml.crypto.paillier.parts import sizes

MAX_DIGIT = 12
WORTH_A_SHIFT = 80  # rows: a power of the product of all costs as much as some 60 multiplications


@dataclass(frozen=True)
class Powers:
    """Products of powers of the same bases, for many columns of exponents.

    Attributes:
        modulus: of all numbers.
        bases: (rows, width) in Montgomery form.
    """

    modulus: Modulus
    bases: Numbers

    @classmethod
    def packed(cls, body: bytes, modulus: Modulus) -> Powers:
        """Of packed bases."""
        return cls(modulus, modulus.entered(modulus.read(body)))

    @cached_property
    def _total(self) -> mpz:
        """The product of all bases."""
        return self.modulus.left(self.modulus.gathered(self.bases, np.zeros(len(self.bases), np.int64), 1)[0])[0]

    def of(self, exponents: NDArray[np.int32], bits: int) -> mpz:
        """The product of bases[i]^exponents[i].

        Exponents are taken relative to their most frequent value: sum c_i x_i = sum c_i (x_i - s) + s sum c_i, and
        what is zero then costs nothing. Rows of equal exponents are multiplied first if that halves the rows.
        """
        values, groups, counts = np.unique(exponents, return_inverse=True, return_counts=True)
        if not len(values):
            return mpz(1)
        most = int(np.argmax(counts))
        shift = int(values[most]) if counts[most] > WORTH_A_SHIFT else 0
        relative = exponents - np.int32(shift)
        rows = int(np.count_nonzero(relative))
        if not rows:
            result = mpz(1)
        elif 2 * len(values) <= rows:
            grouped, _ = self.modulus.gathered(self.bases, np.where(relative != 0, groups, -1), len(values))
            result = self._by_digits(grouped, values - np.int32(shift), digit_widths(len(values), bits))
        else:
            result = self._by_digits(self.bases, relative, digit_widths(rows, bits))
        value = self.modulus.value
        return result * gmpy2.powmod(self._total, shift, value) % value if shift else result

    def _by_digits(self, bases: Numbers, exponents: NDArray[np.int32], widths: tuple[int, ...]) -> mpz:
        """The product of bases[i]^exponents[i], one multiplication per base and digit that is not zero."""
        m = self.modulus
        top, bottom = m.one.copy(), m.one.copy()
        for width, digits in _digits(exponents, widths):
            square(top, width, m.words, m.inverse)
            square(bottom, width, m.words, m.inverse)
            size = int(np.abs(digits).max())
            at = np.where(digits > 0, digits - 1, np.where(digits < 0, size - 1 - digits, -1))
            buckets, used = self.modulus.gathered(bases, at, 2 * size)
            weigh(buckets[:size], used[:size], m.words, m.inverse, top)
            weigh(buckets[size:], used[size:], m.words, m.inverse, bottom)
        up, down = m.left(np.stack([top, bottom]))
        return up * gmpy2.invert(down, m.value) % m.value


@lru_cache(maxsize=256)
def digit_widths(rows: int, bits: int) -> tuple[int, ...]:
    """Widths of digits, lowest first, for which rows * digits + 2 * buckets is least."""

    def cost(widths: tuple[int, ...]) -> int:
        return sum(rows + 2 * 2**width for width in widths)

    choices = [tuple(sizes(bits, digits, 1)) for digits in range(1, bits + 1)]
    return min((widths for widths in choices if max(widths) <= MAX_DIGIT), key=cost)


def _digits(exponents: NDArray[np.int32], widths: tuple[int, ...]) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Balanced digits, highest first: up to 2^(width - 1) in size, the highest up to 2^width."""
    rest, found = exponents, list[tuple[int, NDArray[np.int32]]]()
    for width in widths[:-1]:
        half = np.int32(1 << (width - 1))
        digits = ((rest + half) & np.int32((1 << width) - 1)) - half
        found.append((width, digits))
        rest = (rest - digits) >> np.int32(width)
    found.append((widths[-1], rest))
    return reversed(found)


def product(numbers: Iterable[mpz], modulus: mpz) -> mpz:
    """All numbers multiplied; reduced at each step, which is much faster than at the end."""
    result = mpz(1)
    for number in numbers:
        result = result * number % modulus
    return result
