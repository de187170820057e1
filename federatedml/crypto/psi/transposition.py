"""Bit matrices from columns to rows (Ishai, Kilian, Nissim, Petrank 2003 need both)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled

WORD = 64
LANES = 32  # blocks of 64 x 64 bits side by side

Words = NDArray[np.uint64]


def rows_of(columns: Words) -> Words:
    """(w, r) words of w columns of 64 r bits to (64 r, w / 64) words: bit i of row j is bit j of column i.

    w is a multiple of 64; the lowest bit of a word comes first.
    """
    rows = np.empty((columns.shape[1] * WORD, len(columns) // WORD), np.uint64)
    transpose(columns, rows)
    return rows


@compiled
def transpose(columns: Words, rows: Words) -> None:  # pragma: no cover
    """Write ``rows_of`` into ``rows``: blocks of 64 x 64 bits in six rounds of swaps (Warren: Hacker's Delight)."""
    tile = np.empty((WORD, LANES), np.uint64)
    for group in range(rows.shape[1]):
        for start in range(0, columns.shape[1], LANES):
            live = min(LANES, columns.shape[1] - start)
            for i in range(WORD):
                for lane in range(live):
                    tile[i, lane] = columns[group * WORD + i, start + lane]
            half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
            while half:
                for i in range(WORD):
                    if not i & half:
                        _swap(tile, np.uint64(i), half, mask)
                half >>= np.uint64(1)
                mask ^= mask << half
            for lane in range(live):
                for i in range(WORD):
                    rows[(start + lane) * WORD + i, group] = tile[i, lane]


@compiled
def _swap(tile: Words, i: np.uint64, half: np.uint64, mask: np.uint64) -> None:  # pragma: no cover
    for lane in range(np.uint64(LANES)):
        t = ((tile[i, lane] >> half) ^ tile[i + half, lane]) & mask
        tile[i + half, lane] ^= t
        tile[i, lane] ^= t << half
