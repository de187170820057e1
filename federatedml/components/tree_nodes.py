"""Trees as the guest keeps them: which party splits a node, at which of its splits, and the weights of leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.components.tree_hosts import Bits
from federatedml.crypto.ring import Floats

LEAF = -1
ROWS_AT_ONCE = 8192


@dataclass
class TreeNode:
    """One node.

    Attributes:
        weight: what a row that ends here adds to its score, the learning rate included.
        party: ``LEAF``, 0 for the guest, then hosts in their order.
        column: number of the party's column.
        split: number of the split among all that the party has in the model.
        left, right: positions of the children in the tree.
        gain: of the split.
        rows: of the training that came here.
    """

    weight: float
    rows: int
    party: int = LEAF
    column: int = -1
    split: int = -1
    left: int = -1
    right: int = -1
    gain: float = 0.0


Tree = list[TreeNode]


Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees as arrays, to score many rows.

    Attributes:
        party, split: (trees, nodes) who splits, at which of its splits; 0 at leaves.
        left, right: (trees, nodes) children; a leaf is its own.
        weight: (trees, nodes).
        depth: most levels of splits.
    """

    party: Positions
    split: Positions
    left: Positions
    right: Positions
    weight: Floats
    depth: int

    @staticmethod
    def of(trees: Sequence[Tree]) -> Forest:
        """The arrays of some trees."""
        shape = (len(trees), max((len(tree) for tree in trees), default=1))
        party, split = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        left, right = (np.tile(np.arange(shape[1]), (shape[0], 1)) for _ in range(2))
        weight = np.zeros(shape)
        for t, tree in enumerate(trees):
            for q, node in enumerate(tree):
                weight[t, q] = node.weight
                if node.party != LEAF:
                    party[t, q], split[t, q] = node.party, node.split
                    left[t, q], right[t, q] = node.left, node.right
        return Forest(party, split, left, right, weight, max((depth_of(tree) for tree in trees), default=0))

    def weights(self, bits: Sequence[Bits], first: Sequence[int] = ()) -> Floats:
        """(n, trees) what each tree adds to the score of each row.

        Args:
            bits: of each party, the guest's first: (n, splits) whether rows go left.
            first: number of the split that each party's bits begin with; 0 without.
        """
        widths = [part.shape[1] for part in bits]
        shift = np.concatenate([[0], np.cumsum(widths)[:-1]]) - np.array(first or [0] * len(bits))
        place, together = np.maximum(shift[self.party] + self.split, 0), np.concatenate(bits, axis=1)
        found, at_tree = np.zeros((len(together), len(self.weight))), np.arange(len(self.weight))
        for start in range(0, len(together), ROWS_AT_ONCE):
            part = together[start : start + ROWS_AT_ONCE]
            at = np.zeros((len(part), len(self.weight)), np.int64)
            for _ in range(self.depth):
                goes = np.take_along_axis(part, place[at_tree, at], axis=1)
                at = np.where(goes, self.left[at_tree, at], self.right[at_tree, at])
            found[start : start + ROWS_AT_ONCE] = self.weight[at_tree, at]
        return found


def depth_of(tree: Tree) -> int:
    """Levels of splits; children come after their parents."""
    depths = [0] * len(tree)
    for q, node in enumerate(tree):
        if node.party != LEAF:
            depths[node.left] = depths[node.right] = depths[q] + 1
    return max(depths, default=0)
