"""Intersection by blind RSA: common ids, one to one with the other methods; minimum; hostile lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from federatedml.components import intersection_rsa
from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams, RsaParams
from federatedml.components.intersection_rsa import BLINDED, TAGS
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.local import LocalNetwork
from tests.conformance import conforms
from tests.members import GUEST, HOST, OTHER_HOST
from tests.unit.test_intersection import case, tables

RSA = {"intersect_method": "rsa", "rsa_params": RsaParams(key_length=1024)}
ONE = IntersectParams(min_intersection=1, **RSA)


def test_the_common_ids_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intersection_rsa, "CHUNK_IDS", 3)
    result = case({GUEST: list("abcdefg"), HOST: list("xgyecz")}, ONE).run(tmp_path)
    assert [list(one.ids) for one in tables(result).values()] == [["c", "e", "g"]] * 2
    assert result.outputs[GUEST].summary["blinding_bits"] == 1024.0
    assert sum(m.key.topic == BLINDED.name for m in result.sent) == 3


def test_several_hosts_conform(tmp_path: Path) -> None:
    ids = {GUEST: list("abcd"), HOST: list("dcx"), OTHER_HOST: list("bcdy")}
    result = conforms(case(ids, ONE), tmp_path, kill_every=5)
    assert list(tables(result)[OTHER_HOST].ids) == ["c", "d"]


def test_below_the_guests_minimum_the_host_learns_nothing(tmp_path: Path) -> None:
    few = case({GUEST: list("abcdef"), HOST: list("aghijk")}, IntersectParams(min_intersection=2, **RSA))
    network = LocalNetwork(tmp_path)
    with pytest.raises(DataError, match="FED-241"):
        network.run(few.component, few.params, few.inputs)
    assert "rsa_matches" not in {message.key.topic for message in network.sent}


def hostile(role: Any, monkeypatch: pytest.MonkeyPatch, topic: Any, value: np.ndarray) -> None:
    """Let a role send ``value`` where it would send its own of ``topic``."""
    real = INTERSECTION.roles[role]

    def changed(p: Any, box: Any, inputs: Any) -> Any:
        send = box.send
        box.send = lambda t, v, *rest, **named: send(t, value if t is topic else v, *rest, **named)
        return real(p, box, inputs)

    monkeypatch.setitem(INTERSECTION.roles, role, changed)


@pytest.mark.parametrize(
    ("role", "topic", "value"),
    [
        (HOST.role, TAGS, np.zeros((1, 16), np.uint8)),
        (HOST.role, TAGS, np.zeros((2, 15), np.uint8)),
        (HOST.role, TAGS, np.zeros((2, 16), np.uint8)),
        (GUEST.role, BLINDED, np.zeros((2, 128), np.uint8)),
        (GUEST.role, BLINDED, np.ones((1, 128), np.uint8)),
        (GUEST.role, BLINDED, np.ones((3, 128), np.uint8)),
        (HOST.role, intersection_rsa.KEY, np.zeros(128, np.uint8)),
        (GUEST.role, intersection_rsa.MATCHES, np.array([0, 0], "<u4")),
        (GUEST.role, intersection_rsa.MATCHES, np.array([2], "<u4")),
    ],
    ids=["fewer tags", "short tags", "equal tags", "zeros", "fewer ids", "more ids", "no modulus", "twice", "outside"],
)
def test_what_a_hostile_peer_sends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: Any, topic: Any, value: np.ndarray
) -> None:
    hostile(role, monkeypatch, topic, value)
    with pytest.raises(ProtocolError, match=r"FED-(370|372|740|743)"):
        case({GUEST: list("ab"), HOST: list("ab")}, ONE).run(tmp_path)


def test_more_random_bits_than_the_key_has_are_refused() -> None:
    assert IntersectParams(intersect_method="rsa", random_bit=2048).random_bit == 2048
    with pytest.raises(ValidationError, match="random_bit is more than the 2048 bits"):
        IntersectParams(intersect_method="rsa", random_bit=2049)
