"""Ids of any length as 120 bits: BLAKE2s, many at once.

Two of 2^25 ids have one digest with probability 2^-71. The digest of an id is no secret; what hides it comes after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled
from federatedml.crypto.psi import blake2s

CHUNK = 2**14
PERSON = b"psi id  "
MASK = np.uint64(2**56 - 1)  # of the second word: its last byte is free for a counter

Digests = NDArray[np.uint64]  # (n, 2), 120 bits


def id_digests(ids: Sequence[bytes], context: bytes) -> Digests:
    """(n, 2) words of the ids; ``context`` (a job's attempt) separates runs."""
    salt = hashlib.sha256(context).digest()[:8]
    found = np.empty((len(ids), 2), np.uint64)
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        found[start : start + len(part)] = _digests(pa.array(part, pa.large_binary()), salt)
    found[:, 1] &= MASK
    return found


def _digests(ids: pa.LargeBinaryArray, salt: bytes) -> Digests:
    _, offsets, data = ids.buffers()
    starts = np.frombuffer(offsets, np.int64)[ids.offset : ids.offset + len(ids) + 1]
    messages = np.zeros((len(ids), blake2s.BLOCK_BYTES), np.uint8)
    lengths = np.diff(starts).astype(np.uint32)
    _fill(np.frombuffer(data or b"", np.uint8), starts, messages)
    salts = np.tile(np.frombuffer(salt, np.uint32), (len(ids), 1))
    found = blake2s.digests(messages.view(np.uint32), lengths, salts, PERSON)
    for long in np.flatnonzero(lengths > blake2s.BLOCK_BYTES):
        found[long] = np.frombuffer(blake2s.digest(ids[long].as_py(), salt, PERSON), np.uint32)
    return found.view(np.uint64)


@compiled
def _fill(data: NDArray[np.uint8], starts: NDArray[np.int64], messages: NDArray[np.uint8]) -> None:  # pragma: no cover
    """The first 64 bytes of every id."""
    for i in range(len(messages)):
        for k in range(min(starts[i + 1] - starts[i], messages.shape[1])):
            messages[i, k] = data[starts[i] + k]
