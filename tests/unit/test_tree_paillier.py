"""HeteroSecureBoost, protocol paillier: XGBoost's trees, and those of protocol shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz

from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.components.tree_params import SecureBoostParams
from federatedml.compute.choice import compute_engine
from federatedml.conformance.case import Case
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member
from tests.boost_cases import breast, case, cut, guest_param, host_param, made, params, reference
from tests.members import GUEST, HOST, OTHER_HOST

Floats = np.ndarray
ROWS = 200


def encrypted(**given: Any) -> SecureBoostParams:
    encryption = {"method": "Paillier", "key_length": 1024}
    return params(**{"protocol": "paillier", "encrypt_param": encryption, "num_trees": 2, **given})


def of(p: SecureBoostParams, tables: Mapping[Member, Table]) -> Case:
    return case(dict.fromkeys(tables, p), tables)


def scores(result: StepResult) -> Floats:
    return np.asarray(result.outputs[GUEST].data.columns["predict_score"])


def leaves(result: StepResult) -> list[int]:
    return [sum(node.is_leaf for node in tree.tree_) for tree in guest_param(result.outputs).trees_]


def same_as_xgboost(
    p: SecureBoostParams, x: Floats, y: Floats, columns: Sequence[int], folder: Path, **given: Any
) -> StepResult:
    tables = cut(x, y, columns)
    result = of(p, tables).run(folder)
    booster, bins = reference(p, tables, y, **given)
    expected = booster.inplace_predict(bins)
    expected = expected.max(axis=1) if expected.ndim > 1 else expected
    np.testing.assert_allclose(scores(result), expected, atol=1e-5 * max(1.0, float(np.abs(y).max())))
    assert leaves(result) == [tree.count("leaf=") for tree in booster.get_dump()]
    assert not result.unread
    return result


@pytest.mark.parametrize("columns", [[3, 4], [0, 3, 4]], ids=str)
@pytest.mark.parametrize("missing", [False, True])
def test_generated(columns: list[int], missing: bool, tmp_path: Path) -> None:
    p = encrypted(use_missing=missing)
    same_as_xgboost(p, *made(ROWS, 7, missing=missing), columns, tmp_path)


def test_breast(tmp_path: Path) -> None:
    same_as_xgboost(encrypted(), *breast(), [10, 20], tmp_path)


def test_several_classes_share_a_ciphertext(tmp_path: Path) -> None:
    x, y = made(ROWS, 7, "multi", missing=True)
    given = {"objective": "multi:softprob", "num_class": 4}
    result = same_as_xgboost(encrypted(use_missing=True), x, y, [2, 3, 2], tmp_path, **given)
    assert sum(sent.key.topic == "encrypted_gradients" for sent in result.sent) == 2 * 2  # rounds, hosts


def test_regression_of_large_numbers(tmp_path: Path) -> None:
    x, y = made(ROWS, 7, "regression")
    y = 1e6 * y
    given = {"objective": "reg:squarederror", "base_score": float(y.mean())}
    same_as_xgboost(encrypted(task_type="regression"), x, y, [3, 4], tmp_path, **given)


@pytest.mark.parametrize(
    "given",
    [
        {"run_goss": True, "subsample_feature_rate": 0.6},
        {"tree_param": {"min_leaf_node": 15, "max_depth": 4, "min_child_weight": 0.0}},
        {"min_cell_rows": 10, "complete_secure": 1, "use_missing": True},
        {"task_type": "regression", "objective_param": {"objective": "tweedie"}},
    ],
    ids=str,
)
def test_as_under_protocol_shared(given: dict[str, Any], tmp_path: Path) -> None:
    regression = given.get("task_type") == "regression"
    x, y = made(ROWS, 8, "regression" if regression else "binary", missing="use_missing" in given)
    tables = cut(x, np.exp(y) if regression else y, [3, 3, 2])
    ours = of(encrypted(**given), tables).run(tmp_path / "paillier")
    shared = case(params(num_trees=2, **given), tables).run(tmp_path / "shared")
    np.testing.assert_allclose(scores(ours), scores(shared), rtol=1e-6)
    assert leaves(ours) == leaves(shared)
    for member in (HOST, OTHER_HOST):
        splits = [tree.split_maskdict for tree in host_param(ours.outputs, member).trees_]
        assert splits == [tree.split_maskdict for tree in host_param(shared.outputs, member).trees_]
        assert any(splits)


def test_drawn_rows_only_are_encrypted(tmp_path: Path) -> None:
    result = of(encrypted(run_goss=True), cut(*made(ROWS, 5), [2, 3])).run(tmp_path)
    sizes = [sent.size for sent in result.sent if sent.key.topic == "encrypted_gradients"]
    assert max(sizes) < 256 * (0.3 * ROWS + 1)


def test_a_predict_job_scores_as_the_training_did(tmp_path: Path) -> None:
    tables = cut(*made(ROWS, 6), [2, 2, 2])
    training = of(encrypted(), tables)
    result = training.run(tmp_path / "train")
    again = training.predicting(result.outputs).run(tmp_path / "predict")
    assert scores(again).tolist() == scores(result).tolist()


def test_hosts_without_candidates_and_tables_of_one_row(tmp_path: Path) -> None:
    x, y = made(ROWS, 4)
    x[:, 2:] = 1.0
    constant = of(encrypted(), cut(x, y, [2, 2, 0])).run(tmp_path / "constant")
    alone = of(encrypted(), cut(x, y, [2, 0])).run(tmp_path / "alone")
    assert scores(constant).tolist() == scores(alone).tolist()
    x[:, :3], x[:, 3] = 0.0, y  # the only column with a candidate comes last
    late = of(encrypted(), cut(x, y, [0, 4])).run(tmp_path / "late")
    shared = case(params(num_trees=2), cut(x, y, [0, 4])).run(tmp_path / "shared")
    np.testing.assert_allclose(scores(late), scores(shared), rtol=1e-6)
    p = encrypted(task_type="regression")
    one = of(p, cut(x[:1], y[:1], [1, 1])).run(tmp_path / "one")
    assert scores(one).tolist() == y[:1].tolist()


def test_more_classes_than_a_ciphertext_holds_are_refused(tmp_path: Path) -> None:
    x, y = made(ROWS, 2, "regression")
    step = of(encrypted(), cut(x, np.floor(20 * (y.argsort().argsort()) / ROWS), [1, 1]))
    with pytest.raises(DataError, match=r"FED-823.* 20 classes .*at most 12"):
        step.run(tmp_path)


@pytest.mark.parametrize("bits", [1024, 2048])
@pytest.mark.parametrize("rows", [1, 2, 3, 511, 512, 10**6])
def test_the_most_classes_fit(bits: int, rows: int) -> None:
    public = PublicKey(mpz(2**bits - 1))
    most = (bits - 2) // (2 * (33 + rows.bit_length()))
    plan = PaillierPlan(rows, most, 3, 2, 1, False, bits)
    assert plan.packing(public, rows).values == 2 * most
    with pytest.raises(DataError, match="FED-823"):
        replace(plan, classes=most + 1).packing(public, rows)


def test_folds_of_a_cross_validation(tmp_path: Path) -> None:
    p = encrypted(cv_param={"need_cv": True, "n_splits": 2}, num_trees=1)
    result = of(p, cut(*made(80, 4), [2, 2])).run(tmp_path)
    assert not result.unread
    assert sum(sent.key.topic == "paillier_key" for sent in result.sent) == 2


def test_the_engine_changes_nothing(tmp_path: Path) -> None:
    whole = of(encrypted(), cut(*made(ROWS, 6), [3, 3]))
    with compute_engine(workers=2) as compute:
        threads = LocalNetwork(tmp_path / "b", compute=compute).run(whole.component, whole.params, whole.inputs)
    np.testing.assert_allclose(scores(threads), scores(whole.run(tmp_path / "a")), atol=1e-9)
