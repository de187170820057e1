"""HeteroSecureBoost, protocol ``paillier``, at a host; the messages are in ``tree_paillier_guest``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from federatedml.components.tree_hosts import Bits, Start
from federatedml.components.tree_paillier_nodes import KnownNodes, packed, unpacked
from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.components.tree_paillier_topics import (
    BITS,
    COUNTS,
    CUTS,
    DRAWN,
    GRADIENTS,
    KEY,
    NODES,
    SUMS,
    TOLD,
)
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_sampling import columns_of_tree
from federatedml.components.tree_splits import preferred
from federatedml.crypto.candidates import BinTable, Candidates, Split
from federatedml.crypto.codec import Integers
from federatedml.crypto.paillier.evaluator import evaluator
from federatedml.crypto.paillier.histogram import Rows, joined
from federatedml.crypto.paillier.keys import PublicKeyCodec
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.wire import Array


class PaillierAnswers:
    """A host's part of all rounds.

    Args:
        table: bins of its columns.
    """

    def __init__(self, p: SecureBoostParams, box: Box, start: Start, table: BinTable) -> None:
        plan = PaillierPlan.of(p, start)
        self._p, self._box, self._plan, self._table = p, box, plan, table
        public = PublicKeyCodec(plan.key_bits).decode(box.recv(KEY).tobytes())
        self._evaluator = evaluator(public, box.compute)

    def round(self, number: int) -> Sequence[Split]:
        """Answer for the trees of a round; the splits that the guest has chosen."""
        box, plan, p = self._box, self._plan, self._p
        columns = columns_of_tree(p.random_seed, box.me, number, len(self._table.counts), p.subsample_feature_rate)
        used = unpacked(box.recv(DRAWN, number)[None], plan.rows)[0] if plan.sampled else np.ones(plan.rows, bool)
        whole = _of_columns(self._table, columns)
        table = BinTable(whole.bins[:, used], whole.candidates) if plan.sampled else whole
        told = _told(table, plan.least_side)
        box.send(TOLD, np.array([len(told)], "<i8"), number)
        packing = plan.packing(self._evaluator.public, max(table.rows, 1))
        vector = packing.receive(self._evaluator, box.recv(GRADIENTS, number))
        rows = self._evaluator.plan_splits(table).rows(vector, packing)
        work = _Round(box, plan, number, columns, whole, table, used, told, rows)
        while work.level():
            pass
        rows.close()
        return work.splits


@dataclass(eq=False)
class _Round:
    """One round.

    Attributes:
        columns: of the host's that the round may use.
        whole, table: bins of the round's columns: of all rows, and of those that the round uses.
        used: (n,) which these are.
        told: candidates in the order in which the guest hears of them.
        rows: ciphertexts of the rows that are used.
    """

    box: Box
    plan: PaillierPlan
    number: int
    columns: Integers
    whole: BinTable
    table: BinTable
    used: Bits
    told: Integers
    rows: Rows
    splits: list[Split] = field(default_factory=list)
    depth: int = 0

    def __post_init__(self) -> None:
        self.known = KnownNodes(self.plan, self.used)

    def level(self) -> bool:
        """Answer to one level; whether there may be another."""
        exchange = self.plan.exchange(self.number, self.depth)
        nodes = self.known.named(self.box.recv(NODES, exchange))
        if not len(nodes):
            return False
        members = [np.flatnonzero(node[self.used]) for node in nodes]
        sums = [self.rows.sums(some).candidates().take(self.told) for some in members]
        self.box.send(SUMS, joined(sums).reveal(), exchange)
        if self.plan.counted:
            counts = np.stack([_counts(self.table, some)[self.told] for some in members])
            self.box.send(COUNTS, counts.astype("<u4"), exchange)
        self._cut(exchange)
        self.depth += 1
        return self.depth < self.plan.depth

    def _cut(self, exchange: int) -> None:
        """Tell which rows go left in the nodes that the host is to split."""
        asked = self.box.recv(CUTS, exchange)
        nodes = self.known.cut(asked["rows"], self.plan.classes)
        left, columns = [np.zeros(0, np.uint8)], []
        for node, tied in zip(nodes, _ties(asked["tied"], asked["ends"], len(nodes), len(self.told)), strict=True):
            chosen = preferred(self.whole.candidates, self.told[tied])
            split = self.whole.candidates.splits[chosen]
            self.splits.append(Split(int(self.columns[split.feature]), split.k, split.missing_left))
            columns.append(self.splits[-1].feature)
            left.append(packed(self.whole.goes_left(chosen)[node]))
        self.box.send(BITS, {"columns": np.array(columns, "<u4"), "left": np.concatenate(left)}, exchange)


def _of_columns(table: BinTable, columns: Integers) -> BinTable:
    if len(columns) == len(table.counts):
        return table
    known = table.candidates
    counts, missing = (tuple(part[c] for c in columns.tolist()) for part in (known.counts, known.missing))
    return BinTable(table.bins[columns], Candidates(counts, missing))


def _told(table: BinTable, least_side: int) -> Integers:
    """Candidates with enough rows on both sides, in an order from the operating system's randomness.

    Whatever a node is, fewer of its rows are on a side than of all.
    """
    count = len(table.candidates)
    order = np.argsort(np.frombuffer(os.urandom(8 * count), np.uint64), kind="stable")
    left = _counts(table, np.arange(table.rows))[order]
    return order[(left >= least_side) & (table.rows - left >= least_side)]


def _counts(table: BinTable, rows: Integers) -> Integers:
    """(candidates,) how many of some rows go left."""
    if not len(table.candidates):
        return np.zeros(0, np.int64)
    part = BinTable(np.ascontiguousarray(table.bins[:, rows]), table.candidates)
    return part.candidate_sums(np.ones((len(rows), 1), np.int64))[:, 0]


def _ties(tied: Array, ends: Array, cuts: int, told: int) -> Sequence[Integers]:
    """Told numbers for each cut; ``ProtocolError`` unless each has some, all of them told."""
    sizes = np.diff(ends.astype(np.int64), prepend=0)
    if len(ends) != cuts or (sizes < 1).any() or sizes.sum() != len(tied) or (tied >= told).any():
        raise ProtocolError("FED-821", f"{len(tied)} candidates for {cuts} nodes are not candidates that were told")
    return np.split(tied.astype(np.int64), ends[:-1].astype(np.int64)) if cuts else []
