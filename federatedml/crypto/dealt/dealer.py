"""The dealer's side: words that fit the words of the two seeds. It sees shapes, never a message that depends on data.

It must not see the messages between holder and owner either: from E it would read the matrix, from d the vectors. They
travel end to end between those two, never through the dealer in a form that it can read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import Candidates
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.kernels import product
from federatedml.crypto.dealt.messages import Correction, pack
from federatedml.crypto.stream import Stream
from federatedml.errors import ProtocolError

MESSAGE_BYTES = 2**24


class MapDealer:
    """Deals for one map.

    Args:
        deal: from the holder's set-up message.
        holder, owner: streams of the two parties' seeds.
    """

    def __init__(self, deal: Deal, holder: Stream, owner: Stream, compute: Compute = SERIAL) -> None:
        self.deal, self._holder, self._owner, self._compute = deal, holder, owner, compute

    def corrections(self, columns: range) -> Iterator[Correction]:
        """A^T b - c of some columns, for the owner, in messages of some columns each. The work is before the first."""
        deal = self.deal
        words = np.zeros((deal.outputs, len(columns)), deal.ring.dtype)
        for rows, blocks in deal.stripes():
            masks = deal.vector_masks(self._owner, columns, rows)
            for block in blocks:
                within = deal.rows(block)
                part = masks[within.start - rows.start : within.stop - rows.start]
                words += product(deal.matrix_mask(self._holder, block), part, self._compute)
        words -= deal.holder_shares(self._holder, columns)
        step = max(1, MESSAGE_BYTES // (deal.outputs * deal.ring.word_bytes))
        for first in range(0, len(columns), step):
            yield pack(Correction, deal, columns[first : first + step], words[:, first : first + step])

    def shuffle(self, candidates: Candidates, columns: range, index: int) -> Correction:
        """For the holder: a of some columns, of all candidates in the order of shuffle ``index``, less u.

        Dealt ahead for all columns that a tree may need, it does not tell the dealer how many the tree had.

        Args:
            candidates: of the holder's table, as it told them.
        """
        deal, told = self.deal, len(candidates)
        if candidates.cuts != deal.outputs:
            raise ProtocolError("FED-711", f"candidates of {candidates.cuts} cuts for a map of {deal.outputs} outputs")
        lifted = candidates.expanded(deal.lift_mask(self._owner, columns))[deal.permutation(self._holder, index, told)]
        return pack(Correction, deal, columns, lifted - deal.told_mask(self._owner, columns, told))
