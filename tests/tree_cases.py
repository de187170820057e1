"""Hosts in clear, XGBoost on the same bins, and comparisons of trees, for tests of boosted trees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xgboost

from federatedml.components.tree_grow import Round
from federatedml.components.tree_hosts import Cut, Node, Taken
from federatedml.components.tree_nodes import LEAF, Tree
from federatedml.components.tree_splits import Rules, preferred
from federatedml.crypto.candidates import BinTable, Split
from federatedml.federation.party import Member

Floats = np.ndarray


@dataclass
class InClear:
    """Hosts that hide nothing; candidates in their own order."""

    tables: Sequence[BinTable]
    members: Sequence[Member]
    gradients: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    splits: dict[int, list[Split]] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def go(self, follows: bool, round: int) -> None:
        pass

    def begin(self, round: int, gradients: Floats) -> None:
        self.gradients = gradients

    def sums(self, nodes: Sequence[Node]) -> Sequence[Floats]:
        self.asked.append(len(nodes))
        return [np.stack([self._sums(table, node) for node in nodes]) for table in self.tables]

    def _sums(self, table: BinTable, node: Node) -> Floats:
        part = BinTable(table.bins[:, node.rows], table.candidates)
        return part.candidate_sums(self.gradients[node.rows, 2 * node.tree : 2 * node.tree + 2])

    def split(self, cuts: Sequence[Cut]) -> Sequence[Taken]:
        found = []
        for cut in cuts:
            table, done = self.tables[cut.host], self.splits.setdefault(cut.host, [])
            candidate = preferred(table.candidates, cut.tied)
            split = table.candidates.splits[candidate]
            done.append(split)
            left = table.goes_left(candidate)[cut.node.rows]
            found.append(Taken(left, len(done) - 1, split.feature))
        return found

    def end(self) -> None:
        pass


def pooled(tables: Sequence[BinTable]) -> Floats:
    """(n, columns) bin numbers of all parties, NaN where a value is missing."""
    columns = []
    for table in tables:
        for bins, count, missing in zip(table.bins, table.counts, table.candidates.missing, strict=True):
            column = bins.astype(np.float64)
            column[missing & (bins == count - 1)] = np.nan
            columns.append(column)
    return np.stack(columns, axis=1)


def boosted(rules: Rules, x: Floats, y: Floats, rounds: int, **given: Any) -> xgboost.Booster:
    """XGBoost's ``hist`` on bin numbers, as the rules say."""
    weights = given.pop("weight", None)
    params = {
        "objective": "binary:logistic", "tree_method": "hist", "max_depth": rules.depth, "eta": rules.rate,
        "lambda": rules.reg_lambda, "alpha": rules.reg_alpha, "gamma": rules.min_gain, "base_score": 0.5,
        "min_child_weight": rules.min_child_weight, "max_bin": 256, "nthread": 1, **given,
    }  # fmt: skip
    data = xgboost.QuantileDMatrix(x, y, max_bin=256, weight=weights)
    return xgboost.train(params, data, rounds)


def described(tree: Tree, splits: Sequence[Sequence[tuple[int, int, bool]]], offsets: Sequence[int]) -> Any:
    """A tree as nested tuples (column of all, k, missing left, left, right) or a leaf's weight."""

    def at(q: int) -> Any:
        node = tree[q]
        if node.party == LEAF:
            return node.weight
        column, k, missing_left = splits[node.party][node.split]
        return offsets[node.party] + column, k, missing_left, at(node.left), at(node.right)

    return at(0)


def of_booster(booster: xgboost.Booster, last: Sequence[int]) -> list[Any]:
    """The same of XGBoost's trees; a cut is at the last bin that goes left.

    Args:
        last: bin of each column with the largest values; a cut behind it is at it.
    """

    def at(node: dict[str, Any]) -> Any:
        if "leaf" in node:
            return node["leaf"]
        children = {child["nodeid"]: child for child in node["children"]}
        left = at(children[node["yes"]])
        column = int(node["split"][1:])
        k = min(int(np.ceil(node["split_condition"])) - 1, last[column])
        return column, k, node["missing"] == node["yes"], left, at(children[node["no"]])

    return [at(json.loads(tree)) for tree in booster.get_dump(dump_format="json")]


def same_trees(found: Any, expected: Any, x: Floats, tolerance: float = 1e-5) -> None:
    """Same columns, cuts, directions (where a row of the node has no value) and leaves.

    Args:
        x: (rows of the node, columns) bin numbers.
    """
    if not isinstance(expected, tuple):
        assert isinstance(found, float), (found, expected)
        assert abs(found - expected) <= tolerance, (found, expected)
        return
    assert isinstance(found, tuple), (found, expected)
    assert found[:2] == expected[:2]
    column, missing = x[:, found[0]], np.isnan(x[:, found[0]])
    assert found[2] == expected[2] or not missing.any()
    left = (column <= found[1]) | (missing & found[2])
    same_trees(found[3], expected[3], x[left], tolerance)
    same_trees(found[4], expected[4], x[~left], tolerance)


def own(rounds: Sequence[Round]) -> list[tuple[int, int, bool]]:
    """The guest's splits of some rounds."""
    return [(split.feature, split.k, split.missing_left) for round in rounds for split in round.splits]


def of_hosts(splits: Sequence[Split]) -> list[tuple[int, int, bool]]:
    """A host's splits."""
    return [(split.feature, split.k, split.missing_left) for split in splits]
