"""A deal: the public shape of one linear map on shares, and the words that the dealer's seeds make of it.

The holder has a fixed matrix M (inputs, outputs), the owner vectors v (inputs,), which are columns 0, 1, ... of all the
vectors that the map will ever see. Modulo 2^32 or 2^64:

    M^T v  =  M^T d  +  E^T b  +  A^T b          d = v - b (owner to holder), E = M - A (holder to owner, once)

    seed of holder and dealer:  A (inputs, outputs), c (outputs,) for each column
    seed of owner and dealer:   b (inputs,) for each column
    dealer to owner:            A^T b - c for each column

so that M^T d + c at the holder and E^T b + (A^T b - c) at the owner are additive shares of M^T v. To the holder d is
uniform, to the owner E is, and M^T v stays shared until one of them tells its share.

A column of b masks one vector, once: two vectors under one b tell their difference. A masks one matrix: two matrices
under one A tell theirs. So every map draws a name of its own, which is part of what its words are derived from, and
columns are counted (``columns.Columns``). Words are addressed by block of rows and column: nothing is kept that can be
drawn again, and a block of E is dropped once E^T b of all dealt columns is added up.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.dealt.words import RingWords, WordRing
from federatedml.crypto.stream import Stream
from federatedml.errors import ProtocolError

NAME_BYTES = 16
ANNOUNCEMENT = struct.Struct("<16sBBQQI")  # name, bits of the ring and of entries, inputs, outputs, rows of a block
STRIPE = 2**13  # rows that share one key per column of b; a block of E is a part of a stripe
BLOCK_BYTES = 2**24  # of E
MOST = 2**32


@dataclass(frozen=True)
class Deal:
    """Public shape of one map.

    Attributes:
        name: 16 bytes, drawn by the holder for each matrix.
        entry_bits: entries of M are at most 2^entry_bits, so that the owner can scale its vectors.
        inputs, outputs: lengths of vectors and results.
        block_rows: rows of E in one message.
    """

    name: bytes
    ring: WordRing
    entry_bits: int
    inputs: int
    outputs: int
    block_rows: int

    @staticmethod
    def new(inputs: int, outputs: int, ring: WordRing, entry_bits: int) -> Deal:
        """A deal with a fresh name."""
        rows = STRIPE
        while rows > 8 and rows * outputs * ring.word_bytes > BLOCK_BYTES:
            rows //= 2
        return Deal(os.urandom(NAME_BYTES), ring, entry_bits, inputs, outputs, rows).checked()

    def to_bytes(self) -> bytes:
        """The set-up message, for owner and dealer."""
        return ANNOUNCEMENT.pack(self.name, self.ring.bits, self.entry_bits, self.inputs, self.outputs, self.block_rows)

    @staticmethod
    def from_bytes(data: bytes, inputs: int, outputs: int) -> Deal:
        """The deal of hostile bytes, if it has the lengths that the plan declares.

        Raises:
            ProtocolError: FED-711.
        """
        if len(data) != ANNOUNCEMENT.size:
            raise ProtocolError("FED-711", f"a set-up message of {len(data)} bytes, it must have {ANNOUNCEMENT.size}")
        name, bits, entry_bits, *shape, block_rows = ANNOUNCEMENT.unpack(data)
        if shape != [inputs, outputs]:
            raise ProtocolError("FED-711", f"a map of lengths {shape} came, declared are {[inputs, outputs]}")
        return Deal(name, WordRing(bits), entry_bits, inputs, outputs, block_rows).checked()

    def checked(self) -> Deal:
        """Itself, if all sizes are possible."""
        if not (0 < self.inputs < MOST and 0 < self.outputs < MOST):
            raise ProtocolError("FED-711", f"a map of lengths {self.inputs}, {self.outputs} is not possible")
        if self.entry_bits >= self.ring.bits // 2:
            raise ProtocolError("FED-711", f"entries of {self.entry_bits} bits leave no room in {self.ring.bits}")
        if self.block_rows not in range(8, STRIPE + 1) or STRIPE % self.block_rows:
            raise ProtocolError("FED-711", f"blocks of {self.block_rows} rows, allowed are powers of 2, 8 to {STRIPE}")
        if self.block_rows > 8 and self.block_rows * self.outputs * self.ring.word_bytes > BLOCK_BYTES:
            raise ProtocolError("FED-711", f"blocks of {self.block_rows} rows of {self.outputs} are too large")
        return self

    @property
    def blocks(self) -> int:
        """Number of messages with E."""
        return -(-self.inputs // self.block_rows)

    def rows(self, block: int) -> slice:
        """Rows of a block."""
        return slice(block * self.block_rows, min(self.inputs, (block + 1) * self.block_rows))

    def stripes(self) -> Iterator[tuple[slice, range]]:
        """Rows of each stripe, and its blocks."""
        for start in range(0, self.inputs, STRIPE):
            stop = min(self.inputs, start + STRIPE)
            yield slice(start, stop), range(start // self.block_rows, -(-stop // self.block_rows))

    def matrix_mask(self, stream: Stream, block: int) -> RingWords:
        """A of one block of rows, (rows, outputs), from the holder's seed."""
        rows = self.rows(block)
        count = rows.stop - rows.start
        words = self.ring.uniform(stream, self._purpose("matrix"), block, count * self.outputs)
        return words.reshape(count, self.outputs)

    def vector_masks(self, stream: Stream, columns: range, rows: slice) -> RingWords:
        """b of some columns for the rows of one stripe, (rows, columns), from the owner's seed."""
        stripe, purpose, count = rows.start // STRIPE, self._purpose("vector"), rows.stop - rows.start
        masks = np.empty((count, len(columns)), self.ring.dtype)
        for q, column in enumerate(columns):
            masks[:, q] = self.ring.uniform(stream, purpose, stripe * MOST + column, count)
        return masks

    def holder_shares(self, stream: Stream, columns: range) -> RingWords:
        """c of some columns, (outputs, columns), from the holder's seed."""
        return self._per_output(stream, "share", columns, self.outputs)

    def lift_mask(self, stream: Stream, columns: range) -> RingWords:
        """a of some columns, (outputs, columns), from the owner's seed: hides its share from the holder."""
        return self._per_output(stream, "lift", columns, self.outputs)

    def told_mask(self, stream: Stream, columns: range, told: int) -> RingWords:
        """u of some columns, (told, columns), from the owner's seed: its share of shuffled results is -u."""
        return self._per_output(stream, "told", columns, told)

    def permutation(self, stream: Stream, index: int, told: int) -> NDArray[np.int64]:
        """(told,) the order of results at shuffle ``index``, from the holder's seed."""
        keys = stream.words(self._purpose("order"), index, told)
        return np.argsort(keys, kind="stable").astype(np.int64)

    def bit_mask(self, stream: Stream, purpose: str, triple: int) -> NDArray[np.uint8]:
        """A packed bit for each input, for ``bits``."""
        size = -(-self.inputs // 8)
        return stream.words(self._purpose(f"bits {purpose}"), triple, -(-size // 8)).view(np.uint8)[:size]

    def _per_output(self, stream: Stream, purpose: str, columns: range, count: int) -> RingWords:
        words = np.empty((count, len(columns)), self.ring.dtype)
        for q, column in enumerate(columns):
            words[:, q] = self.ring.uniform(stream, self._purpose(purpose), column, count)
        return words

    def _purpose(self, what: str) -> str:
        return f"dealt {what} {self.name.hex()}"
