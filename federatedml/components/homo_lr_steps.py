"""What a contributor of HomoLR does alone: steps of the optimiser on its own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.linear_model import BINARY, checked_columns
from federatedml.components.lr_optimizers import Memory, penalty_loss, stepped
from federatedml.components.lr_row_weights import given_weights, without_weights
from federatedml.components.prediction_table import numeric_labels, positive
from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.steps import MAX_ROWS
from federatedml.crypto.shared_linear import batch_order, batch_sizes
from federatedml.data.table import Table
from federatedml.errors import DataError


@dataclass(frozen=True)
class Rows:
    """A contributor's rows, but for the table in an order that depends on ids alone.

    Attributes:
        table: as it is given, without the column that weighs rows.
        names: of the columns, sorted; the same at all contributors.
        features: (n, k) or, with an intercept, (n, k + 1), the last column ones.
        labels: (n,) values as they are.
        scales: (n,) weights of rows, 1 on average.
        weight: sum of the weights of rows.
    """

    table: Table
    names: list[str]
    features: Floats
    labels: Floats
    scales: Floats
    weight: float

    @classmethod
    def of(cls, p: HomoLogisticParams, given: Table) -> Rows:
        """Rows to train on.

        Raises:
            DataError: ``FED-890``, there is none, or none that counts; ``FED-253``, a column is not numeric or not
                finite; ``FED-257``, the label; ``FED-721``, weights.
        """
        if not len(given):
            raise DataError("FED-890", "the table has no rows to train on", "at least 1 at each guest and host")
        table = without_weights(given, p.sample_weight_name)
        names, labels = sorted(table.header), numeric_labels(table)
        if len(np.unique(labels)) > 2:
            raise DataError("FED-257", f"the label has {len(np.unique(labels))} classes", f"{table.label!r}: {BINARY}")
        order, weights = batch_order(table.ids), _weights(p, given, labels)
        features, total = checked_columns(table, names, p.init_param.fit_intercept)[order], float(weights.sum())
        return cls(table, names, features, labels[order], weights[order] * (len(given) / total), total)

    @property
    def classes(self) -> Floats:
        """Label values that occur, ascending."""
        return np.unique(self.labels)


def _weights(p: HomoLogisticParams, table: Table, labels: Floats) -> Floats:
    name = p.sample_weight_name or table.weight
    larger = (labels == labels.max()).astype(np.float64)
    weights = given_weights(p, table, larger, name)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError("FED-721", "a weight of a row is negative, or no finite number")
    if not 0 < weights.sum() * p.party_weight <= MAX_ROWS:
        raise DataError("FED-721", "all rows together weigh nothing, or too much", f"at most {MAX_ROWS:g}")
    return weights


@dataclass
class Trainer:
    """The steps of one contributor.

    Attributes:
        memory: of its optimiser, which stays its own: averages are of weights.
    """

    p: HomoLogisticParams
    features: Floats
    positive: Floats
    scales: Floats
    memory: Memory

    @classmethod
    def of(cls, p: HomoLogisticParams, rows: Rows, larger: float) -> Trainer:
        """Before the first step; ``larger`` is the label value that means 1."""
        labels = (rows.labels == larger).astype(np.float64)
        return cls(p, rows.features, labels, rows.scales, Memory.blank(rows.features.shape[1]))

    def epoch(self, weights: Floats, epoch: int) -> tuple[Floats, float]:
        """Weights after one pass over the rows, and the mean loss of each row before the step that it is in.

        What runs away becomes infinite or NaN, which a secure sum refuses.
        """
        loss, at, intercept = 0.0, 0, self.p.init_param.fit_intercept
        with np.errstate(over="ignore", invalid="ignore"):
            for size in batch_sizes(len(self.features), self.p.batch_size):
                rows = slice(at, at + size)
                gradient, found = self._gradient(weights, rows)
                loss += size * (found + penalty_loss(self.p, weights, intercept))
                weights, self.memory = stepped(self.p, weights, gradient, epoch, self.memory, intercept)
                at += size
        return weights, loss / len(self.features)

    def _gradient(self, weights: Floats, rows: slice) -> tuple[Floats, float]:
        """Of the mean logistic loss, (k,), and that loss: X^T s (sigmoid(z) - y) / n."""
        x, y, s = self.features[rows], self.positive[rows], self.scales[rows]
        z = x @ weights
        losses = np.logaddexp(0, z)
        residual = s * (np.exp(z - losses) - y)  # exp(z - log(1 + exp z)) is the sigmoid, without overflow
        return x.T @ residual / len(y), float((s * (losses - y * z)).mean())


@dataclass(frozen=True)
class HeldOut:
    """Labelled rows that are looked at during a training."""

    features: Floats
    positive: Floats

    @classmethod
    def of(cls, p: HomoLogisticParams, given: Table, names: Sequence[str], classes: Sequence[float]) -> HeldOut:
        """``DataError`` if a column is missing, or a label value is not among ``classes``."""
        features = checked_columns(given, names, p.init_param.fit_intercept)
        return cls(features, positive(given, classes).astype(np.float64))
