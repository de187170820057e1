"""The owner's side: vectors under masks, and its share of each product.

Sees: E, uniform; of the outputs what the holder tells. Before the first vector it adds up E^T b of all dealt columns
from the holder's blocks, one at a time, and keeps (outputs, columns) words of it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.codec import Codec
from federatedml.crypto.dealt.columns import ONE_ATTEMPT, Columns, Ledger
from federatedml.crypto.dealt.deal import STRIPE, Deal
from federatedml.crypto.dealt.kernels import product
from federatedml.crypto.dealt.messages import Block, Correction, Lifted, pack, unpack
from federatedml.crypto.dealt.words import DealtShare, Floats, RingWords, Scale, encode
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Opened, Reply, Sealed
from federatedml.errors import DataError, ProtocolError


class Pads:
    """The owner's share of what hides the outputs of some columns: E^T b + (A^T b - c), made before the vectors."""

    def __init__(self, deal: Deal, stream: Stream, columns: range, compute: Compute) -> None:
        self.deal, self.columns = deal, columns
        self._stream, self._compute = stream, compute
        self._words: RingWords = np.zeros((0, 0), deal.ring.dtype)  # until the first of them comes
        self._stripe = -1
        self._masks: RingWords = np.zeros((0, 0), deal.ring.dtype)
        self._blocks = 0
        self._corrected = columns.start

    def absorb(self, block: Block) -> None:
        """Add a block's part; blocks come in their order, each once.

        Raises:
            ProtocolError: FED-715 for any other block.
        """
        if self._blocks == self.deal.blocks:
            raise ProtocolError("FED-715", f"a block more than the {self._blocks} of the masked matrix")
        rows = self.deal.rows(self._blocks)
        E = unpack(block, self.deal, range(rows.start, rows.stop), self.deal.outputs)
        first = rows.start // STRIPE * STRIPE
        if first != self._stripe:
            stripe = slice(first, min(first + STRIPE, self.deal.inputs))
            self._stripe, self._masks = first, self.deal.vector_masks(self._stream, self.columns, stripe)
        self._ready()
        self._words += product(E, self._masks[rows.start - first : rows.stop - first], self._compute)
        self._blocks += 1

    def correct(self, correction: Correction) -> None:
        """Add the dealer's words for the next columns; how many follows from the length of the message."""
        start = self._corrected
        columns = range(start, start + correction.count // self.deal.outputs)
        words = unpack(correction, self.deal, columns, self.deal.outputs)
        if columns.stop > self.columns.stop:
            raise ProtocolError("FED-715", "corrections for columns that were not dealt")
        self._ready()
        self._words[:, start - self.columns.start : columns.stop - self.columns.start] += words
        self._corrected = columns.stop

    def _ready(self) -> None:
        """Take memory for the dealt columns only: of a long plan, ``deal_next`` replaces what ``attach`` made."""
        if not len(self._words):
            self._words = np.zeros((self.deal.outputs, len(self.columns)), self.deal.ring.dtype)

    def share(self, columns: range) -> RingWords:
        """(outputs, columns) the owner's share of the outputs of some columns.

        Raises:
            ProtocolError: FED-717 if these columns are not ready.
        """
        if self._blocks < self.deal.blocks or self._corrected < columns.stop or columns.start < self.columns.start:
            raise ProtocolError("FED-717", "the masked matrix and the dealer's corrections have not all come")
        self._masks = np.zeros((0, 0), self.deal.ring.dtype)
        return self._words[:, columns.start - self.columns.start : columns.stop - self.columns.start]


class DealtOwner:
    """Attaches to the holder's maps.

    Args:
        stream: of the seed that the dealer gave the owner.
        ledger: counts columns; a seed that outlives the attempt needs one that does too.
    """

    def __init__(self, stream: Stream, compute: Compute = SERIAL, ledger: Ledger = ONE_ATTEMPT) -> None:
        self._stream, self._compute, self._ledger = stream, compute, ledger
        self._names: set[bytes] = set()

    def attach(self, inputs: int, outputs: int, vectors: int, setup: bytes) -> DealtAsker:
        """See ``vector.Owner``.

        Raises:
            ProtocolError: FED-711 for a set-up message that is none of this map, FED-716 for a second map of one name:
                its columns would mask other vectors again.
        """
        deal = Deal.from_bytes(setup, inputs, outputs)
        if deal.name in self._names:
            raise ProtocolError("FED-716", "two maps of one name would use the same masks")
        self._names.add(deal.name)
        return DealtAsker(deal, self._stream, self._ledger.columns(deal.name, vectors), self._compute)


@dataclass(frozen=True)
class Asked:
    """Columns that were sealed and not yet opened, with the scale of each.

    Attributes:
        told: how many shuffled results the holder will tell of each column; 0 if the outputs stay in their order.
    """

    columns: range
    scales: tuple[Scale, ...]
    told: int = 0


class DealtAsker:
    """The owner's side of one map; see ``vector.Asker``. First all of ``pads``, then vectors."""

    def __init__(self, deal: Deal, stream: Stream, columns: Columns, compute: Compute) -> None:
        self.deal = deal
        self._stream, self._columns, self._compute = stream, columns, compute
        self._asked: deque[Asked] = deque()
        self.pads = Pads(deal, stream, range(columns.used, columns.planned), compute)

    def deal_next(self, count: int) -> Pads:
        """Deal the next ``count`` unused columns only: less memory, but the blocks must come again for the others."""
        stop = self._columns.used + count
        if stop > self._columns.planned:
            raise ProtocolError("FED-714", f"columns up to {stop}, planned are {self._columns.planned}")
        self.pads = Pads(self.deal, self._stream, range(self._columns.used, stop), self._compute)
        return self.pads

    def start(self, column: int) -> None:
        """Leave the columns before this one unused (``DealtMap.start``)."""
        self._columns.start(column)

    def seal(self, values: Floats, codec: Codec | None = None) -> Sealed:
        """See ``vector.Asker``; ``values`` (inputs,), or (inputs, columns) for several vectors in one message.

        Args:
            codec: a scale that the holder knows too, for results that stay shared or are told to the holder; without
                it each vector has its own best scale, which nobody is told.

        Raises:
            DataError: FED-712, not finite, or too large for the scale.
        """
        vectors = np.asarray(values, np.float64).reshape(self.deal.inputs, -1)
        words, scales = zip(*(self._encoded(vector, codec) for vector in vectors.T), strict=True)
        ready = range(self._columns.used, self._columns.used + len(words))
        self.pads.share(ready)
        columns = self._columns.take(len(words))
        d = np.stack(words, axis=1)
        for start in range(0, self.deal.inputs, STRIPE):
            rows = slice(start, min(start + STRIPE, self.deal.inputs))
            d[rows] -= self.deal.vector_masks(self._stream, columns, rows)
        self._asked.append(Asked(columns, scales))
        return pack(Sealed, self.deal, columns, d)

    def lift(self, told: int) -> Lifted:
        """My share of the columns that were sealed last, masked, for ``splits.Shuffle``; goes with them.

        Args:
            told: the number of candidates that the plan declares.
        """
        asked = self._asked.pop()
        if asked.told:
            raise ProtocolError("FED-717", "a share is lifted once")
        self._asked.append(Asked(asked.columns, asked.scales, told))
        words = self.pads.share(asked.columns) + self.deal.lift_mask(self._stream, asked.columns)
        return pack(Lifted, self.deal, asked.columns, words)

    def open(self, reply: Reply) -> Floats:
        """See ``vector.Asker``: (outputs,) or (outputs, columns) of the oldest vectors that are not open yet.

        If their share was lifted, (told,) or (told, columns) shuffled results. Entries of a matrix of numbers are
        integers: the holder knows their scale.
        """
        asked = self._oldest()
        words = unpack(reply, self.deal, asked.columns, asked.told or self.deal.outputs)
        if asked.told:
            words = words - self.deal.told_mask(self._stream, asked.columns, asked.told)
        else:
            words = words + self.pads.share(asked.columns)
        self._asked.popleft()
        numbers = [scale.decode(np.ascontiguousarray(words[:, q])) for q, scale in enumerate(asked.scales)]
        return numbers[0] if len(numbers) == 1 else np.stack(numbers, axis=1)

    def share(self, reply: Reply) -> DealtShare:
        """My share of the oldest vectors that are not open yet: the result stays shared (``DealtResult.share``)."""
        asked = self._unlifted()
        unpack(reply, self.deal, asked.columns[:0], self.deal.outputs)
        self._asked.popleft()
        return DealtShare(self.pads.share(asked.columns))

    def tell(self) -> Opened:
        """My share of the oldest vectors that are not open yet, for the holder, who learns the outputs."""
        asked = self._unlifted()
        self._asked.popleft()
        return pack(Opened, self.deal, asked.columns, self.pads.share(asked.columns))

    def _unlifted(self) -> Asked:
        asked = self._oldest()
        if asked.told:
            raise ProtocolError("FED-717", "a lifted share is the holder's to shuffle, it opens to its owner only")
        return asked

    def _oldest(self) -> Asked:
        if not self._asked:
            raise ProtocolError("FED-717", "no vector was sealed whose result is missing")
        return self._asked[0]

    def _encoded(self, vector: Floats, codec: Codec | None) -> tuple[RingWords, Scale]:
        ring = self.deal.ring
        if codec is None:
            return encode(vector, ring, self.deal.entry_bits)
        integers = codec.encode(vector)
        if np.abs(integers).sum(dtype=np.float64) > ring.limit(True) >> self.deal.entry_bits:
            raise DataError("FED-712", f"the sum of a vector passes words of {ring.bits} bits at its declared scale")
        return integers.astype(ring.dtype), Scale(codec.scale_bits, True)
