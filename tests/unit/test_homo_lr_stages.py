"""HomoLR in several trainings: a fold each of a cross validation, a class each of a label of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from federatedml.components.cross_validation import folds
from federatedml.components.homo_lr import HOMO_LR
from federatedml.conformance.witness import Witness
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, FedError
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member, Role
from tests.conformance import conforms
from tests.homo_cases import THREE, TWO, by_rows, case, in_clear, param, params, predicting, rows, table, weights
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

CV: dict[str, Any] = {"cv_param": {"need_cv": True, "n_splits": 2, "random_seed": 3}}
OVR: dict[str, Any] = {"one_vs_rest_param": {"need_one_vs_rest": True}}
CLASSES = (10.0, 20.5, 30.0)
Tables = dict[Member, Table]


def iris() -> Tables:
    """Rows of three classes; the first host has no row of the last one."""
    data = load_iris()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    order = np.random.default_rng(1).permutation(len(x))
    parts = [order[:50], order[50:100][data.target[order[50:100]] < 2], order[100:]]
    y = np.array(CLASSES)[data.target]
    tables = [table(np.array([f"flower{i}" for i in at], object), x[at], y[at]) for at in parts]
    return dict(zip(THREE, tables, strict=True))


def test_scores_are_those_of_models_that_had_not_seen_the_row(tmp_path: Path) -> None:
    """Each party draws the folds of its own rows."""
    p, tables = params(**CV), rows()
    found = case(p, tables).run(tmp_path).outputs
    left_out = {member: folds(len(own), p.cv_param) for member, own in tables.items()}
    for number in range(2):
        kept = {
            member: own.take(np.setdiff1d(np.arange(len(own)), left_out[member][number]))
            for member, own in tables.items()
        }
        model = in_clear(params(), kept, by_rows(kept)).weights
        for member, own in tables.items():
            at, data = left_out[member][number], found[member].data
            assert data is not None
            z = np.column_stack([own.take(at).features(), np.ones(len(at))]) @ model
            np.testing.assert_allclose(data.columns["predict_score"][at], 1 / (1 + np.exp(-z)), atol=1e-9)
    assert {out.model for out in found.values()} == {None}
    assert set(found[HOST].summary) >= {"auc_mean", "auc_std", "epochs_mean"}
    assert found[ARBITER].summary == {"epochs_mean": 3}


def test_a_party_whose_folds_are_of_one_class_costs_nobody_the_result(tmp_path: Path) -> None:
    """AUC needs both classes: a fold without has none, and the mean is over the others."""
    tables = rows(sizes=(30, 12, 14))
    y = {HOST: np.zeros(12, np.int64), OTHER_HOST: np.isin(np.arange(14), folds(14, params(**CV).cv_param)[0][:3])}
    for member, labels in y.items():
        tables[member] = replace(tables[member], columns={**tables[member].columns, "y": labels.astype(np.int64)})
    found = case(params(**CV), tables).run(tmp_path).outputs
    assert found[HOST].summary == {"epochs_mean": 3}
    data = found[HOST].data
    assert data is not None
    assert len(data) == 12
    of_one_fold = found[OTHER_HOST]
    assert of_one_fold.summary["auc_std"] == 0
    assert of_one_fold.views[0].json()["rows"][0][2] is None
    assert "auc_mean" in found[GUEST].summary


def test_parties_cross_validate_together_or_not_at_all() -> None:
    mixed = {GUEST: params(**CV), HOST: params(), ARBITER: params()}
    with pytest.raises(DslError, match="FED-180"):
        HOMO_LR.settle(mixed)
    own = {"cv_param": {**CV["cv_param"], "role": "host", "mode": "homo", "evaluate_param": {"pos_label": 1}}}
    HOMO_LR.settle({**dict.fromkeys((*TWO, ARBITER), params(**CV)), HOST: params(**own)})


def test_a_party_with_fewer_rows_than_folds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="FED-907"):
        case(params(**CV), rows(sizes=(20, 1, 20))).run(tmp_path)


def test_each_class_has_the_model_of_its_rows_against_the_rest(tmp_path: Path) -> None:
    tables, p = iris(), params(max_iter=5, learning_rate=0.5, **OVR)
    found = case(p, tables).run(tmp_path / "train").outputs
    for number, value in enumerate(CLASSES):
        against = {m: replace(own, columns={**own.columns, "y": own.labels() == value}) for m, own in tables.items()}
        expected = in_clear(params(max_iter=5, learning_rate=0.5), against, by_rows(tables)).weights
        one = param(found[OTHER_HOST]).classifiers[number]
        np.testing.assert_allclose([*(one.weight[f"x{j}"] for j in range(4)), one.intercept], expected, atol=1e-9)
    assert [len(param(found[m]).classifiers) for m in (*THREE, ARBITER)] == [3] * 4
    assert list(param(found[HOST]).classes) == list(CLASSES), "although one of them is not among its rows"
    scored = found[HOST].data
    assert scored is not None
    right = scored.columns["predict_result"] == tables[HOST].labels()
    assert right.mean() > 0.8
    again = predicting(found, p, tables).run(tmp_path / "predict").outputs[HOST].data
    assert again is not None
    assert (again.columns["predict_detail"] == scored.columns["predict_detail"]).all()


def test_labels_of_two_classes_are_one_model(tmp_path: Path) -> None:
    tables = rows()
    one, other = (case(params(**more), tables).run(tmp_path / str(len(more))).outputs[GUEST] for more in ({}, OVR))
    assert (weights(one) == weights(other)).all()


def test_what_is_said_of_classes_and_folds() -> None:
    plain, several = (HOMO_LR.variant(HOMO_LR, params(**more)) for more in ({}, {**CV, **OVR}))
    added = {"label_values", "class_count"}
    assert set(several.topic_table()) - set(plain.topic_table()) == added
    assert {str(role): len(texts) for role, texts in several.learns.items()} != {
        str(role): len(texts) for role, texts in plain.learns.items()
    }
    assert Role.ARBITER not in several.topic_table()["label_values"].to


@pytest.mark.parametrize(
    ("member", "labels", "error"),
    [
        (GUEST, np.arange(40) * 1.0, "FED-257|FED-910.*too many"),
        (HOST, np.array([np.nan, *range(24)]), "FED-257.*not finite"),
    ],
    ids=["too many", "nan"],
)
def test_labels_that_are_no_classes_are_refused(
    member: Member, labels: np.ndarray, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federatedml.components.one_vs_rest.MOST", 20)
    tables = rows()
    tables[member] = replace(tables[member], columns={**tables[member].columns, "y": labels})
    with pytest.raises(FedError, match=error):
        case(params(**OVR), tables).run(tmp_path)


def test_numbers_that_are_no_classes_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federatedml.components.one_vs_rest.MOST", 20)
    tables = rows()
    numbers = np.random.default_rng(0).standard_normal(25)
    tables[HOST] = replace(tables[HOST], columns={**tables[HOST].columns, "y": numbers})
    witness = Witness(tmp_path)
    with pytest.raises(FedError, match="FED-257"):
        case(params(**OVR), tables).over(witness)
    assert not [event for event in witness.events if event.key.source == HOST]


@pytest.mark.parametrize(("more", "every"), [(CV, 17), ({**CV, **OVR}, 97)], ids=["folds", "classes in folds"])
def test_it_survives_deaths(more: dict[str, Any], every: int, tmp_path: Path) -> None:
    """Whatever fold or class it is in."""
    several = "one_vs_rest_param" in more
    tables = {m: own.take(np.arange(16)) for m, own in iris().items()} if several else rows(sizes=(16, 12, 14))
    step = case(params(max_iter=1, **more), tables)
    conforms(step, tmp_path, kill_every=every)
    assert step.run(tmp_path / "again", Faults(kill={ARBITER: 12})).attempts == 2
