"""Trees of one boosting round, grown level by level at the guest, all classes together.

The guest has its own columns in bins, gradients of all rows, and the hosts behind ``tree_hosts.Hosts``. Of two children
the smaller one's sums are asked for, the other one's are the parent's less these (FATE: histogram subtraction).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from federatedml.components.lr_row_weights import support
from federatedml.components.tree_hosts import Bits, Cut, Hosts, Node
from federatedml.components.tree_nodes import Tree, TreeNode
from federatedml.components.tree_splits import ROUNDING, Choice, Rules, best, preferred, weight
from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import BinTable, Split
from federatedml.crypto.ring import Floats

GUEST = 0


@dataclass(frozen=True)
class Round:
    """What a boosting round gives.

    Attributes:
        trees: one a class.
        values: (n, k) weight of the leaf of each row.
        splits: the guest's new splits, in the order of their numbers.
    """

    trees: Sequence[Tree]
    values: Floats
    splits: Sequence[Split]


@dataclass(eq=False)
class _Open:
    """A node that may be split.

    Attributes:
        at, parent: positions in its tree; a root's parent is -1.
        used: how many of its rows are in its sums: are drawn, and have weight.
        above: the parent's sums.
        sums: per party, the guest's first, once they are known.
    """

    node: Node
    at: int
    parent: int
    used: int
    total: Floats
    above: list[Floats]
    sums: list[Floats] = field(default_factory=list)


class Grower:
    """Grows the trees of a training.

    Args:
        own: bins of the guest's columns, of all rows.
    """

    def __init__(self, rules: Rules, own: BinTable, hosts: Hosts, compute: Compute = SERIAL) -> None:
        self.rules, self.own, self.hosts, self._compute = rules, own, hosts, compute

    def grow(
        self,
        round: int,
        gradients: Floats,
        own_splits: int,
        drawn: Bits | None = None,
        weights: Floats | None = None,
    ) -> Round:
        """The trees of a round.

        Args:
            gradients: (n, 2 k) g and h of each class; zeros where a row is not drawn.
            own_splits: splits that the guest has in the model so far.
            drawn: (columns,) which of the guest's columns may be used; None: all.
            weights: (n,) of rows; None: they all weigh the same.
        """
        growth = _Growth(self, self._counted(gradients), own_splits, self._forbidden(drawn), weights)
        self.hosts.begin(round, growth.gradients)
        growth.roots()
        for _ in range(self.rules.depth):
            if not growth.level():
                break
        self.hosts.end()
        return Round(growth.trees, growth.values, growth.splits)

    def _counted(self, gradients: Floats) -> Floats:
        """(n, k, 2), or with the number of rows (n, k, 3), as one row of columns."""
        n = len(gradients)
        if not self.rules.counts:
            return np.ascontiguousarray(gradients)
        pairs = gradients.reshape(n, -1, 2)
        ones = np.ones((*pairs.shape[:2], 1))
        if self.rules.sampled:
            ones[~pairs.any(axis=2)] = 0
        return np.concatenate([pairs, ones], axis=2).reshape(n, -1)

    def _forbidden(self, drawn: Bits | None) -> Bits:
        features = np.array([split.feature for split in self.own.candidates.splits], np.int64)
        return np.zeros(len(features), bool) if drawn is None else ~drawn[features]

    def own_sums(self, node: Node, vectors: Floats, forbidden: Bits) -> Floats:
        """(candidates, width) left sums of the guest's candidates over the rows of a node."""
        if not len(forbidden):
            return np.zeros((0, vectors.shape[1]))
        whole = len(node.rows) == self.own.rows
        table = self.own if whole else BinTable(self.own.bins[:, node.rows], self.own.candidates)
        found = table.candidate_sums(vectors, self._compute)
        found[forbidden] = np.nan
        return found


