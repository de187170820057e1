"""The holder's side: a fixed matrix, its masked blocks for the owner, and its share of each product.

Sees: vectors less their masks, uniform. Learns nothing but the number of vectors; the outputs too, if the owner tells
its share. A vector that is not the next one of the plan is refused: each column of the holder's own words is used once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.codec import Codec
from federatedml.crypto.dealt.columns import ONE_ATTEMPT, Ledger
from federatedml.crypto.dealt.costs import CAPABILITIES
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.maps import DealtMap, Kept
from federatedml.crypto.dealt.matrices import Cells, Fixed, Numbers, Splits
from federatedml.crypto.dealt.splits import SplitMap
from federatedml.crypto.dealt.words import Floats, WordRing
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Capabilities, Sealed
from federatedml.errors import ProtocolError


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
        return self._plan(Numbers(matrix, self.ring, bits))

    def plan_histogram(self, bins: NDArray[np.unsignedinteger[Any]], n_bins: Sequence[int]) -> DealtMap:
        """See ``vector.Holder``."""
        return self._plan(Cells(BinTable.of(bins, n_bins), self.ring))

    def plan_splits(self, table: BinTable, kept: Kept | None = None) -> SplitMap:
        """The map v -> sums of v per cut of the table, whose shuffles tell the sums of all split candidates.

        Args:
            kept: the masks of an earlier job with the same table.
        """
        splits = Splits(table, self.ring)
        deal = self._deal(splits, kept)
        columns = self._ledger.columns(deal.name, self._vectors)
        return SplitMap(deal, table, splits, self._stream, columns, self._compute)

    def _plan(self, fixed: Fixed) -> DealtMap:
        deal = self._deal(fixed, None)
        return DealtMap(deal, fixed, self._stream, self._ledger.columns(deal.name, self._vectors), self._compute)

    def _deal(self, fixed: Fixed, kept: Kept | None) -> Deal:
        """Fresh masks for a matrix, or those that it was kept with.

        Raises:
            ProtocolError: FED-716, the masks were kept with another matrix.
        """
        if kept is None:
            return Deal.new(fixed.inputs, fixed.outputs, self.ring, fixed.entry_bits)
        if fixed.digest() != kept.digest:
            raise ProtocolError("FED-716", "masks that hid one matrix would hide another: make a new map")
        return kept.deal
