"""Bins of rows and their split candidates, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from federatedml.crypto.candidates import BinTable
from federatedml.errors import DataError

COUNTS = [4, 1, 300, 2]


def table(rows: int = 500) -> BinTable:
    rng = np.random.default_rng(1)
    return BinTable.of(np.stack([rng.integers(0, c, rows) for c in COUNTS]).astype(np.uint16), COUNTS)


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


def test_candidates_are_the_rows_up_to_a_bin() -> None:
    bins = table()
    vectors = np.random.default_rng(2).integers(0, 1000, (bins.rows, 2)).astype(np.float64)
    sums = bins.candidate_sums(vectors)
    assert len(sums) == bins.candidates == sum(COUNTS) - 4
    indicators = bins.indicators(0, bins.rows, np.dtype(np.uint8))
    for candidate in range(bins.candidates):
        left = bins.goes_left(candidate)
        feature, k = bins.where(candidate)
        np.testing.assert_array_equal(left, bins.bins[feature] <= k)
        np.testing.assert_array_equal(left, indicators[:, candidate])
        np.testing.assert_array_equal(sums[candidate], vectors[left].sum(axis=0))


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
