"""Sums per split candidate, told in an order that only the holder knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.engine import Compute
from federatedml.crypto.candidates import BinTable, Candidates
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.maps import DealtMap, DealtResult
from federatedml.crypto.dealt.matrices import Splits
from federatedml.crypto.dealt.messages import Correction, Lifted, pack, unpack
from federatedml.crypto.dealt.words import RingWords
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Reply
from federatedml.errors import ProtocolError


class SplitMap(DealtMap):
    """The cuts of a table. Outputs are sums per cut; a shuffle tells sums per candidate."""

    def __init__(
        self, deal: Deal, table: BinTable, splits: Splits, stream: Stream, columns: Columns, compute: Compute
    ) -> None:
        super().__init__(deal, splits, stream, columns, compute)
        self.candidates = table.candidates

    def shuffle(self, correction: Correction, columns: range, index: int) -> Shuffle:
        """The order that the sums of some columns (those of a tree) are told in, once for each ``index``.

        Args:
            correction: of the dealer (``MapDealer.shuffle``).
        """
        told = len(self.candidates)
        order = self.deal.permutation(self._stream, index, told)
        return Shuffle(self.deal, self.candidates, columns, order, unpack(correction, self.deal, columns, told))


@dataclass(frozen=True)
class Shuffle:
    """Tells sums in an order that the owner does not know, the same for all of its columns.

    Attributes:
        order: (candidates,) what is told as number i is candidate ``order[i]``; known to holder and dealer.
        moved: (candidates, columns) takes the owner's masks off: a of all candidates in that order, less u.
    """

    deal: Deal
    candidates: Candidates
    columns: range
    order: NDArray[np.int64]
    moved: RingWords

    def reveal(self, result: DealtResult, lifted: Lifted) -> Reply:
        """The owner learns the sums in this order (``DealtAsker.open``), not which is which.

        Args:
            lifted: the owner's share under a mask a (``DealtAsker.lift``), hostile.

        Raises:
            ProtocolError: FED-714, the result is of columns that this order is not for; FED-715 for the message.
        """
        first = result.columns.start - self.columns.start
        if first < 0 or result.columns.stop > self.columns.stop:
            raise ProtocolError("FED-714", f"an order for columns {self.columns} is not one for {result.columns}")
        words = result.words + unpack(lifted, self.deal, result.columns, self.deal.outputs)
        shuffled = self.candidates.expanded(words)[self.order] - self.moved[:, first : first + len(result.columns)]
        return pack(Reply, self.deal, result.columns, shuffled)
