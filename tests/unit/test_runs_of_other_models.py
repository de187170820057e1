"""Cross validation and one-vs-rest with HomoLR, cross validation with HeteroSecureBoost."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from sklearn.datasets import load_iris

from federatedml.component import Inputs, Outputs
from federatedml.components.cross_validation import folds
from federatedml.components.homo_lr import HOMO_LR
from federatedml.components.one_vs_rest import COUNT, LABELS
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.local import StepResult
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member, Role
from tests import boost_cases, homo_cases
from tests.members import ARBITER, GUEST, HOST

CV = {"need_cv": True, "n_splits": 2, "random_seed": 3}
OVR = {"need_one_vs_rest": True}


@cache
def flowers() -> dict[Member, Table]:
    """Iris: the guest has no row of the third class."""
    data = load_iris()
    x, y = (data.data - data.data.mean(0)) / data.data.std(0), data.target * 10.0
    ids = np.array([f"f{i}" for i in range(150)], dtype=object)
    guest = np.flatnonzero((np.arange(150) % 2 == 0) & (y < 20))
    whole = homo_cases.table(ids, x, y)
    return {GUEST: whole.take(guest), HOST: whole.take(np.setdiff1d(np.arange(150), guest))}


def homo(folder: Path, tables: dict[Member, Table], faults: Faults | None = None, **given: Any) -> StepResult:
    return homo_cases.case(homo_cases.params(**given), tables).run(folder, faults)


def test_homo_folds_are_measured_at_each_contributor(tmp_path: Path) -> None:
    tables = homo_cases.rows()
    result = homo(tmp_path, tables, max_iter=5, cv_param=CV)
    for member, table in tables.items():
        found = result.outputs[member]
        assert found.model is None
        assert found.data is not None
        assert found.data.ids.tolist() == table.ids.tolist()
        assert 0.5 < found.summary["auc_mean"] <= 1
    assert result.outputs[ARBITER].summary == {"epochs_mean": 5}


def test_a_homo_fold_is_scored_by_the_model_of_the_others_rows(tmp_path: Path) -> None:
    tables = homo_cases.rows()
    p = homo_cases.params(cv_param=CV)
    data = homo_cases.case(p, tables).run(tmp_path / "cv").outputs[GUEST].data
    assert data is not None
    parts = {m: folds(len(t), p.cv_param)[1] for m, t in tables.items()}
    kept = {m: t.take(np.setdiff1d(np.arange(len(t)), parts[m])) for m, t in tables.items()}
    left_out = {m: t.take(parts[m]) for m, t in tables.items()}
    alone = homo_cases.case(homo_cases.params(), kept, left_out).run(tmp_path / "one").outputs[GUEST].data
    assert alone is not None
    expected = alone.columns["predict_score"][alone.columns["type"] == "validate"]
    assert np.abs(data.columns["predict_score"][parts[GUEST]] - expected).max() < 1e-6


def test_classes_of_all_contributors_are_found_by_all(tmp_path: Path) -> None:
    result = homo(tmp_path, flowers(), max_iter=30, learning_rate=1, one_vs_rest_param=OVR)
    for member in (GUEST, HOST):
        data, model = result.outputs[member].data, homo_cases.param(result.outputs[member])
        assert (list(model.classes), list(model.one_vs_rest_classes)) == ([0, 10, 20], ["0", "10", "20"])
        assert data is not None
        assert np.mean(data.columns["predict_result"] == flowers()[member].labels()) > 0.8
    assert len(homo_cases.param(result.outputs[ARBITER]).classifiers) == 3
    assert not homo_cases.param(result.outputs[ARBITER]).classes
    told = [COUNT.codec.decode(m.body).tolist() for m in result.sent if m.key.topic == COUNT.name]
    assert told == [[3], [3]]


def test_a_fitted_homo_model_of_classes_predicts_what_the_training_said(tmp_path: Path) -> None:
    p = homo_cases.params(one_vs_rest_param=OVR)
    trained = homo_cases.case(p, flowers()).run(tmp_path / "a").outputs
    predicted = homo_cases.predicting(trained, p, flowers()).run(tmp_path / "b").outputs
    for member in (GUEST, HOST):
        one, other = trained[member].data, predicted[member].data
        assert one is not None
        assert other is not None
        assert one.columns["predict_detail"].tolist() == other.columns["predict_detail"].tolist()
        assert one.columns["predict_result"].tolist() == other.columns["predict_result"].tolist()


@pytest.mark.parametrize("told", [[], list(range(1001))])
def test_hostile_label_values_are_refused(tmp_path: Path, told: list[float]) -> None:
    one = homo_cases.case(homo_cases.params(one_vs_rest_param=OVR), flowers())

    def lying(p: Any, box: Any, inputs: Inputs) -> Outputs:
        box.send(LABELS, np.array(told, float))
        box.recv(LABELS)
        return Outputs()

    component = replace(HOMO_LR, roles={**HOMO_LR.roles, Role.HOST: lying})
    with pytest.raises(ProtocolError, match="FED-910"):
        replace(one, component=component).run(tmp_path)


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    tables = {m: replace(t, columns={**t.columns, "y": np.ones(len(t))}) for m, t in flowers().items()}
    with pytest.raises(DataError, match=r"FED-257.*1 classes"):
        homo(tmp_path, tables, one_vs_rest_param=OVR)


def test_homo_parties_must_agree_on_folds() -> None:
    mine, theirs = homo_cases.params(cv_param=CV), homo_cases.params(cv_param={**CV, "n_splits": 3})
    with pytest.raises(DslError, match="FED-180"):
        HOMO_LR.settle({GUEST: mine, HOST: theirs, ARBITER: mine})


@pytest.mark.parametrize("point", [20, 60, 100])
def test_homo_folds_and_classes_survive_a_death(tmp_path: Path, point: int) -> None:
    given: dict[str, Any] = {"cv_param": CV, "one_vs_rest_param": OVR, "max_iter": 2}
    undisturbed = homo(tmp_path / "a", flowers(), **given).outputs[HOST]
    result = homo(tmp_path / "b", flowers(), Faults(kill={GUEST: point}), **given)
    assert result.attempts == 2
    assert result.outputs[HOST].summary == undisturbed.summary
    assert not result.unread


BOOST = {"num_trees": 2, "bin_num": 8, "cv_param": CV}


@pytest.mark.parametrize("protocol", ["shared", "paillier"])
def test_trees_are_measured_on_rows_that_they_have_not_seen(tmp_path: Path, protocol: str) -> None:
    x, y = boost_cases.made(120, 4)
    p = boost_cases.params(protocol=protocol, encrypt_param={"key_length": 1024}, **BOOST)
    tables = boost_cases.cut(x, y, (2, 2))
    found = boost_cases.case(p, tables).run(tmp_path).outputs
    assert all(outputs.model is None for outputs in found.values())
    data = found[GUEST].data
    assert data is not None
    assert data.ids.tolist() == tables[GUEST].ids.tolist()
    assert found[GUEST].summary["auc_mean"] > 0.6


def test_numbers_are_measured_as_numbers(tmp_path: Path) -> None:
    x, y = boost_cases.made(90, 4, "regression")
    p = boost_cases.params(task_type="regression", **BOOST)
    found = boost_cases.case(p, boost_cases.cut(x, y, (2, 2))).run(tmp_path).outputs[GUEST]
    assert {"root_mean_squared_error_mean", "r2_score_std"} <= set(found.summary)


def test_trees_go_on_in_the_fold_they_were_in(tmp_path: Path) -> None:
    x, y = boost_cases.made(90, 4)
    one = boost_cases.case(boost_cases.params(**BOOST), boost_cases.cut(x, y, (2, 2)))
    undisturbed = one.run(tmp_path / "a")
    points = sum(at.member == HOST for at in undisturbed.reached)
    result = one.run(tmp_path / "b", Faults(kill={HOST: points - 3}))
    assert result.resumed[1] is not None
    expected, found = (cast(Table, r.outputs[GUEST].data).columns["predict_score"] for r in (undisturbed, result))
    assert np.abs(expected - found).max() < 1e-9
