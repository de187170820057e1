"""What a boosted training keeps from round to round, at the guest and at a host, and in their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from federatedml.components.tree_columns import Threshold
from federatedml.components.tree_nodes import Tree, TreeNode
from federatedml.crypto.ring import Floats
from federatedml.federation.checkpoint import State

NO_SCORES = np.zeros((0, 0))


@dataclass
class Best:
    """The model when validation rows looked best: so many rounds, and the scores of all rows then."""

    rounds: int = 0
    scores: Floats = field(default_factory=lambda: NO_SCORES)
    held_out: Floats = field(default_factory=lambda: NO_SCORES)


@dataclass
class GuestState:
    """At the guest.

    Attributes:
        start: (k,) first scores.
        base: rounds of the model that the training began with; not among ``rounds``.
        scores: (n, k) of the training rows.
        held_out: (m, k) of the validation rows, as of the last look.
        trees: those of a round together, one a class.
        splits: the guest's.
        made: splits of each host.
        looked: rounds (of the base too) and splits of each party, the guest first, that the last look has covered.
    """

    start: Floats
    base: int
    scores: Floats
    held_out: Floats
    trees: list[Tree]
    splits: list[Threshold]
    made: list[int]
    looked: list[int]
    losses: list[float] = field(default_factory=list)
    stopped: bool = False
    converged: bool = False
    best: Best = field(default_factory=Best)

    @property
    def rounds(self) -> int:
        """Rounds so far."""
        return len(self.losses)

    def pack(self) -> State:
        """For a checkpoint."""
        return {
            "start": self.start,
            "base": self.base,
            "scores": self.scores,
            "held_out": self.held_out,
            "nodes": np.array([_row(node) for tree in self.trees for node in tree], np.float64),
            "sizes": np.array([len(tree) for tree in self.trees], np.int64),
            "splits": packed(self.splits),
            "made": np.array(self.made, np.int64),
            "looked": np.array(self.looked, np.int64),
            "losses": self.losses,
            "stopped": int(self.stopped),
            "converged": int(self.converged),
            "best_rounds": self.best.rounds,
            "best_scores": self.best.scores,
            "best_held_out": self.best.held_out,
        }

    @staticmethod
    def unpack(state: State) -> GuestState:
        """From a checkpoint."""
        array = {name: np.array(value) for name, value in state.items()}
        ends = np.cumsum(array["sizes"])[:-1]
        trees = [[_node(row) for row in part] for part in np.split(array["nodes"], ends)] if len(array["sizes"]) else []
        best = Best(int(array["best_rounds"]), array["best_scores"], array["best_held_out"])
        return GuestState(
            array["start"],
            int(array["base"]),
            array["scores"],
            array["held_out"],
            trees,
            unpacked(array["splits"]),
            array["made"].tolist(),
            array["looked"].tolist(),
            array["losses"].tolist(),
            bool(array["stopped"]),
            bool(array["converged"]),
            best,
        )


def packed(splits: Sequence[Threshold]) -> Floats:
    """(splits, 3) for a checkpoint."""
    rows = [(split.column, split.value, split.missing_left) for split in splits]
    return np.array(rows, np.float64).reshape(-1, 3)


def unpacked(rows: Floats) -> list[Threshold]:
    """Splits of a checkpoint."""
    return [Threshold(int(column), float(value), bool(left)) for column, value, left in rows]


def _row(node: TreeNode) -> tuple[float, ...]:
    place = (node.party, node.column, node.split, node.left, node.right)
    return (node.weight, node.rows, *place, node.gain)


def _node(row: Floats) -> TreeNode:
    weight, rows, party, column, split, left, right, gain = row.tolist()
    return TreeNode(weight, int(rows), int(party), int(column), int(split), int(left), int(right), gain)
