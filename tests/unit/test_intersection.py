"""Intersection: common ids, aligned rows, minimum sizes, hostile peers."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.component import Inputs
from federatedml.components import intersection, intersection_ecdh
from federatedml.components.intersection import GUEST_SIZE, HOST_SIZE, INTERSECTION
from federatedml.components.intersection_ecdh import BLINDED_TWICE, GUEST_IDS, HOST_IDS, MATCHES, POSITIONS
from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.id_column import normalised
from federatedml.data.table import Table, aligned
from federatedml.errors import DataError, FedError, ProtocolError
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member
from tests.conformance import Case, chart, conforms
from tests.members import GUEST, HOST, OTHER_HOST, table

ONE = IntersectParams(min_intersection=1)


def own(ids: Sequence[str], member: Member) -> Table:
    """A table whose one column tells its rows apart."""
    column = [float(zlib.crc32(f"{member}{i}".encode())) for i in ids]
    label = "y" if member == GUEST else None
    return table(list(ids), label, **{"y" if label else f"x_{member.party}": column})


def case(ids: dict[Member, Sequence[str]], p: IntersectParams = ONE, **others: Any) -> Case:
    return Case(
        INTERSECTION,
        {member: others.get(str(member), p) for member in ids},
        {member: Inputs({"data": [own(found, member)]}) for member, found in ids.items()},
        "intersection_0",
    )


def tables(result: StepResult) -> dict[Member, Table]:
    return {member: outputs.data for member, outputs in result.outputs.items()}


def test_both_parties_get_their_rows_of_the_common_ids_in_one_order(tmp_path: Path) -> None:
    ids = {GUEST: ["c", "a", "e", "b"], HOST: ["b", "x", "c", "y", "z"]}
    result = case(ids).run(tmp_path)
    found = tables(result)
    assert list(found[GUEST].ids) == ["b", "c"]
    assert aligned(list(found.values()))
    for member, one in found.items():
        before = own(ids[member], member)
        for name, column in one.columns.items():
            values = dict(zip(before.ids, before.columns[name], strict=True))
            assert column.tolist() == [values[i] for i in one.ids]
    assert found[GUEST].label == "y"
    assert found[HOST].origin == "intersection_0"
    assert result.outputs[GUEST].summary == {"intersect_count": 2.0, "intersect_rate": 0.5}
    assert result.outputs[HOST].summary == {"intersect_count": 2.0, "intersect_rate": 0.4}
    assert [(p.namespace, p.name, p.value) for p in result.metrics[HOST]] == [
        ("train", "intersect_count", 2.0),
        ("train", "intersect_rate", 0.4),
    ]
    assert [view.metric_type for view in result.outputs[HOST].views] == ["INTERSECTION"]


SETS = st.lists(st.text(max_size=3), max_size=12, unique=True)


@pytest.mark.parametrize(
    "method",
    [
        {},
        {"run_cache": True},
        {"intersect_method": "raw"},
        {"intersect_method": "rsa", "rsa_params": {"key_length": 1024}},
    ],
    ids=["auto", "cached", "raw", "rsa"],
)
@given(ours=SETS, theirs=SETS)
@settings(max_examples=15, deadline=None)
def test_any_two_sets_meet_in_their_intersection(
    tmp_path_factory: Any, method: dict[str, Any], ours: list[str], theirs: list[str]
) -> None:
    normal = [{normalised(i) for i in ids} for ids in (ours, theirs)]
    expected = sorted(normal[0] & normal[1])
    step = case({GUEST: ours, HOST: theirs}, IntersectParams.model_validate({"min_intersection": 1, **method}))
    if [len(ids) for ids in normal] != [len(ours), len(theirs)] or not expected:
        with pytest.raises(DataError, match=r"FED-24[01]"):
            step.run(tmp_path_factory.mktemp("step"))
    else:
        found = tables(step.run(tmp_path_factory.mktemp("step")))
        assert [list(one.ids) for one in found.values()] == [expected, expected]


def test_lists_of_several_chunks_meet_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intersection_ecdh, "CHUNK_IDS", 4)
    ids = {GUEST: [f"u{i}" for i in range(11)], HOST: [f"u{i}" for i in range(3, 30, 3)]}
    result = case(ids).run(tmp_path)
    assert [list(one.ids) for one in tables(result).values()] == [["u3", "u6", "u9"]] * 2
    rounds = sorted(m.key.round for m in result.sent if m.key.topic == "ecdh_blinded_twice")
    assert rounds == [0, 1, 2]


def test_with_several_hosts_only_ids_of_all_remain(tmp_path: Path) -> None:
    ids = {GUEST: list("abcdefg"), HOST: list("gfedx"), OTHER_HOST: list("cdegy")}
    result = case(ids).run(tmp_path)
    found = tables(result)
    assert list(found[GUEST].ids) == list("deg")
    assert aligned(list(found.values()))


def test_an_id_is_the_same_in_any_unicode_spelling(tmp_path: Path) -> None:
    found = tables(case({GUEST: ["Zoe\u0308", "b"], HOST: ["Zo\u00eb", "c"]}).run(tmp_path))
    assert list(found[GUEST].ids) == list(found[HOST].ids) == ["Zo\u00eb"]


def test_two_spellings_of_one_id_in_a_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="FED-240"):
        case({GUEST: ["Zoe\u0308", "Zo\u00eb"], HOST: ["a"]}).run(tmp_path)


def test_only_ids_on_request(tmp_path: Path) -> None:
    p = IntersectParams(min_intersection=1, only_output_key=True)
    found = tables(case({GUEST: ["a"], HOST: ["a"]}, p).run(tmp_path))
    assert (list(found[GUEST].ids), dict(found[GUEST].columns), found[GUEST].label) == (["a"], {}, None)


@pytest.mark.parametrize("careful", ["guest_9999", "host_10000"])
def test_below_a_partys_minimum_only_the_refusal_is_told(tmp_path: Path, careful: str) -> None:
    common = [f"u{i}" for i in range(4)]
    strict = case({GUEST: [*common, "g"], HOST: [*common, "h"]}, **{careful: IntersectParams(min_intersection=5)})
    network = LocalNetwork(tmp_path)
    with pytest.raises(DataError, match="FED-241") as caught:
        network.run(strict.component, strict.params, strict.inputs)
    assert "4" not in caught.value.message.replace("FED-241", "")
    sent = {message.key.topic for message in network.sent}
    assert "ecdh_positions" not in sent  # the guest never learns which of its ids matched
    if careful == "guest_9999":
        assert "ecdh_matches" not in sent  # nor the host which of its own


@pytest.mark.parametrize(("short", "careful"), [(GUEST, HOST), (HOST, HOST), (GUEST, GUEST)])
def test_a_list_below_the_minimum_gets_no_answer(tmp_path: Path, short: Member, careful: Member) -> None:
    """The number of matches of a single id would tell whether the other party has it."""
    ids = {member: [f"u{i}" for i in range(1 if member == short else 20)] for member in (GUEST, HOST)}
    step = case(ids, **{str(careful): IntersectParams(min_intersection=5)})
    network = LocalNetwork(tmp_path)
    with pytest.raises(DataError, match=f"FED-241.*{careful} allows"):
        network.run(step.component, step.params, step.inputs)
    told = {"guest_size", "host_size", "ecdh_guest_ids" if careful == HOST else "ecdh_host_ids"}
    assert {message.key.topic for message in network.sent} <= told


def test_the_smallest_allowed_intersection_passes(tmp_path: Path) -> None:
    ids = [f"u{i}" for i in range(10)]
    found = tables(case({GUEST: ids, HOST: ids}, IntersectParams()).run(tmp_path))
    assert len(found[HOST]) == 10


def test_no_id_and_no_order_of_a_table_is_on_the_wire(tmp_path: Path) -> None:
    ids = [f"customer-{i:04}" for i in range(40)]
    sent = case({GUEST: ids, HOST: ids}).run(tmp_path).sent
    assert not any(b"customer" in message.body for message in sent)
    by_topic = {message.key.topic: message.body for message in sent}
    positions = POSITIONS.codec.decode(by_topic["ecdh_positions"]).tolist()
    assert sorted(positions) == list(range(40)) != positions
    at_host = MATCHES.codec.decode(by_topic["ecdh_matches"])["host"].tolist()
    assert sorted(at_host) == list(range(40)) != at_host


def test_two_runs_on_the_same_tables_share_no_blinded_id(tmp_path: Path) -> None:
    blinded = []
    for run in ("first", "second"):
        sent = case({GUEST: ["a", "b"], HOST: ["a", "b"]}).run(tmp_path / run).sent
        lists = [GUEST_IDS.codec.decode(m.body) for m in sent if m.key.topic.endswith(("_ids", "_twice"))]
        assert len(lists) == 3
        blinded.append({bytes(point) for points in lists for point in points})
    assert not blinded[0] & blinded[1]


def point(u: int) -> list[int]:
    return list(u.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "hostile",
    [
        np.array([point(2)], np.uint8),  # on the twist
        np.array([point(0)], np.uint8),
        np.array([point(1)], np.uint8),  # small order
        np.array([point(9), point(9)], np.uint8),
        np.zeros((3, 16), np.uint8),
    ],
    ids=["twist", "zero", "small order", "repeated", "width"],
)
def test_points_of_a_hostile_guest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: np.ndarray
) -> None:
    def send_hostile(p: Any, box: Any, inputs: Inputs) -> None:
        box.send(GUEST_SIZE, np.array([len(hostile)], "<u8"))
        box.recv(HOST_SIZE)
        box.send(GUEST_IDS, hostile)
        box.recv(HOST_IDS)

    monkeypatch.setitem(INTERSECTION.roles, GUEST.role, send_hostile)
    with pytest.raises(ProtocolError, match=r"FED-37[01]"):
        case({GUEST: ["a"], HOST: ["a"]}).run(tmp_path)


@pytest.mark.parametrize(
    "matches",
    [([0, 0], [0, 1]), ([0, 2], [0, 1]), ([0, 1], [1, 1]), ([0, 1], [0, 2]), ([0, 1], [0])],
    ids=["host repeated", "host outside", "guest repeated", "guest outside", "lengths"],
)
def test_positions_of_a_hostile_guest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matches: tuple[list[int], list[int]]
) -> None:
    real = intersection_ecdh._met
    claim = tuple(np.array(positions) for positions in matches)
    monkeypatch.setattr(intersection_ecdh, "_met", lambda own: real(own) and claim)
    with pytest.raises(ProtocolError, match="FED-372"):
        case({GUEST: ["a", "b"], HOST: ["a", "b"]}).run(tmp_path)


INVERSE = pow(9, -1, 2**255 - 19)  # of the point 9 and the point of order two: X25519 makes the same of both


@pytest.mark.parametrize(
    "claim",
    [[[9], [9]], [[9], [9], [1]], [[9], [INVERSE]]],
    ids=["twice over chunks", "more than it said", "twice but for a point of small order"],
)
def test_a_guest_gets_no_answers_beyond_its_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: list[list[int]]
) -> None:
    """T14: the host multiplies as many different points as the guest said that it has, each once."""
    monkeypatch.setattr(intersection_ecdh, "CHUNK_IDS", 1)
    answered = []

    def greedy(p: Any, box: Any, inputs: Inputs) -> None:
        box.send(GUEST_SIZE, np.array([2], "<u8"))
        box.recv(HOST_SIZE)
        for number, chunk in enumerate(claim):
            box.send(GUEST_IDS, np.array([point(u) for u in chunk], np.uint8), number)
        answered.append(box.recv(BLINDED_TWICE))

    monkeypatch.setitem(INTERSECTION.roles, GUEST.role, greedy)
    with pytest.raises(ProtocolError, match=r"FED-370.*twice"):
        case({GUEST: ["a"], HOST: ["a", "b"]}).run(tmp_path)
    assert not answered


def test_a_host_gets_no_matches_of_points_that_become_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list with equal entries, positions of matches would be those of other ids."""

    def doubled(p: Any, box: Any, inputs: Inputs) -> None:
        box.send(HOST_SIZE, np.array([2], "<u8"))
        box.recv(GUEST_SIZE)
        points = box.recv(GUEST_IDS)
        box.send(HOST_IDS, np.array([point(9), point(INVERSE)], np.uint8))
        box.send(BLINDED_TWICE, points)
        box.recv(MATCHES)

    monkeypatch.setitem(INTERSECTION.roles, HOST.role, doubled)
    with pytest.raises(ProtocolError, match=r"FED-370.*twice"):
        case({GUEST: ["a", "b"], HOST: ["a", "b"]}).run(tmp_path)


