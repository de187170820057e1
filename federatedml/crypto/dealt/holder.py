"""The holder's side: a fixed matrix, its masked blocks for the owner, and its share of each product.

Sees: vectors less their masks, uniform. Learns nothing but the number of vectors; the outputs too, if the owner tells
its share. A vector that is not the next one of the plan is refused: each column of the holder's own words is used once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.codec import Codec
from federatedml.crypto.dealt.columns import ONE_ATTEMPT, Columns, Ledger
from federatedml.crypto.dealt.costs import CAPABILITIES
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.matrices import Cells, Fixed, Numbers, Splits
from federatedml.crypto.dealt.messages import Block, Correction, Lifted, pack, unpack
from federatedml.crypto.dealt.words import DealtShare, Floats, RingWords, WordRing
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Capabilities, Opened, Reply, Sealed
from federatedml.errors import ProtocolError


@dataclass(frozen=True)
class Kept:
    """What lets a later job use the same masks of the same matrix again, with new columns.

    Attributes:
        digest: of the matrix; stays at the holder.
    """

    deal: Deal
    digest: bytes


class DealtHolder:
    """Plans maps of one attempt (or of one seed that is kept for longer).

    Args:
        stream: of the seed that the dealer gave the holder.
        vectors: how many columns each map may see.
        ledger: counts columns; a seed that outlives the attempt needs one that does too.
    """

    def __init__(
        self,
        stream: Stream,
        vectors: int,
        ring: WordRing | None = None,
        compute: Compute = SERIAL,
        ledger: Ledger = ONE_ATTEMPT,
    ) -> None:
        self._stream, self._vectors, self._compute, self._ledger = stream, vectors, compute, ledger
        self.ring = ring or WordRing()

    @property
    def capabilities(self) -> Capabilities:
        """See ``vector.Holder``."""
        return CAPABILITIES[self.ring.bits]

    def receive(self, sealed: Sealed, codec: Codec | None = None) -> Sealed:
        """See ``vector.Holder``: the map that it is for checks it; the scale is the owner's own."""
        return sealed

    def plan_matvec(self, matrix: Floats, bits: int = 16) -> DealtMap:
        """See ``vector.Holder``. Best in the ring of 64 bits: vectors keep 46 bits there."""
        return self.plan(Numbers(matrix, self.ring, bits))

    def plan_histogram(self, bins: NDArray[np.unsignedinteger[Any]], n_bins: Sequence[int]) -> DealtMap:
        """See ``vector.Holder``."""
        return self.plan(Cells(BinTable.of(bins, n_bins), self.ring))

    def plan_splits(self, table: BinTable) -> DealtMap:
        """The map v -> sums of v over the rows that go left, for every split candidate of the table."""
        return self.plan(Splits(table, self.ring))

    def plan(self, fixed: Fixed, kept: Kept | None = None) -> DealtMap:
        """The map of a matrix: under fresh masks, or under those that it was kept with.

        Raises:
            ProtocolError: FED-716, the masks were kept with another matrix.
        """
        if kept is None:
            deal = Deal.new(fixed.inputs, fixed.outputs, self.ring, fixed.entry_bits)
        elif fixed.digest() == kept.digest:
            deal = kept.deal
        else:
            raise ProtocolError("FED-716", "masks that hid one matrix would hide another: make a new map")
        return DealtMap(deal, fixed, self._stream, self._ledger.columns(deal.name, self._vectors), self._compute)


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
        for index in range(self.deal.blocks):
            rows = self.deal.rows(index)
            words = self.fixed.words(rows)
            words -= self.deal.matrix_mask(self._stream, index)
            yield pack(Block, self.deal, range(rows.start, rows.stop), words)

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

    def shuffle(self, correction: Correction, columns: range, index: int) -> Shuffle:
        """The order that the outputs of some columns (those of a tree) are told in, once for each ``index``.

        Args:
            correction: of the dealer (``MapDealer.shuffle``).
        """
        order = self.deal.permutation(self._stream, index)
        return Shuffle(self, columns, order, unpack(correction, self.deal, columns, self.outputs))


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


@dataclass(frozen=True)
class Shuffle:
    """Tells outputs in an order that the owner does not know, the same for all of its columns.

    Attributes:
        order: (outputs,) output i is told as output ``order[i]`` of the map; known to holder and dealer.
        moved: (outputs, columns) what takes the owner's masks off: a in that order, less u.
    """

    map: DealtMap
    columns: range
    order: NDArray[np.int64]
    moved: RingWords

    def reveal(self, result: DealtResult, lifted: Lifted) -> Reply:
        """The owner learns the outputs in this order (``DealtAsker.open``), not which is which.

        Args:
            lifted: the owner's share under a mask a (``DealtAsker.lift``), hostile.

        Raises:
            ProtocolError: FED-714, the result is of columns that this order is not for; FED-715 for the message.
        """
        first = result.columns.start - self.columns.start
        if first < 0 or result.columns.stop > self.columns.stop:
            raise ProtocolError("FED-714", f"an order for columns {self.columns} is not one for {result.columns}")
        deal = self.map.deal
        words = result.words + unpack(lifted, deal, result.columns, deal.outputs)
        shuffled = words[self.order] - self.moved[:, first : first + len(result.columns)]
        return pack(Reply, deal, result.columns, shuffled)
