"""Samples of rows and columns, and importance of features."""

from __future__ import annotations

import numpy as np

from federatedml.components.tree_importance import Used, importances
from federatedml.components.tree_sampling import columns_of_tree, goss
from federatedml.federation.party import Member, Role

HOST = Member(Role.HOST, "10000")


def test_columns_are_drawn_anew_for_each_tree_and_party_and_the_same_again() -> None:
    drawn = [columns_of_tree(7, HOST, tree, 40, 0.5).tolist() for tree in range(3)]
    assert all(len(set(columns)) == 20 and columns == sorted(columns) for columns in drawn)
    assert drawn[0] != drawn[1]
    assert drawn[1] == columns_of_tree(7, HOST, 1, 40, 0.5).tolist()
    assert drawn[1] != columns_of_tree(7, Member(Role.HOST, "9"), 1, 40, 0.5).tolist()
    assert columns_of_tree(7, HOST, 0, 40, 1.0).tolist() == list(range(40))
    assert len(columns_of_tree(7, HOST, 0, 3, 0.01)) == 1
    assert len(columns_of_tree(7, HOST, 0, 0, 0.5)) == 0


def test_goss_keeps_the_largest_and_the_expectation_of_sums() -> None:
    g = np.random.default_rng(3).normal(size=(1000, 2))
    largest = set(np.argsort(-np.abs(g).sum(axis=1))[:200].tolist())
    totals = []
    for round_ in range(300):
        sample = goss(g, 0.2, 0.1, 5, round_)
        assert largest <= set(sample.rows.tolist())
        assert len(sample.rows) == 300
        totals.append((g[sample.rows] * sample.factors[:, None]).sum(axis=0))
    np.testing.assert_allclose(np.mean(totals, axis=0), g.sum(axis=0), atol=6)
    again = goss(g, 0.2, 0.1, 5, 299)
    assert (again.rows == sample.rows).all()


def test_goss_of_few_rows() -> None:
    one = goss(np.ones((1, 1)), 0.2, 0.1, 0, 0)
    assert one.rows.tolist() == [0]
    assert one.factors.tolist() == [1.0]
    two = goss(np.array([[1.0], [2.0]]), 0.2, 0.1, 0, 0)
    assert two.rows.tolist() == [0, 1]
    assert two.factors.tolist() == [1.0, 1.0]


def test_importance_counts_splits_or_gains() -> None:
    splits = [Used("guest_9999", 0, 1.0), Used("host_10000", 4, 5.0), Used("guest_9999", 0, 0.5)]
    by_split = importances(splits, "split", {("guest_9999", 0): "age"})
    by_gain = importances(splits, "gain", {})
    assert [(r.sitename, r.fid, r.importance, r.fullname) for r in by_split] == [
        ("guest_9999", 0, 2.0, "age"),
        ("host_10000", 4, 1.0, ""),
    ]
    assert [(r.sitename, r.importance, r.importance2) for r in by_gain] == [
        ("host_10000", 5.0, 1.0),
        ("guest_9999", 1.5, 2.0),
    ]
