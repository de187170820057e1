"""The compiled parts of ``crypto.psi`` against the standard library and NumPy."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.crypto.psi import blake2s
from federatedml.crypto.psi.buckets import Buckets
from federatedml.crypto.psi.cuckoo import insert, placed
from federatedml.crypto.psi.keyed import Keyed
from federatedml.crypto.psi.matching import matches
from federatedml.crypto.psi.oprf import Columns
from federatedml.crypto.psi.sizes import BUCKET_IDS, HASHES, Sizes, capacity, code_words, value_bytes
from federatedml.crypto.psi.transposition import rows_of
from federatedml.errors import DataError, ProtocolError
from tests.kkrt_pair import column

SEED = bytes(range(32))


def made_up(count: int) -> np.ndarray:
    return column(f"u{i}" for i in range(count)).digests()


@given(st.lists(st.tuples(st.binary(max_size=64), st.binary(min_size=8, max_size=8)), min_size=1, max_size=300))
@settings(max_examples=20, deadline=None)
def test_digests_are_blake2s(messages: list[tuple[bytes, bytes]]) -> None:
    padded = np.frombuffer(b"".join(m.ljust(64, b"\0") for m, _ in messages), np.uint32).reshape(-1, 16)
    lengths = np.array([len(m) for m, _ in messages], np.uint32)
    salts = np.frombuffer(b"".join(salt for _, salt in messages), np.uint32).reshape(-1, 2)
    found = blake2s.digests(padded, lengths, salts, b"purpose!")
    for row, (message, salt) in zip(found, messages, strict=True):
        expected = hashlib.blake2s(message, digest_size=16, salt=salt, person=b"purpose!").digest()
        assert row.tobytes() == expected


@pytest.mark.parametrize(("width", "words"), [(64, 1), (448, 35), (512, 2), (448, 64)])
def test_a_transposed_bit_matrix(width: int, words: int) -> None:
    columns = np.frombuffer(secrets.token_bytes(8 * width * words), np.uint64).reshape(width, words)
    expected = np.unpackbits(columns.view(np.uint8), axis=1, bitorder="little").T
    found = np.unpackbits(rows_of(columns).view(np.uint8), axis=1, bitorder="little")
    assert (found == expected).all()


def test_columns_go_on_where_they_stopped() -> None:
    keys = np.frombuffer(secrets.token_bytes(64 * 16), np.uint8).reshape(64, 16)
    whole, parts = Columns(keys).rows(384), Columns(keys)
    assert (np.concatenate([parts.rows(128), parts.rows(256)]) == whole).all()
    assert len(np.unique(whole)) == 384


@pytest.mark.parametrize("count", [1, 2, 50, 300, 2000])
def test_every_id_stands_in_one_of_its_bins(count: int) -> None:
    keyed, bins = Keyed(SEED), Sizes.of(count, count).bins
    digests = made_up(count)
    turn, table = placed(keyed, digests, 0, bins)
    assert turn == 0
    entries, at = table[table >= 0], np.flatnonzero(table >= 0)
    assert sorted(entries >> 2) == list(range(count))
    choices = keyed.bins(digests, 0, turn, bins)
    assert (at == (entries & 3) * bins + choices[entries >> 2, entries & 3]).all()


def test_insertion_does_not_fail() -> None:
    """Of lists of any length, short ones most often: 2,000 seeds each without a failure."""
    for count in (3, 20, 150, 400):
        bins = Sizes.of(count, count).bins
        digests = made_up(count)
        for seed in range(500):
            table = np.full(HASHES * bins, -1, np.int64)
            choices = Keyed(seed.to_bytes(32, "big")).bins(digests, 0, 0, bins)
            assert insert(choices, table, 5000) == count


def test_a_failed_insertion_takes_new_hash_functions() -> None:
    """40 ids into 3 x 14 bins go with some functions and not with others."""
    digests = made_up(40)
    turns = {placed(Keyed(seed.to_bytes(32, "big")), digests, 0, 14)[0] for seed in range(20)}
    assert len(turns) > 1


def test_ids_that_are_equal_find_no_place() -> None:
    digests = np.repeat(made_up(1), 4, axis=0)
    with pytest.raises(DataError, match="FED-732"):
        placed(Keyed(SEED), digests, 0, 128)


def test_functions_of_buckets_and_turns_are_different() -> None:
    keyed, digests = Keyed(SEED), made_up(50)
    seen = [keyed.bins(digests, bucket, turn, 2**20).tobytes() for bucket in range(3) for turn in range(3)]
    assert len(set(seen)) == 9
    assert Keyed(bytes(32)).bins(digests, 0, 0, 2**20).tobytes() != seen[0]


def test_code_words_are_aes_of_digest_index_and_counter() -> None:
    digests = made_up(5)
    key = hmac.digest(SEED, b"airfed-V01-psi code", "sha256")[:16]
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - single blocks
    found = Keyed(SEED).codes(digests, np.array([4 * 3 + 2, 0]))
    for row, (item, index) in zip(found, [(3, 2), (0, 0)], strict=True):
        blocks = (digests[item].tobytes()[:15] + bytes([4 * index + counter]) for counter in range(4))
        assert row.tobytes() == b"".join(cipher.update(block) for block in blocks)


def test_code_words_of_different_ids_and_indices_are_far_from_each_other() -> None:
    codes = Keyed(secrets.token_bytes(32)).codes(made_up(100), np.arange(400)[np.arange(400) % 4 < 3])[:, :7]
    bits = np.unpackbits(np.ascontiguousarray(codes).view(np.uint8), axis=1).astype(np.int64)
    distances = bits @ (1 - bits).T + (1 - bits) @ bits.T
    assert distances[~np.eye(300, dtype=bool)].min() >= 128


def test_buckets_hold_every_id_once() -> None:
    digests = made_up(1000)
    buckets = Buckets.of(Keyed(SEED), digests, 7, capacity(1000, 7))
    assert sorted(np.concatenate([buckets[b] for b in range(7)])) == list(range(1000))


@given(st.integers(1, 30), st.integers(1, 60), st.integers(8, 16), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_matches_are_those_of_a_dictionary(mine: int, theirs: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    ours = np.unique(random.integers(0, 3, (mine, width), np.uint8), axis=0)
    functions = random.integers(0, 3, len(ours))
    values = random.integers(3, 6, (theirs, 3, width), np.uint8)
    placed_at = random.integers(0, 3, theirs)
    values[::2, :][np.arange(len(values[::2])), placed_at[::2]] = ours[np.arange(len(values[::2])) % len(ours)]
    rows, items = matches(ours, functions, values)
    at = {(value.tobytes(), function): i for i, (value, function) in enumerate(zip(ours, functions, strict=True))}
    told = [[at.get((v.tobytes(), k)) for k, v in enumerate(three)] for three in values]
    expected = {row: next(i for i in three if i is not None) for row, three in enumerate(told) if any_of(three)}
    assert dict(zip(rows.tolist(), items.tolist(), strict=True)) == expected


def any_of(found: list[int | None]) -> bool:
    return any(i is not None for i in found)


def test_a_row_with_values_of_two_ids_is_refused() -> None:
    ours = np.frombuffer(secrets.token_bytes(24), np.uint8).reshape(3, 8)
    with pytest.raises(ProtocolError, match=r"FED-733.*several ids"):
        matches(ours, np.array([0, 2, 1]), ours[None, [0, 2, 1]].copy())
    rows, items = matches(ours, np.array([0, 1, 2]), ours[None, [1, 0, 2]].copy())
    assert (rows.tolist(), items.tolist()) == ([0], [2])


@pytest.mark.parametrize(("count", "length"), [(1, 8), (10**5, 10), (10**6, 11), (10**7, 12)])
def test_length_of_values(count: int, length: int) -> None:
    assert value_bytes(count, count) == length


@pytest.mark.parametrize(("host", "words"), [(1, 7), (2**24, 7), (2**25, 8), (2**40, 8)])
def test_width_of_the_code(host: int, words: int) -> None:
    assert code_words(host) == words


def test_sizes_of_ten_million() -> None:
    found = Sizes.of(10**7, 10**5)
    assert found.buckets == round(10**7 / BUCKET_IDS)
    assert found.guest_ids < 1.05 * BUCKET_IDS
    assert 10**5 / found.buckets < found.host_ids < 2 * 10**5 / found.buckets
    assert found.rows * 0.75 < found.guest_ids < found.rows * 0.79
    assert found.rows % 384 == 0
