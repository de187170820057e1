"""Intersection by hashes: who gets them, that they can be tried, that ids never leave in clear."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams
from federatedml.errors import ProtocolError
from federatedml.federation.party import Member
from federatedml.federation.topic import Carries
from tests.conformance import conforms
from tests.members import GUEST, HOST, OTHER_HOST
from tests.unit.test_intersection import case, tables
from tests.unit.test_intersection_rsa import hostile


def raw(**values: Any) -> IntersectParams:
    return IntersectParams.model_validate({"intersect_method": "raw", "min_intersection": 1, **values})


@pytest.mark.parametrize("joins", ["guest", "host"])
def test_the_common_ids_are_found_on_either_side(tmp_path: Path, joins: str) -> None:
    ids = {GUEST: list("abcde"), HOST: list("xdcby"), OTHER_HOST: list("bdz")}
    result = conforms(case(ids, raw(join_role=joins)), tmp_path, kill_every=3)
    assert [list(one.ids) for one in tables(result).values()] == [["b", "d"]] * 3
    sent = {m.key.source.role for m in result.sent if m.key.topic.endswith("hashes")}
    assert sent == {GUEST.role if joins == "host" else HOST.role}


def sent_hashes(tmp_path: Path, p: IntersectParams, ids: dict[Member, list[str]]) -> list[bytes]:
    topic = INTERSECTION.topic_table()["raw_host_hashes"]
    (message,) = (m for m in case(ids, p).run(tmp_path).sent if m.key.topic == topic.name)
    return [bytes(row) for row in topic.codec.decode(message.body)]


IDS = {GUEST: ["138-0001", "138-0002"], HOST: ["138-0002", "138-0007", "138-0009"]}


def test_whoever_joins_finds_every_id_by_trying_all(tmp_path: Path) -> None:
    """T9: salted hashes of a small domain are as good as the ids, and by ecdh the same guest finds its own only."""
    every = [f"138-{i:04}" for i in range(10)]
    got = sent_hashes(tmp_path / "raw", raw(encode_params={"salt": "s", "encode_method": "sha256"}), IDS)
    tried = {hashlib.sha256(b"s" + one.encode()).digest(): one for one in every}
    assert sorted(tried[each] for each in got) == IDS[HOST]
    result = case(IDS, IntersectParams(min_intersection=1)).run(tmp_path / "ecdh")
    assert list(tables(result)[GUEST].ids) == ["138-0002"]
    assert not any(each in message.body for message in result.sent for each in tried)


@pytest.mark.parametrize(
    ("given", "length"),
    [
        ({}, 32),
        ({"with_encode": True, "encode_params": {"encode_method": "md5", "base64": True}}, 16),
        ({"raw_params": {"hash_method": "sha384"}}, 48),
    ],
)
def test_ids_leave_as_hashes_whatever_is_asked(tmp_path: Path, given: dict[str, Any], length: int) -> None:
    found = sent_hashes(tmp_path, raw(**given), IDS)
    assert {len(each) for each in found} == {length}


def test_the_disclosure_says_that_hashes_can_be_tried() -> None:
    topics = INTERSECTION.variant(INTERSECTION, raw()).disclosure()["topics"]
    hashes = next(each for each in topics if each["topic"] == "raw_host_hashes")
    assert (hashes["carries"], hashes["to"]) == (str(Carries.HASHED_IDS), ["guest"])
    assert "of all that it can think of" in hashes["learns"]


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        ("raw_host_hashes", np.zeros((1, 32), np.uint8)),
        ("raw_host_hashes", np.zeros((3, 16), np.uint8)),
        ("raw_host_hashes", np.zeros((3, 32), np.uint8)),
        ("raw_at_host", np.array([0, 0], "<u4")),
        ("raw_at_host", np.array([3], "<u4")),
    ],
    ids=["fewer", "short", "twice", "position twice", "outside"],
)
def test_hostile_lists_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topic: str, value: np.ndarray
) -> None:
    declared = INTERSECTION.topic_table()[topic]
    hostile(declared.source[0], monkeypatch, declared, value)
    with pytest.raises(ProtocolError, match=r"FED-(370|372|740)"):
        case(IDS, raw()).run(tmp_path)
