"""Evaluation: exact AUC and KS, FATE's names, one report per component and type of rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn import metrics

from federatedml.component import Inputs
from federatedml.components.evaluation import EVALUATION, EvaluateParams
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from federatedml.federation.local import StepResult
from federatedml.federation.party import Member
from federatedml.views import Curve
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, table

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 2, 400)
SCORES = np.round(1 / (1 + np.exp(-(LABELS - 0.5 + RNG.normal(size=400)))), 2)  # with ties


def predictions(origin: str = "hetero_lr_0", types: list[str] | None = None, **changed: Any) -> Table:
    columns = {"label": LABELS, "predict_score": SCORES, **changed}
    kinds = types or ["train"] * 400
    found = table([f"u{i}" for i in range(400)], kind=Kind.PREDICTIONS, type=kinds, **columns)
    return replace(found, origin=origin)


def run(folder: Path, tables: list[Table], **given: Any) -> StepResult:
    p = EvaluateParams.model_validate(given)
    return Case(EVALUATION, {GUEST: p}, {GUEST: Inputs({"data": tables})}, "evaluation_0").run(folder)


def test_auc_and_ks_are_those_of_scikit_learn(tmp_path: Path) -> None:
    result = run(tmp_path, [predictions()])
    fpr, tpr, _ = metrics.roc_curve(LABELS, SCORES)
    assert result.outputs[GUEST].summary == {
        "auc": pytest.approx(metrics.roc_auc_score(LABELS, SCORES), abs=1e-12),
        "ks": pytest.approx((tpr - fpr).max(), abs=1e-12),
    }
    points = {(p.namespace, p.name): p.value for p in result.metrics[GUEST]}
    assert points == {
        ("train", "hetero_lr_0_auc"): result.outputs[GUEST].summary["auc"],
        ("train", "hetero_lr_0_ks"): result.outputs[GUEST].summary["ks"],
    }


def test_curves_have_fates_names_types_and_points(tmp_path: Path) -> None:
    views = run(tmp_path, [predictions()]).outputs[GUEST].views
    curves = {view.name: view for view in views if isinstance(view, Curve)}
    assert {name: curve.metric_type for name, curve in curves.items()} == {
        "hetero_lr_0_roc": "ROC_EVALUATION",
        "hetero_lr_0_ks": "KS_EVALUATION",
        "hetero_lr_0_lift": "LIFT_EVALUATION",
        "hetero_lr_0_gain": "GAIN_EVALUATION",
        "hetero_lr_0_accuracy": "ACCURACY_EVALUATION",
        "hetero_lr_0_precision": "PRECISION_BINARY_EVALUATION",
        "hetero_lr_0_recall": "RECALL_BINARY_EVALUATION",
    }
    assert [view.metric_type for view in views if view.name == "hetero_lr_0"] == ["EVALUATION_SUMMARY"]
    for curve in curves.values():
        assert curve.namespace == "train"
        assert len(curve.meta["thresholds"]) <= 100
        for series in curve.series:
            assert len(series.x) == len(series.y) == len(curve.meta["thresholds"]) + curve.name.endswith("_roc")
            assert all(round(value, 6) == value for value in (*series.x, *series.y))
    assert [s.name for s in curves["hetero_lr_0_ks"].series] == ["hetero_lr_0_ks_tpr", "hetero_lr_0_ks_fpr"]
    roc = curves["hetero_lr_0_roc"].series[0]
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)


def test_every_component_and_type_has_its_own_report(tmp_path: Path) -> None:
    types = ["train"] * 300 + ["validate"] * 100
    result = run(tmp_path, [predictions(types=types), predictions("secureboost_0", predict_score=1 - SCORES)])
    summary = result.outputs[GUEST].summary
    assert summary == {
        "auc": pytest.approx(metrics.roc_auc_score(LABELS[:300], SCORES[:300])),
        "ks": summary["ks"],
        "hetero_lr_0_validate_auc": pytest.approx(metrics.roc_auc_score(LABELS[300:], SCORES[300:])),
        "hetero_lr_0_validate_ks": summary["hetero_lr_0_validate_ks"],
        "secureboost_0_train_auc": pytest.approx(1 - metrics.roc_auc_score(LABELS, SCORES)),
        "secureboost_0_train_ks": summary["secureboost_0_train_ks"],
    }
    shown = {(view.namespace, view.name) for view in result.outputs[GUEST].views}
    assert {("train", "hetero_lr_0_roc"), ("validate", "hetero_lr_0_roc"), ("train", "secureboost_0_roc")} <= shown


def test_the_positive_label_can_be_chosen(tmp_path: Path) -> None:
    result = run(tmp_path, [predictions(label=np.where(LABELS, -1, 3))], pos_label=-1)
    assert result.outputs[GUEST].summary["auc"] == pytest.approx(metrics.roc_auc_score(LABELS, SCORES))


def test_rows_without_type_are_named_eval(tmp_path: Path) -> None:
    one = predictions()
    columns = {name: column for name, column in one.columns.items() if name != "type"}
    result = run(tmp_path, [replace(one, columns=columns)])
    assert {point.namespace for point in result.metrics[GUEST]} == {"eval"}


def test_need_run_false_does_nothing(tmp_path: Path) -> None:
    outputs = run(tmp_path, [predictions()], need_run=False).outputs[GUEST]
    assert (list(outputs.views), dict(outputs.summary)) == ([], {})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": Kind.INSTANCES}, "FED-230.*hetero_lr_0 is of kind instances"),
        ({"columns": {"label": LABELS}}, "FED-230.*without predict_score"),
        (
            {"columns": {"label": LABELS * 0, "predict_score": SCORES}},
            "FED-232.*hetero_lr_0, eval rows: all rows are of one class.*400 rows",
        ),
    ],
)
def test_tables_that_cannot_be_evaluated_are_explained(tmp_path: Path, changed: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        run(tmp_path, [replace(predictions(), **changed)])


@pytest.mark.parametrize("role", [GUEST, HOST])
def test_errors_tell_no_numbers_of_rows_to_peers(tmp_path: Path, role: Member) -> None:
    broken = predictions(predict_score=np.where(LABELS == 1, np.nan, 0.5))
    with pytest.raises(DataError, match="FED-231") as caught:
        at(role, tmp_path, broken)
    assert not any(digit in caught.value.message.removeprefix("predictions of hetero_lr_0") for digit in "123456789")


def without_labels() -> Table:
    found = predictions()
    return replace(found, columns={name: column for name, column in found.columns.items() if name != "label"})


@pytest.mark.parametrize("theirs", [without_labels(), predictions(label=np.ones(400, int))], ids=["no label", "one"])
def test_a_host_that_cannot_evaluate_its_rows_ends_nobodys_job(tmp_path: Path, theirs: Table) -> None:
    outputs = at(HOST, tmp_path / "host", theirs).outputs[HOST]
    assert (list(outputs.views), dict(outputs.summary)) == ([], {})
    with pytest.raises(DataError, match=r"FED-23[02]"):
        at(GUEST, tmp_path / "guest", theirs)


def test_a_host_evaluates_the_rows_that_it_can(tmp_path: Path) -> None:
    outputs = at(HOST, tmp_path, predictions("a", label=np.ones(400, int)), predictions("b")).outputs[HOST]
    assert set(outputs.summary) == {"auc", "ks"}


def at(member: Member, folder: Path, *tables: Table) -> StepResult:
    """Evaluation at one member alone."""
    return Case(EVALUATION, {member: EvaluateParams()}, {member: Inputs({"data": tables})}, "evaluation_0").run(folder)


def test_other_types_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="'clustering' is not offered: "):
        EvaluateParams(eval_type="clustering")


def test_component_conforms(tmp_path: Path) -> None:
    case = Case(EVALUATION, {GUEST: EvaluateParams()}, {GUEST: Inputs({"data": [predictions()]})}, "evaluation_0")
    result = conforms(case, tmp_path)
    assert not result.sent
