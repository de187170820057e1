"""Trees as the guest keeps them: which party splits a node, at which of its splits, and the weights of leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True)
class Forest:
    """Trees as arrays, to score many rows.

    Attributes:
        bit: (trees, nodes) column of all parties' bits, the guest's first; -1 at leaves.
        left, right: (trees, nodes) children; a leaf is its own.
        weight: (trees, nodes).
        depth: most levels of splits.
    """

    bit: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    left: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    right: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    weight: Floats
    depth: int

    @staticmethod
    def of(trees: Sequence[Tree], splits: Sequence[int]) -> Forest:
        """The arrays of some trees.

        Args:
            splits: number of splits that each party gives bits of, the guest's first.
        """
        shape = (len(trees), max((len(tree) for tree in trees), default=1))
        bit, weight = np.full(shape, -1, np.int64), np.zeros(shape)
        left, right = np.tile(np.arange(shape[1]), (shape[0], 1)), np.tile(np.arange(shape[1]), (shape[0], 1))
        offsets = np.concatenate([[0], np.cumsum(splits)])
        for t, tree in enumerate(trees):
            for q, node in enumerate(tree):
                weight[t, q] = node.weight
                if node.party != LEAF:
                    bit[t, q] = offsets[node.party] + node.split
                    left[t, q], right[t, q] = node.left, node.right
        return Forest(bit, left, right, weight, max((depth_of(tree) for tree in trees), default=0))

    def weights(self, bits: Bits) -> Floats:
        """(n, trees) what each tree adds to the score of each row.

        Args:
            bits: (n, splits of all parties) whether rows go left.
        """
        found = np.zeros((len(bits), len(self.weight)))
        at_tree = np.arange(len(self.weight))
        for start in range(0, len(bits), ROWS_AT_ONCE):
            part = bits[start : start + ROWS_AT_ONCE]
            at = np.zeros((len(part), len(self.weight)), np.int64)
            for _ in range(self.depth):
                goes = np.take_along_axis(part, np.maximum(self.bit[at_tree, at], 0), axis=1)
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
