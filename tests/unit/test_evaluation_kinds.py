"""Evaluation of classes and numbers, metrics by name, several tables: against scikit-learn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn import metrics

from federatedml.component import Inputs, Outputs
from federatedml.components.evaluation import EVALUATION
from federatedml.components.evaluation_params import EvaluateParams
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from federatedml.metrics.binary import Counts, stability
from federatedml.metrics.multi import Confusion
from federatedml.metrics.regression import measures
from federatedml.views import Curve, Grid
from tests.conformance import Case, conforms
from tests.members import GUEST, table

RNG = np.random.default_rng(3)
CLASSES = np.array([1.0, 2.0, 4.0])
TRUE = CLASSES[RNG.integers(0, 3, 90)]
SCORED = RNG.random((90, 3)) + (TRUE[:, None] == CLASSES)
FOUND = CLASSES[SCORED.argmax(1)]
WIDE = st.floats(-1e6, 1e6)


def predictions(labels: Any, origin: str = "step_0", **columns: Any) -> Table:
    ids = [f"u{i}" for i in range(len(labels))]
    kinds = {"type": ["train"] * len(labels), **columns}
    return replace(table(ids, kind=Kind.PREDICTIONS, label=labels, **kinds), origin=origin)


def classes() -> Table:
    detail = [json.dumps({f"{c:g}": s for c, s in zip(CLASSES, row, strict=True)}) for row in SCORED]
    return predictions(TRUE, predict_result=FOUND, predict_score=SCORED.max(1), predict_detail=detail)


def run(folder: Path, tables: list[Table], **given: Any) -> Outputs:
    p = EvaluateParams.model_validate(given)
    return Case(EVALUATION, {GUEST: p}, {GUEST: Inputs({"data": tables})}, "evaluation_0").run(folder).outputs[GUEST]


def test_classes_are_measured_as_by_scikit_learn(tmp_path: Path) -> None:
    found = run(tmp_path, [classes()], eval_type="multi")
    assert found.summary == {
        "accuracy": pytest.approx(metrics.accuracy_score(TRUE, FOUND)),
        "precision": pytest.approx(metrics.precision_score(TRUE, FOUND, average="macro")),
        "recall": pytest.approx(metrics.recall_score(TRUE, FOUND, average="macro")),
    }
    views = {view.name: view for view in found.views}
    assert [view.metric_type for view in found.views] == [
        "EVALUATION_SUMMARY", "PRECISION_MULTI_EVALUATION", "RECALL_MULTI_EVALUATION", "CONFUSION_MAT"
    ]  # fmt: skip
    curve, matrix = views["step_0_precision"], views["step_0_confusion_mat"]
    assert isinstance(curve, Curve)
    assert isinstance(matrix, Grid)
    each = metrics.precision_score(TRUE, FOUND, average=None)
    assert (curve.series[0].x, curve.series[0].y) == (CLASSES.tolist(), pytest.approx(each, abs=1e-6))
    assert matrix.columns == ["class", "as 1", "as 2", "as 4"]
    assert [row[1:] for row in matrix.rows] == metrics.confusion_matrix(TRUE, FOUND).tolist()


def test_classes_unfold_into_curves_of_each_against_the_rest(tmp_path: Path) -> None:
    found = run(tmp_path, [classes()], eval_type="multi", unfold_multi_result=True)
    for number, value in enumerate(CLASSES):
        expected = metrics.roc_auc_score(value == TRUE, SCORED[:, number])
        assert found.summary[f"class_{value:g}_auc"] == pytest.approx(expected)
    assert {"step_0_class_4_roc", "step_0_class_1_ks"} <= {view.name for view in found.views}


def test_a_class_without_rows_or_scores_is_not_unfolded(tmp_path: Path) -> None:
    one = predictions([1.0, 1.0], predict_result=[1.0, 2.0], predict_score=[0.5, 0.5])
    found = run(tmp_path, [one], eval_type="multi", unfold_multi_result=True)
    assert set(found.summary) == {"accuracy", "precision", "recall"}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_confusion_is_that_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    labels, results = (np.array([*column, 0, 1], float) for column in zip(*rows, strict=True))
    found = Confusion.of(labels, results)
    assert found.counts.tolist() == metrics.confusion_matrix(labels, results, labels=found.classes).tolist()
    expected = [
        f(labels, results, average="macro", zero_division=0) for f in (metrics.precision_score, metrics.recall_score)
    ]
    assert [found.precision().mean(), found.recall().mean()] == pytest.approx(expected)


def test_numbers_are_measured_as_by_scikit_learn(tmp_path: Path) -> None:
    y = RNG.random(50) * 10
    p = np.abs(y + RNG.normal(size=50))
    found = run(tmp_path, [predictions(y, predict_result=p, predict_score=p)], eval_type="regression")
    assert found.summary == pytest.approx({
        "explained_variance": metrics.explained_variance_score(y, p),
        "mean_absolute_error": metrics.mean_absolute_error(y, p),
        "mean_squared_error": metrics.mean_squared_error(y, p),
        "mean_squared_log_error": metrics.mean_squared_log_error(y, p),
        "median_absolute_error": metrics.median_absolute_error(y, p),
        "r2_score": metrics.r2_score(y, p),
        "root_mean_squared_error": metrics.root_mean_squared_error(y, p),
    })  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)), min_size=2, max_size=20))
def test_measures_of_numbers_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    labels, results = (np.array(column, float) for column in zip(*rows, strict=True))
    found = measures(labels, results)
    assert found["explained_variance"] == pytest.approx(metrics.explained_variance_score(labels, results))
    assert found["r2_score"] == pytest.approx(metrics.r2_score(labels, results))
    assert ("mean_squared_log_error" in found) == (min(labels.min(), results.min()) > -1)


def test_metrics_are_chosen_by_name_and_short_name(tmp_path: Path) -> None:
    y = np.arange(4.0)
    asked = ["rmse", "mae", "l1", "R2"]
    found = run(tmp_path, [predictions(y, predict_score=y + 1)], eval_type="regression", metrics=asked)
    assert found.summary == {"root_mean_squared_error": 1, "mean_absolute_error": 1, "r2_score": pytest.approx(0.2)}


@pytest.mark.parametrize("kind", ["binary", "multi", "regression"])
def test_unknown_metrics_are_refused_with_what_is_allowed(kind: str) -> None:
    with pytest.raises(ValidationError, match=r"\['jaccard'\] for eval_type .*: allowed are "):
        EvaluateParams(eval_type=kind, metrics=["jaccard"])
    with pytest.raises(ValidationError, match="allowed are"):
        EvaluateParams(eval_type=kind, metrics=[])


def test_further_binary_metrics(tmp_path: Path) -> None:
    labels = np.array([0, 0, 1, 1, 1])
    scores = np.array([0.1, 0.4, 0.35, 0.8, 0.9])
    names = ["f1_score", "confusion_mat", "quantile_pr"]
    found = run(tmp_path, [predictions(labels, predict_score=scores)], metrics=names)
    assert found.summary == {}
    f1, cells, both = found.views[1:]
    assert [view.metric_type for view in found.views[1:]] == ["F1_SCORE", "CONFUSION_MAT", "QUANTILE_PR"]
    assert isinstance(f1, Curve)
    assert isinstance(cells, Curve)
    assert isinstance(both, Curve)
    assert f1.series[0].y == pytest.approx([metrics.f1_score(labels, scores >= t) for t in f1.series[0].x], abs=1e-6)
    assert [line.name for line in cells.series] == [f"step_0_{c}" for c in ("tp", "fp", "tn", "fn")]
    assert all(sum(column) == 5 for column in zip(*(line.y for line in cells.series), strict=True))
    assert [line.name for line in both.series] == ["step_0_precision", "step_0_recall"]


def test_stability_compares_rows_with_those_of_the_training(tmp_path: Path) -> None:
    labels, scores = np.arange(200) % 2, np.linspace(0, 1, 200)
    one = predictions(labels, predict_score=scores, type=["train"] * 100 + ["validate"] * 100)
    found = run(tmp_path, [one], metrics=["auc", "psi"])
    assert "psi" not in found.summary
    assert found.summary["step_0_validate_psi"] > 1
    assert stability(scores, scores) == 0


def test_several_tables_stand_beside_each_other(tmp_path: Path) -> None:
    one, other = (predictions([0, 1, 1], name, predict_score=[0.1, 0.5, 0.4]) for name in ("lr_0", "sbt_0"))
    grid = run(tmp_path, [one, other]).views[0]
    assert isinstance(grid, Grid)
    assert (grid.name, grid.columns) == ("evaluation", ["metric", "lr_0 train", "sbt_0 train"])
    assert grid.rows == [["auc", 1.0, 1.0], ["ks", 1.0, 1.0]]


@pytest.mark.parametrize(
    ("found", "given", "words"),
    [
        (predictions([0, 1, 2], predict_score=[0.1, 0.2, 0.3]), {}, "FED-909.*more than two values"),
        (predictions([0, 1], predict_score=[0.1, 0.2]), {"eval_type": "multi"}, "FED-230.*no predict_result"),
        (predictions(["a", "b"], predict_score=[0.1, 0.2]), {"eval_type": "regression"}, "FED-909.*not numeric"),
        (predictions([0, 1], predict_score=[0.1, np.nan]), {"eval_type": "regression"}, "FED-231.*1 labels or"),
    ],
)
def test_rows_that_are_of_another_kind_are_explained(
    tmp_path: Path, found: Table, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        run(tmp_path, [found], **given)


def test_nothing_to_measure_is_said() -> None:
    nothing = np.zeros(0)
    for measure in (measures, Confusion.of):
        with pytest.raises(DataError, match="FED-232"):
            measure(nothing, nothing)


def test_cells_of_the_confusion_matrix_add_up() -> None:
    counts = Counts.of(np.array([True, False, True]), np.array([0.3, 0.2, 0.1]))
    assert np.all(sum(counts.cells().values()) == 3)


def test_classes_conform(tmp_path: Path) -> None:
    p = EvaluateParams(eval_type="multi", unfold_multi_result=True)
    conforms(Case(EVALUATION, {GUEST: p}, {GUEST: Inputs({"data": [classes()]})}, "evaluation_0"), tmp_path)


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e200])
def test_numbers_whose_squares_are_not_finite_are_refused(number: float) -> None:
    with pytest.raises(DataError, match=r"FED-231.*1 labels or predictions"):
        measures(np.zeros(2), np.array([0.0, number]))


def test_names_of_metrics_are_those_of_fate_in_any_case() -> None:
    assert EvaluateParams.model_validate({"metrics": ["AUC", "ACC"]}).metrics == ["auc", "accuracy"]
