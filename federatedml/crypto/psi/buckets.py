"""Ids in buckets: which of a party's ids are in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled
from federatedml.crypto.id_column import Digests
from federatedml.crypto.psi.keyed import Keyed
from federatedml.errors import DataError

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Buckets:
    """Positions of ids, bucket by bucket.

    Attributes:
        order: (n,) positions, those of the first bucket first.
        ends: (buckets + 1,) where each bucket starts in ``order``, and where the last one ends.
    """

    order: NDArray[np.uint32]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, keyed: Keyed, digests: Digests, count: int, capacity: int) -> Buckets:
        """All ids in ``count`` buckets; ``FED-731`` if one has more than ``capacity``: new seeds will do."""
        found = keyed.buckets(digests, count)
        sizes = np.bincount(found, minlength=count)
        if sizes.max() > capacity:
            raise DataError(
                "FED-731", f"one of {count} buckets holds more than {capacity} ids", "run again: chance does it once"
            )
        ends = np.r_[0, np.cumsum(sizes)]
        order = np.empty(len(digests), np.uint32)
        _sort(found, ends[:-1].copy(), order)
        return cls(order, ends)

    def __getitem__(self, bucket: int) -> Positions:
        """Positions of one bucket's ids."""
        return self.order[self.ends[bucket] : self.ends[bucket + 1]].astype(np.int64)


@compiled
def _sort(found: NDArray[np.uint16], free: Positions, order: NDArray[np.uint32]) -> None:  # pragma: no cover
    """Write each position to the next free place of its bucket."""
    for position in range(len(found)):
        order[free[found[position]]] = position
        free[found[position]] += 1
