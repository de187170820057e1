"""Trees under protocol ``paillier`` are those of plain histograms, and of XGBoost on the pooled bins."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from federatedml.components.tree_grow import Grower
from federatedml.components.tree_sampling import goss
from federatedml.components.tree_splits import Rules
from federatedml.compute.choice import compute_engine
from federatedml.crypto.candidates import BinTable
from tests.members import HOST, OTHER_HOST
from tests.tree_cases import InClear, boosted, described, of_booster, of_hosts, own, pooled, same_trees
from tests.tree_paillier_cases import Training, logistic

ROWS, BINS = 150, 6


def tables(columns: list[int], missing: bool = False) -> tuple[list[BinTable], np.ndarray]:
    rng = np.random.default_rng(3)
    found, signal = [], np.zeros(ROWS)
    for count in columns:
        bins = rng.integers(0, BINS, (count, ROWS))
        signal += (bins.T @ rng.normal(size=count)) / BINS + 0.4 * np.sin(bins[:1] * 1.7).sum(axis=0)
        flags = [missing and j % 2 == 0 for j in range(count)]
        for j in np.flatnonzero(flags):
            bins[j, rng.random(ROWS) < 0.15 + 0.2 * (signal > np.median(signal))] = BINS
        found.append(BinTable.of(bins.astype(np.uint8), [BINS + flag for flag in flags], flags))
    return found, (signal + 0.5 * rng.normal(size=ROWS) > np.median(signal)).astype(np.float64)


def in_clear(training: Training) -> tuple[np.ndarray, InClear]:
    """Scores and hosts of the same rounds on plain histograms."""
    hosts = InClear(training.tables[1:], training.hosts)
    scores, splits = np.zeros((ROWS, training.classes)), 0
    for number in range(training.rounds):
        grown = Grower(training.rules, training.tables[0], hosts).grow(number, training.gradients(scores), splits)
        splits += len(grown.splits)
        scores = scores + grown.values
    return scores, hosts


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("columns", [[2, 3], [0, 2, 2]], ids=str)
def test_trees_are_xgboosts(columns: list[int], missing: bool, tmp_path: Path) -> None:
    parts, y = tables(columns, missing)
    training = Training(parts, logistic(y), Rules(3))
    step = training.run(tmp_path)
    assert step.unread == []
    x = pooled(parts)
    splits = [own(training.found), *(of_hosts(training.splits[host]) for host in training.hosts)]
    assert all(splits[1:])
    offsets = list(accumulate([len(part.counts) for part in parts], initial=0))
    found = [described(round.trees[0], splits, offsets) for round in training.found]
    for one, expected in zip(found, of_booster(boosted(training.rules, x, y, 2), [BINS - 1] * x.shape[1]), strict=True):
        same_trees(one, expected, x)


def test_several_classes_share_a_ciphertext(tmp_path: Path) -> None:
    parts, y = tables([2, 3])
    labels = y + (parts[1].bins[0] > 2)

    def softmax(scores: np.ndarray) -> np.ndarray:
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        g = p - (labels[:, None] == np.arange(3))
        return np.stack([g, 2 * p * (1 - p)], axis=2).reshape(ROWS, 6)

    training = Training(parts, softmax, Rules(3), classes=3)
    step = training.run(tmp_path)
    expected, hosts = in_clear(training)
    np.testing.assert_allclose(training.scores, expected, atol=1e-6)
    assert training.splits[HOST] == hosts.splits[0]
    assert sum(sent.key.topic == "encrypted_gradients" for sent in step.sent) == 2


def test_drawn_rows_only_are_encrypted(tmp_path: Path) -> None:
    parts, y = tables([2, 3])
    of = logistic(y)

    def sampled(scores: np.ndarray) -> np.ndarray:
        gradients, found = of(scores), np.zeros((ROWS, 2))
        sample = goss(gradients[:, :1], 0.3, 0.2, 1, 0)
        found[sample.rows] = gradients[sample.rows] * sample.factors[:, None]
        return found

    training = Training(parts, sampled, Rules(3), sampled=True)
    step = training.run(tmp_path)
    expected, hosts = in_clear(training)
    np.testing.assert_allclose(training.scores, expected, atol=1e-6)
    assert training.splits[HOST] == hosts.splits[0]
    sizes = {sent.size for sent in step.sent if sent.key.topic == "encrypted_gradients"}
    assert max(sizes) < 256 * (ROWS // 2 + 1) + 100


def test_children_have_at_least_so_many_rows(tmp_path: Path) -> None:
    parts, y = tables([1, 3], True)
    training = Training(parts, logistic(y), Rules(4, min_leaf_rows=12, min_child_weight=0.0), rounds=1)
    training.run(tmp_path)
    rows = [node.rows for node in training.found[0].trees[0]]
    assert min(rows) >= 12
    assert len(rows) > 8
    leaves = training.scores[:, 0]
    table = np.stack([leaves == value for value in np.unique(leaves)]).sum(axis=1)
    assert table.min() >= 12


def test_columns_that_are_drawn(tmp_path: Path) -> None:
    parts, y = tables([0, 4])
    training = Training(parts, logistic(y), Rules(2), columns=lambda number, table: np.array([[1, 3], [0, 2]][number]))
    training.run(tmp_path)
    first = sum(node.party == 1 for node in training.found[0].trees[0])
    columns = [split.feature for split in training.splits[HOST]]
    assert set(columns[:first]) <= {1, 3}
    assert set(columns[first:]) <= {0, 2}
    named = [node.column for round in training.found for node in round.trees[0] if node.party == 1]
    assert named == columns


def test_gradients_of_any_size_keep_their_bits(tmp_path: Path) -> None:
    parts, y = tables([1, 2])

    labels = 1e9 * (y + np.random.default_rng(0).normal(size=ROWS))

    def squares(scores: np.ndarray) -> np.ndarray:
        return np.stack([scores[:, 0] - labels, np.full(ROWS, 1e-9)], axis=1)

    training = Training(parts, squares, Rules(3, min_child_weight=0.0, reg_lambda=0.0), rounds=1)
    training.run(tmp_path)
    expected, hosts = in_clear(training)
    np.testing.assert_allclose(training.scores, expected, rtol=1e-6)
    assert training.splits[HOST] == hosts.splits[0]


def test_hosts_without_candidates_and_tables_of_one_row(tmp_path: Path) -> None:
    parts, y = tables([2])
    constant = BinTable.of(np.zeros((2, ROWS), np.uint8), [1, 1])
    nothing = BinTable.of(np.zeros((0, ROWS), np.uint8), [])
    training = Training([parts[0], constant, nothing], logistic(y), Rules(3))
    training.run(tmp_path / "a")
    assert training.splits == {HOST: [], OTHER_HOST: []}
    expected, _ = in_clear(Training(parts, logistic(y), Rules(3)))
    np.testing.assert_allclose(training.scores, expected)
    single = BinTable.of(np.zeros((1, 1), np.uint8), [2])
    one = Training([single, single], logistic(np.ones(1)), Rules(3, min_child_weight=0.0))
    one.run(tmp_path / "b")
    assert one.scores[0, 0] > 0


def test_the_engine_changes_nothing(tmp_path: Path) -> None:
    parts, y = tables([2, 3])
    plain, threads = (Training(parts, logistic(y), Rules(3)) for _ in range(2))
    plain.run(tmp_path / "a")
    with compute_engine(workers=2) as compute:
        threads.run(tmp_path / "b", compute)
    np.testing.assert_allclose(threads.scores, plain.scores, atol=1e-9)
    assert threads.splits == plain.splits
