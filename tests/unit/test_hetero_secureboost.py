"""HeteroSecureBoost, protocol shared: XGBoost's trees, whoever has which column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.components import tree_plan
from federatedml.components.tree_params import SecureBoostParams
from federatedml.views import Curve
from tests.boost_cases import breast, case, cut, guest_param, host_param, made, params, reference
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

TOLERANCE = 1e-5
Floats = np.ndarray


def same_as_xgboost(p: SecureBoostParams, x: Floats, y: Floats, columns: list[int], folder: Path, **given: Any) -> None:
    """Predictions of all rows, and the number of leaves of every tree."""
    tables = cut(x, y, columns)
    result = case(p, tables).run(folder)
    booster, bins = reference(p, tables, y, **given)
    found = result.outputs[GUEST]
    expected = booster.inplace_predict(bins)
    scores = np.asarray(found.data.columns["predict_score"])
    if expected.ndim > 1:
        expected = expected.max(axis=1)
    np.testing.assert_allclose(scores, expected, atol=TOLERANCE * max(1.0, float(np.abs(y).max())))
    leaves = [tree.count("leaf=") for tree in booster.get_dump()]
    assert [sum(node.is_leaf for node in tree.tree_) for tree in guest_param(result.outputs).trees_] == leaves
    assert not result.unread


def test_breast(tmp_path: Path) -> None:
    same_as_xgboost(params(num_trees=6, tree_param={"max_depth": 4}), *breast(), [10, 20], tmp_path)


@pytest.mark.parametrize("columns", [[3, 4], [2, 3, 2], [0, 7], [7, 0]], ids=str)
@pytest.mark.parametrize("missing", [False, True])
def test_generated(columns: list[int], missing: bool, tmp_path: Path) -> None:
    p = params(use_missing=missing, num_trees=4)
    same_as_xgboost(p, *made(500, 7, missing=missing), columns, tmp_path)


def test_bins_of_few_rows_are_merged_for_xgboost_too(tmp_path: Path) -> None:
    p = params(min_cell_rows=40, use_missing=True, tree_param={"max_depth": 1})
    same_as_xgboost(p, *made(400, 7, missing=True, seed=2), [3, 4], tmp_path)


@pytest.mark.parametrize("missing", [False, True])
def test_several_classes(missing: bool, tmp_path: Path) -> None:
    x, y = made(500, 7, "multi", missing)
    p = params(use_missing=missing)
    given = {"objective": "multi:softprob", "num_class": 4}
    same_as_xgboost(p, x, y, [2, 3, 2], tmp_path, **given)


def test_regression(tmp_path: Path) -> None:
    x, y = made(500, 7, "regression")
    given = {"objective": "reg:squarederror", "base_score": float(y.mean())}
    same_as_xgboost(params(task_type="regression"), x, y, [3, 4], tmp_path, **given)


def test_weights_of_rows(tmp_path: Path) -> None:
    x, y = made(500, 7)
    weights = np.round(np.random.default_rng(1).lognormal(0, 1.5, 500), 3)
    tables = cut(x, y, [3, 4])
    booster, bins = reference(params(), tables, y, weight=weights)
    by_table = replace(tables[GUEST], columns={**tables[GUEST].columns, "w": weights}, weight="w")
    by_name = replace(by_table, weight=None)
    for number, (guest, p) in enumerate([(by_table, params()), (by_name, params(sample_weight_name="w"))]):
        result = case(p, {**tables, GUEST: guest}).run(tmp_path / str(number))
        scores = np.asarray(result.outputs[GUEST].data.columns["predict_score"])
        np.testing.assert_allclose(scores, booster.inplace_predict(bins), atol=TOLERANCE)


def test_leaves_of_many_rows_need_counts(tmp_path: Path) -> None:
    x, y = made(500, 7)
    tables = cut(x, y, [3, 4])
    p = params(tree_param={"min_leaf_node": 60, "max_depth": 4})
    result = case(p, tables).run(tmp_path)
    counts = [c for tree in guest_param(result.outputs).trees_ for c in tree.leaf_count.values()]
    assert min(counts) >= 60
    assert len(counts) > 2 * p.num_trees


def test_the_first_trees_of_complete_secure_are_the_guests(tmp_path: Path) -> None:
    x, y = made(300, 6)
    p = params(complete_secure=2, num_trees=4)
    result = case(p, cut(x, y, [3, 3])).run(tmp_path)
    sites = [{node.sitename for node in tree.tree_ if not node.is_leaf} for tree in guest_param(result.outputs).trees_]
    assert sites[0] == sites[1] == {str(GUEST)}
    assert all(str(HOST) in names for names in sites[2:])
    assert {m.key.round // 3 for m in result.sent if m.key.topic == "masked_gradients"} == {2, 3}


def test_columns_and_rows_are_drawn(tmp_path: Path) -> None:
    x, y = made(500, 12)
    p = params(subsample_feature_rate=0.5, run_goss=True, num_trees=5)
    result = case(p, cut(x, y, [6, 6])).run(tmp_path)
    for tree in guest_param(result.outputs).trees_:
        for site in (GUEST, HOST):
            assert len({node.fid for node in tree.tree_ if node.sitename == str(site)}) <= 3
    assert result.outputs[GUEST].summary["loss"] < 0.5
    again = case(p, cut(x, y, [6, 6])).run(tmp_path / "again")
    np.testing.assert_allclose(
        result.outputs[GUEST].data.columns["predict_score"], again.outputs[GUEST].data.columns["predict_score"]
    )


@pytest.mark.parametrize("kind", ["binary", "multi", "regression"])
def test_a_predict_job_scores_as_the_training_did(kind: str, tmp_path: Path) -> None:
    x, y = made(400, 6, kind, missing=True)
    p = params(use_missing=True, task_type="regression" if kind == "regression" else "classification")
    tables = cut(x, y, [2, 2, 2])
    training = case(p, tables)
    result = training.run(tmp_path / "train")
    again = training.predicting(result.outputs).run(tmp_path / "predict")
    first, second = (run.outputs[GUEST].data for run in (result, again))
    for name in ("label", "predict_result", "predict_score", "predict_detail"):
        assert first.columns[name].tolist() == second.columns[name].tolist()
    assert {m.key.topic for m in again.sent} == {"same_rows", "split_bits"}
    assert again.outputs[HOST].model == result.outputs[HOST].model
    assert again.outputs[ARBITER].data is None


def test_a_host_without_a_split_and_rows_that_no_host_may_see(tmp_path: Path) -> None:
    x, y = made(30, 6)
    p = params(min_cell_rows=20, tree_param={"min_child_weight": 0.0})
    tables = cut(x, y, [2, 2, 2])
    training = case(p, tables)
    result = training.run(tmp_path)
    assert not result.unread
    assert host_param(result.outputs).trees_[0].tree_ == []
    assert guest_param(result.outputs).trees_[0].tree_[0].sitename == str(GUEST)
    again = training.predicting(result.outputs).run(tmp_path / "predict")
    assert not again.unread
    assert host_param(result.outputs, OTHER_HOST).header == ["host_secret0", "host_secret1"]


def test_many_nodes_are_asked_about_in_several_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_plan, "MESSAGE_CELLS", 1500)
    monkeypatch.setattr(tree_plan, "PASS_BYTES", 2**20)
    p = params(tree_param={"max_depth": 5, "min_child_weight": 0.2})
    same_as_xgboost(p, *made(500, 7, "multi"), [3, 4], tmp_path, objective="multi:softprob", num_class=4)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    columns=st.lists(st.integers(0, 3), min_size=2, max_size=3).filter(lambda counts: sum(counts) > 1),
    rows=st.integers(2, 120),
    seed=st.integers(0, 1000),
    missing=st.booleans(),
    kind=st.sampled_from(["binary", "regression"]),
    tree=st.fixed_dictionaries({"max_depth": st.integers(1, 5), "min_leaf_node": st.sampled_from([1, 5])}),
    bins=st.integers(2, 40),
)
def test_who_has_a_column_changes_nothing(
    columns: list[int], rows: int, seed: int, missing: bool, kind: str, tree: dict[str, Any], bins: int
) -> None:
    """Trees of several parties score as those of a guest that has all columns."""
    x, y = made(rows, sum(columns), kind, missing, seed)
    task = {"task_type": "regression"} if kind == "regression" else {}
    p = params(tree_param=tree, use_missing=missing, bin_num=bins, num_trees=2, **task)
    with TemporaryDirectory() as folder:
        apart = case(p, cut(x, y, columns)).run(Path(folder) / "apart").outputs[GUEST].data
        whole = case(p, cut(x, y, [sum(columns), 0])).run(Path(folder) / "whole").outputs[GUEST].data
    found, expected = (table.columns["predict_score"] for table in (apart, whole))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * max(1.0, float(np.abs(y).max())))


def test_the_loss_of_each_round_is_drawn_with_the_least_one(tmp_path: Path) -> None:
    result = case(params(num_trees=3), cut(*made(60, 4), [2, 2])).run(tmp_path)
    (view,) = [view for view in result.outputs[GUEST].views if view.name == "loss"]
    assert isinstance(view, Curve)
    losses = list(guest_param(result.outputs).losses)
    assert (view.namespace, view.metric_type, list(view.series[0].y)) == ("train", "LOSS", losses)
    assert view.meta == {"name": "train", "unit_name": "iters", "Best": min(losses)}
