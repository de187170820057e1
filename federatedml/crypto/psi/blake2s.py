"""BLAKE2s (RFC 7693) of many short messages at once: one compression each, many messages side by side.

The same values as ``hashlib.blake2s(message, digest_size=16, salt=..., person=...)`` for messages up to 64 bytes,
some twenty times as fast: the loop over messages is the innermost one, which the compiler turns into vector code.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled, compiled_unless_little

BLOCK_BYTES = 64
DIGEST_BYTES = 16
LANES = 128  # messages side by side: their state and words fit the first-level cache

U32 = NDArray[np.uint32]

_IV = np.array(
    [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19], np.uint32
)
_ORDER = np.array(  # of the message's words, per round
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    np.uint64,
)
_MIXED = np.array(  # words of the state that one step mixes: columns, then diagonals
    [
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15],
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14],
    ],
    np.uint64,
)


def digests(messages: U32, lengths: U32, salts: U32, person: bytes) -> U32:
    """A digest per message.

    Args:
        messages: (n, 16) words, zero behind each message.
        lengths: (n,) bytes of each message, at most 64.
        salts: (n, 2) words.
        person: 8 bytes.

    Returns:
        (n, 4) words.
    """
    found = np.empty((len(messages), 4), np.uint32)
    hash_rows(messages, lengths, salts, np.frombuffer(person, "<u4"), found)
    return found


def digest(message: bytes, salt: bytes, person: bytes) -> bytes:
    """The same of one message of any length."""
    return hashlib.blake2s(message, digest_size=DIGEST_BYTES, salt=salt, person=person).digest()


def _hash_each(messages: U32, lengths: U32, salts: U32, person: U32, found: U32) -> None:
    bodies, own_salts, purpose = messages.view("V64")[:, 0], salts.view("V8")[:, 0], person.tobytes()
    for row, body, length, salt in zip(found, bodies, lengths, own_salts, strict=True):
        row[:] = np.frombuffer(digest(body.tobytes()[:length], salt.tobytes(), purpose), np.uint32)


@compiled_unless_little(_hash_each, lambda messages, *_: 3e-6 * len(messages))
def hash_rows(messages: U32, lengths: U32, salts: U32, person: U32, found: U32) -> None:  # pragma: no cover
    """Write the digests of ``digests`` into ``found``."""
    v = np.empty((16, LANES), np.uint32)
    m = np.zeros((16, LANES), np.uint32)
    h = np.empty((8, LANES), np.uint32)
    first = np.uint32(_IV[0] ^ np.uint32(0x01010000 ^ DIGEST_BYTES))  # one level, no key
    for start in range(0, len(messages), LANES):
        live = min(LANES, len(messages) - start)
        for lane in range(LANES):
            h[0, lane], h[1, lane], h[2, lane], h[3, lane] = first, _IV[1], _IV[2], _IV[3]
            h[4, lane], h[5, lane] = _IV[4], _IV[5]
            h[6, lane], h[7, lane] = _IV[6] ^ person[0], _IV[7] ^ person[1]
            v[12, lane], v[13, lane], v[14, lane], v[15, lane] = _IV[4], _IV[5], ~_IV[6], _IV[7]
        for lane in range(live):
            h[4, lane] ^= salts[start + lane, 0]
            h[5, lane] ^= salts[start + lane, 1]
            v[12, lane] ^= lengths[start + lane]
            for word in range(16):
                m[word, lane] = messages[start + lane, word]
        for word in range(8):
            for lane in range(LANES):
                v[word, lane] = h[word, lane]
        for word in range(4):
            for lane in range(LANES):
                v[8 + word, lane] = _IV[word]
        for turn in range(10):
            for step in range(8):
                at, x, y = _MIXED[step], _ORDER[turn, 2 * step], _ORDER[turn, 2 * step + 1]
                _mix(v, m, at[0], at[1], at[2], at[3], x, y)
        for lane in range(live):
            for word in range(4):
                found[start + lane, word] = h[word, lane] ^ v[word, lane] ^ v[word + 8, lane]


@compiled
def _mix(v: U32, m: U32, a: int, b: int, c: int, d: int, x: int, y: int) -> None:  # pragma: no cover
    """RFC 7693, section 3.1, on every lane."""
    for lane in range(np.uint64(LANES)):
        p = np.uint32(v[a, lane] + v[b, lane] + m[x, lane])
        s = np.uint32(v[d, lane] ^ p)
        s = np.uint32((s >> np.uint32(16)) | (s << np.uint32(16)))
        r = np.uint32(v[c, lane] + s)
        q = np.uint32(v[b, lane] ^ r)
        q = np.uint32((q >> np.uint32(12)) | (q << np.uint32(20)))
        p = np.uint32(p + q + m[y, lane])
        s = np.uint32(s ^ p)
        s = np.uint32((s >> np.uint32(8)) | (s << np.uint32(24)))
        r = np.uint32(r + s)
        q = np.uint32(q ^ r)
        q = np.uint32((q >> np.uint32(7)) | (q << np.uint32(25)))
        v[a, lane], v[b, lane], v[c, lane], v[d, lane] = p, q, r, s
