"""Products of powers of the same bases modulo a number, for many columns of small exponents.

Buckets (Pippenger 1976; Bernstein, Doumen, Lange, Oosterwijk 2012): digits of the exponents in balanced radix 2^w, one
bucket per digit and sign, one multiplication per base and digit, and two per bucket at the end. Positive and negative
digits are kept apart, so that one inverse per column is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from federatedml.crypto.paillier.parts import sizes

MAX_DIGIT = 12
WORTH_A_SHIFT = 40  # rows: a power of the product of all costs as much as some 30 multiplications


@dataclass(frozen=True)
class Powers:
    """Products of powers of the same bases, for many columns of exponents."""

    bases: Sequence[mpz]
    modulus: mpz

    @cached_property
    def _total(self) -> mpz:
        """The product of all bases."""
        return product(self.bases, self.modulus)

    def of(self, exponents: NDArray[np.int32], bits: int) -> mpz:
        """The product of bases[i]^exponents[i].

        Exponents are taken relative to their most frequent value: sum c_i x_i = sum c_i (x_i - s) + s sum c_i, and
        what is zero then costs nothing. Rows of equal exponents are multiplied first if that halves the rows.
        """
        values, groups, counts = np.unique(exponents, return_inverse=True, return_counts=True)
        most = int(np.argmax(counts))
        shift = int(values[most]) if counts[most] > WORTH_A_SHIFT else 0
        kept = np.flatnonzero(exponents != shift)
        bases, relative = [self.bases[row] for row in kept.tolist()], exponents[kept]
        if 2 * len(values) <= len(kept):
            bases, relative = _gathered(bases, groups[kept] + 1, len(values) + 1, self.modulus)[1:], values
        relative = relative - np.int32(shift)
        result = _by_digits(bases, relative, bits, self.modulus) if bases else mpz(1)
        return result * gmpy2.powmod(self._total, shift, self.modulus) % self.modulus if shift else result


def _by_digits(bases: Sequence[mpz], exponents: NDArray[np.int32], bits: int, modulus: mpz) -> mpz:
    """The product of bases[i]^exponents[i], one multiplication per base and digit."""
    top, bottom = mpz(1), mpz(1)
    for width, digits in _digits(exponents, bits):
        up, down = _bucketed(bases, digits, modulus)
        shift = mpz(1) << width
        top = gmpy2.powmod(top, shift, modulus) * up % modulus
        bottom = gmpy2.powmod(bottom, shift, modulus) * down % modulus
    return top * gmpy2.invert(bottom, modulus) % modulus


@lru_cache(maxsize=256)
def digit_widths(rows: int, bits: int) -> tuple[int, ...]:
    """Widths of digits, lowest first, for which rows * digits + 2 * buckets is least."""

    def cost(widths: tuple[int, ...]) -> int:
        return sum(rows + 2 * 2**width for width in widths)

    choices = [tuple(sizes(bits, digits, 1)) for digits in range(1, bits + 1)]
    return min((widths for widths in choices if max(widths) <= MAX_DIGIT), key=cost)


def _digits(exponents: NDArray[np.int32], bits: int) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Balanced digits, highest first: up to 2^(width - 1) in size, the highest up to 2^width."""
    rest, found = exponents, list[tuple[int, NDArray[np.int32]]]()
    widths = digit_widths(len(exponents), bits)
    for width in widths[:-1]:
        half = np.int32(1 << (width - 1))
        digits = ((rest + half) & np.int32((1 << width) - 1)) - half
        found.append((width, digits))
        rest = (rest - digits) >> np.int32(width)
    found.append((widths[-1], rest))
    return reversed(found)


def _bucketed(bases: Sequence[mpz], digits: NDArray[np.int32], modulus: mpz) -> tuple[mpz, mpz]:
    """Products of base^digit over positive, and of base^-digit over negative digits."""
    top = int(np.abs(digits).max(initial=0))
    buckets = _gathered(bases, digits, 2 * top + 1, modulus)  # that of a negative digit is counted from the end
    return _weighted(buckets[1 : top + 1], modulus), _weighted(buckets[:top:-1], modulus)


def _gathered(bases: Sequence[mpz], at: NDArray[np.integer[Any]], size: int, modulus: mpz) -> list[mpz]:
    """Products of the bases of each bucket but number 0, in the order of the rows: memory is read in a line."""
    buckets = [mpz(1)] * size
    for base, bucket in zip(bases, at.tolist(), strict=True):
        if bucket:
            buckets[bucket] = buckets[bucket] * base % modulus
    return buckets


def _weighted(buckets: Sequence[mpz], modulus: mpz) -> mpz:
    """The product of buckets[d]^(d + 1): every bucket is multiplied into all smaller weights at once."""
    running, total = mpz(1), mpz(1)
    for bucket in reversed(buckets):
        if bucket != 1:
            running = running * bucket % modulus
        if running != 1:
            total = total * running % modulus
    return total


def product(numbers: Iterable[mpz], modulus: mpz) -> mpz:
    """All numbers multiplied; reduced at each step, which is much faster than at the end."""
    result = mpz(1)
    for number in numbers:
        result = result * number % modulus
    return result
