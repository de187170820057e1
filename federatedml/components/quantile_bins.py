"""Bins of numeric columns by quantiles: the same for feature binning and for trees.

A column has ascending split points; the bin of x is the first split point >= x, and above all of them the last bin
(FATE's convention). The last split point is the largest value that was seen, so a column of one value has one bin.
Rows without a value (NaN) are in a bin of their own behind all others, if the column has any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.ring import Floats


def quantile_points(values: Floats, most: int) -> Floats:
    """(k,) ascending, distinct split points, 1 <= k <= ``most``; bins hold about as many rows each.

    Exact (no sketch): the values at ranks ceil(i n / most), i = 1..most, so that equal values share a bin.

    Args:
        values: (n,), NaN is left out; none that is a number gives one point, 0.
    """
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return np.zeros(1)
    ranks = np.ceil(np.arange(1, most + 1) * len(known) / most).astype(np.int64) - 1
    return np.unique(known[np.maximum(ranks, 0)])


def bins_of(values: Floats, points: Floats) -> NDArray[np.uint16]:
    """(n,) bin of each row; rows without a value are in bin ``len(points)``."""
    found = np.minimum(np.searchsorted(points, values, side="left"), len(points) - 1)
    return np.where(np.isnan(values), len(points), found).astype(np.uint16)
