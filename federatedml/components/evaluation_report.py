"""What an evaluation finds in rows of predictions: numbers by FATE's names, curves and grids by its metric types."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from federatedml.components.evaluation_params import EvaluateParams
from federatedml.components.prediction_table import class_name
from federatedml.data.table import Column, Kind, Table
from federatedml.errors import DataError
from federatedml.metrics.binary import ONE_CLASS, Counts, Floats, stability
from federatedml.metrics.multi import Confusion
from federatedml.metrics.regression import measures
from federatedml.views import Curve, Grid, Series, View

DIGITS = 6
UNFOLDED = EvaluateParams.model_validate({})


@dataclass(frozen=True)
class Group:
    """Rows of one upstream component and one type.

    Attributes:
        name: of the component, or of what else the rows are called (``validate_fold_0``).
        columns: of the prediction table.
    """

    name: str
    type: str
    columns: Mapping[str, Column]

    def numbers(self, column: str) -> Floats:
        """(n,) values; ``DataError`` if there are none, or no numbers."""
        try:
            return np.asarray(self.columns[column], np.float64)
        except KeyError:
            raise DataError("FED-230", f"the table has no {column}") from None
        except ValueError:
            raise DataError("FED-909", f"{column} is not numeric", "set label_type in DataIO") from None


@dataclass(frozen=True)
class Found:
    """Numbers for the summary, views for people."""

    values: Mapping[str, float]
    views: Sequence[View] = field(default_factory=tuple)


def groups(table: Table, name: str = "") -> Iterator[Group]:
    """The rows of each type, in the order in which the types come.

    Args:
        name: instead of that of the component that wrote the table.
    """
    name = name or table.origin or "predictions"
    absent = {"label", "predict_score"} - set(table.columns)
    if table.kind is not Kind.PREDICTIONS or absent:
        raise DataError(
            "FED-230",
            f"the table of {name} is of kind {table.kind} without {', '.join(sorted(absent)) or 'predictions'}",
            "Evaluation takes the predictions of a trained component, with labels",
        )
    types = table.columns.get("type", np.full(len(table), "eval", dtype=object))
    for kind in dict.fromkeys(types):
        rows = types == kind
        yield Group(name, str(kind), {key: column[rows] for key, column in table.columns.items()})


def measured(p: EvaluateParams, group: Group, training: Group | None = None) -> Found:
    """What the parameters ask for.

    Args:
        training: rows that the model was trained on, for ``psi``.
    """
    try:
        found = _MEASURES[p.eval_type](p, group, training)
    except DataError as error:
        text = f"predictions of {group.name}, {group.type} rows: {error.message}"
        raise DataError(error.code, text, error.hint) from None
    rounded = [round(value, DIGITS) for value in found.values.values()]
    title = f"{group.name}, {group.type} rows"
    summary = Grid(group.name, title, list(found.values), [rounded], group.type, "EVALUATION_SUMMARY")
    return replace(found, views=[summary, *found.views])


def measured_if_any(p: EvaluateParams, group: Group, training: Group | None = None) -> Found:
    """The same; nothing if all rows are of one class, where that must not cost the result of others."""
    try:
        return measured(p, group, training)
    except DataError as error:
        if error.code != ONE_CLASS:
            raise
        return Found({})


def _binary(p: EvaluateParams, group: Group, training: Group | None) -> Found:
    labels = group.columns["label"]
    found = set(labels.tolist())
    if len(found) > 2:
        raise DataError("FED-909", "the label has more than two values", "eval_type 'multi' or 'regression'")
    if len(found) == 2 and p.pos_label not in found:
        raise DataError("FED-909", "no row has the label pos_label", "trained components write labels as 0 and 1")
    counts = Counts.of(labels == p.pos_label, group.numbers("predict_score"))
    values = {name: getattr(counts, name)() for name in ("auc", "ks") if name in p.wanted}
    if "psi" in p.wanted and training is not None and training is not group:
        values["psi"] = stability(training.numbers("predict_score"), group.numbers("predict_score"))
    return Found(values, list(_curves(group, counts, p.wanted)))


def _multi(p: EvaluateParams, group: Group, training: Group | None) -> Found:
    confusion = Confusion.of(group.numbers("label"), group.numbers("predict_result"))
    parts = {"precision": confusion.precision(), "recall": confusion.recall()}
    values = {"accuracy": confusion.accuracy()} | {name: float(part.mean()) for name, part in parts.items()}
    classes = _rounded(confusion.classes)
    views: list[View] = []
    for name, part in parts.items():
        if name in p.wanted:
            kind = f"{name.upper()}_MULTI_EVALUATION"
            meta = {"curve_name": group.name, "pair_type": group.name, "unit_name": "Class"}
            line = Series(f"{group.name}_{name}", classes, _rounded(part))
            title = f"{group.name}: {name}, {group.type} rows"
            views.append(Curve(f"{group.name}_{name}", title, "Class", name, [line], group.type, kind, meta))
    if "confusion_mat" in p.wanted:
        names = [class_name(value) for value in confusion.classes]
        rows = [[name, *counts] for name, counts in zip(names, confusion.counts.tolist(), strict=True)]
        title = f"{group.name}: rows by class and by predicted class, {group.type} rows"
        columns = ["class", *(f"as {name}" for name in names)]
        views.append(Grid(f"{group.name}_confusion_mat", title, columns, rows, group.type, "CONFUSION_MAT"))
    found = Found({name: value for name, value in values.items() if name in p.wanted}, views)
    return _unfolded(p, group, confusion.classes, found) if p.unfold_multi_result else found


def _unfolded(p: EvaluateParams, group: Group, classes: Floats, found: Found) -> Found:
    """Each class against the rest besides; a class of all rows or of none has no curve."""
    scores = _details(group)
    values, views, labels = dict(found.values), list(found.views), group.numbers("label")
    for value in classes:
        name, positive = class_name(value), labels == value
        if name not in scores or not 0 < positive.sum() < len(positive):
            continue
        columns = {"label": positive.astype(np.int64), "predict_score": scores[name]}
        one = _binary(UNFOLDED, replace(group, name=f"{group.name}_class_{name}", columns=columns), None)
        values |= {f"class_{name}_{key}": value for key, value in one.values.items()}
        views += one.views
    return Found(values, views)


def _details(group: Group) -> dict[str, Floats]:
    """(n,) scores by the name of the class, as ``predict_detail`` tells them."""
    rows = [json.loads(text) for text in group.columns.get("predict_detail", ())]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}


def _regression(p: EvaluateParams, group: Group, training: Group | None) -> Found:
    found = measures(group.numbers("label"), group.numbers("predict_score"))
    return Found({name: value for name, value in found.items() if name in p.wanted})


_MEASURES = {"binary": _binary, "multi": _multi, "regression": _regression}


def _curves(group: Group, counts: Counts, wanted: Sequence[str]) -> Iterator[Curve]:
    name, thresholds, tpr, fpr = group.name, counts.thresholds, counts.tpr(), counts.fpr()
    depth, cut = ("Part of the rows", counts.depth()), ("Threshold", thresholds)
    rates = {f"{name}_ks_tpr": tpr, f"{name}_ks_fpr": fpr}
    cells = {f"{name}_{key}": column for key, column in counts.cells().items()}
    both = {f"{name}_precision": counts.precision(), f"{name}_recall": tpr}
    of = {
        "roc": ("ROC_EVALUATION", ("False positive rate", fpr), "True positive rate", {name: tpr}),
        "ks": ("KS_EVALUATION", cut, "Rate", rates),
        "lift": ("LIFT_EVALUATION", depth, "Lift", {name: counts.lift()}),
        "gain": ("GAIN_EVALUATION", depth, "Gain", {name: tpr}),
        "accuracy": ("ACCURACY_EVALUATION", cut, "Accuracy", {name: counts.accuracy()}),
        "precision": ("PRECISION_BINARY_EVALUATION", cut, "Precision", {name: counts.precision()}),
        "recall": ("RECALL_BINARY_EVALUATION", cut, "Recall", {name: tpr}),
        "f1_score": ("F1_SCORE", cut, "F1", {name: counts.f1()}),
        "confusion_mat": ("CONFUSION_MAT", cut, "Rows", cells),
        "quantile_pr": ("QUANTILE_PR", depth, "Rate", both),
    }
    for metric, (kind, across, y_label, lines) in of.items():
        if metric in wanted:
            yield _curve(group, counts, metric, kind, across, y_label, lines)


def _curve(
    group: Group, counts: Counts, metric: str, kind: str, x: tuple[str, Floats], y_label: str, lines: dict[str, Floats]
) -> Curve:
    """One of FATE's evaluation curves at the drawn thresholds; a ROC curve starts at the origin."""
    x_label, across = x
    at = counts.drawn()
    origin = [0.0] if metric == "roc" else []
    series = [Series(name, origin + _rounded(across[at]), origin + _rounded(y[at])) for name, y in lines.items()]
    return Curve(
        f"{group.name}_{metric}",
        f"{group.name}: {metric.upper() if metric in ('roc', 'ks') else metric}, {group.type} rows",
        x_label,
        y_label,
        series,
        group.type,
        kind,
        {
            "unit_name": x_label,
            "ordinate_name": y_label,
            "curve_name": group.name,
            "thresholds": _rounded(counts.thresholds[at]),
        },
    )


def _rounded(values: Floats) -> list[float]:
    return [float(value) for value in values.round(DIGITS)]
