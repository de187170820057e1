"""Ids in one buffer: the same as Python's strings, normalised, hashed, sorted."""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from federatedml.crypto.id_column import CHUNK, PERSON, IdColumn
from tests.kkrt_pair import column

TEXTS = st.lists(st.text(max_size=90), max_size=30)


def encoded(ids: list[str]) -> list[bytes]:
    return [unicodedata.normalize("NFC", i).encode() for i in ids]


@given(TEXTS)
@example(["\0", "", "a\0", "\u0308", "u\u0308", "\0\u0308"])
@settings(max_examples=50, deadline=None)
def test_ids_are_utf8_of_their_normal_form(ids: list[str]) -> None:
    found = column(ids)
    assert list(found) == encoded(ids)
    assert [text.encode() for text in found.text()] == encoded(ids)
    assert list(found[1:3]) == encoded(ids)[1:3]
    assert len(found) == len(ids)


@given(TEXTS)
@settings(max_examples=30, deadline=None)
def test_digests_are_those_of_the_standard_library(ids: list[str]) -> None:
    expected = [hashlib.blake2s(i, digest_size=16, person=PERSON).digest()[:15] for i in encoded(ids)]
    assert [row.tobytes()[:15] for row in column(ids).digests()] == expected


def test_digests_of_more_ids_than_a_chunk() -> None:
    ids = [f"u{i}" for i in range(CHUNK + 5)]
    found = column(ids).digests()
    assert (found[CHUNK:] == column(ids[CHUNK:]).digests()).all()
    assert not (found[:, 1] >> np.uint64(56)).any()


@given(TEXTS)
@example(["a\0", "a", "b"])
@example(["a" * 80, "a" * 79 + "b"])
@settings(max_examples=40, deadline=None)
def test_order_is_that_of_code_points_(ids: list[str]) -> None:
    ids = sorted(set(ids), key=lambda i: hashlib.sha256(i.encode()).digest())
    ids = list({unicodedata.normalize("NFC", i): i for i in ids})
    assert [ids[i] for i in column(ids).ordered()] == sorted(ids)


@pytest.mark.parametrize(
    ("ids", "count"), [(["a", "b"], 0), (["a", "b", "a", "a"], 2), (["u\u0308", "\u00fc"], 1), ([], 0)]
)
def test_repeated_ids_are_counted(ids: list[str], count: int) -> None:
    assert column(ids).repeated() == count


@given(TEXTS)
@settings(max_examples=20, deadline=None)
def test_some_rows_are_as_a_column_of_their_own(ids: list[str]) -> None:
    rows = np.arange(len(ids))[::-2]
    some, own = IdColumn(np.array([*ids, None], dtype=object)[:-1], rows), column([ids[row] for row in rows])
    assert list(some) == list(own)
    assert (some.digests() == own.digests()).all()
    assert some.text().tolist() == own.text().tolist()
    assert list(some[:2]) == list(own)[:2]
    assert [some[int(i)] for i in some.ordered()] == sorted(own)
