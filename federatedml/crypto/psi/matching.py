"""Which of the guest's values are among the host's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled
from federatedml.errors import ProtocolError

Values = NDArray[np.uint8]
I64 = NDArray[np.int64]
Words = NDArray[np.uint64]
LIMIT = 16  # bytes of a value
SEVERAL = -2  # a row with values of several ids


def matches(mine: Values, functions: I64, theirs: Values) -> tuple[I64, I64]:
    """Rows of the host's values with a value of the guest's, ascending, and which one it is.

    The host's k-th value of a row is compared with the guest's ids that hash function k placed and with no others: so
    the three values of a row find one id together, or each of three ids in a third of all cases.

    Args:
        mine: (n, length) values of the guest, length from 8 to 16.
        functions: (n,) hash function that placed each.
        theirs: (rows, 3, length) values of the host.

    Raises:
        ProtocolError: ``FED-733``, a row has values of two of the guest's ids; an id of the host has one row.
    """
    found = np.empty(len(theirs), np.int64)
    slots = np.full(2 << len(mine).bit_length(), -1, np.int64)
    _match(_padded(mine), functions, _padded(theirs.reshape(-1, theirs.shape[2])), slots, found)
    if (found == SEVERAL).any():
        raise ProtocolError("FED-733", "the host sent values of several ids as those of one")
    rows = np.flatnonzero(found >= 0)
    return rows, found[rows]


def _padded(values: Values) -> Words:
    """(k, 2) words."""
    full = np.zeros((len(values), LIMIT), np.uint8)
    full[:, : values.shape[1]] = values
    return full.view(np.uint64)


@compiled
def _match(mine: Words, functions: I64, theirs: Words, slots: I64, found: I64) -> None:  # pragma: no cover
    """A hash table with open addressing; values are uniform, so their first bits are as good as a hash."""
    mask = np.uint64(len(slots) - 1)
    for i in range(len(mine)):
        slot = mine[i, 0] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = i
    for row in range(len(found)):
        found[row] = -1
        for function in range(3):
            k = 3 * row + function
            slot = theirs[k, 0] & mask
            while slots[slot] >= 0:
                i = slots[slot]
                if mine[i, 0] == theirs[k, 0] and mine[i, 1] == theirs[k, 1] and functions[i] == function:
                    found[row] = i if found[row] == -1 else SEVERAL
                slot = (slot + np.uint64(1)) & mask
