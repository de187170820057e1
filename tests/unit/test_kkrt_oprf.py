"""The oblivious function: equal where both parties have an id, of no use elsewhere; what keeps it so."""

from __future__ import annotations

import secrets
from dataclasses import replace

import numpy as np
import pytest

from federatedml.crypto.psi import base_ot
from federatedml.crypto.psi.buckets import Buckets
from federatedml.crypto.psi.cuckoo import placed
from federatedml.crypto.psi.keyed import Keyed
from federatedml.crypto.psi.oprf import Columns, Guest, Host, Query, _Hash
from federatedml.crypto.psi.sizes import Sizes, capacity
from federatedml.errors import DataError
from tests.kkrt_pair import column

CONTEXT = b"an attempt"


def digests(names: range) -> np.ndarray:
    return column(f"u{i}" for i in names).digests()


def transferred(words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both keys of every column, the host's choices, and the keys that it got."""
    choices = np.unpackbits(np.frombuffer(secrets.token_bytes(8 * words), np.uint8), bitorder="little") == 1
    sender = base_ot.Sender(CONTEXT)
    points, keys = base_ot.receive(CONTEXT, sender.public, choices)
    return sender.keys(points), choices, keys


@pytest.fixture(scope="module")
def keys() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return transferred(7)


def test_values_are_equal_exactly_for_common_ids(keys: tuple) -> None:
    both, choices, chosen = keys
    sizes, seed = Sizes.of(200, 300), secrets.token_bytes(32)
    guest, host = Guest(sizes, Keyed(seed), both), Host(sizes, Keyed(seed), choices, chosen)
    for bucket in range(3):  # the columns go on from bucket to bucket
        mine, theirs = range(200), range(100 + bucket, 400 + bucket)
        query = guest.query(bucket, digests(mine))
        values, rows = host.values(bucket, digests(theirs), query.turn, query.matrix)
        of = {value.tobytes(): name for name, value in zip(mine, query.values, strict=True)}
        found = {
            (name, of[v.tobytes()])
            for name, row in zip(theirs, rows, strict=True)
            for v in values[row]
            if v.tobytes() in of
        }
        assert found == {(name, name) for name in set(mine) & set(theirs)}


def test_the_host_uses_the_hash_functions_that_the_guest_took(keys: tuple) -> None:
    """340 ids in 384 bins need several tries."""
    both, choices, chosen = keys
    sizes, mine = replace(Sizes.of(340, 340), bins=128), digests(range(340))
    seeds = (bytes([i]) * 32 for i in range(256))
    seed = next(seed for seed in seeds if placed(Keyed(seed), mine, 0, 128)[0] > 0)
    query = Guest(sizes, Keyed(seed), both).query(0, mine)
    values, _ = Host(sizes, Keyed(seed), choices, chosen).values(0, mine, query.turn, query.matrix)
    assert query.turn > 0
    assert {v.tobytes() for v in query.values} <= {v.tobytes() for row in values for v in row}


def test_values_without_the_guests_keys_match_nothing(keys: tuple) -> None:
    both, _, _ = keys
    _, choices, other = transferred(7)
    sizes, seed = Sizes.of(50, 50), secrets.token_bytes(32)
    query = Guest(sizes, Keyed(seed), both).query(0, digests(range(50)))
    values, _ = Host(sizes, Keyed(seed), choices, other).values(0, digests(range(50)), query.turn, query.matrix)
    assert not {v.tobytes() for row in values for v in row} & {v.tobytes() for v in query.values}


def test_the_matrix_is_uniform_in_full_and_in_empty_rows(keys: tuple) -> None:
    sizes = Sizes.of(10, 10)
    query = Guest(sizes, Keyed(bytes(32)), keys[0]).query(0, digests(range(10)))
    share = np.unpackbits(query.matrix.view(np.uint8)).mean()
    assert abs(share - 0.5) < 6 * 0.5 / np.sqrt(query.matrix.size * 64)
    assert len(np.unique(query.matrix)) == query.matrix.size


def in_list(first: Query, second: Query, keyed: Keyed, candidate: np.ndarray) -> bool:
    """What a host can try that sees two matrices: is the candidate in one of the two lists?"""
    difference = {row.tobytes() for row in first.matrix ^ second.matrix}
    return any(code[:7].tobytes() in difference for code in keyed.codes(candidate, np.arange(3)))


def test_base_transfers_that_are_used_twice_betray_the_list() -> None:
    """The same keys in two runs: the sum of the matrices is the code words', which a host can compute."""
    sizes, keyed = Sizes.of(1, 10), Keyed(bytes(32))  # under this seed the two ids are not in one bin
    both, _, _ = transferred(sizes.words)
    secret, other = digests(range(1, 2)), digests(range(2, 3))
    first = Guest(sizes, keyed, both).query(0, digests(range(1)))
    reused = Guest(sizes, keyed, both).query(0, secret)
    assert in_list(first, reused, keyed, secret)
    assert not in_list(first, reused, keyed, other)
    fresh = Guest(sizes, keyed, transferred(sizes.words)[0]).query(0, secret)
    assert not in_list(first, fresh, keyed, secret)


def test_a_seed_that_is_known_before_lets_ids_crowd_one_bucket() -> None:
    """With a fixed seed one side can choose ids that end the other side's run; a fresh one spreads them."""
    fixed, many = Keyed(bytes(32)), digests(range(2000))
    crowd = many[fixed.buckets(many, 2) == 0]
    with pytest.raises(DataError, match="FED-731"):
        Buckets.of(fixed, crowd, 2, capacity(len(crowd), 2))
    spread = Buckets.of(Keyed(secrets.token_bytes(32)), crowd, 2, capacity(len(crowd), 2))
    assert len(spread.order) == len(crowd)


def test_without_the_index_in_the_message_an_id_with_two_ways_into_a_bin_shows(keys: tuple) -> None:
    """Equal values in one row would tell the guest something of an id that it does not have."""
    both, choices, chosen = keys
    sizes, keyed, names = Sizes.of(50, 50), Keyed(secrets.token_bytes(32)), digests(range(50))
    query = Guest(sizes, keyed, both).query(0, names)
    host = Host(sizes, keyed, choices, chosen)
    rows = host._columns.rows(sizes.rows) ^ (query.matrix & host._secret)
    two_ways = np.zeros(2, np.int64)  # the first two hash functions of one id, were they to lead into bin 0

    def values(entries: list[int]) -> set[bytes]:
        codes = keyed.codes(names, np.array(entries))
        return {value.tobytes() for value in host._hash.of(rows, two_ways, host._secret, codes, 0)}

    assert len(values([4 * 7, 4 * 7])) == 1  # the attack: without the index both ways give one value
    assert len(values([4 * 7, 4 * 7 + 1])) == 2


def test_rows_of_a_host_are_in_random_order_and_hide_how_many_hold_ids(keys: tuple) -> None:
    both, choices, chosen = keys
    sizes, keyed = Sizes.of(60, 60), Keyed(secrets.token_bytes(32))
    query = Guest(sizes, keyed, both).query(0, digests(range(60)))
    values, rows = Host(sizes, keyed, choices, chosen).values(0, digests(range(40)), query.turn, query.matrix)
    assert values.shape == (60, 3, sizes.value_bytes)
    assert sorted(rows) != list(rows) != list(range(40))
    assert len({v.tobytes() for row in values for v in row}) == 180


def spoiled(sizes: Sizes, keyed: Keyed, known: np.ndarray) -> tuple[np.ndarray, dict[int, int]]:
    """What no guest should put into its matrix: in rows of known ids their code words, wrong in one byte each.

    Returns:
        (rows, words), and the wrong byte of each row that has one.
    """
    added, wrong = np.zeros((sizes.rows, sizes.words), np.uint64), dict[int, int]()
    for index in range(3):
        bins, first = np.unique(keyed.bins(known, 0, 0, sizes.bins)[:, index], return_index=True)
        codes = keyed.codes(known, 4 * first + index)[:, : sizes.words].copy().view(np.uint8)
        for row, code in zip((bins + sizes.bins * index).tolist(), codes, strict=True):
            wrong[row] = len(wrong) % (8 * sizes.words)
            code[wrong[row]] ^= 255
            added[row] = code.view(np.uint64)
    return added, wrong


def test_a_guest_that_makes_other_matrices_learns_the_hosts_secret_and_tests_any_id(keys: tuple) -> None:
    """Why the disclosure says what such a guest learns, and that no budget bounds it: of an id that the host has each
    of three rows tells a byte of the host's choices, by 256 trials; with all of them the function is open."""
    both, choices, chosen = keys
    sizes, keyed, held = Sizes.of(200, 300), Keyed(secrets.token_bytes(32)), digests(range(300))
    rows, matrix = Columns(both[:, 0]).rows(sizes.rows), Columns(both[:, 1]).rows(sizes.rows)
    added, wrong = spoiled(sizes, keyed, held[:60])
    values, _ = Host(sizes, keyed, choices, chosen).values(0, held, 0, rows ^ matrix ^ added)
    told = {value.tobytes() for row in values for value in row}
    hashing, nothing = _Hash(sizes.words), np.zeros((1, sizes.words), np.uint64)

    def is_told(row: int, share: np.ndarray) -> bool:
        shown = (rows[row] ^ share.view(np.uint64))[None]
        value = hashing.of(shown, np.zeros(1, np.int64), nothing[0], nothing, row)
        return value[0, : sizes.value_bytes].tobytes() in told

    secret = np.zeros(8 * sizes.words, np.uint8)
    for row, byte in wrong.items():
        guess = np.zeros_like(secret)
        for guess[byte] in range(256):
            if is_told(row, guess):
                secret[byte] = guess[byte]
    assert (np.unpackbits(secret, bitorder="little") == choices).all()
    candidates = digests(range(250, 350))  # none of them was put in
    at, codes = keyed.bins(candidates, 0, 0, sizes.bins)[:, 0], keyed.codes(candidates, 4 * np.arange(100))
    shares = (added[at] ^ codes[:, : sizes.words]).view(np.uint8) & secret
    assert [is_told(row, share) for row, share in zip(at, shares, strict=True)] == [True] * 50 + [False] * 50
