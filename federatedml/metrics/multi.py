"""Measures of results of several classes, by counts; a class that nobody predicted has precision 0, as in scikit-learn.

Definitions: C[i, j] rows of class i were predicted as class j; accuracy = sum C[i, i] / sum C; for class i precision =
C[i, i] / sum_k C[k, i] and recall = C[i, i] / sum_k C[i, k]; of all classes their mean (macro average).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.errors import DataError
from federatedml.metrics.binary import Floats


@dataclass(frozen=True)
class Confusion:
    """Rows by class and by predicted class.

    Attributes:
        classes: (k,) values that a label or a result has, ascending.
        counts: (k, k) rows of class i that were predicted as class j.
    """

    classes: Floats
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Floats, results: Floats) -> Confusion:
        """Of (n,) labels and results; ``DataError`` without rows."""
        if not len(labels):
            raise DataError("FED-232", "there are no rows to measure")
        classes, numbers = np.unique(np.concatenate([labels, results]), return_inverse=True)
        true, found = np.split(numbers, 2)
        size = len(classes)
        return cls(classes, np.bincount(true * size + found, minlength=size**2).reshape(size, size).astype(np.int64))

    def accuracy(self) -> float:
        """Part of the rows that is predicted right."""
        return float(np.trace(self.counts) / self.counts.sum())

    def precision(self) -> Floats:
        """(k,) of the rows that are predicted as a class, the part that is of it."""
        return _parts(np.diag(self.counts), self.counts.sum(0))

    def recall(self) -> Floats:
        """(k,) of the rows of a class, the part that is predicted as it."""
        return _parts(np.diag(self.counts), self.counts.sum(1))


def _parts(right: NDArray[np.int64], of: NDArray[np.int64]) -> Floats:
    return right / np.maximum(of, 1)
