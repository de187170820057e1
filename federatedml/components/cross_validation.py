"""Cross validation: a component trains on all parts of the rows but one, in turn, and is measured on that one.

The folds are scikit-learn's ``KFold``, drawn from the number of rows and the parameters alone: all parties of a hetero
component hold the same rows in the same order, so each draws the same folds and none has to tell them. Each fold runs
the component's own role function in a box of its own (``stages``), with the fold's rows as ``eval_data``.

What comes out: no model, but the predictions of all rows, each by the model that had not seen it; metrics and curves of
each fold under FATE's names ``validate_fold_N``; the grid ``cross_validation``; mean and standard deviation over the
folds as the summary's ``METRIC_mean`` and ``METRIC_std``. Rows that a fold was trained on are not evaluated (FATE's
``train_fold_N``): their scores would tell the guest as much of the others' columns again, fold by fold. A fold whose
rows are all of one class has no binary metrics; mean and deviation are over the others. ``KFold`` does not look at
labels: a rare class may have all its rows in one fold, whose model would not know it. Where the guest has all labels,
that ends the component before the first fold.

Cost: ``n_splits`` times that of one training on ``(n_splits - 1) / n_splits`` of the rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from federatedml.component import Inputs, Outputs, Params, RoleFunction
from federatedml.components.evaluation_params import EvaluateParams
from federatedml.components.evaluation_report import DIGITS, Found, Group, measured_if_any
from federatedml.components.prediction_table import numeric_labels, stacked
from federatedml.components.stages import Stages
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.views import Grid, View

Positions = NDArray[np.int64]


class CvParam(Params):
    """Cross validation."""

    n_splits: int = Field(default=5, ge=2, le=100, description="parts")
    mode: Literal["hetero", "homo"] = Field(default="hetero", description="how samples are spread over parties")
    role: Literal["guest", "host", "arbiter"] = Field(default="guest", description="this party")
    shuffle: bool = Field(default=True, description="mix rows before splitting")
    random_seed: int = Field(default=1, ge=0, lt=2**32, description="seed of the split")
    evaluate_param: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the evaluation; eval_type, if it is not set, follows the model"
    )
    need_cv: bool = Field(default=False, description="run cross validation: metrics, and no model")

    @field_validator("evaluate_param")
    @classmethod
    def _evaluates(cls, given: dict[str, Any]) -> dict[str, Any]:
        EvaluateParams.model_validate(given)
        return given


def cross_validated(train: RoleFunction, classifies: Callable[[Any], bool] = lambda p: False) -> RoleFunction:
    """A role function that does what ``train`` does, or cross validation if ``p.cv_param.need_cv``.

    Args:
        train: of one role. In a fold it finds ``need_cv`` set: then it should open no more than scores of
            ``eval_data``, and its ``Outputs.data`` need hold no others; the model is dropped.
        classifies: whether, with these parameters, the guest's labels are classes and there are no others.
    """

    def run(p: Any, box: Box, inputs: Inputs) -> Outputs:
        if not p.cv_param.need_cv:
            return train(p, box, inputs)
        if inputs.data.get("eval_data"):
            raise DslError("FED-908", "cross validation takes train_data alone: eval_data is given too", "take it out")
        table = inputs.one("train_data", "data") if box.me.role is not Role.ARBITER else None
        left_out = [] if table is None else folds(len(table), p.cv_param)
        if table is not None and box.me.role is Role.GUEST and classifies(p):
            check_classes(numeric_labels(table), left_out)
        return _validated(train, p, box, inputs, table, left_out)

    return run


def folds(rows: int, cv: CvParam) -> list[Positions]:
    """Positions of the rows that each fold leaves out, ascending; scikit-learn's ``KFold``.

    Raises:
        DataError: fewer rows than folds.
    """
    if rows < cv.n_splits:
        raise DataError("FED-907", f"cross validation of {rows} rows in {cv.n_splits} parts", "at least a row each")
    order = np.arange(rows)
    if cv.shuffle:
        np.random.RandomState(cv.random_seed).shuffle(order)  # as scikit-learn does
    return [np.sort(part) for part in np.array_split(order, cv.n_splits)]


def check_classes(labels: Floats, left_out: Sequence[Positions]) -> None:
    """Refuse folds that a model would have to predict without having seen one of their classes.

    Raises:
        DataError: ``FED-919``; it tells how many classes, not which.
    """
    classes = np.unique(labels, return_inverse=True)[1]
    rows = np.bincount(classes)
    rare = sum(np.bincount(classes[part], minlength=len(rows)) == rows for part in left_out)
    if count := np.count_nonzero(rare):
        found = f"{count} of {len(rows)} classes have all their rows in one of the {len(left_out)} parts"
        raise DataError(
            "FED-919", f"cross validation: {found}", "a smaller n_splits, another random_seed, or more rows"
        )


def _validated(
    train: RoleFunction, p: Any, box: Box, inputs: Inputs, table: Table | None, left_out: Sequence[Positions]
) -> Outputs:
    cv: CvParam = p.cv_param
    stages, found = Stages(box, cv.n_splits, "fold"), []
    for number in range(cv.n_splits):
        given = inputs if table is None else _split(inputs, table, left_out[number])

        def fold(own: Box, given: Inputs = given) -> Outputs:
            outputs = train(p, own, given)
            return replace(outputs, data=outputs.data and _held_out(outputs.data), model=None, rest=())

        found.append(stages.run(number, fold))
    if any(outputs.data is None for outputs in found):
        return Outputs(views=[view for outputs in found for view in outputs.views], summary=_epochs(found))
    return _report(cv, box, found, left_out)


def _split(inputs: Inputs, table: Table, left_out: Positions) -> Inputs:
    kept = np.setdiff1d(np.arange(len(table)), left_out, assume_unique=True)
    return replace(inputs, data={"train_data": [table.take(kept)], "eval_data": [table.take(left_out)]})


def _held_out(table: Table) -> Table:
    return table.take(np.flatnonzero(table.columns["type"] == "validate"))


def _epochs(found: Sequence[Outputs]) -> dict[str, float]:
    counts = [outputs.summary["epochs"] for outputs in found if "epochs" in outputs.summary]
    return {"epochs_mean": float(np.mean(counts))} if counts else {}


def _report(cv: CvParam, box: Box, found: Sequence[Outputs], left_out: Sequence[Positions]) -> Outputs:
    """What a party that has predictions tells of all folds."""
    tables = [outputs.data for outputs in found if outputs.data is not None]
    p, columns, views = _evaluation(cv, tables[0]), dict[str, Found](), list[View]()
    for number, (table, outputs) in enumerate(zip(tables, found, strict=True)):
        name = f"validate_fold_{number}"
        columns[name] = measured_if_any(p, Group(name, "validate", table.columns))
        views += [*outputs.views, *columns[name].views]
        for metric, value in columns[name].values.items():
            box.metric("validate", f"{name}_{metric}", 0, value)
    each = {name: [of.values[name] for of in columns.values() if name in of.values] for name in _names(columns)}
    summary = {f"{name}_mean": float(np.mean(values)) for name, values in each.items()}
    summary |= {f"{name}_std": float(np.std(values)) for name, values in each.items()}
    data = stacked(tables).take(np.argsort(np.concatenate(left_out)))
    return Outputs(data, views=[_grid(columns, summary), *views], summary=summary | _epochs(found))


def _evaluation(cv: CvParam, predictions: Table) -> EvaluateParams:
    """As the parameters say; what is predicted shows in the details of a row."""
    names = set(json.loads(predictions.columns["predict_detail"][0]))
    kind = "regression" if names == {"label"} else "binary" if names == {"0", "1"} else "multi"
    return EvaluateParams.model_validate({"eval_type": kind, **cv.evaluate_param})


def _names(columns: Mapping[str, Found]) -> Sequence[str]:
    return list(dict.fromkeys(name for found in columns.values() for name in found.values))


def _grid(columns: Mapping[str, Found], summary: Mapping[str, float]) -> Grid:
    """A metric per row, a fold per column."""
    rows: list[list[str | float | int | bool | None]] = []
    for name in _names(columns):
        ends = [summary[f"{name}_{of}"] for of in ("mean", "std")]
        values = [*(found.values.get(name) for found in columns.values()), *ends]
        rows.append([name, *(None if value is None else round(value, DIGITS) for value in values)])
    title = "Cross validation: rows that each fold's model had not seen"
    return Grid("cross_validation", title, ["metric", *columns, "mean", "std"], rows, "validate", "EVALUATION_SUMMARY")
