"""Measures of binary scores, exact including ties: every distinct score is a threshold, nothing is sampled.

Definitions: a row is predicted positive at threshold t if its score is at least t; tpr = TP / P, fpr = FP / N;
AUC is the trapezoid area under (fpr, tpr), which counts a tied pair as one half; KS = max(tpr - fpr), at least 0;
depth = (TP + FP) / rows; lift = precision / (P / rows); gain = tpr (Hand & Till 2001; FATE 1.0 for lift and gain);
F1 = 2 TP / (2 TP + FP + FN).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.errors import DataError

Floats = NDArray[np.float64]
STABILITY_BINS = 20  # FATE's number
ONE_CLASS = "FED-232"  # code of the error that rows of both classes are needed
POINTS = 100  # thresholds that a drawn curve has at most, FATE's number


@dataclass(frozen=True)
class Counts:
    """True and false positives at every threshold.

    Attributes:
        thresholds: (k,) distinct scores, descending.
        tp, fp: (k,) int64.
    """

    thresholds: Floats
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]

    @classmethod
    def of(cls, positive: NDArray[np.bool_], scores: Floats) -> Counts:
        """Counts of (n,) labels and scores.

        Raises:
            DataError: a score is not finite, or one of the two classes has no row.
        """
        if not np.isfinite(scores).all():
            raise DataError("FED-231", "some scores are not finite", f"{int((~np.isfinite(scores)).sum())} rows")
        if not 0 < positive.sum() < len(positive):
            raise DataError(ONE_CLASS, "all rows are of one class, both are needed", f"{len(positive)} rows")
        order = np.argsort(-scores, kind="stable")
        descending = scores[order]
        last = np.append(np.flatnonzero(np.diff(descending)), len(scores) - 1)  # last row of every distinct score
        tp = np.cumsum(positive[order], dtype=np.int64)[last]
        return cls(descending[last], tp, last + 1 - tp)

    @property
    def positives(self) -> int:
        """P: rows of the positive class."""
        return int(self.tp[-1])

    @property
    def negatives(self) -> int:
        """N: the other rows."""
        return int(self.fp[-1])

    def tpr(self) -> Floats:
        """(k,) true positive rate, also called recall and gain."""
        return self.tp / self.positives

    def fpr(self) -> Floats:
        """(k,) false positive rate."""
        return self.fp / self.negatives

    def precision(self) -> Floats:
        """(k,) part of the predicted positives that is positive."""
        return self.tp / (self.tp + self.fp)

    def accuracy(self) -> Floats:
        """(k,) part of the rows that is predicted right."""
        return (self.tp + self.negatives - self.fp) / (self.positives + self.negatives)

    def depth(self) -> Floats:
        """(k,) part of the rows that is predicted positive."""
        return (self.tp + self.fp) / (self.positives + self.negatives)

    def lift(self) -> Floats:
        """(k,) precision over that of a random choice."""
        return self.precision() * (self.positives + self.negatives) / self.positives

    def f1(self) -> Floats:
        """(k,) harmonic mean of precision and recall."""
        return 2 * self.tp / (self.tp + self.fp + self.positives)

    def cells(self) -> dict[str, Floats]:
        """(k,) rows of each cell of the confusion matrix."""
        cells = {"tp": self.tp, "fp": self.fp, "tn": self.negatives - self.fp, "fn": self.positives - self.tp}
        return {name: counts.astype(np.float64) for name, counts in cells.items()}

    def auc(self) -> float:
        """Area under the ROC curve, from whole numbers (exact to 10^9 rows) and one division."""
        tp, fp = _with_origin(self.tp), _with_origin(self.fp)
        doubled = int(np.dot(np.diff(fp), tp[1:] + tp[:-1]))
        return doubled / (2 * self.positives * self.negatives)

    def ks(self) -> float:
        """Kolmogorov-Smirnov statistic of the two classes' scores."""
        return max(0.0, float((self.tpr() - self.fpr()).max()))

    def drawn(self) -> NDArray[np.int64]:
        """Indices of at most ``POINTS`` thresholds, evenly spread over their ranks, first and last included."""
        return np.unique(np.linspace(0, len(self.thresholds) - 1, POINTS).round().astype(np.int64))


def _with_origin(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), counts])


def stability(expected: Floats, found: Floats) -> float:
    """Population stability index of (n,) scores against those of the training: sum of (f - e) ln(f / e) over bins.

    The bins are 20 quantiles of the training's scores; an empty one counts as half a row.
    """
    edges = np.unique(np.quantile(expected, np.arange(1, STABILITY_BINS) / STABILITY_BINS))
    parts = []
    for scores in (expected, found):
        counts = np.bincount(np.searchsorted(edges, scores), minlength=len(edges) + 1)
        parts.append(np.maximum(counts, 0.5) / len(scores))
    e, f = parts
    return float(((f - e) * np.log(f / e)).sum())
