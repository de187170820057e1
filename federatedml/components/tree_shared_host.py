"""Protocol ``shared`` at a host: it tells sums of all candidates under masks, and splits nodes that it does not see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federatedml.components.common_rows import expect
from federatedml.components.tree_hosts import Start
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_plan import Plan
from federatedml.components.tree_sampling import columns_of_tree
from federatedml.components.tree_shared_guest import NONE, WINDOW, octets
from federatedml.components.tree_shared_topics import (
    BITS,
    BLOCK,
    CHOSEN,
    CREDIT,
    LEVEL,
    SEED,
    SETUP,
    SHUFFLE,
    SUMS,
    TABLE,
)
from federatedml.components.tree_splits import preferred
from federatedml.crypto.candidates import BinTable, Split
from federatedml.crypto.dealt.bits import BitHolder
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.holder import DealtHolder
from federatedml.crypto.dealt.messages import Lifted
from federatedml.crypto.dealt.splits import Shuffle, SplitMap
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Sealed
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.wire import Array


class SharedAnswers:
    """A host's part of all rounds.

    Args:
        table: bins of its columns.
    """

    def __init__(self, p: SecureBoostParams, box: Box, start: Start, table: BinTable) -> None:
        plan = Plan.of(p, start)
        self.p, self.box, self.plan, self.table = p, box, plan, table
        candidates = table.candidates
        stream = Stream(box.recv(SEED).tobytes(), box.attempt.context())
        self.map: SplitMap | None = None
        plan.check(candidates.cuts)
        if candidates.cuts:
            holder = DealtHolder(stream, plan.rounds * plan.vectors, compute=box.compute)
            self.map = holder.plan_splits(table)
            self._triples = Columns(plan.rounds * plan.triples)
            self._teller = BitHolder(stream, self.map.deal, self._triples)
        setup = octets(b"" if self.map is None else self.map.setup_message())
        shape = np.array([candidates.cuts, len(candidates)], np.int64)
        box.send(SETUP, {"setup": setup, "shape": shape})
        counts, missing = np.array(candidates.counts, np.int64), np.array(candidates.missing, np.uint8)
        box.send(TABLE, {"setup": setup, "counts": counts, "missing": missing})

    def round(self, number: int) -> list[Split]:
        """Answer for the trees of a round; the splits that the guest has chosen."""
        if self.map is None:
            return []
        self._tell_table(self.map, number)
        columns = self.plan.columns(number)
        self.map.start(columns.start)
        self._triples.start(self.plan.bits(number).start)
        shuffle = self.map.shuffle(self.box.recv(SHUFFLE, number), columns, number)
        closed, chosen = self._closed(shuffle, number), list[Split]()
        for level in self.plan.levels(number):
            if not self._tell_sums(self.map, shuffle, closed, level):
                break
            chosen += self._split(shuffle, closed, level, number)
        return chosen

    def _tell_sums(self, table: SplitMap, shuffle: Shuffle, closed: Array, level: int) -> bool:
        """Sums for the nodes of a level that the guest asks about; false if there are none, and no more levels."""
        part, last = 0, False
        while not last:
            number = self.plan.part(level, part)
            message = self.box.recv(LEVEL, number)
            if not len(message["sealed"]):
                return False
            result = table.apply(Sealed.from_bytes(message["sealed"].tobytes()))
            reply = shuffle.reveal(result, Lifted.from_bytes(message["lifted"].tobytes()))
            self.box.send(SUMS, {"reply": octets(reply.to_bytes()), "closed": closed}, number)
            part, last = part + 1, bool(message["last"].any())
        return True

    def _tell_table(self, table: SplitMap, round: int) -> None:
        """The masked table, if a pass over it is due; never more than some blocks ahead of the guest."""
        if self.plan.pass_of(round, table.deal.outputs) is None:
            return
        first = (round - self.plan.first) * table.deal.blocks
        for number, block in enumerate(table.blocks()):
            if number >= WINDOW:
                self.box.recv(CREDIT, first + number - WINDOW)
            self.box.send(BLOCK, block, first + number)

    def _closed(self, shuffle: Shuffle, round: int) -> Array:
        """Told candidates of columns that are not drawn for this round's trees; empty if all are."""
        if self.p.subsample_feature_rate >= 1:
            return NONE
        seed, rate = self.p.random_seed, self.p.subsample_feature_rate
        drawn = columns_of_tree(seed, self.box.me, round, len(self.table.counts), rate)
        features = np.array([split.feature for split in self.table.candidates.splits])
        return (~np.isin(features, drawn))[shuffle.order].astype(np.uint8)

    def _split(self, shuffle: Shuffle, closed: Array, level: int, round: int) -> list[Split]:
        """Bits of the nodes that this host splits at a level."""
        message = self.box.recv(CHOSEN, level)
        sets, size = len(message["ends"]), -(-self.plan.rows // 8)
        masked, trees = expect(message["masked"], sets, size), expect(message["trees"], self.plan.classes)
        if (
            (trees < 0).any()
            or (trees > sets).any()
            or int(trees.sum()) != sets
            or self._triples.used + sets > self.plan.bits(round).stop
        ):
            raise ProtocolError("FED-802", f"{sets} nodes to split at a level, more than the plan allows")
        if not sets:
            return []
        chosen = [self._taken(shuffle, closed, tied) for tied in _groups(message["tied"], message["ends"])]
        left = np.stack([self.table.goes_left(candidate) for candidate in chosen])
        parts = np.split(np.arange(sets), np.cumsum(trees)[:-1])
        answer = np.concatenate([self._teller.answer(masked[part], left[part]) for part in parts if len(part)])
        splits = [self.table.candidates.splits[candidate] for candidate in chosen]
        columns = np.array([split.feature for split in splits], np.int64)
        self.box.send(BITS, {"answer": answer, "columns": columns}, level)
        return splits

    def _taken(self, shuffle: Shuffle, closed: Array, tied: Array) -> int:
        """The own candidate of told ones that are equally good."""
        if (tied < 0).any() or (tied >= len(shuffle.order)).any() or (len(closed) and closed[tied].any()):
            raise ProtocolError("FED-802", "the guest chose a split candidate that it was not told")
        return preferred(self.table.candidates, shuffle.order[tied])


def _groups(tied: Array, ends: Array) -> Sequence[Array]:
    """The candidates of each node, at least one."""
    if ends[0] < 1 or (ends[1:] <= ends[:-1]).any() or ends[-1] != len(tied):
        raise ProtocolError("FED-802", f"{len(tied)} candidates for {len(ends)} nodes, at least one each")
    return np.split(tied, ends[:-1])
