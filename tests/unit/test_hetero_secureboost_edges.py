"""HeteroSecureBoost on tables and models that are seldom met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airfed_proto.v1 import model_pb2
from federatedml.components import tree_looks
from federatedml.components.tree_params import SecureBoostParams
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Member
from tests.boost_cases import Floats, case, cut, guest_param, made, params, reference
from tests.members import GUEST, HOST


def of(protocol: str, **given: Any) -> SecureBoostParams:
    encryption = {"encrypt_param": {"key_length": 1024}} if protocol == "paillier" else {}
    return params(protocol=protocol, **encryption, **given)


def scores(outputs: Any) -> Floats:
    return np.asarray(outputs[GUEST].data.columns["predict_score"])


def test_rows_without_weight_count_alike_under_both_protocols(tmp_path: Path) -> None:
    """min_leaf_node is about rows, as in FATE, whatever they weigh."""
    tables, weights = cut(*made(300, 6), [2, 4]), np.random.default_rng(0).integers(0, 2, 300).astype(float)
    guest = replace(tables[GUEST], columns={**tables[GUEST].columns, "w": weights}, weight="w")
    found = []
    for protocol in ("shared", "paillier"):
        p = of(protocol, tree_param={"min_leaf_node": 25, "min_child_weight": 0.1, "max_depth": 4})
        outputs = case(p, {**tables, GUEST: guest}).run(tmp_path / protocol).outputs
        found.append(scores(outputs))
        leaves = [
            tree.leaf_count[node.id] for tree in guest_param(outputs).trees_ for node in tree.tree_ if node.is_leaf
        ]
        assert min(leaves) >= 25
        assert len(leaves) > 10
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


def test_sums_of_no_rows_are_not_taken_for_some(tmp_path: Path) -> None:
    """Without min_child_weight and l2, what sums are rounded by would be a side of a split; XGBoost has none."""
    x, y = made(800, 5)
    tables = cut(np.round(x), y, [1, 4])
    p = params(learning_rate=1.0, tree_param={"min_child_weight": 0.0, "criterion_params": [0.0], "max_depth": 7})
    trees = guest_param(case(p, tables).run(tmp_path).outputs).trees_
    booster, _ = reference(p, tables, y)
    assert all(tree.leaf_count[node.id] for tree in trees for node in tree.tree_ if node.is_leaf)
    assert [sum(n.is_leaf for n in t.tree_) for t in trees] == [t.count("leaf=") for t in booster.get_dump()]


def test_validation_rows_of_one_class_have_a_loss(tmp_path: Path) -> None:
    tables, late = cut(*made(150, 4), [2, 2]), cut(made(20, 4, seed=1)[0], np.ones(20), [2, 2], "late")
    case(params(validation_freqs=1, metrics=["loss"]), tables, late).run(tmp_path / "loss")
    with pytest.raises(DataError, match="FED-897"):
        case(params(validation_freqs=1, metrics=["auc"]), tables, late).run(tmp_path / "auc")


def test_only_hosts_spend_rows_that_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest tells nobody anything of them."""
    spent: list[tuple[Member, int]] = []

    def count(box: Box, rows: int) -> None:
        spent.append((box.me, rows))

    monkeypatch.setattr(tree_looks, "count_rows", count)
    tables, late = cut(*made(150, 4), [2, 2]), cut(*made(20, 4, seed=1), [2, 2], "late")
    case(params(), tables, late).run(tmp_path)
    assert spent == [(HOST, 20)]


@pytest.mark.parametrize("given", [{"zero_as_missing": True}, {"use_missing": False}], ids=str)
def test_a_model_to_go_on_from_has_the_same_missing_values(given: dict[str, Any], tmp_path: Path) -> None:
    """Its trees would be read with the new parameters, by the training and by whoever scores."""
    tables = cut(*made(100, 4), [2, 2])
    first = case(params(use_missing=True), tables).run(tmp_path / "first")
    step = case(params(**{"use_missing": True, **given}), tables)
    inputs = {m: replace(i, isometric_model=first.outputs[m].model) for m, i in step.inputs.items()}
    with pytest.raises(DataError, match="FED-810"):
        replace(step, inputs=inputs).run(tmp_path / "second")


def test_a_model_of_another_kind_is_not_passed_over(tmp_path: Path) -> None:
    step = case(params(), cut(*made(100, 4), [2, 2]))
    other = {"LRModelParam": model_pb2.LRModelParam()}
    with pytest.raises(DataError, match="FED-810"):
        replace(step, inputs={m: replace(i, isometric_model=other) for m, i in step.inputs.items()}).run(tmp_path)


def test_importance_counts_the_trees_of_the_model_that_others_are_added_to(tmp_path: Path) -> None:
    tables = cut(*made(200, 4), [2, 2])
    tree = {"feature_importance_type": "gain"}
    whole = case(params(num_trees=4, tree_param=tree), tables).run(tmp_path / "whole").outputs
    first = case(params(num_trees=2, tree_param=tree), tables).run(tmp_path / "first").outputs
    step = case(params(num_trees=2, tree_param=tree), tables)
    inputs = {m: replace(i, isometric_model=first[m].model) for m, i in step.inputs.items()}
    second = replace(step, inputs=inputs).run(tmp_path / "second").outputs
    found, expected = (
        [(i.fullname, i.importance) for i in guest_param(o).feature_importances] for o in (second, whole)
    )
    assert dict(found) == pytest.approx(dict(expected), rel=1e-5)