def test_a_host_that_returns_another_number_of_points_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(p: Any, box: Any, inputs: Inputs) -> None:
        box.send(HOST_SIZE, np.array([2], "<u8"))
        box.recv(GUEST_SIZE)
        points = box.recv(GUEST_IDS)
        box.send(HOST_IDS, points)
        box.send(BLINDED_TWICE, points[:1])
        box.recv(MATCHES)

    monkeypatch.setitem(INTERSECTION.roles, HOST.role, short)
    with pytest.raises(ProtocolError, match="FED-370"):
        case({GUEST: ["a", "b"], HOST: ["a", "b"]}).run(tmp_path)


def test_counting_tells_no_id(tmp_path: Path) -> None:
    ids = {GUEST: list("abcdefg"), HOST: list("gfedx"), OTHER_HOST: list("cdy")}
    counting = case(ids, IntersectParams(min_intersection=2, cardinality_only=True))
    result = conforms(counting, tmp_path)
    assert all(outputs.data is None for outputs in result.outputs.values())
    assert result.outputs[GUEST].summary["intersect_count_host_10000"] == 4.0
    assert result.outputs[GUEST].summary["intersect_rate_host_10002"] == 2 / 7
    assert result.outputs[HOST].summary == {"intersect_count": 4.0, "intersect_rate": 0.8}
    sent = {message.key.topic for message in result.sent}
    assert not sent & {"ecdh_matches", "ecdh_positions", "common"}


