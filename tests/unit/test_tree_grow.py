"""Trees that the guest grows are XGBoost's on the same bins."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import pytest

from federatedml.components.tree_grow import Grower, Round
from federatedml.components.tree_hosts import Hosts, NoHosts
from federatedml.components.tree_nodes import Forest
from federatedml.components.tree_splits import Rules
from federatedml.crypto.candidates import BinTable
from tests.members import HOST, OTHER_HOST
from tests.tree_cases import InClear, boosted, described, of_booster, of_hosts, own, pooled, same_trees

ROWS, BINS = 700, 12


def tables(columns: list[int], missing: bool = False, seed: int = 3) -> tuple[list[BinTable], np.ndarray]:
    rng = np.random.default_rng(seed)
    found, signal = [], np.zeros(ROWS)
    for count in columns:
        bins = rng.integers(0, BINS, (count, ROWS))
        signal += (bins.T @ rng.normal(size=count)) / BINS + 0.4 * np.sin(bins[0] * 1.7)
        flags = [missing and j % 2 == 0 for j in range(count)]
        for j in np.flatnonzero(flags):
            bins[j, rng.random(ROWS) < 0.15 + 0.2 * (signal > np.median(signal))] = BINS
        found.append(BinTable.of(bins.astype(np.uint8), [BINS + flag for flag in flags], flags))
    return found, (signal + 0.5 * rng.normal(size=ROWS) > np.median(signal)).astype(np.float64)


def trained(rules: Rules, own_table: BinTable, hosts: Hosts, y: np.ndarray, rounds: int) -> tuple[list[Round], Any]:
    scores, found, splits = np.zeros(len(y)), list[Round](), 0
    grower = Grower(rules, own_table, hosts)
    for number in range(rounds):
        p = 1 / (1 + np.exp(-scores))
        found.append(grower.grow(number, np.stack([p - y, p * (1 - p)], axis=1), splits))
        splits += len(found[-1].splits)
        scores += found[-1].values[:, 0]
    return found, scores


@pytest.mark.parametrize(
    "given",
    [
        {"depth": 4},
        {"depth": 3, "reg_lambda": 0.1, "min_gain": 2.0},
        {"depth": 5, "reg_alpha": 0.5, "min_child_weight": 3.0},
        {"depth": 3, "min_child_weight": 0.0, "reg_lambda": 0.0, "rate": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("columns", [[5], [2, 3], [1, 2, 2]], ids=str)
def test_trees_are_xgboosts(given: dict[str, Any], missing: bool, columns: list[int]) -> None:
    rules, (parts, y) = Rules(**given), tables(columns, missing)
    hosts = InClear(parts[1:], [HOST, OTHER_HOST][: len(parts) - 1])
    rounds, scores = trained(rules, parts[0], hosts if parts[1:] else NoHosts(), y, 4)
    x = pooled(parts)
    booster = boosted(rules, x, y, 4)
    splits = [own(rounds), *(of_hosts(hosts.splits.get(i, [])) for i in range(len(parts) - 1))]
    offsets = list(accumulate([len(part.counts) for part in parts], initial=0))
    found = [described(round.trees[0], splits, offsets) for round in rounds]
    for one, expected in zip(found, of_booster(booster, [BINS - 1] * x.shape[1]), strict=True):
        same_trees(one, expected, x)
    margin = booster.inplace_predict(x, predict_type="margin")
    np.testing.assert_allclose(scores, margin, atol=1e-5)


def test_a_forest_scores_as_the_training_did() -> None:
    rules, (parts, y) = Rules(4), tables([2, 3], True)
    hosts = InClear(parts[1:], [HOST])
    rounds, scores = trained(rules, parts[0], hosts, y, 3)
    bits = [parts[0].bins[s.feature] <= s.k for r in rounds for s in r.splits]
    for at, split in enumerate(s for r in rounds for s in r.splits):
        last = parts[0].counts[split.feature] - 1
        bits[at] |= split.missing_left & (parts[0].bins[split.feature] == last)
    candidates = parts[1].candidates.splits
    theirs = [parts[1].goes_left(candidates.index(split)) for split in hosts.splits[0]]
    both = [np.stack(bits, axis=1), np.stack(theirs, axis=1)]
    forest = Forest.of([round.trees[0] for round in rounds])
    np.testing.assert_allclose(forest.weights(both).sum(axis=1), scores, atol=1e-12)


def test_of_two_children_one_is_asked_for() -> None:
    (own_table, host), y = tables([2, 3])
    hosts = InClear([host], [HOST])
    Grower(Rules(4, min_child_weight=0), own_table, hosts).grow(0, np.stack([0.5 - y, np.full(ROWS, 0.25)], 1), 0)
    assert hosts.asked[0] == 1
    assert all(count <= 2**level // 2 for level, count in enumerate(hosts.asked[1:], start=1))


def test_small_nodes_are_not_asked_for() -> None:
    (own_table, host), y = tables([2, 3])
    hosts = InClear([host], [HOST])
    asked: list[int] = []
    told = hosts.sums
    hosts.sums = lambda nodes: [asked.append(min(len(n.rows) for n in nodes)), told(nodes)][1]  # type: ignore[method-assign]
    Grower(Rules(6, floor=30), own_table, hosts).grow(0, np.stack([0.5 - y, np.full(ROWS, 0.25)], 1), 0)
    assert asked
    assert min(asked) >= 60


def test_nodes_whose_sums_are_of_few_rows_are_not_asked_for() -> None:
    """Rows that are not drawn, or have no weight, do not hide the others in a sum."""
    (own_table, host), y = tables([2, 3])
    drawn = np.random.default_rng(0).random(ROWS) < 0.5
    gradients = np.stack([0.5 - y, np.full(ROWS, 0.25)], axis=1) * drawn[:, None]
    hosts = InClear([host], [HOST])
    asked: list[int] = []
    told = hosts.sums
    hosts.sums = lambda nodes: [asked.extend(int(drawn[n.rows].sum()) for n in nodes), told(nodes)][1]  # type: ignore[method-assign]
    Grower(Rules(6, floor=20), own_table, hosts).grow(0, gradients, 0)
    assert len(asked) > 3
    assert min(asked) >= 40


def test_rows_that_are_not_drawn_are_not_counted_but_are_placed() -> None:
    (own_table,), y = tables([3])
    drawn = np.random.default_rng(0).random(ROWS) < 0.5
    gradients = np.stack([0.5 - y, np.full(ROWS, 0.25)], axis=1) * drawn[:, None]
    rules = Rules(3, min_leaf_rows=25, min_split_rows=60, sampled=True)
    found = Grower(rules, own_table, NoHosts()).grow(0, gradients, 0)
    leaves = found.values[:, 0]
    assert all(np.count_nonzero((leaves == value) & drawn) >= 25 for value in np.unique(leaves))
    assert len(np.unique(leaves)) > 4
    some = np.stack([own_table.bins[j, drawn] for j in range(3)])
    part = Grower(rules, BinTable(some, own_table.candidates), NoHosts()).grow(0, gradients[drawn], 0)
    np.testing.assert_allclose(part.values[:, 0], leaves[drawn])


def test_a_side_without_rows_predicts_what_the_node_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a host's rounded sums make one: new rows that come there are not lost."""
    (own_table, host), y = tables([1, 3])
    hosts = InClear([host], [HOST])
    plain = hosts.split
    empty = lambda cuts: [replace(taken, left=np.ones_like(taken.left)) for taken in plain(cuts)]  # noqa: E731
    monkeypatch.setattr(hosts, "split", empty)
    (tree,) = Grower(Rules(2), own_table, hosts).grow(0, np.stack([0.5 - y, np.full(ROWS, 0.25)], axis=1), 0).trees
    sides = [(tree[node.left], tree[node.right]) for node in tree if node.party == 1]
    assert sides
    assert all(right.rows == 0 and right.weight == left.weight != 0 for left, right in sides)


