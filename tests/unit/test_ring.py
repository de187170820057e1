"""Fixed point and shares modulo 2^64: the two ways to drop bits are right for every value they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.crypto.ring import decode, drop_bits, encode, joined, low, size, split, truncate
from federatedml.crypto.stream import Stream

WORD = st.integers(0, 2**64 - 1)
INSIDE = st.integers(-(2**62), 2**62 - 1)


def words(*values: int) -> np.ndarray:
    return np.array([v % 2**64 for v in values], np.uint64)


def signed(array: np.ndarray) -> list[int]:
    return array.view(np.int64).tolist()


def shares(value: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    first = Stream(seed.to_bytes(32, "big"), b"shares").words("first", 0, len(value))
    return first, value - first


def truncated(x: np.ndarray, r: np.ndarray, bits: int, seed: int = 0) -> np.ndarray:
    high, sign = shares(r >> bits, seed), shares(r >> 63, seed + 1)
    parts = [truncate(x + r, bits, high[i], sign[i], first=i == 0) for i in (0, 1)]
    return parts[0] + parts[1]


@given(st.floats(-1e6, 1e6), st.integers(0, 40))
def test_encoding_is_off_by_at_most_half_a_unit(x: float, bits: int) -> None:
    assert abs(float(decode(encode([x], bits), bits)[0]) - x) <= 2.0 ** -(bits + 1)


@given(INSIDE, WORD, st.integers(1, 62), st.integers(0, 2**32))
def test_truncation_is_the_floor_or_one_more(x: int, r: int, bits: int, seed: int) -> None:
    (found,) = signed(truncated(words(x), words(r), bits, seed))
    assert found in (x >> bits, (x >> bits) + 1)
    if x % 2**bits == 0:
        assert found == x >> bits


@pytest.mark.parametrize("x", [-(2**62), 2**62 - 1, 0, -1, 1, 2**30 - 1, -(2**30) - 1])
@pytest.mark.parametrize("r", [0, 2**64 - 1, 2**63, 2**63 - 1, 2**62, 2**64 - 2**62])
def test_truncation_holds_at_the_edges(x: int, r: int) -> None:
    for bits in (1, 30, 62):
        (found,) = signed(truncated(words(x), words(r), bits))
        assert found in (x >> bits, (x >> bits) + 1)


def test_truncation_outside_its_range_is_wrong() -> None:
    x, r = words(2**63 - 1), words(2**63 - 1)
    assert signed(truncated(x, r, 20)) != [(2**63 - 1) >> 20]


def test_truncation_rounds_without_bias() -> None:
    n, bits = 40_000, 8
    x = np.full(n, 5 * 2**bits + 64, np.uint64)  # 5.25
    r = Stream(bytes(32), b"bias").words("r", 0, n)
    assert abs(np.mean(signed(truncated(x, r, bits))) - 5.25) < 5 * 0.44 / np.sqrt(n)


@given(st.integers(-(2**63), 2**63 - 1), WORD, WORD, st.integers(1, 62))
def test_dropping_bits_is_right_modulo_what_remains(x: int, share: int, r: int, bits: int) -> None:
    masked = words(x - share) + (words(share) + words(r))  # receiver's share, plus what the sender sent
    found = int((drop_bits(masked, bits) - drop_bits(words(r), bits))[0]) % 2 ** (64 - bits)
    assert found in ((x >> bits) % 2 ** (64 - bits), ((x >> bits) + 1) % 2 ** (64 - bits))


@given(WORD, st.integers(1, 63))
def test_low_bits(x: int, bits: int) -> None:
    assert int(low(words(x), bits)[0]) == x % 2**bits


def test_layouts_split_and_join() -> None:
    layout = {"a": (2, 3), "empty": (0,), "b": (4,)}
    array = np.arange(10, dtype=np.uint64)
    assert size(layout) == 10
    pieces = split(array, layout)
    assert {name: piece.shape for name, piece in pieces.items()} == layout
    assert np.array_equal(joined(pieces, layout), array)


@pytest.mark.parametrize("x", [0, -5, 10**8, 2**61])
def test_an_opened_value_is_uniform_whatever_it_hides(x: int) -> None:
    r = Stream(bytes(32), str(x).encode()).words("r", 0, 2**14)
    counts = np.bincount((words(x) + r).view(np.uint8), minlength=256)
    assert 160 < ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 370
