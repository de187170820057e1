"""What a run's joint seed decides: buckets, bins and the pseudo-random code. Fixed-key AES on digests.

The seed comes from both parties, after both lists are fixed: nobody can choose ids that crowd one bucket or one bin, or
whose code words are close to each other.
"""

from __future__ import annotations

import hmac

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from numpy.typing import NDArray

from federatedml.compute.kernels import compiled
from federatedml.crypto.id_column import Digests
from federatedml.crypto.psi.sizes import HASHES

SEED_BYTES = 32
CHUNK = 4096  # code words at once
BLOCKS = 4  # of AES in a code word, of which up to 512 bits are used

U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]
Words = NDArray[np.uint64]


class Keyed:
    """The functions of one seed (32 bytes)."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._code = self._cipher("code")
        self._blocks = np.empty((CHUNK, 2 * BLOCKS), np.uint64)
        self._words = np.empty((CHUNK + 1, 2 * BLOCKS), np.uint64)  # the cipher asks for room behind its last block

    def buckets(self, digests: Digests, count: int) -> NDArray[np.uint16]:
        """(n,) bucket of each id, uniform below ``count``, at most 2^16."""
        found = np.empty(len(digests), np.uint16)
        cipher = self._cipher("bucket")
        for start in range(0, len(digests), CHUNK):
            part = digests[start : start + CHUNK]
            found[start : start + len(part)] = _scaled(_encrypted(cipher, part)[:, 0], count)
        return found

    def bins(self, digests: Digests, bucket: int, turn: int, count: int) -> U32:
        """(n, 3) bin of each id for each hash function, uniform below ``count``; every ``turn`` has functions anew."""
        return _scaled(_encrypted(self._cipher(f"bins {bucket} {turn}"), digests)[:, :HASHES], count)

    def codes(self, digests: Digests, entries: I64) -> Words:
        """Code words of at most ``CHUNK`` pairs of id and hash function: the index is part of the encoded message.

        Args:
            entries: (k,) 4 * position in ``digests`` + index of the hash function.

        Returns:
            (k, 8) words that the next call overwrites.
        """
        _counters(digests, entries, self._blocks)
        used = len(entries)
        self._code.update_into(self._blocks[:used].view(np.uint8).data, self._words[: used + 1].view(np.uint8).data)
        return self._words[:used]

    def _cipher(self, purpose: str) -> CipherContext:
        key = hmac.digest(self._seed, b"airfed-V01-psi " + purpose.encode(), "sha256")
        return Cipher(algorithms.AES(key[:16]), modes.ECB()).encryptor()  # noqa: S305 - a permutation, not a message


def _encrypted(cipher: CipherContext, digests: Digests) -> U32:
    """(n, 4) words: each digest as one block."""
    return np.frombuffer(cipher.update(np.ascontiguousarray(digests).view(np.uint8).data), np.uint32).reshape(-1, 4)


def _scaled(words: U32, count: int) -> U32:
    """Uniform 32-bit words to uniform numbers below ``count``, with a bias of at most count / 2^32."""
    return (words.astype(np.uint64) * np.uint64(count) >> np.uint64(32)).astype(np.uint32)


@compiled
def _counters(digests: Digests, entries: I64, blocks: Words) -> None:  # pragma: no cover
    """Four blocks per entry: the digest, and in its free last byte the index and a counter."""
    for k in range(len(entries)):
        item, index = entries[k] >> 2, np.uint64(entries[k] & 3)
        for counter in range(BLOCKS):
            blocks[k, 2 * counter] = digests[item, 0]
            tag = (index << np.uint64(2)) | np.uint64(counter)
            blocks[k, 2 * counter + 1] = digests[item, 1] | (tag << np.uint64(56))
