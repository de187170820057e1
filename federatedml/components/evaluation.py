"""Evaluation: AUC, KS and curves of the prediction tables of one or more components.

Local at the party that has the predictions. Names follow FATE 1.0: the namespace is the rows' ``type`` (``train``,
``validate``, ``predict``; ``eval`` where a table has no type), CPN is the component that wrote the table.

- Points ``CPN_auc`` and ``CPN_ks``. FATE keeps both under one name ``CPN``; our trackers know one number per name.
- Curves ``CPN_roc``, ``CPN_ks`` (series ``CPN_ks_tpr`` and ``CPN_ks_fpr``), ``CPN_lift``, ``CPN_gain``,
  ``CPN_accuracy``, ``CPN_precision``, ``CPN_recall`` with FATE's metric types, at most 100 thresholds (the ROC's origin
  aside) and 6 digits. AUC and KS are exact.
- The grid ``CPN`` (EVALUATION_SUMMARY) and the summary: ``auc`` and ``ks`` of the first rows that were evaluated;
  those of others as ``CPN_TYPE_auc``, ``CPN_TYPE_ks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.metrics.binary import Counts, Floats
from federatedml.views import Curve, Grid, Series, View

DIGITS = 6


class EvaluateParams(Params):
    """FATE's parameters."""

    eval_type: Literal["binary"] = Field("binary", description="multi and regression are not offered yet")
    pos_label: int | float | str = Field(1, description="label of the positive class")
    need_run: bool = Field(True, description="false: do nothing")

    @field_validator("eval_type", mode="before")
    @classmethod
    def _supported(cls, value: Any) -> Any:
        if value in ("multi", "regression", "clustering"):
            raise ValueError(f"{value!r} is not offered yet, only binary is")
        return value


@dataclass(frozen=True)
class _Group:
    """Rows of one upstream component and one type."""

    component: str
    type: str
    counts: Counts


@dataclass
class _Report:
    """What has been found so far."""

    views: list[View] = field(default_factory=list)
    summary: dict[str, float] = field(default_factory=dict)


def party(p: EvaluateParams, box: Box, inputs: Inputs) -> Outputs:
    """Evaluate every table under ``data``, separately for every type of rows."""
    report = _Report()
    for table in inputs.data.get("data", ()) if p.need_run else ():
        for group in _groups(p, table):
            _evaluate(group, box, report)
    return Outputs(views=report.views, summary=report.summary)


def _groups(p: EvaluateParams, table: Table) -> Iterator[_Group]:
    name = table.origin or "predictions"
    absent = {"label", "predict_score"} - set(table.columns)
    if table.kind is not Kind.PREDICTIONS or absent:
        raise DataError(
            "FED-230",
            f"the table of {name} is of kind {table.kind} without {', '.join(sorted(absent)) or 'predictions'}",
            "Evaluation takes the predictions of a trained component, with labels",
        )
    labels, scores = table.columns["label"], table.columns["predict_score"].astype(np.float64)
    types = table.columns.get("type", np.full(len(table), "eval", dtype=object))
    for kind in dict.fromkeys(types):
        rows = types == kind
        try:
            yield _Group(name, str(kind), Counts.of(labels[rows] == p.pos_label, scores[rows]))
        except DataError as error:
            raise DataError(error.code, f"predictions of {name}, {kind} rows: {error.message}") from None


def _evaluate(group: _Group, box: Box, report: _Report) -> None:
    first = not report.summary
    found = {"auc": group.counts.auc(), "ks": group.counts.ks()}
    for name, value in found.items():
        box.metric(group.type, f"{group.component}_{name}", 0, value)
        report.summary[name if first else f"{group.component}_{group.type}_{name}"] = value
    rounded = [round(value, DIGITS) for value in found.values()]
    title = f"{group.component}, {group.type} rows"
    summary = Grid(group.component, title, list(found), [rounded], group.type, "EVALUATION_SUMMARY")
    report.views += [summary, *_curves(group)]


def _curves(group: _Group) -> list[Curve]:
    counts, name = group.counts, group.component
    thresholds, tpr, fpr, recall = counts.thresholds, counts.tpr(), counts.fpr(), "True positive rate"
    ks = {f"{name}_ks_tpr": tpr, f"{name}_ks_fpr": fpr}
    depth, cut = ("Part of the rows", counts.depth()), ("Threshold", thresholds)
    return [
        _curve(group, "roc", "ROC", ("False positive rate", fpr), recall, {name: tpr}),
        _curve(group, "ks", "KS", cut, "Rate", ks),
        _curve(group, "lift", "LIFT", depth, "Lift", {name: counts.lift()}),
        _curve(group, "gain", "GAIN", depth, "Gain", {name: tpr}),
        _curve(group, "accuracy", "ACCURACY", cut, "Accuracy", {name: counts.accuracy()}),
        _curve(group, "precision", "PRECISION_BINARY", cut, "Precision", {name: counts.precision()}),
        _curve(group, "recall", "RECALL_BINARY", cut, "Recall", {name: tpr}),
    ]


def _curve(
    group: _Group, metric: str, kind: str, x: tuple[str, Floats], y_label: str, lines: dict[str, Floats]
) -> Curve:
    """One of FATE's evaluation curves at the drawn thresholds; a ROC curve starts at the origin."""
    x_label, across = x
    at = group.counts.drawn()
    origin = [0.0] if metric == "roc" else []
    series = [Series(name, origin + _rounded(across[at]), origin + _rounded(y[at])) for name, y in lines.items()]
    return Curve(
        f"{group.component}_{metric}",
        f"{group.component}: {metric.upper() if metric in ('roc', 'ks') else metric}, {group.type} rows",
        x_label,
        y_label,
        series,
        group.type,
        f"{kind}_EVALUATION",
        {
            "unit_name": x_label,
            "ordinate_name": y_label,
            "curve_name": group.component,
            "thresholds": _rounded(group.counts.thresholds[at]),
        },
    )


def _rounded(values: Floats) -> list[float]:
    return [float(value) for value in values.round(DIGITS)]


EVALUATION = Component(
    module="Evaluation",
    title="AUC, KS and curves of predictions",
    params=EvaluateParams,
    roles={Role.GUEST: party},
    inputs=("data",),
    has_data=False,
    need_deploy=False,
)
