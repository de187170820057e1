"""Bins of rows, and the split candidates that they make: a row goes left at (feature, k) if its bin is k or less.

The order of candidates is: features one after the other, k ascending; a feature with c bins has c - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.compute.kernels import compiled
from federatedml.compute.names import lock_free
from federatedml.errors import DataError

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class BinTable:
    """Bins of all rows of a table.

    Attributes:
        bins: (features, rows), unsigned bytes or 16-bit words, one feature after the other in memory.
        counts: (features,) number of bins of each, at least 1.
    """

    bins: NDArray[np.unsignedinteger[Any]]
    counts: tuple[int, ...]

    @staticmethod
    def of(bins: NDArray[np.unsignedinteger[Any]], counts: Sequence[int]) -> BinTable:
        """A checked table.

        Raises:
            DataError: another type or shape, or a bin that is not below the feature's count.
        """
        table = BinTable(np.ascontiguousarray(bins), tuple(int(c) for c in counts))
        if bins.dtype not in (np.uint8, np.uint16) or bins.ndim != 2 or len(bins) != len(table.counts):
            raise DataError("FED-713", f"bins are {bins.dtype} {bins.shape} for {len(table.counts)} features")
        highest = bins.max(axis=1, initial=0)
        wrong = np.flatnonzero(highest >= np.array(table.counts, np.int64))
        if len(wrong):
            raise DataError("FED-713", f"feature {wrong[0]} has a bin that is not below {table.counts[wrong[0]]}")
        return table

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.bins.shape[1])

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(features + 1,) where a feature's candidates start."""
        return np.concatenate([[0], np.cumsum(np.array(self.counts, np.int64) - 1)]).astype(np.int64)

    @property
    def cells(self) -> int:
        """Number of (feature, bin)."""
        return sum(self.counts)

    @property
    def candidates(self) -> int:
        """Number of split candidates."""
        return int(self.offsets[-1])

    def where(self, candidate: int) -> tuple[int, int]:
        """Feature and k of a candidate."""
        feature = int(np.searchsorted(self.offsets, candidate, side="right")) - 1
        return feature, candidate - int(self.offsets[feature])

    def goes_left(self, candidate: int) -> NDArray[np.bool_]:
        """(rows,) which rows a split at this candidate sends to the left."""
        feature, k = self.where(candidate)
        left: NDArray[np.bool_] = self.bins[feature] <= k
        return left

    def indicators(self, start: int, stop: int, dtype: np.dtype[Number]) -> NDArray[Number]:
        """(stop - start, candidates) ones where a row goes left, for some rows."""
        found = np.empty((stop - start, self.candidates), dtype)
        for feature, count in enumerate(self.counts):
            at = self.offsets[feature]
            found[:, at : at + count - 1] = self.bins[feature, start:stop, None] <= np.arange(count - 1)
        return found

    def members(self, start: int, stop: int, dtype: np.dtype[Number]) -> NDArray[Number]:
        """(stop - start, cells) ones at the bins of some rows."""
        return np.concatenate(
            [self.bins[j, start:stop, None] == np.arange(count) for j, count in enumerate(self.counts)], axis=1
        ).astype(dtype)

    def sums(self, vectors: NDArray[Number], compute: Compute = SERIAL) -> NDArray[Number]:
        """(features, most bins, k) sums of ``vectors`` (rows, k) per feature and bin, wrapping for words."""
        size = -(-len(self.bins) // max(compute.workers, 1))
        parts = [(self.bins[i : i + size], vectors, max(self.counts)) for i in range(0, len(self.bins), max(size, 1))]
        return np.concatenate(compute.map(_sums, parts))

    def flat(self, sums: NDArray[Number]) -> NDArray[Number]:
        """(cells, k) features' bins one after the other, of sums per feature and bin."""
        return np.concatenate([sums[j, :count] for j, count in enumerate(self.counts)])

    def cumulated(self, sums: NDArray[Number]) -> NDArray[Number]:
        """(candidates, k) sums over the rows that go left, of sums per feature and bin."""
        running = np.cumsum(sums, axis=1, dtype=sums.dtype)
        return np.concatenate([running[j, : count - 1] for j, count in enumerate(self.counts)])

    def candidate_sums(self, vectors: NDArray[Number], compute: Compute = SERIAL) -> NDArray[Number]:
        """(candidates, k) sums of ``vectors`` (rows, k) over the rows that go left."""
        return self.cumulated(self.sums(vectors, compute))


@lock_free
def _sums(part: tuple[NDArray[np.unsignedinteger[Any]], NDArray[Number], int]) -> NDArray[Number]:
    bins, vectors, most = part
    out = np.zeros((len(bins), most, vectors.shape[1]), vectors.dtype)
    add_to_bins(bins, np.ascontiguousarray(vectors), out)
    return out


@compiled
def add_to_bins(bins: NDArray[np.unsignedinteger[Any]], vectors: NDArray[Any], out: NDArray[Any]) -> None:
    """``out[j, t] += vectors[bins[j] == t].sum(0)``: bins (features, n), vectors (n, k), out (features, bins, k)."""
    width = vectors.shape[1]
    for j in range(bins.shape[0]):
        column, o = bins[j], out[j]
        for i in range(vectors.shape[0]):
            t = column[i]
            for q in range(width):
                o[t, q] += vectors[i, q]
