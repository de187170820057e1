"""Columns in bins for trees: small bins are merged, and thresholds part rows as bins do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.components.tree_columns import Gaps, binned, bits_of
from federatedml.data.table import Table
from federatedml.errors import DataError
from tests.boost_cases import params

VALUES = st.lists(st.sampled_from([np.nan, -1.5, 0.0, 0.25, 1.0, 2.0, 7.0]), min_size=1, max_size=40)


def table(*columns: list[float]) -> Table:
    named = {f"x{j}": np.array(column, np.float64) for j, column in enumerate(columns)}
    return Table(np.array([f"r{i}" for i in range(len(columns[0]))], dtype=object), named)


@settings(max_examples=100, deadline=None)
@given(VALUES, st.integers(2, 8), st.integers(1, 6), st.booleans())
def test_thresholds_part_rows_as_bins_do(values: list[float], most: int, least: int, zero: bool) -> None:
    rows = table(values)
    p = params(bin_num=most, use_missing=True, zero_as_missing=zero)
    found = binned(p, rows, least)
    splits = [found.threshold(split) for split in found.table.candidates.splits]
    bits = bits_of(Gaps(True, zero), rows, rows.header, splits)
    for candidate in range(len(splits)):
        np.testing.assert_array_equal(bits[:, candidate], found.table.goes_left(candidate))
    counts = np.bincount(found.table.bins[0], minlength=found.table.counts[0])
    assert counts.sum() == len(values)
    assert len(counts) == 1 or counts.min() >= least


@given(VALUES)
def test_bins_of_few_rows_join_their_neighbours(values: list[float]) -> None:
    known = [value for value in values if np.isfinite(value)]
    found = binned(params(use_missing=True), table(values), 5)
    last = found.table.counts[0] - found.table.candidates.missing[0]
    counts = np.bincount(found.table.bins[0], minlength=last)[:last]
    assert len(counts) == 1 or counts.min() >= 5
    assert found.table.candidates.missing[0] == (len(values) - len(known) >= 5 and len(known) >= 5)


def test_more_than_a_byte_of_bins() -> None:
    found = binned(params(bin_num=1000), table(list(range(1000))))
    assert found.table.bins.dtype == np.uint16
    assert found.table.counts == (1000,)


def test_rows_beyond_the_training_and_rows_without_a_value() -> None:
    rows = table([0.0, 1.0, 2.0, np.nan] * 5)
    found = binned(params(use_missing=True), rows)
    splits = [found.threshold(split) for split in found.table.candidates.splits]
    bits = bits_of(Gaps(True, False), table([-9.0, 9.0, np.nan]), rows.header, splits)
    shown = [(split.k, split.missing_left) for split in found.table.candidates.splits]
    assert shown == [(0, False), (0, True), (1, False), (1, True), (2, False)]
    assert bits.tolist() == [[True] * 5, [False, False, False, False, True], [False, True, False, True, False]]


@pytest.mark.parametrize("column", [np.array(["a"], object), np.array([np.inf]), np.array([np.nan])])
def test_columns_that_cannot_be_in_bins(column: np.ndarray) -> None:
    with pytest.raises(DataError, match="FED-800"):
        binned(params(), Table(np.array(["a"], object), {"x0": column}))


def test_a_column_that_is_not_there() -> None:
    found = binned(params(), table([0.0, 1.0]))
    splits = [found.threshold(split) for split in found.table.candidates.splits]
    with pytest.raises(DataError, match="FED-258"):
        bits_of(Gaps(False, False), table([0.0]), ["other"], splits)
