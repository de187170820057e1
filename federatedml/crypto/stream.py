"""Keyed streams: words that look uniform to everybody without the seed.

A seed is 32 bytes of the operating system's randomness, made for one attempt by one party. HKDF-SHA256 (RFC 5869) binds
it to the attempt (initiator, job, component, generation, attempt number) and to a purpose and an index; AES-256 in
counter mode expands the key. Everything cryptographic in the product takes its randomness from here or directly from
the operating system, never from a statistical generator.
"""

from __future__ import annotations

import hmac
import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from federatedml.crypto.ring import Words
from federatedml.errors import ProtocolError

SEED_BYTES = 32
FROM_ZERO = modes.CTR(bytes(16))  # every key is for one message


def new_seed() -> bytes:
    """A fresh seed from the operating system."""
    return os.urandom(SEED_BYTES)


class Stream:
    """Words of one seed in one context.

    Args:
        seed: 32 bytes.
        context: unambiguous bytes that name the use, for example ``AttemptKey.context()``.
    """

    def __init__(self, seed: bytes, context: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ProtocolError("FED-380", f"a seed has {len(seed)} bytes, it must have {SEED_BYTES}")
        self._key = hmac.digest(context, seed, "sha256")  # HKDF-Extract, the context is the salt

    def words(self, purpose: str, index: int, count: int) -> Words:
        """``count`` words (read-only) for one purpose and index; the same call gives the same words.

        The caller uses each (purpose, index) for one message only: masks are never used twice.
        """
        info = purpose.encode() + b"\0" + index.to_bytes(8, "big")
        key = hmac.digest(self._key, info + b"\x01", "sha256")  # HKDF-Expand: one block is as long as the key
        cipher = Cipher(algorithms.AES(key), FROM_ZERO).encryptor()
        return np.frombuffer(cipher.update(bytes(8 * count)), "<u8")
