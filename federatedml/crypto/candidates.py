"""Bins of rows, and the split candidates that they make: a row goes left at (feature, k) if its bin is k or less.

The last bin of a feature may hold the rows whose value is missing: then each cut of its values is two candidates, rows
with a missing value go right at the first and left at the second, and one more parts all values from the missing ones.

Sums of all candidates follow from fewer *cuts*: sums up to each k, and of the missing rows. Cuts and candidates are in
the order of features, then k; a feature with c bins has c - 1 cuts and candidates, with missing values c and 2 c - 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.compute.kernels import compiled_unless_little
from federatedml.compute.names import lock_free
from federatedml.errors import DataError

Number = TypeVar("Number", bound=np.generic)
MOST_BINS = 2**16


@dataclass(frozen=True)
class Split:
    """One candidate."""

    feature: int
    k: int
    missing_left: bool


@dataclass(frozen=True)
class Candidates:
    """The split candidates of features with these bins; nothing about rows.

    Attributes:
        counts: (features,) number of bins of each, at least 1.
        missing: (features,) whether the last bin is of rows whose value is missing.
    """

    counts: tuple[int, ...]
    missing: tuple[bool, ...]

    @staticmethod
    def of(counts: Sequence[int], missing: Sequence[bool] = ()) -> Candidates:
        """Checked; without ``missing`` no feature has such a bin.

        Raises:
            DataError: FED-713.
        """
        found = Candidates(tuple(int(c) for c in counts), tuple(bool(m) for m in missing) or (False,) * len(counts))
        if len(found.missing) != len(found.counts):
            raise DataError("FED-713", f"{len(found.missing)} notes of missing values for {len(found.counts)} features")
        for feature, (count, flag) in enumerate(zip(found.counts, found.missing, strict=True)):
            if not 1 + flag <= count <= MOST_BINS:
                raise DataError("FED-713", f"feature {feature} has {count} bins, allowed are {1 + flag} to {MOST_BINS}")
        return found

    def __len__(self) -> int:
        return len(self.splits)

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """All candidates."""
        found = []
        for feature, (count, missing) in enumerate(zip(self.counts, self.missing, strict=True)):
            for k in range(count - 1):
                found.append(Split(feature, k, False))
                if missing and k < count - 2:
                    found.append(Split(feature, k, True))
        return tuple(found)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(features + 1,) where a feature's cuts start."""
        cuts = np.array(self.counts, np.int64) - 1 + np.array(self.missing, np.int64)
        return np.concatenate([[0], np.cumsum(cuts)]).astype(np.int64)

    @property
    def cuts(self) -> int:
        """Number of cuts."""
        return int(self.offsets[-1])

    @cached_property
    def parts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(candidates,) the cut of each candidate; and that of the missing rows which it takes besides, or -1."""
        first = [self.offsets[split.feature] + split.k for split in self.splits]
        second = [self.offsets[split.feature + 1] - 1 if split.missing_left else -1 for split in self.splits]
        return np.array(first, np.int64), np.array(second, np.int64)

    def expanded(self, cuts: NDArray[Number]) -> NDArray[Number]:
        """(candidates, k) of sums per cut (cuts, k)."""
        first, second = self.parts
        found: NDArray[Number] = cuts[first]
        also = second >= 0
        found[also] = np.add(found[also], cuts[second[also]])
        return found


@dataclass(frozen=True, eq=False)
class BinTable:
    """Bins of all rows of a table.

    Attributes:
        bins: (features, rows), unsigned bytes or 16-bit words, one feature after the other in memory.
        candidates: what can be split at.
    """

    bins: NDArray[np.unsignedinteger[Any]]
    candidates: Candidates

    @staticmethod
    def of(bins: NDArray[np.unsignedinteger[Any]], counts: Sequence[int], missing: Sequence[bool] = ()) -> BinTable:
        """A checked table.

        Raises:
            DataError: FED-713, another type or shape, or a bin that is not below the feature's count.
        """
        table = BinTable(np.ascontiguousarray(bins), Candidates.of(counts, missing))
        if bins.dtype not in (np.uint8, np.uint16) or bins.ndim != 2 or len(bins) != len(table.counts):
            raise DataError("FED-713", f"bins are {bins.dtype} {bins.shape} for {len(table.counts)} features")
        highest = bins.max(axis=1, initial=0)
        wrong = np.flatnonzero(highest >= np.array(table.counts, np.int64))
        if len(wrong):
            raise DataError("FED-713", f"feature {wrong[0]} has a bin that is not below {table.counts[wrong[0]]}")
        return table

    @property
    def counts(self) -> tuple[int, ...]:
        """(features,) number of bins of each."""
        return self.candidates.counts

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.bins.shape[1])

    @property
    def cells(self) -> int:
        """Number of (feature, bin)."""
        return sum(self.counts)

    def goes_left(self, candidate: int) -> NDArray[np.bool_]:
        """(rows,) which rows a split at this candidate sends to the left."""
        split = self.candidates.splits[candidate]
        bins, last = self.bins[split.feature], self.counts[split.feature] - 1
        left: NDArray[np.bool_] = bins <= split.k
        return left | (bins == last) if split.missing_left else left

    def indicators(self, start: int, stop: int, dtype: np.dtype[Number]) -> NDArray[Number]:
        """(stop - start, cuts) ones where a row is in a cut, for some rows."""
        found = np.empty((stop - start, self.candidates.cuts), dtype)
        for feature, (count, missing) in enumerate(zip(self.counts, self.candidates.missing, strict=True)):
            at, bins = self.candidates.offsets[feature], self.bins[feature, start:stop]
            found[:, at : at + count - 1] = bins[:, None] <= np.arange(count - 1)
            if missing:
                found[:, at + count - 1] = bins == count - 1
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

    def cut_sums(self, sums: NDArray[Number]) -> NDArray[Number]:
        """(cuts, k) of sums per feature and bin."""
        running = np.cumsum(sums, axis=1, dtype=sums.dtype)
        found = []
        for feature, (count, missing) in enumerate(zip(self.counts, self.candidates.missing, strict=True)):
            found.append(running[feature, : count - 1])
            if missing:
                found.append(sums[feature, count - 1 : count])
        return np.concatenate(found)

    def candidate_sums(self, vectors: NDArray[Number], compute: Compute = SERIAL) -> NDArray[Number]:
        """(candidates, k) sums of ``vectors`` (rows, k) over the rows that go left."""
        return self.candidates.expanded(self.cut_sums(self.sums(vectors, compute)))


@lock_free
def _sums(part: tuple[NDArray[np.unsignedinteger[Any]], NDArray[Number], int]) -> NDArray[Number]:
    bins, vectors, most = part
    out = np.zeros((len(bins), most, vectors.shape[1]), vectors.dtype)
    add_to_bins(bins, np.ascontiguousarray(vectors), out)
    return out


def _add_to_bins(bins: NDArray[np.unsignedinteger[Any]], vectors: NDArray[Any], out: NDArray[Any]) -> None:
    for column, o in zip(bins, out, strict=True):
        np.add.at(o, column, vectors)


@compiled_unless_little(_add_to_bins, lambda bins, vectors, out: 20e-9 * bins.size * vectors.shape[1])
def add_to_bins(bins: NDArray[np.unsignedinteger[Any]], vectors: NDArray[Any], out: NDArray[Any]) -> None:
    """``out[j, t] += vectors[bins[j] == t].sum(0)``: bins (features, n), vectors (n, k), out (features, bins, k)."""
    width = vectors.shape[1]
    for j in range(bins.shape[0]):
        column, o = bins[j], out[j]
        for i in range(vectors.shape[0]):
            t = column[i]
            for q in range(width):
                o[t, q] += vectors[i, q]
