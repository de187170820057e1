"""What a boosted training learns from, at the guest: labels as the loss takes them, weights of rows, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federatedml.components import prediction_table
from federatedml.components.lr_row_weights import support
from federatedml.components.prediction_table import numeric_labels
from federatedml.components.tree_agreement import MOST_CLASSES
from federatedml.components.tree_objectives import Objective, objective_of
from federatedml.components.tree_params import METRICS, SecureBoostParams
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.metrics.binary import Counts

LARGEST = 1e50  # of labels that are numbers, and of weights: squares of their sums are still finite


@dataclass(frozen=True)
class Target:
    """A loss and the labels that it was made for.

    Attributes:
        classes: label values in ascending order; empty for numbers.
    """

    objective: Objective
    classes: Sequence[float]

    @staticmethod
    def of(p: SecureBoostParams, table: Table) -> Target:
        """Of the training rows.

        Raises:
            DataError: FED-257, no label, not numeric, or one class only, or more than 1000.
        """
        labels = numeric_labels(table)
        if p.task_type == "regression":
            return Target(objective_of(p, 0), ())
        classes = np.unique(labels)
        if not 2 <= len(classes) <= MOST_CLASSES:
            raise DataError(
                "FED-257",
                f"the label has {len(classes)} classes",
                f"{table.label!r}: 2 to {MOST_CLASSES}, or regression",
            )
        return Target(objective_of(p, len(classes)), tuple(classes.tolist()))

    @property
    def kind(self) -> str:
        """binary, multi or regression."""
        return "regression" if not self.classes else "binary" if len(self.classes) == 2 else "multi"

    def labels(self, table: Table) -> Floats:
        """(n,) numbers, or numbers of classes; ``DataError`` if a label is none of the training's."""
        labels = numeric_labels(table)
        if not self.classes:
            if np.abs(labels).max(initial=0) > LARGEST:
                raise DataError("FED-812", f"the label has values above {LARGEST:g}", f"scale {table.label!r}")
            return labels
        if not np.isin(labels, self.classes).all():
            raise DataError("FED-257", "the label has a value that the training did not have", repr(table.label))
        return np.searchsorted(np.array(self.classes), labels).astype(np.float64)

    def metrics(self, p: SecureBoostParams) -> Sequence[str]:
        """What is looked at on validation rows.

        Raises:
            DataError: FED-804, a metric that this label has not.
        """
        allowed = METRICS[self.kind]
        wrong = [name for name in p.metrics or () if name not in allowed]
        if wrong:
            raise DataError(
                "FED-804",
                f"metrics {', '.join(wrong)} are not for a {self.kind} label",
                f"allowed: {', '.join(allowed)}",
            )
        return tuple(p.metrics or allowed)

    def measured(self, labels: Floats, scores: Floats, wanted: Sequence[str]) -> dict[str, float]:
        """The metrics that are wanted, in their order."""
        found = {"loss": float(self.objective.losses(labels, scores).mean())}
        if set(wanted) != {"loss"}:  # ranks need rows of both classes, a loss does not
            found |= self._of_predictions(labels, self.objective.predict(scores))
        return {name: found[name] for name in wanted}

    def _of_predictions(self, labels: Floats, predicted: Floats) -> dict[str, float]:
        if self.kind == "binary":
            counts = Counts.of(labels > 0, predicted)
            return {"auc": counts.auc(), "ks": counts.ks()}
        if self.kind == "multi":
            return {"accuracy": float(np.mean(predicted.argmax(axis=1) == labels))}
        off = predicted - labels
        mean = float(np.abs(off).mean())
        return {"root_mean_squared_error": float(np.sqrt(np.mean(off**2))), "mean_absolute_error": mean}

    def table(self, rows: Table, predicted: Floats, threshold: float, kind: str, origin: str) -> Table:
        """FATE's table of predictions."""
        if self.kind == "binary":
            return prediction_table.binary(rows, predicted, self.classes, threshold, kind, origin)
        if self.kind == "multi":
            return prediction_table.multiclass(rows, predicted, self.classes, kind, origin)
        return prediction_table.regression(rows, predicted, kind, origin)


def row_weights(p: SecureBoostParams, table: Table) -> Floats:
    """(n,) weights of rows: the column that the parameters or the table name, else ones.

    Raises:
        DataError: FED-805, no such column, or weights that are negative, not finite, or all nothing.
    """
    name = p.sample_weight_name or table.weight
    if name is None:
        return np.ones(len(table))
    if name not in table.columns or name == table.label or table.columns[name].dtype.kind not in "fiub":
        raise DataError("FED-805", "the column that weighs the rows is not a numeric column of the guest", repr(name))
    weights = table.columns[name].astype(np.float64)
    if not ((weights >= 0).all() and 0 < weights.max(initial=0) <= LARGEST):
        raise DataError("FED-805", "weights of rows are negative, too large, or all nothing", f"column {name!r}")
    return weights


def check_cover(p: SecureBoostParams, weights: Floats) -> None:
    """Whether rows that are weighed are enough to ask hosts at all.

    Raises:
        DataError: FED-940, no: next to all of the weight is on few rows.
    """
    least, found = 2 * p.min_cell_rows, support(weights)
    if found < least <= len(weights):
        raise DataError(
            "FED-940",
            f"HeteroSecureBoost at the guest: by their weights, rows count as fewer than {least}: sums would name "
            "them, and no host would be asked",
            f"sample_weight_name: (sum w)^2 / sum w^2 is {found:.1f}, allowed: twice min_cell_rows {p.min_cell_rows}",
        )
