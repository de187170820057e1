"""The holder's side: a fixed matrix, its masked blocks for the owner, and its share of each product.

Sees: vectors less their masks, uniform. Learns nothing but the number of vectors; the outputs too, if the owner tells
its share. A vector that is not the next one of the plan is refused: each column of the holder's own words is used once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.codec import Codec
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.costs import CAPABILITIES
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.matrices import Cells, Fixed, Numbers, Splits
from federatedml.crypto.dealt.messages import Block, Correction, Lifted, pack, unpack
from federatedml.crypto.dealt.words import Floats, RingWords, WordRing
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Capabilities, Opened, Reply, Sealed
from federatedml.errors import ProtocolError


@dataclass(frozen=True)
class Kept:
    """What lets a later job use the same masks of the same matrix again, with new columns.

    Attributes:
        digest: of the matrix; stays at the holder.
        used: columns that are used up.
    """

    deal: Deal
    digest: bytes
    used: int


class DealtHolder:
    """Plans maps of one attempt (or of one seed that is kept for longer).

    Args:
        stream: of the seed that the dealer gave the holder.
        vectors: how many columns each map may see.
        store: see ``Columns``; only a seed that outlives the attempt needs it.
    """

    def __init__(
        self,
        stream: Stream,
        vectors: int,
        ring: WordRing | None = None,
        compute: Compute = SERIAL,
        store: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._stream, self._vectors, self._compute, self._store = stream, vectors, compute, store
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
            deal, used = Deal.new(fixed.inputs, fixed.outputs, self.ring, fixed.entry_bits), 0
        elif fixed.digest() == kept.digest:
            deal, used = kept.deal, kept.used
        else:
            raise ProtocolError("FED-716", "masks that hid one matrix would hide another: make a new map")
        columns = Columns(self._vectors, used, self._store)
        return DealtMap(deal, fixed, self._stream, columns, self._compute)


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
        share = self.fixed.apply(d, self._compute)
        share += self.deal.holder_shares(self._stream, columns)
        return DealtResult(self, columns, share)

    def kept(self) -> Kept:
        """For a later job; its seed must be kept too, by all three parties, and never used for another map."""
        return Kept(self.deal, self.fixed.digest(), self._columns.used)

    def permutation(self, index: int) -> NDArray[np.int64]:
        """(outputs,) the order that outputs are told in at shuffle ``index``; known to holder and dealer."""
        return self.deal.permutation(self._stream, index)


@dataclass
class DealtResult:
    """The holder's share of some columns of outputs.

    Attributes:
        share: (outputs, columns) words.
    """

    map: DealtMap
    columns: range
    share: RingWords

    def reveal(self) -> Reply:
        """See ``vector.Result``: the owner learns the outputs."""
        return pack(Reply, self.map.deal, self.columns, self.share)

    def reveal_shuffled(self, lifted: Lifted, correction: Correction, index: int) -> Reply:
        """The owner learns the outputs in the order of ``permutation(index)``, not which is which.

        Args:
            lifted: the owner's share under a mask a.
            correction: of the dealer: a in that order, less the words u that the owner takes off.
        """
        deal = self.map.deal
        lifted_words = unpack(lifted, deal, self.columns, deal.outputs)
        moved = (self.share + lifted_words)[self.map.permutation(index)]
        return pack(Reply, deal, self.columns, moved - unpack(correction, deal, self.columns, deal.outputs))

    def read(self, opened: Opened, codec: Codec) -> Floats:
        """(outputs, columns) numbers at the holder, of the owner's share.

        Args:
            codec: scale that the owner's vectors were sealed with.
        """
        words = self.share + unpack(opened, self.map.deal, self.columns, self.map.outputs)
        signed = words.view(f"<i{words.dtype.itemsize}").astype(np.float64)
        exponents = self.map.fixed.exponents[:, None] if isinstance(self.map.fixed, Numbers) else 0
        return np.ldexp(signed, exponents - codec.scale_bits)
