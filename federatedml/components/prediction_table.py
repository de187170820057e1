"""Tables of predictions, in FATE's columns: label, predict_result, predict_score, predict_detail, type."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from federatedml.crypto.ring import Floats
from federatedml.data.table import Column, Kind, Table
from federatedml.errors import DataError, ModelError

TEXT_LABELS = (
    "models compute with numbers; label_type int or float of DataIO reads those written as text, "
    "other words need a number each in the stored table"
)


def binary(table: Table, scores: Floats, classes: Sequence[float], threshold: float, kind: str, origin: str) -> Table:
    """A row per sample: label (if the table has one) as 0 or 1, result, score, detail per class, type.

    Args:
        classes: the two label values of the training.

    Raises:
        DataError: the label has a value that is none of them.
    """
    labels = None if table.label is None else positive(table, classes)
    detail = [f'{{"0": {1 - p!r}, "1": {p!r}}}' for p in scores.tolist()]
    return _table(table, labels, (scores > threshold).astype(np.int64), scores, detail, kind, origin)


def multiclass(table: Table, scores: Floats, classes: Sequence[float], kind: str, origin: str) -> Table:
    """Likewise for several classes: the label and the result are values of ``classes``, the score is the result's.

    Args:
        scores: (n, k) one column per class.
        classes: (k,) label values of the training.

    Raises:
        ModelError: ``FED-918``, scores are of another number of classes.
        DataError: as ``binary``.
    """
    values = np.asarray(classes, np.float64)
    if scores.shape[1:] != values.shape:
        problem = f"the model scores {scores.shape[-1]} classes and names {len(values)}"
        raise ModelError("FED-918", problem)
    labels = None if table.label is None else _known(table, classes)
    best = np.argmax(scores, axis=1)
    names = [class_name(value) for value in values]
    detail = [json.dumps(dict(zip(names, row, strict=True))) for row in scores.tolist()]
    return _table(table, labels, values[best], scores[np.arange(len(scores)), best], detail, kind, origin)


def regression(table: Table, values: Floats, kind: str, origin: str) -> Table:
    """Likewise for numbers: result and score are the predicted value."""
    labels = None if table.label is None else numeric_labels(table)
    detail = [json.dumps({"label": value}) for value in values.tolist()]
    return _table(table, labels, values, values, detail, kind, origin)


def _table(
    table: Table,
    labels: Column | None,
    results: Column,
    scores: Floats,
    detail: Sequence[str],
    kind: str,
    origin: str,
) -> Table:
    columns: dict[str, Column] = {} if labels is None else {"label": labels}
    columns |= {
        "predict_result": results,
        "predict_score": scores,
        "predict_detail": np.array(detail, dtype=object),
        "type": np.full(len(table), kind, dtype=object),
    }
    label = None if labels is None else "label"
    return Table(table.ids, columns, label, Kind.PREDICTIONS, table.sid_name, origin)


def class_name(value: float) -> str:
    """A label's value as text."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def numeric_labels(table: Table) -> Floats:
    """(n,) labels; ``DataError`` if they are not finite numbers."""
    try:
        labels = table.labels().astype(np.float64)
    except ValueError:
        raise DataError("FED-257", "the label is not numeric", f"{table.label!r}: {TEXT_LABELS}") from None
    if not np.isfinite(labels).all():
        raise DataError("FED-257", "the label holds values that are not finite", repr(table.label))
    return np.asarray(labels)


def _known(table: Table, classes: Sequence[float]) -> Floats:
    """(n,) labels, which must be values that the training had."""
    labels = numeric_labels(table)
    if not np.isin(labels, classes).all():
        raise DataError("FED-257", "the label has a value that the training did not have", repr(table.label))
    return labels


def positive(table: Table, classes: Sequence[float]) -> Column:
    """(n,) labels as 0 and 1, by the training's values: a table may hold one class only."""
    found: Column = (_known(table, classes) == classes[-1]).astype(np.int64)
    return found


def stacked(tables: Sequence[Table]) -> Table:
    """All rows, the first table's first; an id that came before gets its type appended (``ID.validate``)."""
    first, *rest = tables
    seen = set(first.ids)
    ids = [first.ids]
    for table in rest:
        kind = table.columns["type"]
        ids.append(np.array([f"{i}.{k}" if i in seen else i for i, k in zip(table.ids, kind, strict=True)], object))
        seen |= set(table.ids)
    names = [name for name in first.columns if all(name in t.columns for t in rest)]
    columns = {name: np.concatenate([t.columns[name] for t in tables]) for name in names}
    label = first.label if first.label in columns else None
    return replace(first, ids=np.concatenate(ids), columns=columns, label=label)
