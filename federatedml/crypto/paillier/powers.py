"""Products of powers of the same bases modulo a number, for many columns of small exponents.

Buckets (Pippenger 1976; Bernstein, Doumen, Lange, Oosterwijk 2012): digits of the exponents in balanced radix 2^w, one
bucket per digit and sign, one multiplication per base and digit, and two per bucket at the end. Positive and negative
digits are kept apart, so that one inverse per column is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from federatedml.crypto.codec import Integers
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
        values, order, starts = _grouped(exponents)
        groups = np.split(order, starts)
        most = int(np.argmax([len(rows) for rows in groups]))
        shift = int(values[most]) if len(groups[most]) > WORTH_A_SHIFT else 0
        rest = [(value - shift, rows) for value, rows in zip(values.tolist(), groups, strict=True) if value != shift]
        if 2 * len(rest) <= len(exponents):
            bases = [product((self.bases[row] for row in rows.tolist()), self.modulus) for _, rows in rest]
            relative = np.array([value for value, _ in rest], np.int32)
        else:
            kept = np.flatnonzero(exponents != shift)
            bases, relative = [self.bases[row] for row in kept.tolist()], exponents[kept] - np.int32(shift)
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


def _grouped(exponents: NDArray[np.int32]) -> tuple[NDArray[np.int32], Integers, Integers]:
    """Distinct values, the rows in their order, and where the next value's rows start."""
    order = np.argsort(exponents, kind="stable")
    values, starts = np.unique(exponents[order], return_index=True)
    return values, order, starts[1:]


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
    values, order, starts = _grouped(digits)
    size = int(np.abs(values).max(initial=0)) + 1
    up, down = [mpz(1)] * size, [mpz(1)] * size
    for value, rows in zip(values.tolist(), np.split(order, starts), strict=True):
        if value:
            bucket = product((bases[row] for row in rows.tolist()), modulus)
            (up if value > 0 else down)[abs(value)] = bucket
    return _weighted(up, modulus), _weighted(down, modulus)


def _weighted(buckets: Sequence[mpz], modulus: mpz) -> mpz:
    """The product of buckets[d]^d: every bucket is multiplied into all smaller weights at once."""
    running, total = mpz(1), mpz(1)
    for bucket in reversed(buckets[1:]):
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
