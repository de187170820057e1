"""The batched oblivious pseudo-random function of Kolesnikov, Kumaresan, Rosulek, Trieu 2016 (figure 2), by buckets.

Row j belongs to bin j. c(x) is the pseudo-random code word of the guest's id in that bin (nothing, if the bin is
empty); G expands a key to a column; the base transfers gave the guest both keys of every column, the host one each, by
its secret choice bits s:

1. guest: T from the columns of the first keys, T' from the second: U = T + T' + C goes to the host (+ is exclusive or);
2. host: Q from the columns of its keys, q_j + s u_j = t_j + s c(x_j) (products bit by bit);
3. F_j(y) = H(j, q_j + s c(y)) for any y at the host, H(j, t_j) = F_j(x_j) for the one x_j at the guest.

The host sees U: uniform, as it lacks one key of every column. The guest cannot compute F_j(y) for another y: code words
differ in at least 128 places, so it would have to guess as many bits of s (H is BLAKE2s, taken as correlation robust).

Both are taken to follow the protocol. The host cannot tell whether U is made of code words: a guest that puts in one
that is wrong in eight places, for an id that it knows the host has, learns the eight bits of s there by 256 trials, and
some twenty such ids, or fewer and more trials, tell all of s. Then F is open to it: it can try any id without asking.
(Orrù, Orsini, Scholl 2017 check the rows, at the price of a linear code.)
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled
from federatedml.crypto.id_column import Digests
from federatedml.crypto.psi.base_ot import Bytes
from federatedml.crypto.psi.blake2s import BLOCK_BYTES, hash_rows
from federatedml.crypto.psi.cuckoo import placed
from federatedml.crypto.psi.keyed import CHUNK, I64, Keyed, Words
from federatedml.crypto.psi.sizes import HASHES, Sizes
from federatedml.crypto.psi.transposition import WORD, transpose

PERSON = np.frombuffer(b"psi oprf", np.uint32)
Values = NDArray[np.uint8]


class Columns:
    """Columns of pseudo-random bits, one per key (AES-128 in counter mode), read bucket by bucket.

    Args:
        keys: (w, 16).
    """

    def __init__(self, keys: Bytes) -> None:
        self._streams = [Cipher(algorithms.AES(key.tobytes()), modes.CTR(bytes(16))).encryptor() for key in keys]

    def rows(self, count: int) -> Words:
        """The next ``count`` rows, a multiple of 128, as (count, w / 64) words."""
        columns, zero = np.empty((len(self._streams), count // WORD), np.uint64), bytes(count // 8)
        for stream, column in zip(self._streams, columns, strict=True):
            stream.update_into(zero, column.view(np.uint8).data)
        rows = np.empty((count, len(columns) // WORD), np.uint64)
        transpose(columns, rows)
        return rows


class _Hash:
    """H(j, row) of many rows, in memory that is used again."""

    def __init__(self, words: int) -> None:
        self._messages = np.zeros((CHUNK, BLOCK_BYTES // 8), np.uint64)
        self._lengths = np.full(CHUNK, 8 * words, np.uint32)
        self._salts = np.empty(CHUNK, np.uint64)
        self._found = np.empty((CHUNK, 4), np.uint32)

    def of(self, rows: Words, at: I64, mask: Words, codes: Words, first: int) -> Values:
        """Of rows[at] + mask * codes, with numbers first + at: (k, 16) bytes that the next call overwrites."""
        used = len(at)
        _masked(rows, at, mask, codes, np.uint64(first), self._messages, self._salts)
        messages, salts = self._messages[:used].view(np.uint32), self._salts[:used].view(np.uint32).reshape(-1, 2)
        hash_rows(messages, self._lengths[:used], salts, PERSON, self._found[:used])
        return self._found[:used].view(np.uint8)


@dataclass(frozen=True)
class Query:
    """A guest's bucket.

    Attributes:
        turn: which hash functions placed its ids.
        matrix: U, (rows, words), for the host.
        values: (n, value_bytes) F of its ids, in their order.
        functions: (n,) which of the three hash functions placed each: what value of a host's id it can be equal to.
    """

    turn: int
    matrix: Words
    values: Values
    functions: I64


class Guest:
    """The receiver of the function's values.

    Args:
        keys: (w, 2, 16) of the base transfers.
    """

    def __init__(self, sizes: Sizes, keyed: Keyed, keys: Bytes) -> None:
        self._sizes, self._keyed, self._hash = sizes, keyed, _Hash(sizes.words)
        self._first, self._second = Columns(keys[:, 0]), Columns(keys[:, 1])

    def query(self, bucket: int, digests: Digests) -> Query:
        """The next bucket: (n, 2) digests of its ids."""
        sizes = self._sizes
        turn, table = placed(self._keyed, digests, bucket, sizes.bins)
        rows, matrix = self._first.rows(sizes.rows), self._second.rows(sizes.rows)
        matrix ^= rows
        values, functions = np.empty((len(digests), sizes.value_bytes), np.uint8), np.empty(len(digests), np.int64)
        full, nothing = np.flatnonzero(table >= 0), np.zeros(sizes.words, np.uint64)
        for start in range(0, len(full), CHUNK):
            at = full[start : start + CHUNK]
            entries = table[at]
            codes = self._keyed.codes(digests, entries)
            _added(matrix, at, codes)
            found = self._hash.of(rows, at, nothing, codes, bucket * sizes.rows)
            values[entries >> 2], functions[entries >> 2] = found[:, : sizes.value_bytes], entries & 3
        return Query(turn, matrix, values, functions)


class Host:
    """Who can compute the function everywhere.

    Args:
        choices: (w,) its choice bits of the base transfers.
        keys: (w, 16) the keys that they gave.
    """

    def __init__(self, sizes: Sizes, keyed: Keyed, choices: NDArray[np.bool_], keys: Bytes) -> None:
        self._sizes, self._keyed, self._hash = sizes, keyed, _Hash(sizes.words)
        self._columns = Columns(keys)
        self._secret = np.packbits(choices, bitorder="little").view(np.uint64)

    def values(self, bucket: int, digests: Digests, turn: int, matrix: Words) -> tuple[Values, I64]:
        """The next bucket's values for the guest.

        Returns:
            (host_ids, 3, value_bytes) values in random order, one row per id, random ones in rows that no id has; and
            (n,) the row of each id.
        """
        sizes = self._sizes
        rows = self._columns.rows(sizes.rows)
        rows ^= matrix & self._secret
        order = np.argsort(np.frombuffer(os.urandom(8 * sizes.host_ids), np.uint64))
        values = np.empty((sizes.host_ids, HASHES, sizes.value_bytes), np.uint8)
        bins = self._keyed.bins(digests, bucket, turn, sizes.bins)
        for start in range(0, len(digests), CHUNK // HASHES):
            choices = bins[start : start + CHUNK // HASHES].astype(np.int64)
            items = np.arange(start, start + len(choices))
            entries = (4 * items[:, None] + np.arange(HASHES)).ravel()
            at = (choices + sizes.bins * np.arange(HASHES)).ravel()
            codes = self._keyed.codes(digests, entries)
            found = self._hash.of(rows, at, self._secret, codes, bucket * sizes.rows)
            values[order[items]] = found.reshape(-1, HASHES, 16)[:, :, : sizes.value_bytes]
        empty = order[len(digests) :]
        values[empty] = np.frombuffer(os.urandom(values[empty].nbytes), np.uint8).reshape(values[empty].shape)
        return values, order[: len(digests)]


@compiled
def _added(matrix: Words, at: I64, codes: Words) -> None:  # pragma: no cover
    """matrix[at] += codes, as exclusive or."""
    for k in range(len(at)):
        for word in range(matrix.shape[1]):
            matrix[at[k], word] ^= codes[k, word]


@compiled
def _masked(
    rows: Words, at: I64, mask: Words, codes: Words, first: np.uint64, messages: Words, salts: Words
) -> None:  # pragma: no cover
    """Messages of ``_Hash``."""
    for k in range(len(at)):
        salts[k] = first + np.uint64(at[k])
        for word in range(rows.shape[1]):
            messages[k, word] = rows[at[k], word] ^ (mask[word] & codes[k, word])
