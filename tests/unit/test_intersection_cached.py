"""Intersection with a host that keeps its ids blinded: epochs, what they link, hostile peers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from federatedml.components import intersection_cached
from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_cached import ANSWERED, ASKED, EPOCH, TAGS
from federatedml.components.intersection_params import IntersectParams
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member
from federatedml.federation.vault import FolderVault
from tests.conformance import conforms
from tests.members import GUEST, HOST, OTHER_HOST
from tests.unit.test_intersection import case, tables
from tests.unit.test_intersection_rsa import hostile

ONE = IntersectParams(min_intersection=1, run_cache=True)
IDS = {GUEST: list("abcd"), HOST: list("xbydz")}


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ids: dict[Member, list[str]], p: IntersectParams = ONE
) -> StepResult:
    """One job of parties that keep vaults in ``folder``."""
    with monkeypatch.context() as patched:
        for role, function in list(INTERSECTION.roles.items()):

            def keeping(p: Any, box: Box, inputs: Any, function: Any = function) -> Any:
                box.vault = FolderVault(folder / str(box.me))
                return function(p, box, inputs)

            patched.setitem(INTERSECTION.roles, role, keeping)
        step = case(ids, p)
        return LocalNetwork(folder).run(step.component, step.params, step.inputs, "match_0")


def sent(result: StepResult, topic: Any) -> list[Any]:
    return [topic.codec.decode(m.body) for m in result.sent if m.key.topic == topic.name]


def epoch_name(result: StepResult) -> bytes:
    return sent(result, EPOCH)[0]["name"].tobytes()


def test_the_common_ids_are_found_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intersection_cached, "CHUNK_IDS", 2)
    result = case(IDS, ONE).run(tmp_path)
    assert [list(one.ids) for one in tables(result).values()] == [["b", "d"]] * 2
    assert (len(sent(result, ASKED)), len(sent(result, ANSWERED)), len(sent(result, TAGS))) == (2, 2, 3)


def test_several_hosts_conform(tmp_path: Path) -> None:
    result = conforms(case({**IDS, OTHER_HOST: list("dbq")}, ONE), tmp_path, kill_every=5)
    assert [list(one.ids) for one in tables(result).values()] == [["b", "d"]] * 3


def test_a_second_run_needs_neither_the_list_nor_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path, monkeypatch, IDS)
    monkeypatch.setattr(intersection_cached, "tags", None)  # whoever makes a list anew fails
    second = run(tmp_path, monkeypatch, {GUEST: list("zyq"), HOST: IDS[HOST]})
    assert epoch_name(first) == epoch_name(second)
    assert (len(sent(first, TAGS)), len(sent(second, TAGS))) == (1, 0)
    assert [list(one.ids) for one in tables(second).values()] == [["y", "z"]] * 2


@pytest.mark.parametrize("change", ["ids", "guest", "expired"])
def test_an_epoch_is_of_one_guest_and_one_list_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Lists of two epochs share no entry: who holds both cannot tell which ids stayed."""
    first = run(tmp_path, monkeypatch, IDS)
    ids = dict(IDS)
    if change == "ids":
        ids[HOST] = [*IDS[HOST], "new"]
    elif change == "guest":
        ids = {Member(GUEST.role, "9998"): IDS[GUEST], HOST: IDS[HOST]}
    else:
        now = intersection_cached.time.time()
        monkeypatch.setattr(intersection_cached.time, "time", lambda: now + 7 * 86400 + 1)
    second = run(tmp_path, monkeypatch, ids)
    assert epoch_name(first) != epoch_name(second)
    lists = [{bytes(tag) for tag in sent(result, TAGS)[0]} for result in (first, second)]
    assert not lists[0] & lists[1]


def test_within_an_epoch_only_the_hosts_list_can_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        {bytes(p) for topic in (ASKED, ANSWERED) for p in sent(run(tmp_path, monkeypatch, IDS), topic)[0]}
        for _ in range(2)
    ]
    assert not asked[0] & asked[1]
    learns = INTERSECTION.variant(INTERSECTION, ONE).disclosure()["outputs"]
    assert all(any("linked" in text or "same guest" in text for text in learns[role]) for role in ("guest", "host"))


@pytest.mark.parametrize(
    ("role", "topic", "value"),
    [
        (HOST.role, EPOCH, {"name": np.zeros(15, np.uint8), "expires": np.array([1], "<u8")}),
        (HOST.role, EPOCH, {"name": np.zeros(16, np.uint8), "expires": np.array([1, 2], "<u8")}),
        (HOST.role, TAGS, np.zeros((4, 16), np.uint8)),
        (HOST.role, TAGS, np.zeros((5, 16), np.uint8)),
        (HOST.role, ANSWERED, np.zeros((3, 32), np.uint8)),
        (HOST.role, ANSWERED, np.zeros((4, 32), np.uint8)),
        (GUEST.role, ASKED, np.zeros((4, 32), np.uint8)),
        (GUEST.role, ASKED, np.zeros((4, 31), np.uint8)),
        (GUEST.role, intersection_cached.MATCHES, np.array([5], "<u4")),
        (GUEST.role, intersection_cached.MATCHES, np.array([1, 1], "<u4")),
    ],
)
def test_what_a_hostile_peer_sends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: Any, topic: Any, value: Any
) -> None:
    hostile(role, monkeypatch, topic, value)
    with pytest.raises(ProtocolError, match=r"FED-(370|371|372|740|748)"):
        case(IDS, ONE).run(tmp_path)


def test_equal_answers_are_refused_by_the_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile(HOST.role, monkeypatch, ANSWERED, np.array([[9, *[0] * 31]] * 4, np.uint8))  # points of the curve
    with pytest.raises(ProtocolError, match=r"FED-370.*twice"):
        case(IDS, ONE).run(tmp_path)


def test_a_known_epoch_of_another_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path, monkeypatch, IDS)
    known = sent(first, EPOCH)[0]
    hostile(HOST.role, monkeypatch, EPOCH, known)
    with pytest.raises(ProtocolError, match=r"FED-748.*another number of ids"):
        run(tmp_path, monkeypatch, {GUEST: IDS[GUEST], HOST: [*IDS[HOST], "new"]})


@pytest.mark.parametrize(
    "other", [{"intersect_method": "rsa"}, {"intersect_method": "raw"}, {"cardinality_only": True}]
)
def test_what_cannot_be_kept_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="run_cache is for"):
        IntersectParams.model_validate({"run_cache": True, **other})


def test_the_key_of_an_epoch_has_no_readable_form() -> None:
    epoch = intersection_cached._Epoch(b"n" * 16, 1, b"s" * 32, np.zeros(1, np.int64), np.zeros((1, 16), np.uint8))
    assert "s" * 32 not in repr(epoch)
