"""Weights of rows: of a class, of a column of the guest, or their product. They are the guest's and stay there.

A table may weigh its rows itself (``Table.weight``: FederatedSample counts how often each was drawn). That column is
scaled to a mean of 1, so that a step is as if rows were repeated. Under protocol ``shared`` a training with weights has
messages of its own, which all parties must know of before: so the parameters have to name the column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from federatedml.components.lr_params import LogisticTraining
from federatedml.crypto.encoding import MAX_SCALE, MEAN_SCALE
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError

HEAVY_ROWS = (
    "rows count as sum w^2 / max w^2 where they are weighed, and of each class there must be one per weight of a host; "
    "only the guest knows that, and hosts cannot see how many of the rows with a rare value of a column weigh; a job "
    "that is refused for it tells them that there are fewer than the limit, which follows from their own columns"
)


def without_weights(table: Table, name: str | None) -> Table:
    """The table without the column that weighs rows, if there is one."""
    if name is None or name not in table.columns or name == table.label:
        return table
    columns = {key: column for key, column in table.columns.items() if key != name}
    return replace(table, columns=columns, weight=None if table.weight == name else table.weight)


def row_weights(p: LogisticTraining, table: Table, labels: Floats) -> Floats:
    """(n,) weights, all one without ``class_weight`` and ``sample_weight_name``.

    Args:
        labels: (n,) zeros and ones.

    Raises:
        DataError: the column is missing, a class has no weight, or weights are not between 0 and 64, 4 on average.
    """
    if table.weight is not None and not p.weighs_rows:
        problem = "the table weighs its rows by a column, the parameters name none"
        raise DataError("FED-721", problem, f"sample_weight_name: {table.weight!r}")
    named = p.sample_weight_name if p.sample_weight_name != table.weight else None
    weights = given_weights(p, table, labels, named) * _of_table(table)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.max(initial=0) <= MAX_SCALE):
        raise DataError("FED-721", "weights of rows are not what HeteroLR takes", f"0 to {MAX_SCALE}")
    if not 0 < weights.mean() <= MEAN_SCALE:
        raise DataError("FED-721", "the mean weight of a row is too large, or nothing", f"at most {MEAN_SCALE}")
    return weights


def sample_weights(p: LogisticTraining, table: Table) -> Floats:
    """(n,) what columns say of the weights of rows, without ``class_weight``; as ``row_weights``, unchecked."""
    return _of_column(p.sample_weight_name if p.sample_weight_name != table.weight else None, table) * _of_table(table)


def effective_rows(weights: Floats) -> float:
    """How many rows rows count as: sum w^2 / max w^2; their number if all weigh the same, 0 if none weighs anything.

    Of n rows with residuals d_i = w_i s_i, k columns tell X^T d. To somebody who knows the weights, and to whom X is
    noise, row i stands out by g_i = c w_i^2, the square of signal over noise of the best linear estimate of s_i; all
    g_j / (1 + g_j), the leverages, add up to k. So g_i / (1 + g_i) <= k max w^2 / sum w^2: where rows count as r k
    rows, no row, the heaviest included, is told more of than each of r k rows without weights. A label of two values
    that are as frequent is then guessed with probability Phi(1 / sqrt(r - 1)). Kish's (sum w)^2 / sum w^2 bounds means
    only: one row of 30 among 6000 of 1 costs it an eighth, and is read off.
    """
    return float(np.square(_relative(weights)).sum())


def support(weights: Floats) -> float:
    """How many rows a set of rows is to who looks for few: (sum w)^2 / sum w^2, their number if all weigh the same.

    The numerical sparsity of Lopes, "Estimating unknown sparsity in compressed sensing", ICML 2013: it does not change
    for rows that weigh next to nothing.
    """
    parts = _relative(weights)
    return float(parts.sum() ** 2 / np.square(parts).sum()) if len(parts) else 0.0


def _relative(weights: Floats) -> Floats:
    """To the largest; none where nothing weighs anything."""
    sizes = np.abs(weights)
    most = float(sizes.max(initial=0.0))
    return sizes / most if most > 0 else np.zeros(0)


def given_weights(p: LogisticTraining, table: Table, labels: Floats, name: str | None) -> Floats:
    """(n,) weights as the column ``name`` and ``class_weight`` say, unchecked; ``DataError`` if one is missing."""
    return _of_column(name, table) * _of_classes(p.class_weight, table, labels)


def _of_table(table: Table) -> Floats:
    """(n,) of the table's own weight, 1 on average."""
    if table.weight is None:
        return np.ones(len(table))
    counts = _of_column(table.weight, table)
    total = float(counts.sum())
    return counts * (len(counts) / total) if total > 0 else counts


def _of_column(name: str | None, table: Table) -> Floats:
    if name is None:
        return np.ones(len(table))
    if name not in table.columns or name == table.label:
        raise DataError("FED-721", "the table lacks the column that weighs its rows", f"sample_weight_name: {name!r}")
    column = table.columns[name]
    if column.dtype.kind not in "fiub":
        raise DataError("FED-721", "the column that weighs the rows is not numeric", f"sample_weight_name: {name!r}")
    return column.astype(np.float64)


def _of_classes(given: str | Mapping[str, float] | None, table: Table, labels: Floats) -> Floats:
    if given is None:
        return np.ones(len(labels))
    if isinstance(given, str):  # balanced
        counts = np.maximum(np.bincount(labels.astype(np.int64), minlength=2), 1)
        shares: Floats = len(labels) / (2.0 * counts)
        return shares[labels.astype(np.int64)]
    values = table.labels().astype(np.float64)
    known = {_number(name): weight for name, weight in given.items()}
    missing = [value for value in np.unique(values) if value not in known]
    if missing:
        raise DataError("FED-721", f"class_weight has no weight for {len(missing)} of the label's values")
    return np.array([known[value] for value in values.tolist()])


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        raise DataError("FED-721", "class_weight names no value of a label", f"{name!r}: numbers only") from None
