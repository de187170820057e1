"""The pseudo-random function: the same at both sides, for any blinding; its answers are checked."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.crypto import ecdh_prf
from federatedml.crypto.ecdh import Blinding
from federatedml.crypto.ecdh_prf import COFACTOR, ORDER, Asking, tags
from federatedml.errors import ProtocolError


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=6, unique=True))
@settings(max_examples=20, deadline=None)
def test_the_owner_of_the_key_and_who_asks_find_the_same_values(ids: list[bytes]) -> None:
    owner = Blinding()
    expected = tags(owner.hashed(ids, b"epoch"))
    assert len({bytes(tag) for tag in expected}) == len(ids)
    for _ in range(2):
        asking = Asking()
        assert (asking.tags(owner.apply(asking.blinded(ids, b"epoch"))) == expected).all()


def test_key_and_context_separate_values() -> None:
    one, other = Blinding(), Blinding()
    values = [tags(one.hashed([b"a"], b"1")), tags(one.hashed([b"a"], b"2")), tags(other.hashed([b"a"], b"1"))]
    assert len({value.tobytes() for value in values}) == 3


def test_what_is_asked_differs_every_time() -> None:
    first, second = (Asking().blinded([b"a", b"b"], b"epoch") for _ in range(2))
    assert not {bytes(row) for row in first} & {bytes(row) for row in second}


def test_scalars_are_such_as_x25519_takes_and_inverse_to_each_other() -> None:
    seen = set()
    for _ in range(50):
        scalar, inverse = (int.from_bytes(value, "little") for value in ecdh_prf._invertible())
        for value in (scalar, inverse):
            assert 2**254 <= value < 2**255
            assert value % COFACTOR == 0
        assert scalar * inverse % ORDER == 1
        seen.add(scalar)
    assert len(seen) == 50


def test_half_of_the_residues_are_scalars() -> None:
    residues = [int.from_bytes(hashlib.sha512(bytes([i])).digest(), "big") % ORDER for i in range(200)]
    found = [ecdh_prf._representative(residue) for residue in residues]
    assert 60 < sum(each is None for each in found) < 140
    assert all(each is None or each % ORDER == residue for each, residue in zip(found, residues, strict=True))


@pytest.mark.parametrize("u", [2, 1, 0], ids=["twist", "small order", "zero"])
def test_answers_that_are_no_points_are_refused(u: int) -> None:
    row = np.frombuffer(u.to_bytes(32, "little"), np.uint8).reshape(1, 32)
    with pytest.raises(ProtocolError, match=r"FED-37[01]"):
        Asking().tags(row)
