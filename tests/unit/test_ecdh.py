"""Blinding of ids: the standard's vectors, equal ids meet, hostile points are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.compute.engine import SERIAL
from federatedml.crypto.byte_rows import all_different, equal_pairs
from federatedml.crypto.ecdh import PRIME, Blinding, Points, checked, hash_to_curve
from federatedml.crypto.id_column import normalised
from federatedml.errors import ProtocolError

# RFC 9380, appendix J.4.2: curve25519_XMD:SHA-512_ELL2_NU_, message -> Q.x
RFC_9380_DOMAIN = b"QUUX-V01-CS02-with-curve25519_XMD:SHA-512_ELL2_NU_"
RFC_9380 = {
    b"": 0x51125222DA5E763D97F3C10FCC92EA6860B9CCBBD2EB1285728F566721C1E65B,
    b"abc": 0x7D56D1E08CB0CCB92BAF069C18C49BB5A0DCD927EFF8DCF75CA921EF7F3E6EEB,
    b"abcdef0123456789": 0x3FBE66B9C9883D79E8407150E7C2A1C8680BEE496C62FABE4619A72B3CABE90F,
    b"q128_" + b"q" * 128: 0x227E0BB89DE700385D19EC40E857DB6E6A3E634B1C32962F370D26F84FF19683,
    b"a512_" + b"a" * 512: 0x3BCD651EE54D5F7B6013898AAB251EE8ECC0688166FCE6E9548D38472F6BD196,
}
# RFC 7748, section 5.2: scalar, point and their product
RFC_7748 = (
    "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
    "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
    "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
)
ON_TWIST = 2  # 2^3 + A 2^2 + 2 is not a square
SMALL_ORDER = (
    1,  # order 4
    325606250916557431795983626356110631294008115727848805560023387167927233504,  # order 8
    39382357235489614581723060781553021112529911719440698176882885853963445705823,  # order 8
)


def points(*coordinates: int) -> np.ndarray:
    return np.array([list(u.to_bytes(32, "little")) for u in coordinates], np.uint8).reshape(-1, 32)


def test_hash_to_curve_gives_the_values_of_rfc_9380() -> None:
    found = hash_to_curve(RFC_9380, domain=RFC_9380_DOMAIN)
    assert [int.from_bytes(point.tobytes(), "little") for point in found] == list(RFC_9380.values())


def test_blinding_gives_the_value_of_rfc_7748(monkeypatch: pytest.MonkeyPatch) -> None:
    scalar, point, product = (bytes.fromhex(text) for text in RFC_7748)
    monkeypatch.setattr(X25519PrivateKey, "generate", lambda: X25519PrivateKey.from_private_bytes(scalar))
    assert Blinding().apply(np.frombuffer(point, np.uint8).reshape(1, 32)).tobytes() == product


@given(st.lists(st.text(), max_size=8, unique=True), st.lists(st.text(), max_size=8, unique=True))
@settings(max_examples=30, deadline=None)
def test_two_ids_meet_exactly_if_they_are_equal(ours: list[str], theirs: list[str]) -> None:
    a, b = Blinding(), Blinding()
    mine = b.apply(a.hashed([x.encode() for x in ours], b"job"))
    yours = a.apply(b.hashed([y.encode() for y in theirs], b"job"))
    met = [(ours[i], theirs[j]) for i, j in zip(*equal_pairs(mine, yours), strict=True)]
    assert sorted(met) == sorted((x, x) for x in set(ours) & set(theirs))


def test_context_and_domain_separate_uses() -> None:
    values = [hash_to_curve([b"id"]), hash_to_curve([b"id"], b"job 1"), hash_to_curve([b"id"], b"job 2")]
    values.append(hash_to_curve([b"id"], domain=b"other"))
    assert len({value.tobytes() for value in values}) == 4


def test_two_attempts_cannot_be_linked() -> None:
    hashed = hash_to_curve([b"a", b"b"])
    first, second = Blinding().apply(hashed), Blinding().apply(hashed)
    assert not set(map(bytes, first)) & set(map(bytes, second))


def test_hashes_lie_on_the_curve() -> None:
    accepted(hash_to_curve(str(i).encode() for i in range(500)), 500)


def accepted(points: Points, count: int) -> None:
    """What a party does with a peer's list."""
    Blinding().apply(all_different(checked(points, count)))


@pytest.mark.parametrize(
    ("hostile", "count"),
    [
        (points(ON_TWIST), 1),
        (points(0), 1),
        (points(9, 9), 2),  # the base point, twice
        (points(PRIME + 9), 1),  # the base point, not canonical
        (points(9 + 2**255), 1),  # the bit that X25519 ignores
        (points(9), 2),
        (np.zeros((2, 31), np.uint8), 2),
        (np.zeros((0, 32), np.uint8), 1),
    ],
    ids=["twist", "zero", "repeated", "not canonical", "high bit", "count", "width", "none"],
)
def test_points_that_are_not_on_the_curve_are_refused(hostile: np.ndarray, count: int) -> None:
    with pytest.raises(ProtocolError, match="FED-370"):
        accepted(hostile, count)


@pytest.mark.parametrize("coordinate", SMALL_ORDER)
def test_points_of_small_order_are_refused(coordinate: int) -> None:
    with pytest.raises(ProtocolError, match="FED-371"):
        Blinding().apply(points(9, coordinate))


def test_half_of_all_coordinates_is_on_the_twist_and_refused() -> None:
    refused = 0
    for u in range(100, 300):
        try:
            Blinding().apply(points(u))
        except ProtocolError:
            refused += 1
    assert 60 < refused < 140


def test_ids_are_known_by_one_spelling() -> None:
    assert normalised("Zoe\u0308") == normalised("Zo\u00eb")
    assert normalised("\u00c5") == normalised("\u212b")  # the letter and the unit


def test_an_empty_list_stays_empty() -> None:
    nothing = Blinding().apply(hash_to_curve([]))
    assert nothing.shape == Blinding().hashed([], b"").shape == (0, 32)
    assert [list(found) for found in equal_pairs(nothing, nothing)] == [[], []]


class Crew:
    """An engine that says it has three workers."""

    workers = 3

    def __init__(self) -> None:
        self.parts: list[int] = []

    def map(self, kernel: Any, parts: Sequence[Any]) -> list[Any]:
        self.parts.append(len(parts))
        return SERIAL.map(kernel, parts)

    hold = SERIAL.hold


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (1000, 1), (1001, 2), (2100, 3)])
def test_the_work_is_divided_among_the_workers_and_joined_in_order(
    monkeypatch: pytest.MonkeyPatch, count: int, parts: int
) -> None:
    secret = X25519PrivateKey.generate()
    monkeypatch.setattr(X25519PrivateKey, "generate", lambda: secret)
    ids, crew = [str(i).encode() for i in range(count)], Crew()
    alone, together = Blinding(), Blinding(crew)
    expected = alone.hashed(ids, b"job")
    assert (together.hashed(ids, b"job") == expected).all()
    assert (together.apply(expected) == alone.apply(expected)).all()
    assert crew.parts == [parts, parts]
