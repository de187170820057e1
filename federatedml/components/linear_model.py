"""What linear models share: checks of the columns, first weights, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from federatedml.component import ModelBuffers
from federatedml.components.lr_params import InitParam
from federatedml.components.lr_row_weights import effective_rows
from federatedml.components.prediction_table import numeric_labels
from federatedml.crypto.ring import Floats
from federatedml.data.table import Column, Table
from federatedml.errors import DataError

MIN_TELLING = 10  # rows: a column that differs from its usual value in fewer shows their residuals in its weight
MAX_RMS = 64.0  # of a column: standardised ones have 1
MIN_RMS = 2.0**-6  # of the values that are not zero: below, fixed-point numbers would keep fewer than 6 bits
BINARY = "exactly 2, or one_vs_rest_param.need_one_vs_rest"
LEAST_BITS = 12  # of fraction that a training keeps of features


def checked_features(table: Table, intercept: bool, weights: Floats | None = None) -> Floats:
    """(n, k) features, with a last column of ones if ``intercept``.

    Args:
        weights: (n,) of rows, where they are known.

    Raises:
        DataError: a column is not numeric, not finite, not scaled, or singles out fewer than 10 rows; names it.
    """
    for name in table.header:
        _check_column(name, table.columns[name], MIN_TELLING * table.copies, weights)
    return _with_intercept(table, intercept)


def checked_columns(table: Table, header: Sequence[str], intercept: bool) -> Floats:
    """(n, k) the features ``header`` of rows that are not trained on, found by name.

    Raises:
        DataError: a column is missing, not numeric or not finite; names it.
    """
    for name in header:
        _check_values(name, _found(table, name, header))
    return _with_intercept(replace(table, columns={name: table.columns[name] for name in header}), intercept)


def _with_intercept(table: Table, intercept: bool) -> Floats:
    features = table.features()
    return np.column_stack([features, np.ones(len(table))]) if intercept else features


def _check_values(name: str, values: Column) -> Floats:
    if values.dtype.kind not in "fiub":
        raise DataError("FED-253", "a column is not numeric", f"{name!r}: encode it before the regression")
    x = values.astype(np.float64)
    if not np.isfinite(x).all():
        raise DataError("FED-253", "a column holds values that are not finite", f"{name!r}: impute them in DataIO")
    return x


def _check_column(name: str, values: Column, least: int, weights: Floats | None) -> None:
    x = _check_values(name, values)
    _check_scale(name, x)
    if x.any() and telling(x, weights) < least:
        raise DataError(
            "FED-254",
            f"a column singles out fewer than {least} rows: its weight would show them",
            f"{name!r}: at least {least} rows that are not zero, "
            "and as many (or none) that differ from the usual value; HeteroFeatureSelection can leave it out",
        )


def _check_scale(name: str, x: Floats) -> None:
    with np.errstate(over="ignore"):
        squares, nonzero = float(np.sum(x * x)), np.count_nonzero(x)
    if squares > MAX_RMS**2 * len(x):
        raise DataError(
            "FED-255", f"a column is not scaled: its root mean square is above {MAX_RMS:g}", f"standardise {name!r}"
        )
    if squares < MIN_RMS**2 * nonzero:
        raise DataError(
            "FED-255",
            f"a column is not scaled: the root mean square of what is not zero is below {MIN_RMS:g}",
            f"standardise {name!r}",
        )


def telling(x: Floats, weights: Floats | None = None) -> float:
    """How few rows the weight of a column may be about: those that are not zero or, if some but fewer, not usual.

    Standardising a column with a single one leaves no zero, and yet its weight is about one row. The usual value, if
    all but a few rows have it, is the median. Values are compared as the training sees them; rows that are weighed
    count as ``effective_rows``. Zeros alone are about no row in particular: whatever the residuals are, such a column's
    gradient is exactly 0, and its weight stays where it started.
    """
    if not x.any():
        return len(x)
    steps = np.rint(x * 2.0**LEAST_BITS)
    nonzero = _rows(steps != 0, weights)
    if nonzero < MIN_TELLING:
        return nonzero
    unusual = _rows(steps != _median(steps, weights), weights)
    return min(unusual or nonzero, nonzero)


def _rows(which: NDArray[np.bool_], weights: Floats | None) -> float:
    return int(np.count_nonzero(which)) if weights is None else effective_rows(weights[which])


def _median(values: Floats, weights: Floats | None) -> float:
    """Of rows that count as the squares of their weights."""
    if weights is None:
        middle = len(values) // 2
        return float(np.partition(values, middle)[middle])
    order = np.argsort(values, kind="stable")
    below = np.cumsum(np.square(weights[order]))
    return float(values[order[np.searchsorted(below, below[-1] / 2)]])


def binary_labels(table: Table) -> tuple[Floats, tuple[float, float]]:
    """(n,) labels as 0 and 1, and the two values that mean them: the larger one is 1.

    Raises:
        DataError: no label, not numeric, or not exactly two classes.
    """
    labels = numeric_labels(table)
    classes = np.unique(labels)
    if len(classes) != 2:
        raise DataError("FED-257", f"the label has {len(classes)} classes", f"{table.label!r}: {BINARY}")
    positive: Floats = (labels == classes[1]).astype(np.float64)
    return positive, (float(classes[0]), float(classes[1]))


def initial_weights(p: InitParam, count: int, role: str) -> Floats:
    """(count,) first weights; seeded, so that a run can be repeated, and different at each party."""
    random = np.random.default_rng([p.random_seed or 0, *role.encode()])
    match p.init_method:
        case "random_normal":
            return random.standard_normal(count)
        case "random_uniform":
            return random.random(count)
        case "const":
            return np.full(count, p.init_const)
        case "ones":
            return np.ones(count)
        case "zeros":
            return np.zeros(count)


def partial_score(table: Table, header: Sequence[str], weights: Mapping[str, float], bias: float) -> Floats:
    """(n,) bias + sum of weight * column, added in the order of ``header``; columns are found by name.

    Raises:
        DataError: a column is missing or holds text (names it), or a row's score is not finite.
    """
    z = np.full(len(table), bias)
    for name in header:
        try:
            z += np.asarray(_found(table, name, header), np.float64) * weights[name]
        except (ValueError, TypeError):
            raise DataError("FED-253", "a column of the model holds what is no number", repr(name)) from None
    if not np.isfinite(z).all():
        raise DataError("FED-253", "the model's columns hold values that are not finite", "impute them in DataIO")
    return z


def _found(table: Table, name: str, header: Sequence[str]) -> Column:
    if name not in table.columns:
        raise DataError("FED-258", "a column of the model is missing", f"{name!r}; it needs {', '.join(header)}")
    return table.columns[name]


def logistic(model: ModelBuffers, own: Floats, others: Sequence[Floats]) -> Floats:
    """(n,) probabilities of the sum of all parts, added in the parties' order; never overflows."""
    z = np.array(own, np.float64, copy=True)
    for part in others:
        z += part
    e = np.exp(-np.abs(z))
    scores: Floats = np.where(z >= 0, 1.0, e) / (1.0 + e)
    return scores


def training_loss(table: Table) -> float:
    """Mean logistic loss of labelled predictions."""
    p, y = np.asarray(table.columns["predict_score"]), np.asarray(table.columns["label"])
    right = np.where(y == 1, p, 1 - p)
    return float(-np.log(np.maximum(right, 1e-300)).mean())