@pytest.mark.parametrize(("count", "code"), [(4, "FED-742"), (0, "FED-241")])
def test_a_count_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, code: str
) -> None:
    monkeypatch.setattr(intersection_ecdh, "_met", lambda own: own.tell(GUEST_IDS) or ([0] * count, None))
    p = IntersectParams(min_intersection=1, cardinality_only=True)
    with pytest.raises(FedError, match=code):
        case({GUEST: list("abcd"), HOST: list("abc")}, p).run(tmp_path)


@pytest.mark.parametrize("size", [np.array([1, 2], "<u8"), np.array([2**40], "<u8")], ids=["two", "too many"])
def test_a_size_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: np.ndarray) -> None:
    def send_hostile(p: Any, box: Any, inputs: Inputs) -> None:
        box.send(GUEST_SIZE, size)
        box.recv(HOST_SIZE)
        box.recv(HOST_IDS)

    monkeypatch.setitem(INTERSECTION.roles, GUEST.role, send_hostile)
    with pytest.raises(ProtocolError, match="FED-741"):
        case({GUEST: ["a"], HOST: ["a"]}).run(tmp_path)


def test_auto_discloses_what_it_may_choose_and_takes_kkrt_for_many_ids_of_one_host(tmp_path: Path) -> None:
    names = {name.split("_")[0] for name in INTERSECTION.variant(INTERSECTION, IntersectParams()).topic_table()}
    assert names == {"guest", "host", "common", "ecdh", "kkrt"}
    few, many = [(4999, 5000)], [(5000, 5000)]
    assert [intersection.chosen(ONE, sizes).name for sizes in (few, many, many * 2)] == ["ecdh", "kkrt", "ecdh"]
    ids = {GUEST: [f"u{i}" for i in range(5500)], HOST: [f"u{i}" for i in range(5000, 11_000)]}
    result = case(ids).run(tmp_path)
    assert {message.key.topic.split("_")[0] for message in result.sent} == {"guest", "host", "kkrt"}
    found = tables(result)
    assert list(found[GUEST].ids) == list(found[HOST].ids) == sorted(set(ids[GUEST]) & set(ids[HOST]))


