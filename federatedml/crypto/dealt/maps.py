"""A fixed matrix at its holder: its masked blocks for the owner, and the holder's share of each product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from federatedml.compute.engine import Compute
from federatedml.crypto.codec import Codec
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.matrices import Fixed, Numbers
from federatedml.crypto.dealt.messages import Block, pack, unpack
from federatedml.crypto.dealt.words import DealtShare, Floats, RingWords
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Opened, Reply, Sealed


@dataclass(frozen=True)
class Kept:
    """What lets a later job use the same masks of the same matrix again, with new columns.

    Attributes:
        digest: of the matrix; stays at the holder.
    """

    deal: Deal
    digest: bytes


class DealtMap:
    """One fixed matrix; see ``vector.LinearMap``."""

    def __init__(self, deal: Deal, fixed: Fixed, stream: Stream, columns: Columns, compute: Compute) -> None:
        self.deal, self.fixed = deal, fixed
        self._stream, self._columns, self._compute = stream, columns, compute

    @property
    def inputs(self) -> int:
        """See ``vector.LinearMap``."""
        return self.deal.inputs

    @property
    def outputs(self) -> int:
        """See ``vector.LinearMap``."""
        return self.deal.outputs

    def setup_message(self) -> bytes:
        """For owner and dealer: the shape of the map. The owner needs ``blocks`` besides."""
        return self.deal.to_bytes()

    def blocks(self) -> Iterator[Block]:
        """E = M - A in blocks of rows, made one at a time; the same blocks each time."""
        return map(self._block, range(self.deal.blocks))

    def _block(self, index: int) -> Block:
        rows = self.deal.rows(index)
        words = self.fixed.words(rows)
        words -= self.deal.matrix_mask(self._stream, index)
        return pack(Block, self.deal, range(rows.start, rows.stop), words)

    def apply(self, vector: Sealed) -> DealtResult:
        """M^T v for the next columns of the plan; their number follows from the length of the message.

        Raises:
            ProtocolError: FED-715 if it is not about the next columns, FED-714 if the plan allows no more.
        """
        columns = range(self._columns.used, self._columns.used + vector.count // self.inputs)
        d = unpack(vector, self.deal, columns, self.inputs)
        self._columns.take(len(columns))
        words = self.fixed.apply(d, self._compute)
        words += self.deal.holder_shares(self._stream, columns)
        return DealtResult(self, columns, words)

    def kept(self) -> Kept:
        """For a later job; all three parties keep the seeds too, guest and host their ledgers."""
        return Kept(self.deal, self.fixed.digest())

    def start(self, column: int) -> None:
        """Leave the columns before this one unused: the plan gives each tree as many, whatever it needs of them."""
        self._columns.start(column)


@dataclass(frozen=True)
class DealtResult:
    """The holder's share of some columns of outputs; see ``vector.Result``. Call one of the methods, once.

    Attributes:
        words: (outputs, columns).
    """

    map: DealtMap
    columns: range
    words: RingWords

    def reveal(self) -> Reply:
        """See ``vector.Result``: the owner learns the outputs."""
        return pack(Reply, self.map.deal, self.columns, self.words)

    def share(self) -> tuple[Reply, DealtShare]:
        """See ``vector.Result``; the owner has its share already, the reply is empty."""
        return pack(Reply, self.map.deal, self.columns[:0], self.words[:, :0]), DealtShare(self.words)

    def read(self, opened: Opened, codec: Codec) -> Floats:
        """(outputs, columns) numbers at the holder, of the owner's share (``DealtAsker.tell``).

        Args:
            codec: scale that the owner's vectors were sealed with.
        """
        theirs = DealtShare(unpack(opened, self.map.deal, self.columns, self.map.outputs))
        numbers = DealtShare(self.words).combined(theirs, codec.scale_bits)
        fixed = self.map.fixed
        return np.ldexp(numbers, fixed.exponents[:, None]) if isinstance(fixed, Numbers) else numbers
