"""A party's columns in bins for trees, and which way rows go at a split of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.components.quantile_bins import bins_of, quantile_points
from federatedml.components.tree_hosts import Bits
from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.candidates import BinTable, Split
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError

EVERY_VALUE = float(np.finfo(np.float64).max)  # threshold of the split that parts values from missing ones
MOST_IN_A_BYTE = 256
ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Gaps:
    """What counts as no value.

    Attributes:
        allowed: whether a column may lack values at all.
        zero: whether zeros are such.
    """

    allowed: bool
    zero: bool


@dataclass(frozen=True)
class Threshold:
    """A split by value: rows go left at ``value`` or less.

    Attributes:
        column: position in the party's header.
    """

    column: int
    value: float
    missing_left: bool


@dataclass(frozen=True)
class Binned:
    """All columns of a party.

    Attributes:
        table: bins; the last one of a column may be of its rows without a value.
        points: of each column, upper ends of its bins.
    """

    table: BinTable
    points: Sequence[Floats]

    def threshold(self, split: Split) -> Threshold:
        """The value that a split in bins means."""
        points = self.points[split.feature]
        value = float(points[split.k]) if split.k < len(points) - 1 else EVERY_VALUE
        return Threshold(split.feature, value, split.missing_left)


def binned(p: SecureBoostParams, table: Table, least: int = 1) -> Binned:
    """Columns in at most ``bin_num`` bins by quantiles.

    Args:
        least: bins of fewer rows are merged with their neighbours; if the rows without a value, or all others, are
            fewer, the former count as the largest value, which goes right everywhere. At least 1.

    Raises:
        DataError: FED-800, a column is not numeric, has infinite values, or none where ``use_missing`` is false.
    """
    points, columns, counts, missing = [], [], [], []
    for name in table.header:
        values = column_values(Gaps(p.use_missing, p.zero_as_missing), table, name)
        cuts = quantile_points(values, p.bin_num)
        bins = bins_of(values, cuts)
        cuts, bins = _merged(cuts, bins, least)
        lacking = int(np.count_nonzero(bins == len(cuts)))
        apart = lacking >= least and len(table) - lacking >= least
        if not apart:
            bins = np.minimum(bins, np.uint16(len(cuts) - 1))
        points.append(cuts)
        columns.append(bins)
        missing.append(apart)
        counts.append(len(cuts) + missing[-1])
    stacked = np.stack(columns) if columns else np.zeros((0, len(table)), np.uint16)
    small = max(counts, default=0) <= MOST_IN_A_BYTE
    return Binned(BinTable.of(stacked.astype(np.uint8) if small else stacked, counts, missing), points)


def column_values(gaps: Gaps, table: Table, name: str) -> Floats:
    """(n,) values of a column, NaN where there is none.

    Raises:
        DataError: FED-800, see ``binned``; FED-258 without such a column.
    """
    if name not in table.columns:
        raise DataError("FED-258", "a column of the model is missing", f"{name!r}")
    column = table.columns[name]
    if column.dtype.kind not in "fiub":
        raise DataError("FED-800", "a column is not numeric", f"{name!r}: encode it before HeteroSecureBoost")
    values = column.astype(np.float64)
    if np.isinf(values).any():
        raise DataError("FED-800", "a column holds infinite values", f"{name!r}")
    if gaps.allowed:
        return np.where(values == 0, np.nan, values) if gaps.zero else values
    if np.isnan(values).any():
        raise DataError("FED-800", "a column lacks values", f"{name!r}: set use_missing, or impute them in DataIO")
    return values


def bits_of(gaps: Gaps, table: Table, header: Sequence[str], splits: Sequence[Threshold]) -> Bits:
    """(n, splits) whether rows go left at each; columns are found by name."""
    found = np.zeros((len(table), len(splits)), bool)
    if not splits:
        return found
    used = sorted({split.column for split in splits})
    values = np.stack([column_values(gaps, table, header[column]) for column in used], axis=1)
    at = np.searchsorted(used, [split.column for split in splits])
    thresholds = np.array([split.value for split in splits])
    missing_left = np.array([split.missing_left for split in splits])
    for start in range(0, len(table), ROWS_AT_ONCE):
        part = values[start : start + ROWS_AT_ONCE, at]
        found[start : start + ROWS_AT_ONCE] = (part <= thresholds) | (np.isnan(part) & missing_left)
    return found


def _merged(points: Floats, bins: NDArray[np.uint16], least: int) -> tuple[Floats, NDArray[np.uint16]]:
    """Bins of at least so many rows, but for a column that has fewer in all."""
    if least <= 1:
        return points, bins
    counts = np.bincount(bins, minlength=len(points) + 1)
    ends, held = [], 0
    for k, count in enumerate(counts[: len(points)].tolist()):
        held += count
        if held >= least:
            ends.append(k)
            held = 0
    if held and ends:
        ends.pop()  # what is left joins the last bin
    if not ends or ends[-1] != len(points) - 1:
        ends.append(len(points) - 1)
    new = np.searchsorted(np.array(ends), np.arange(len(points)), side="left")
    return points[ends], np.append(new, len(ends)).astype(np.uint16)[bins]
