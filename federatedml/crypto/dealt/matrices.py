"""What a holder can keep fixed: a matrix of numbers, or the bins of a table's rows."""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.dealt.kernels import product
from federatedml.crypto.dealt.words import Floats, RingWords, WordRing
from federatedml.errors import DataError

MOST_BITS = 24  # of an entry


class Fixed(Protocol):
    """M (inputs, outputs) as ring words, seen in blocks of rows and as a product.

    Attributes:
        entry_bits: no entry is larger than 2^entry_bits in absolute value.
    """

    @property
    def entry_bits(self) -> int: ...  # noqa: D102 - see the class

    @property
    def inputs(self) -> int: ...  # noqa: D102 - see the class

    @property
    def outputs(self) -> int: ...  # noqa: D102 - see the class

    def words(self, rows: slice) -> RingWords:
        """M of some rows, (rows, outputs), to be changed by the caller."""
        ...

    def apply(self, vectors: RingWords, compute: Compute = SERIAL) -> RingWords:
        """M^T ``vectors``: (inputs, k) to (outputs, k)."""
        ...

    def digest(self) -> bytes:
        """SHA-256 of all that M depends on. Stays at the holder: a guess of the table could be tested by it."""
        ...


class Numbers:
    """A matrix of numbers, each column scaled to integers of at most ``bits`` bits.

    Args:
        matrix: (inputs, outputs).

    Attributes:
        exponents: (outputs,) a word of column j times 2^exponents[j] is the number.
    """

    def __init__(self, matrix: Floats, ring: WordRing, bits: int = 16) -> None:
        if matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise DataError("FED-713", f"a fixed matrix of shape {matrix.shape} has numbers that are not finite")
        if not 0 < bits <= MOST_BITS:
            raise DataError("FED-713", f"a fixed matrix of {bits} bits, allowed are 1 to {MOST_BITS}")
        _, exponents = np.frexp(np.abs(matrix).max(axis=0, initial=0.0))
        self.entry_bits = bits
        self.exponents = exponents.astype(np.int64) - bits
        self._words: RingWords = np.rint(np.ldexp(matrix, -self.exponents)).astype(np.int64).astype(ring.dtype)

    @property
    def inputs(self) -> int:
        """See ``Fixed``."""
        return int(self._words.shape[0])

    @property
    def outputs(self) -> int:
        """See ``Fixed``."""
        return int(self._words.shape[1])

    def words(self, rows: slice) -> RingWords:
        """See ``Fixed``."""
        return np.array(self._words[rows])

    def apply(self, vectors: RingWords, compute: Compute = SERIAL) -> RingWords:
        """See ``Fixed``."""
        return product(self._words, vectors, compute)

    def digest(self) -> bytes:
        """See ``Fixed``."""
        return _digest("numbers", self._words.shape, self.exponents.tobytes(), self._words.tobytes())


class Splits:
    """Zeros and ones: which rows are in each cut of a table (``candidates``)."""

    entry_bits = 0

    def __init__(self, table: BinTable, ring: WordRing) -> None:
        self.table, self._dtype = table, ring.dtype
        self.inputs, self.outputs = table.rows, table.candidates.cuts

    def words(self, rows: slice) -> RingWords:
        """See ``Fixed``."""
        return self.table.indicators(rows.start, rows.stop, self._dtype)

    def apply(self, vectors: RingWords, compute: Compute = SERIAL) -> RingWords:
        """See ``Fixed``."""
        return self.table.cut_sums(self.table.sums(vectors, compute))

    def digest(self) -> bytes:
        """See ``Fixed``."""
        return _of_table("splits", self.table)


class Cells:
    """Zeros and ones: which rows are in each bin of each feature of a table."""

    entry_bits = 0

    def __init__(self, table: BinTable, ring: WordRing) -> None:
        self.table, self._dtype = table, ring.dtype
        self.inputs, self.outputs = table.rows, table.cells

    def words(self, rows: slice) -> RingWords:
        """See ``Fixed``."""
        return self.table.members(rows.start, rows.stop, self._dtype)

    def apply(self, vectors: RingWords, compute: Compute = SERIAL) -> RingWords:
        """See ``Fixed``."""
        return self.table.flat(self.table.sums(vectors, compute))

    def digest(self) -> bytes:
        """See ``Fixed``."""
        return _of_table("cells", self.table)


def _of_table(kind: str, table: BinTable) -> bytes:
    shape = (*table.counts, *table.candidates.missing)
    return _digest(kind, shape, table.bins.dtype.str.encode(), table.bins.tobytes())


def _digest(kind: str, shape: tuple[int, ...], *content: bytes) -> bytes:
    digest = hashlib.sha256(f"{kind} {shape}".encode())
    for piece in content:
        digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.digest()
