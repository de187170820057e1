"""Lists of byte strings: what is equal, what comes twice, random orders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.crypto.byte_rows import all_different, equal_pairs, shuffled
from federatedml.errors import ProtocolError

LISTS = st.lists(st.binary(min_size=3, max_size=3), unique=True, max_size=20)


def rows(of: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(of), np.uint8).reshape(-1, 3)


@given(LISTS, LISTS)
def test_equal_rows_are_found_where_they_are(ours: list[bytes], theirs: list[bytes]) -> None:
    found = list(zip(*equal_pairs(rows(ours), rows(theirs)), strict=True))
    assert [ours[i] for i, _ in found] == [theirs[j] for _, j in found] == sorted(set(ours) & set(theirs))


def test_rows_that_end_with_zeros_differ_from_shorter_ends() -> None:
    assert len(all_different(rows([b"a\0\0", b"\0\0a", b"\0a\0", b"\0\0\0"]))) == 4


def test_a_row_that_comes_twice_is_refused() -> None:
    with pytest.raises(ProtocolError, match="FED-370"):
        all_different(rows([b"abc", b"xyz", b"abc"]))


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_shuffled_is_a_permutation(count: int) -> None:
    assert sorted(shuffled(count)) == list(range(count))


def test_shuffles_differ() -> None:
    assert list(shuffled(50)) != list(shuffled(50))
