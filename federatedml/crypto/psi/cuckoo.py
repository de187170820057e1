"""Cuckoo hashing with three hash functions and no stash (Pagh and Rodler 2004; Fotakis and others 2005).

Every hash function has bins of its own, so no id has two ways into one bin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled
from federatedml.crypto.id_column import Digests
from federatedml.crypto.psi.keyed import Keyed
from federatedml.crypto.psi.sizes import HASHES
from federatedml.errors import DataError

MAX_TURNS = 16
MAX_MOVES = 5000

Table = NDArray[np.int64]  # (3 bins,) 4 * item + index of the hash function, or -1


def placed(keyed: Keyed, digests: Digests, bucket: int, bins: int) -> tuple[int, Table]:
    """Put every id into one of its three bins.

    Returns:
        The number of the first hash functions that worked, and the table. The number is told to the peer; it is 0 but
        with a probability of 2^-40 or so, and depends on nothing but the own ids and the seed.

    Raises:
        DataError: ``FED-732``, none of 16 worked, which does not happen to ids that differ.
    """
    for turn in range(MAX_TURNS):
        table = np.full(HASHES * bins, -1, np.int64)
        if insert(keyed.bins(digests, bucket, turn, bins), table, MAX_MOVES) == len(digests):
            return turn, table
    raise DataError("FED-732", f"{len(digests)} ids found no place in {HASHES * bins} bins; are they all different?")


@compiled
def insert(choices: NDArray[np.uint32], table: Table, max_moves: int) -> int:  # pragma: no cover
    """Insert by random walk; how many ids found a place before the first that did not."""
    bins = len(table) // 3
    state = np.uint64(88172645463325252)
    for item in range(len(choices)):
        entry, moves = item << 2, 0
        while entry >= 0:
            if moves == max_moves:
                return item
            moves += 1
            who, came = entry >> 2, entry & 3
            free = -1
            for index in range(3):
                if table[index * bins + choices[who, index]] < 0:
                    free = index
                    break
            if free >= 0:
                table[free * bins + choices[who, free]] = (who << 2) | free
                break
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            turn = (came + 1 + int(state >> np.uint64(63))) % 3  # not where it was thrown out
            at = turn * bins + choices[who, turn]
            table[at], entry = (who << 2) | turn, table[at]
    return len(choices)
