"""Measures of predicted numbers against true ones; definitions as in scikit-learn, one column, no weights.

With e = y - prediction: mean_absolute_error mean |e|, mean_squared_error mean e^2 and its root, median_absolute_error
median |e|, mean_squared_log_error mean (ln(1 + y) - ln(1 + prediction))^2, explained_variance 1 - var e / var y,
r2_score 1 - mean e^2 / var y. Where all y are equal the last two are 1 for perfect predictions, 0 otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from federatedml.errors import DataError
from federatedml.metrics.binary import Floats

LARGEST = 1e145  # sums of squares of larger numbers may be infinite


def measures(labels: Floats, predictions: Floats) -> dict[str, float]:
    """All of them by FATE's names; without mean_squared_log_error if a number is not above -1.

    Raises:
        DataError: no rows, or a number that is not finite, or whose square is not.
    """
    if not len(labels):
        raise DataError("FED-232", "there are no rows to measure")
    wrong = int((~(np.abs(labels) < LARGEST) | ~(np.abs(predictions) < LARGEST)).sum())
    if wrong:
        raise DataError("FED-231", f"{wrong} labels or predictions are not finite, or not below {LARGEST:g}")
    logs = bool((labels > -1).all() and (predictions > -1).all())
    return {name: of(labels, predictions) for name, of in MEASURES.items() if logs or name != "mean_squared_log_error"}


def _variance_left(labels: Floats, errors: float) -> float:
    variance = float(np.var(labels))
    if variance == 0:
        return 1.0 if errors == 0 else 0.0
    return 1 - errors / variance


MEASURES: Mapping[str, Callable[[Floats, Floats], float]] = {
    "explained_variance": lambda y, p: _variance_left(y, float(np.var(y - p))),
    "mean_absolute_error": lambda y, p: float(np.mean(np.abs(y - p))),
    "mean_squared_error": lambda y, p: float(np.mean((y - p) ** 2)),
    "mean_squared_log_error": lambda y, p: float(np.mean((np.log1p(y) - np.log1p(p)) ** 2)),
    "median_absolute_error": lambda y, p: float(np.median(np.abs(y - p))),
    "r2_score": lambda y, p: _variance_left(y, float(np.mean((y - p) ** 2))),
    "root_mean_squared_error": lambda y, p: float(np.sqrt(np.mean((y - p) ** 2))),
}