class _Growth:
    """One round."""

    def __init__(
        self, grower: Grower, gradients: Floats, own_splits: int, forbidden: Bits, weights: Floats | None
    ) -> None:
        self.grower, self.rules, self.hosts = grower, grower.rules, grower.hosts
        self.gradients, self._forbidden, self._first_split = gradients, forbidden, own_splits
        self._weights = weights
        self.width = 3 if self.rules.counts else 2
        classes = gradients.shape[1] // self.width
        self.trees: list[Tree] = [[] for _ in range(classes)]
        self.values = np.zeros((len(gradients), classes))
        self.splits: list[Split] = []
        self._open: list[_Open] = []
        self._noise: list[float] = []

    def roots(self) -> None:
        """Every tree starts with all rows."""
        rows = np.arange(len(self.gradients))
        self._open = [self._node(Node(tree, rows)) for tree in range(len(self.trees))]
        self._noise = [ROUNDING * math.sqrt(len(rows)) * float(opened.total[1]) for opened in self._open]

    def level(self) -> bool:
        """Split the open nodes; whether any was."""
        nodes = [opened for opened in self._open if self._may_split(opened)]
        self._own_sums(nodes)
        asked = self._host_sums(nodes)
        chosen = [(opened, choice) for opened in nodes if (choice := self._best(opened)) is not None]
        self._open = self._split(chosen, asked)
        return bool(self._open)

    def _node(self, node: Node, parent: _Open | None = None) -> _Open:
        vectors = self._vectors(node)
        total = vectors.sum(axis=0)
        value = self.rules.rate * weight(self.rules, float(total[0]), float(total[1]))
        self.values[node.rows, node.tree] = value
        tree = self.trees[node.tree]
        if parent is not None and not len(node.rows):  # a host's rounded sums took no rows for some: no split at all
            value = tree[parent.at].weight
        tree.append(TreeNode(value, len(node.rows)))
        above = (-1, []) if parent is None else (parent.at, parent.sums)
        return _Open(node, len(tree) - 1, above[0], int(np.count_nonzero(vectors[:, 1])), total, above[1])

    def _vectors(self, node: Node) -> Floats:
        columns = self.gradients[:, self.width * node.tree : self.width * (node.tree + 1)]
        return columns if len(node.rows) == len(columns) else columns[node.rows]

    def _may_split(self, opened: _Open) -> bool:
        rows = opened.used if self.rules.sampled else len(opened.node.rows)
        least = max(self.rules.min_split_rows, 2 * self.rules.min_leaf_rows)
        return rows >= least and opened.total[1] > 0 and opened.total[1] >= 2 * self.rules.least_weight

    def _own_sums(self, nodes: Sequence[_Open]) -> None:
        for sibling in _families(nodes):
            first, *second = sibling
            first.sums = [self.grower.own_sums(first.node, self._vectors(first.node), self._forbidden)]
            for other in second:
                other.sums = [other.above[GUEST] - first.sums[GUEST]]

    def _host_sums(self, nodes: Sequence[_Open]) -> bool:
        """Ask the hosts about nodes that have enough rows in their sums; whether any has."""
        large = [opened for opened in nodes if self._cover(opened) >= 2 * self.rules.floor]
        families = _families(large) if self.hosts.members else []
        if not families:
            return False
        told = self.hosts.sums([first.node for first, *_ in families])
        for q, (first, *second) in enumerate(families):
            first.sums += [sums[q] for sums in told]
            for other in second:
                other.sums += [a - b for a, b in zip(other.above[1:], first.sums[1:], strict=True)]
        return True

    def _cover(self, opened: _Open) -> float:
        """How many rows are in the sums of a node; what weighs next to nothing hides nobody."""
        if self._weights is None:
            return opened.used
        rows = opened.node.rows[self._vectors(opened.node)[:, 1] != 0]
        return min(support(self._weights[rows]), opened.used)

    def _best(self, opened: _Open) -> Choice | None:
        return best(self.rules, opened.sums, opened.total, self._noise[opened.node.tree])

    def _split(self, chosen: Sequence[tuple[_Open, Choice]], asked: bool) -> list[_Open]:
        """Children of the nodes that are split; the hosts' bits come in one call."""
        cuts = [Cut(opened.node, choice.party - 1, choice.tied) for opened, choice in chosen if choice.party != GUEST]
        taken = iter(self.hosts.split(cuts) if asked else ())
        children: list[_Open] = []
        for opened, choice in chosen:
            node = self.trees[opened.node.tree][opened.at]
            node.party, node.gain = choice.party, choice.gain
            if choice.party == GUEST:
                left = self._own(node, opened.node, preferred(self.grower.own.candidates, choice.tied))
            else:
                answer = next(taken)
                left, node.split, node.column = answer.left, answer.number, answer.column
            pair = [self._node(Node(opened.node.tree, opened.node.rows[side]), opened) for side in (left, ~left)]
            node.left, node.right = (child.at for child in pair)
            children += pair
        return children

    def _own(self, node: TreeNode, at: Node, candidate: int) -> Bits:
        own = self.grower.own
        split = own.candidates.splits[candidate]
        node.split, node.column = self._first_split + len(self.splits), split.feature
        self.splits.append(split)
        return own.goes_left(candidate)[at.rows]


def _families(nodes: Sequence[_Open]) -> list[list[_Open]]:
    """Children of one parent together, the smaller first; a node whose sibling is not among them is alone."""
    found: dict[tuple[int, int], list[_Open]] = {}
    for opened in nodes:
        found.setdefault((opened.node.tree, opened.parent), []).append(opened)
    return [sorted(family, key=lambda opened: len(opened.node.rows)) for family in found.values()]