def test_kkrt_with_several_hosts_on_request(tmp_path: Path) -> None:
    ids = {GUEST: list("abcdefg"), HOST: list("gfedx"), OTHER_HOST: list("cdegy")}
    found = tables(case(ids, ONE.model_copy(update={"intersect_method": "kkrt"})).run(tmp_path))
    assert list(found[GUEST].ids) == list("deg")
    assert aligned(list(found.values()))


def test_component_conforms(tmp_path: Path) -> None:
    ids = {GUEST: list("abcdef"), HOST: list("fedxyz"), OTHER_HOST: list("edcw")}
    p = ONE.model_copy(update={"intersect_method": "ecdh"})
    result = conforms(case(ids, p), tmp_path)
    pairs = [
        (topic, source, destination)
        for host in ("host_10000", "host_10002")
        for topic, source, destination in [
            ("ecdh_guest_ids", "guest_9999", host),
            ("ecdh_host_ids", host, "guest_9999"),
            ("ecdh_blinded_twice", host, "guest_9999"),
            ("ecdh_matches", "guest_9999", host),
            ("ecdh_positions", host, "guest_9999"),
            ("common", "guest_9999", host),
            ("guest_size", "guest_9999", host),
            ("host_size", host, "guest_9999"),
        ]
    ]
    assert chart(result) == sorted((topic, 0, source, destination) for topic, source, destination in pairs)
