"""Bins of rows and their split candidates, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from federatedml.crypto.candidates import BinTable, Candidates, Split
from federatedml.errors import DataError

COUNTS = [4, 1, 300, 2]


def table(rows: int = 500, missing: tuple[bool, ...] = ()) -> BinTable:
    rng = np.random.default_rng(1)
    return BinTable.of(np.stack([rng.integers(0, c, rows) for c in COUNTS]).astype(np.uint16), COUNTS, missing)


@pytest.mark.parametrize("dtype", [np.float64, np.uint32, np.uint64])
def test_sums_equal_numpys(dtype: type) -> None:
    bins = table()
    vectors = np.random.default_rng(2).integers(0, 2**31, (bins.rows, 3)).astype(dtype)
    sums = bins.sums(vectors)
    assert sums.dtype == dtype
    for feature in range(4):
        for b in range(COUNTS[feature]):
            np.testing.assert_array_equal(sums[feature, b], vectors[bins.bins[feature] == b].sum(axis=0, dtype=dtype))
    np.testing.assert_array_equal(bins.flat(sums), (bins.members(0, bins.rows, np.dtype(dtype)).T @ vectors))


def test_words_wrap() -> None:
    bins = BinTable.of(np.zeros((1, 3), np.uint8), [1])
    assert bins.sums(np.full((3, 1), 2**31, np.uint32))[0, 0, 0] == 2**31


@pytest.mark.parametrize("missing", [(), (True, False, True, True)])
def test_sums_of_candidates_are_those_of_the_rows_that_go_left(missing: tuple[bool, ...]) -> None:
    bins = table(missing=missing)
    vectors = np.random.default_rng(2).integers(0, 1000, (bins.rows, 2)).astype(np.float64)
    cuts = bins.cut_sums(bins.sums(vectors))
    np.testing.assert_array_equal(cuts, bins.indicators(0, bins.rows, np.dtype(np.float64)).T @ vectors)
    sums = bins.candidate_sums(vectors)
    assert len(sums) == len(bins.candidates)
    for candidate in range(len(sums)):
        np.testing.assert_array_equal(sums[candidate], vectors[bins.goes_left(candidate)].sum(axis=0))


def test_candidates_without_missing_values() -> None:
    found = Candidates.of([3, 1, 2])
    assert found.splits == (Split(0, 0, False), Split(0, 1, False), Split(2, 0, False))
    assert found.cuts == 3


def test_rows_with_missing_values_go_both_ways() -> None:
    """Bins 0, 1, 2 of values and 3 of missing ones: two cuts in two directions, and values against missing ones."""
    found = Candidates.of([4], [True])
    right, left = False, True
    assert found.splits == (
        Split(0, 0, right),
        Split(0, 0, left),
        Split(0, 1, right),
        Split(0, 1, left),
        Split(0, 2, right),
    )
    bins = BinTable.of(np.array([[0, 1, 2, 3]], np.uint8), [4], [True])
    went = [np.flatnonzero(bins.goes_left(c)).tolist() for c in range(5)]
    assert went == [[0], [0, 3], [0, 1], [0, 1, 3], [0, 1, 2]]
    assert found.cuts == 4


@pytest.mark.parametrize(("counts", "missing"), [([0], []), ([1], [True]), ([2, 2], [True]), ([2**16 + 1], [])])
def test_impossible_bins_are_refused(counts: list[int], missing: list[bool]) -> None:
    with pytest.raises(DataError, match="FED-713"):
        Candidates.of(counts, missing)


@pytest.mark.parametrize(
    ("bins", "counts"),
    [
        (np.array([[0, 4]], np.uint8), [4]),
        (np.array([[0, 1]], np.int64), [4]),
        (np.array([0, 1], np.uint8), [4]),
        (np.array([[0, 1]], np.uint8), [4, 4]),
    ],
)
def test_bins_that_do_not_fit_are_refused(bins: np.ndarray, counts: list[int]) -> None:
    with pytest.raises(DataError, match="FED-713"):
        BinTable.of(bins, counts)
