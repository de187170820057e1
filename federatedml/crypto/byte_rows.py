"""Lists of byte strings of one length, as arrays: which are equal, and random orders of them."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from federatedml.errors import ProtocolError

Rows = NDArray[np.uint8]  # (n, bytes)


def all_different(rows: Rows) -> Rows:
    """A peer's list of blinded or hashed ids, if none comes twice."""
    if len(np.unique(_keys(rows))) != len(rows):
        raise ProtocolError("FED-370", "a blinded id came twice")
    return rows


def equal_pairs(ours: Rows, theirs: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in two lists, each of different rows, of those that are equal; ordered by the rows' bytes."""
    _, at_ours, at_theirs = np.intersect1d(_keys(ours), _keys(theirs), assume_unique=True, return_indices=True)
    return at_ours, at_theirs


def shuffled(count: int) -> NDArray[np.int64]:
    """A permutation of ``range(count)`` from OS randomness: the ranks of 64-bit random keys."""
    return np.argsort(np.frombuffer(os.urandom(8 * count), np.uint64), kind="stable")


def _keys(rows: Rows) -> NDArray[np.bytes_]:
    """(n,) what NumPy sorts as bytes: all of one length, so that ends that are zero count."""
    return np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").reshape(len(rows))
