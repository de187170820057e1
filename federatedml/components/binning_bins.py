"""The bins of one party's columns: found on its own rows, told to nobody by themselves.

A host's bins have at least ``min_bin_rows`` rows each, because the guest learns how many rows and events a bin has: a
bin with fewer joins its neighbour above, the last one its neighbour below. Rows without a value have a bin of their
own, behind all others; if they are fewer, they are in the last bin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.components.binning_params import MOST_BINS, FeatureBinningParams, Positions
from federatedml.components.quantile_bins import bins_of, quantile_points
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.ring import Floats
from federatedml.data.table import Column, Table
from federatedml.errors import DataError

Integers = NDArray[np.int64]
Bins = NDArray[np.uint16]


@dataclass(frozen=True)
class ColumnBins:
    """Bins of one column.

    Attributes:
        points: (k,) ascending split points: the bin of x is the first point >= x, above all of them the last one.
        has_missing: whether rows without a value have a bin of their own, number k; else they are in bin k - 1.
        counts: (k,) or (k + 1,) rows of each bin.
    """

    points: Floats
    has_missing: bool
    counts: Integers

    def of(self, values: Floats) -> Bins:
        """(n,) bin of each value; NaN is a missing one."""
        return numbers(values, self.points, self.has_missing)


def numbers(values: Floats, points: Floats, has_missing: bool) -> Bins:
    """(n,) bin of each value, see ``ColumnBins``."""
    found = bins_of(values, points)
    return found if has_missing else np.minimum(found, np.uint16(len(points) - 1))


def fitted(p: FeatureBinningParams, table: Table, least: int) -> dict[str, ColumnBins]:
    """Bins of the columns that the parameters name, in the table's order.

    Args:
        least: rows that a bin must have; at the guest, who is told nothing of its own bins, 0.

    Raises:
        DataError: a column is not there, or holds what is not a finite number (missing values may be NaN).
    """
    names = chosen(table.header, p.cols, p.bin_names, "cols")
    categories = set(names if p.category_indexes == -1 else chosen(table.header, p.category_indexes, p.category_names))
    found = {}
    for name in [name for name in table.header if name in categories or name in names]:
        values = finite(name, table.columns[name])
        points = _values(name, values) if name in categories else _points(p, values)
        found[name] = joined(values, points, least)
    return found


def chosen(
    header: Sequence[str], positions: Positions, names: Sequence[str], what: str = "category_indexes"
) -> list[str]:
    """Column names of positions and names, in the header's order, each once.

    Raises:
        DataError: one of them is not a feature column.
    """
    if positions == -1:
        return list(header)
    beyond = [position for position in positions if position >= len(header)]
    unknown = [name for name in names if name not in header]
    if beyond or unknown:
        wanted = f"{what} has {beyond[0]}" if beyond else "a column is named that is not there"
        hint = f"not there: {', '.join(map(repr, unknown))}" if unknown else ""
        raise DataError("FED-830", f"{wanted}; the table has {len(header)} feature columns", hint)
    wanted_names = {header[position] for position in positions} | set(names)
    return [name for name in header if name in wanted_names]


def finite(name: str, column: Column) -> Floats:
    """(n,) values as numbers, NaN where there is none; ``DataError`` for text and infinities."""
    if column.dtype.kind not in "fiub":
        raise DataError("FED-831", "a column is not numeric", f"{name!r}: DataIO turns text into numbers")
    values = column.astype(np.float64)
    if np.isinf(values).any():
        raise DataError("FED-831", "a column holds infinite values", f"{name!r}: replace them in DataIO")
    return values


def joined(values: Floats, points: Floats, least: int) -> ColumnBins:
    """Bins by these split points, neighbours joined until each has ``least`` rows.

    If all rows that have a value are fewer, or none, all rows are in one bin.
    """
    counts = np.bincount(bins_of(values, points), minlength=len(points) + 1).astype(np.int64)
    *of_values, missing = counts.tolist()
    if sum(of_values) < max(least, 1):
        return ColumnBins(points[-1:], False, counts.sum(keepdims=True))
    kept, sizes = list(_groups(of_values, least)), np.cumsum(of_values)
    rows = np.diff(sizes[kept], prepend=0)
    own = missing >= max(least, 1)
    if own:
        rows = np.append(rows, missing)
    else:
        rows[-1] += missing
    return ColumnBins(points[kept], own, rows)


def _groups(counts: Sequence[int], least: int) -> Iterator[int]:
    """The last bin of each group of neighbours with ``least`` rows; what is left over joins the last group."""
    rows, left = 0, sum(counts)
    for at, count in enumerate(counts):
        rows, left = rows + count, left - count
        if at == len(counts) - 1 or (rows >= least and left >= least):
            yield at
            rows = 0


def _points(p: FeatureBinningParams, values: Floats) -> Floats:
    if p.method == "quantile":
        return quantile_points(values, p.bin_num)
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(1)
    low, high = known.min(), known.max()
    steps = np.arange(1, p.bin_num + 1) / p.bin_num
    return np.unique(np.clip(low * (1 - steps) + high * steps, low, high))  # the last step is 1: the largest value


def _values(name: str, values: Floats) -> Floats:
    """A point for each value."""
    points = np.unique(values[~np.isnan(values)])
    if len(points) > MOST_BINS:
        raise DataError("FED-832", f"a column of categories has more than {MOST_BINS} values", f"{name!r}")
    return points if len(points) else np.zeros(1)


def bin_table(table: Table, bins: Mapping[str, ColumnBins]) -> BinTable:
    """The bins of all rows, for sums per bin."""
    rows = [found.of(table.columns[name].astype(np.float64)) for name, found in bins.items()]
    return BinTable.of(
        np.stack(rows) if rows else np.zeros((0, len(table)), np.uint16),
        [len(found.counts) for found in bins.values()],
        [found.has_missing for found in bins.values()],
    )