def test_columns_that_are_not_drawn_do_not_split() -> None:
    (own_table,), y = tables([4])
    gradients = np.stack([0.5 - y, np.full(ROWS, 0.25)], axis=1)
    found = Grower(Rules(4), own_table, NoHosts()).grow(0, gradients, 7, np.array([True, False, True, False]))
    assert {split.feature for split in found.splits} == {0, 2}
    assert [node.split for node in found.trees[0] if node.party == 0] == [7 + i for i in range(len(found.splits))]


def test_a_guest_without_columns_and_one_row() -> None:
    nothing = BinTable.of(np.zeros((0, 1), np.uint8), [])
    found = Grower(Rules(3), nothing, NoHosts()).grow(0, np.array([[0.5, 1.0]]), 0)
    assert [len(tree) for tree in found.trees] == [1]
    assert found.values[0, 0] == pytest.approx(-0.3 * 0.5 / 2)


def test_classes_grow_side_by_side_as_they_would_alone() -> None:
    (own_table, host), y = tables([2, 3])
    rng = np.random.default_rng(5)
    gradients = np.column_stack([0.5 - y, np.full(ROWS, 0.25), rng.normal(size=ROWS), rng.random(ROWS)])
    both = Grower(Rules(3), own_table, InClear([host], [HOST])).grow(0, gradients, 0)
    for tree in range(2):
        alone = Grower(Rules(3), own_table, InClear([host], [HOST])).grow(0, gradients[:, 2 * tree : 2 * tree + 2], 0)
        np.testing.assert_allclose(both.values[:, tree], alone.values[:, 0])


def test_hosts_are_asked_about_nodes_that_have_the_rows_by_weight() -> None:
    parts, y = tables([2, 3])
    light = np.where(np.arange(ROWS) < 100, 1.0, 1e-9)
    gradients = np.stack([0.5 - y, np.full(ROWS, 0.25)], axis=1)
    for floor, weights, asked in [(50, light, 1), (51, light, 0), (51, np.full(ROWS, 3.0), 1), (51, None, 1)]:
        hosts = InClear(parts[1:], [HOST])
        factors = np.ones(ROWS) if weights is None else weights
        grower = Grower(Rules(1, min_child_weight=0.0, floor=floor), parts[0], hosts)
        grower.grow(0, gradients * factors[:, None], 0, weights=weights)
        assert len(hosts.asked) == asked
