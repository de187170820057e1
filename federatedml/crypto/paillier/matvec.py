"""Products of a matrix in clear and an encrypted vector: X^T v for X (rows, columns), v (rows,).

Columns are scaled to signed integers of a few bits. Per column the product of c_i^x_i is taken by buckets (Pippenger
1976; Bernstein, Doumen, Lange, Oosterwijk 2012): digits of x in balanced radix 2^w, one bucket per digit and sign, one
multiplication per row and digit, and two per bucket at the end. Positive and negative digits are kept apart, so that
one inverse per column is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from federatedml.compute.engine import Compute
from federatedml.crypto.codec import Floats, Integers
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.parts import cut, packed, sizes, unpacked
from federatedml.crypto.paillier.vectors import Encrypted, Mask, ModularShare
from federatedml.crypto.vector import Opened, Reply
from federatedml.errors import ProtocolError

Part = tuple[bytes, NDArray[np.int32], bytes, int]
MAX_DIGIT = 12
MIN_ROWS = 4096  # of a part: below, buckets cost more than rows
WORTH_A_SHIFT = 40  # rows: a power of the sum of all rows costs as much as some 30 multiplications


@dataclass(frozen=True)
class Quantised:
    """A matrix in integers: X is about ``integers`` * ``factors``, column by column.

    Attributes:
        integers: (columns, rows), absolute values below 2^(bits - 1).
        factors: (columns,), stay with the matrix.
    """

    integers: NDArray[np.int32]
    factors: Floats
    bits: int

    @classmethod
    def of(cls, matrix: Floats, bits: int) -> Quantised:
        """Each column (rows, columns) scaled to its largest absolute value.

        Raises:
            ProtocolError: bits are not 2 to 24, or a value is not finite.
        """
        if bits not in range(2, 25):
            raise ProtocolError("FED-700", f"features are quantised to {bits} bits, allowed are 2 to 24")
        columns = np.ascontiguousarray(np.asarray(matrix, np.float64).T)
        if columns.ndim != 2 or not np.isfinite(columns).all():
            raise ProtocolError("FED-701", "a matrix must have two dimensions and finite values")
        top = np.abs(columns).max(axis=1, initial=0.0)
        factors = np.where(top > 0, top, 1.0) / (2 ** (bits - 1) - 1)
        return cls(np.rint(columns / factors[:, None]).astype(np.int32), factors, bits)


@dataclass(frozen=True)
class Products:
    """X^T v at the holder, encrypted; the factors of the columns stay here."""

    vector: Encrypted
    factors: Floats

    def reveal(self) -> Reply:
        """For the owner, who learns the products in units of the columns' factors."""
        return self.vector.reveal()

    def share(self) -> tuple[Reply, ModularShare]:
        """Additive shares, in units of the columns' factors."""
        return self.vector.share()

    def mask(self) -> tuple[Reply, MaskedProducts]:
        """For an owner that decrypts and returns: it sees uniform numbers only."""
        reply, mask = self.vector.mask()
        return reply, MaskedProducts(mask, self.factors)


@dataclass(frozen=True)
class MaskedProducts:
    """What the holder keeps until the owner's answer."""

    mask: Mask
    factors: Floats

    def remove(self, opened: Opened) -> Floats:
        """X^T v in clear, (columns,); errors as ``Mask.remove``."""
        return self.mask.remove(opened) * self.factors


@dataclass(frozen=True)
class MatVec:
    """A quantised matrix, planned for one key. A ``LinearMap``."""

    compute: Compute
    matrix: Quantised

    @property
    def inputs(self) -> int:
        """Rows."""
        return int(self.matrix.integers.shape[1])

    @property
    def outputs(self) -> int:
        """Columns."""
        return int(self.matrix.integers.shape[0])

    def setup_message(self) -> bytes:
        """Nothing: a public key is enough."""
        return b""

    def apply(self, vector: Encrypted) -> Products:
        """X^T v; the bound on a product is that of its column's sum of absolute integers."""
        if len(vector) != self.inputs:
            raise ProtocolError("FED-707", f"a vector of {len(vector)} elements for a matrix of {self.inputs} rows")
        integers, public = self.matrix.integers, vector.public
        weight = int(np.abs(integers.astype(np.int64)).sum(axis=1).max(initial=1))
        elements = self._products(vector.elements, public)
        bound = vector.bound * max(weight, 1)
        return Products(Encrypted(public, vector.noise, elements, vector.scale_bits, bound), self.matrix.factors)

    def _products(self, elements: Sequence[mpz], public: PublicKey) -> list[mpz]:
        """Every worker takes all rows of some columns; with more workers than columns, some of the rows."""
        workers, integers, n = self.compute.workers, self.matrix.integers, public.to_bytes()
        columns = np.split(integers, np.cumsum(sizes(self.outputs, workers, 1))[:-1])
        bodies = cut(elements, public.width, workers // len(columns), MIN_ROWS)
        rows = np.cumsum([len(body) // public.width for body in bodies])[:-1]
        parts: list[Part] = [
            (body, np.ascontiguousarray(block), n, self.matrix.bits)
            for column in columns
            for body, block in zip(bodies, np.split(column, rows, axis=1), strict=True)
        ]
        done, found = iter(self.compute.map(products, parts)), list[mpz]()
        for _ in columns:
            pieces = [unpacked(next(done), public.width) for _ in bodies]
            found += [_product(piece, public.n2) for piece in zip(*pieces, strict=True)]
        return found


def products(part: Part) -> bytes:
    """Kernel: for each of some columns the product of c_i^x_i.

    Args:
        part: ciphertexts packed, integers (columns, rows), n little-endian, bits of the integers.
    """
    body, integers, n, bits = part
    public = PublicKey(mpz.from_bytes(n, "little"))
    powers = Powers(unpacked(body, public.width), public.n2)
    return packed((powers.product(column, bits) for column in integers), public.width)


@dataclass(frozen=True)
class Powers:
    """Products of powers of the same bases, for many columns of exponents."""

    bases: Sequence[mpz]
    modulus: mpz

    @cached_property
    def _total(self) -> mpz:
        """The product of all bases."""
        return _product(self.bases, self.modulus)

    def product(self, exponents: NDArray[np.int32], bits: int) -> mpz:
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
            bases = [_product((self.bases[row] for row in rows.tolist()), self.modulus) for _, rows in rest]
            relative = np.array([value for value, _ in rest], np.int32)
        else:
            kept = np.flatnonzero(exponents != shift)
            bases, relative = [self.bases[row] for row in kept.tolist()], exponents[kept] - np.int32(shift)
        product = _by_digits(bases, relative, bits, self.modulus) if bases else mpz(1)
        return product * gmpy2.powmod(self._total, shift, self.modulus) % self.modulus if shift else product


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
            bucket = _product((bases[row] for row in rows.tolist()), modulus)
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


def _product(numbers: Iterable[mpz], modulus: mpz) -> mpz:
    product = mpz(1)
    for number in numbers:
        product = product * number % modulus
    return product
