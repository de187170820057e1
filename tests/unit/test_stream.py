"""Keyed streams: bound to seed, attempt, purpose and index; uniform to a coarse test."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federatedml.crypto.stream import SEED_BYTES, Stream, new_seed
from federatedml.errors import ProtocolError
from federatedml.federation.box import AttemptKey

SEED = bytes(range(32))


def test_words_are_hkdf_and_aes_in_counter_mode() -> None:
    key = HKDF(SHA256(), 32, salt=b"context", info=b"purpose\0" + (7).to_bytes(8, "big")).derive(SEED)
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the definition of counter mode
    expected = b"".join(block.update(counter.to_bytes(16, "big")) for counter in range(5))
    assert Stream(SEED, b"context").words("purpose", 7, 10).tobytes() == expected


def test_the_same_call_gives_the_same_words_and_a_longer_one_begins_alike() -> None:
    stream = Stream(SEED, b"context")
    assert np.array_equal(stream.words("p", 1, 9), stream.words("p", 1, 12)[:9])


def test_seed_context_purpose_and_index_all_change_the_words() -> None:
    streams = itertools.product((SEED, SEED[::-1]), (b"one", b"two"), ("features", "weights"), (0, 1, 256))
    found = {Stream(seed, context).words(purpose, i, 4).tobytes() for seed, context, purpose, i in streams}
    assert len(found) == 24


def test_another_attempt_gives_other_words_from_the_same_seed() -> None:
    contexts = [
        AttemptKey("9999", "job", "lr", generation, attempt).context() for generation, attempt in [(1, 2), (2, 1)]
    ]
    one, other = (Stream(SEED, context).words("weights", 0, 8) for context in contexts)
    assert not set(one.tolist()) & set(other.tolist())


def test_words_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Stream(SEED, b"").words("p", 0, 2)[0] = 1


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_short_or_long_seed_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError, match="FED-380"):
        Stream(bytes(length), b"context")


def test_seeds_are_fresh() -> None:
    seeds = {new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {SEED_BYTES}


def test_bits_and_bytes_are_balanced() -> None:
    words = Stream(SEED, b"balance").words("p", 0, 2**14)
    bits = np.unpackbits(words.view(np.uint8))
    assert abs(bits.mean() - 0.5) < 4 * 0.5 / np.sqrt(bits.size)
    counts = np.bincount(words.view(np.uint8), minlength=256)
    chi2 = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
    assert 160 < chi2 < 370  # 255 degrees of freedom: five standard deviations either way
