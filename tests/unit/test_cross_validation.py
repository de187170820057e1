"""Cross validation of HeteroLR: folds, what they tell, and attempts that go on in the fold they were in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold

from federatedml.component import Inputs, Outputs
from federatedml.components.cross_validation import CvParam, folds
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.errors import DataError, DslError
from federatedml.federation.local import Point
from federatedml.federation.memory import Faults
from federatedml.federation.party import Role
from federatedml.views import Grid
from tests import boost_cases
from tests.conformance import conforms
from tests.lr_cases import breast, case, in_clear, params, small, spread, table
from tests.members import GUEST, HOST

CV = {"need_cv": True, "n_splits": 2, "random_seed": 3}
PAILLIER: dict[str, Any] = {"encrypt_param": {"method": "Paillier", "key_length": 1024}}


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("rows", [5, 13, 100])
def test_folds_are_those_of_scikit_learn(rows: int, shuffle: bool) -> None:
    cv = CvParam(n_splits=5, shuffle=shuffle, random_seed=7)
    expected = KFold(5, shuffle=shuffle, random_state=7 if shuffle else None).split(np.zeros(rows))
    assert [part.tolist() for part in folds(rows, cv)] == [test.tolist() for _, test in expected]


def test_fewer_rows_than_folds_are_refused() -> None:
    with pytest.raises(DataError, match=r"FED-907.*4 rows in 5 parts"):
        folds(4, CvParam())


def test_scores_are_those_of_models_that_had_not_seen_the_row(tmp_path: Path) -> None:
    p = params(max_iter=3, cv_param=CV)
    guest, host = breast()
    found = case(p, breast()).run(tmp_path).outputs[GUEST]
    assert found.data is not None
    assert found.data.ids.tolist() == guest.ids.tolist()
    scores = found.data.columns["predict_score"]
    for left_out in folds(len(guest), p.cv_param):
        kept = np.setdiff1d(np.arange(len(guest)), left_out)
        model = in_clear(p, guest.take(kept), host.take(kept))
        rows = np.column_stack(
            [guest.take(left_out).features(), np.ones(len(left_out)), host.take(left_out).features()]
        )
        assert np.abs(scores[left_out] - 1 / (1 + np.exp(-rows @ model.weights))).max() < 0.01


def test_metrics_of_each_fold_their_mean_and_deviation(tmp_path: Path) -> None:
    p = params(max_iter=2, cv_param={**CV, "evaluate_param": {"metrics": ["auc"]}})
    guest, _ = breast()
    result = case(p, breast()).run(tmp_path)
    found = result.outputs[GUEST]
    assert found.data is not None
    y, scores = found.data.columns["label"], found.data.columns["predict_score"]
    each = [roc_auc_score(y[part], scores[part]) for part in folds(len(guest), p.cv_param)]
    assert found.summary == {
        "auc_mean": pytest.approx(np.mean(each)),
        "auc_std": pytest.approx(np.std(each)),
        "epochs_mean": 2,
    }
    points = {(m.namespace, m.name): m.value for m in result.metrics[GUEST] if "auc" in m.name}
    assert points == {("validate", f"validate_fold_{n}_auc"): pytest.approx(value) for n, value in enumerate(each)}
    grid = found.views[0]
    assert isinstance(grid, Grid)
    assert grid.columns == ["metric", "validate_fold_0", "validate_fold_1", "mean", "std"]
    assert {view.name for view in found.views} >= {"loss_fold_0", "loss_fold_1", "validate_fold_1"}
    assert result.outputs[HOST].summary == {"epochs_mean": 2}


@pytest.mark.parametrize("more", [{}, {"optimizer": "rmsprop", "batch_rows_per_column": 0}, PAILLIER])
def test_no_model_comes_out(tmp_path: Path, more: dict[str, Any]) -> None:
    outputs = case(params(max_iter=1, cv_param=CV, **more), small(60)).run(tmp_path).outputs
    assert all(found.model is None for found in outputs.values())
    assert outputs[GUEST].data is not None
    assert all(outputs[m].data is None for m in outputs if m != GUEST)


def test_under_shared_no_weight_is_opened_and_each_row_is_scored_once(tmp_path: Path) -> None:
    p = params(max_iter=2, cv_param=CV)
    sent = case(p, small(60)).run(tmp_path).sent
    topics = {m.key.topic for m in sent}
    assert not topics & {"final_shares", "partial_scores", "same_rows"}
    scores = [m for m in sent if m.key.topic == "validation_scores"]
    assert len(scores) == 2
    assert sum(m.size for m in scores) < (60 + 20) * 8


class _Account:
    def __init__(self) -> None:
        self.spent: list[tuple[str, int]] = []

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        self.spent.append((kind, amount))
        return amount


@pytest.mark.parametrize(
    ("more", "spent"),
    [
        ({}, [("predicted_rows", 30), ("predicted_rows", 30)]),
        (PAILLIER, [("equations", 3), ("predicted_rows", 30), ("equations", 3), ("predicted_rows", 30)]),
    ],
)
def test_what_folds_tell_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], spent: list[Any]
) -> None:
    account = _Account()
    roles = dict(HETERO_LR.roles)

    def counting(p: Any, box: Any, inputs: Inputs) -> Any:
        box.budget = account
        return HETERO_LR.roles[Role.HOST](p, box, inputs)

    component = replace(HETERO_LR, roles={**roles, Role.HOST: counting})
    one = case(params(max_iter=1, batch_rows_per_column=0, cv_param=CV, **more), small(60))
    replace(one, component=component).run(tmp_path)
    assert account.spent == spent


def _same(expected: Outputs, found: Outputs) -> None:
    """Scores within the declared tolerance of weights."""
    assert (expected.data is None) == (found.data is None)
    if expected.data is not None and found.data is not None:
        scores = [table.columns["predict_score"] for table in (expected.data, found.data)]
        assert np.abs(scores[0] - scores[1]).max() < 0.002


@pytest.mark.parametrize("more", [{}, PAILLIER, {"early_stopping_rounds": 1, "metrics": ["loss"]}])
def test_cross_validation_survives_deaths(tmp_path: Path, more: dict[str, Any]) -> None:
    cv = {**CV, "evaluate_param": {"metrics": ["roc"]}}
    one = case(params(max_iter=2, batch_size=-1, batch_rows_per_column=0, cv_param=cv, **more), small(60))
    conforms(one, tmp_path, kill_every=31, same=_same)


def test_an_attempt_goes_on_in_the_fold_it_was_in(tmp_path: Path) -> None:
    one = case(params(max_iter=3, cv_param=CV), small(60))
    points = [at for at in one.run(tmp_path / "a").reached if at.member == HOST]
    last = max(number for number, at in enumerate(points, 1) if at.point is Point.SEND)
    result = one.run(tmp_path / "b", Faults(kill={HOST: last}))
    assert result.resumed[0] is None
    sent = [at for at in result.reached if (at.attempt, at.member, at.point) == (2, HOST, Point.SEND)]
    assert result.resumed[1] is not None
    assert all(at.round >= 2**53 for at in sent), "only messages of the second fold"


def test_several_hosts(tmp_path: Path) -> None:
    guest, host = small(90, host=4)
    outputs = spread(params(max_iter=5, cv_param=CV), guest, host, 3).run(tmp_path).outputs
    alone = case(params(max_iter=5, cv_param=CV), (guest, host)).run(tmp_path).outputs
    assert outputs[GUEST].summary["auc_mean"] == pytest.approx(alone[GUEST].summary["auc_mean"], abs=0.02)


def test_eval_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DslError, match="FED-908"):
        case(params(cv_param=CV), small(60), small(60)).run(tmp_path)


def test_a_fold_of_one_class_is_named(tmp_path: Path) -> None:
    guest, host = small(60)
    y = np.zeros(60, np.int64)
    y[:30] = 1
    one = case(
        params(max_iter=1, cv_param={**CV, "shuffle": False}), (table(guest.ids, guest.features(), "g", y), host)
    )
    with pytest.raises(DataError, match=r"FED-919.*2 of 2 classes have all their rows in one of the 2 parts"):
        one.run(tmp_path)


def of_classes(which: str, rare: Any) -> Any:
    """Cross validation of three classes, one of them in the rows ``rare`` only."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((90, 4)), np.arange(90) % 2
    labels[rare] = 2
    if which == "trees":
        return boost_cases.case(boost_cases.params(num_trees=1, cv_param=CV), boost_cases.cut(x, labels, [2, 2]))
    ids = np.array([f"r{n}" for n in range(90)], object)
    p = params(max_iter=1, cv_param=CV, one_vs_rest_param={"need_one_vs_rest": True})
    return case(p, (table(ids, x[:, :2], "g", labels), table(ids, x[:, 2:], "h")))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("which", ["lr", "trees"])
