"""Products of a matrix in clear and an encrypted vector: X^T v for X (rows, columns), v (rows,).

Columns are scaled to signed integers of a few bits; per column the product of c_i^x_i encrypts the sum of x_i v_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from federatedml.compute.engine import Compute
from federatedml.compute.names import lock_free
from federatedml.crypto.codec import Floats
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.montgomery import Modulus
from federatedml.crypto.paillier.parts import cut, packed, sizes, unpacked
from federatedml.crypto.paillier.powers import Powers, product
from federatedml.crypto.paillier.vectors import Encrypted, Mask, ModularShare
from federatedml.crypto.vector import Opened, Reply
from federatedml.errors import ProtocolError

Part = tuple[bytes, NDArray[np.int32], bytes, int]
MIN_ROWS = 4096  # of a part: below, buckets cost more than rows
SMALLEST = 1e-290  # a column of smaller numbers is one of zeros: their scale would not be a number any more


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
        """Each column (rows, columns) scaled to its largest absolute value; up to ``SMALLEST`` it is taken for zero.

        Raises:
            ProtocolError: bits are not 2 to 24, or a value is not finite.
        """
        if bits not in range(2, 25):
            raise ProtocolError("FED-700", f"features are quantised to {bits} bits, allowed are 2 to 24")
        columns = np.ascontiguousarray(np.asarray(matrix, np.float64).T)
        if columns.ndim != 2 or not np.isfinite(columns).all():
            raise ProtocolError("FED-701", "a matrix must have two dimensions and finite values")
        top = np.abs(columns).max(axis=1, initial=0.0)
        factors = np.where(top > SMALLEST, top, 1.0) / (2 ** (bits - 1) - 1)
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
        """X^T v. The bound on a product is of public numbers only: peers see it as the width of a slot."""
        if len(vector) != self.inputs:
            raise ProtocolError("FED-707", f"a vector of {len(vector)} elements for a matrix of {self.inputs} rows")
        elements = self._products(vector.elements, vector.public)
        bound = vector.bound * max(self.inputs, 1) << (self.matrix.bits - 1)
        return Products(replace(vector, elements=elements, bound=bound), self.matrix.factors)

    def _products(self, elements: Sequence[mpz], public: PublicKey) -> list[mpz]:
        """Every worker takes all rows of some columns; with more workers than columns, some of the rows."""
        workers, integers, n = self.compute.workers, self.matrix.integers, public.to_bytes()
        if workers == 1:
            powers = Powers.packed(packed(elements, public.width), Modulus(public.n2))
            return [powers.of(column, self.matrix.bits) for column in integers]
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
            found += [product(piece, public.n2) for piece in zip(*pieces, strict=True)]
        return found


@lock_free
def products(part: Part) -> bytes:
    """Kernel: for each of some columns the product of c_i^x_i.

    Args:
        part: ciphertexts packed, integers (columns, rows), n little-endian, bits of the integers.
    """
    body, integers, n, bits = part
    public = PublicKey(mpz.from_bytes(n, "little"))
    powers = Powers.packed(body, Modulus(public.n2))
    return packed((powers.of(column, bits) for column in integers), public.width)