def test_a_class_that_a_fold_would_not_know_is_refused(which: str, rows: int, tmp_path: Path) -> None:
    rare = folds(90, CvParam.model_validate(CV))[1][:rows]
    with pytest.raises(DataError, match=r"FED-919.*1 of 3 classes have all their rows in one of the 2 parts"):
        of_classes(which, rare).run(tmp_path)


@pytest.mark.parametrize("which", ["lr", "trees"])
def test_a_rare_class_that_each_fold_knows_is_no_problem(which: str, tmp_path: Path) -> None:
    rare = [part[0] for part in folds(90, CvParam.model_validate(CV))]
    assert len(of_classes(which, rare).run(tmp_path).outputs[GUEST].data) == 90


def test_numbers_are_no_classes(tmp_path: Path) -> None:
    x, y = boost_cases.made(60, 4, "regression")
    p = boost_cases.params(num_trees=1, task_type="regression", cv_param=CV)
    assert boost_cases.case(p, boost_cases.cut(x, y, [2, 2])).run(tmp_path).outputs[GUEST].summary


def test_parties_must_agree_on_the_folds() -> None:
    one = case(params(cv_param=CV), small(60))
    other = params(cv_param={**CV, "random_seed": 4})
    with pytest.raises(DslError, match="FED-180"):
        HETERO_LR.settle({**one.params, HOST: other})
    HETERO_LR.settle({**one.params, HOST: params(cv_param={**CV, "role": "host"})})


@pytest.mark.parametrize(
    "given", [{"n_splits": 1}, {"evaluate_param": {"eval_type": "clustering"}}, {"random_seed": -1}]
)
def test_parameters_out_of_range_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CvParam.model_validate(given)


def test_disclosure_says_that_no_weight_is_opened() -> None:
    closed, opened = (HETERO_LR.variant(HETERO_LR, params(cv_param=CV, **more)).learns for more in ({}, PAILLIER))
    for role in (Role.GUEST, Role.HOST):
        assert any("no weight of it is opened" in text for text in closed[role])
        assert not any(text.startswith("the weights") for text in closed[role])
        assert any("of each fold" in text for text in opened[role])
