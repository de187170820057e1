"""Method ``kkrt``: exact matches, minimum sizes, what the peers see, hostile peers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.components.intersection_kkrt import CHOICES, KKRT, MATCHES, QUERY, SEED, START, VALUES
from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.psi import sizes
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.local import LocalNetwork
from tests.kkrt_pair import case, matches, tampering
from tests.members import GUEST, HOST

SMALL = {GUEST: ["a", "b", "c"], HOST: ["b", "c", "d", "e"]}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(range(1), range(1)), (range(300), range(300)), (range(3), range(2, 300)), (range(299, 600), range(300))],
    ids=["one id", "all equal", "1 to 100", "one common"],
)
def test_both_find_the_common_ids_in_one_order(tmp_path: Path, ours: range, theirs: range) -> None:
    result = case({GUEST: [f"u{i}" for i in ours], HOST: [f"u{i}" for i in theirs]}).run(tmp_path)
    guest, host = matches(result)
    assert guest == host
    assert sorted(guest) == sorted(f"u{i}" for i in set(ours) & set(theirs))


def test_ids_in_several_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "BUCKET_IDS", 200)
    result = case({GUEST: [f"u{i}" for i in range(900)], HOST: [f"u{i}" for i in range(500, 1700)]}).run(tmp_path)
    guest, host = matches(result)
    assert guest == host
    assert sorted(guest) == sorted(f"u{i}" for i in range(500, 900))
    assert len([message for message in result.sent if message.key.topic == "kkrt_query"]) == 6


@given(*[st.sets(st.text(max_size=70), min_size=1, max_size=12) for _ in range(2)], st.text())
@settings(max_examples=6, deadline=None)
def test_any_two_sets_meet_in_their_intersection(tmp_path_factory: Any, ours: set, theirs: set, both: str) -> None:
    ids = {GUEST: sorted(ours | {both}), HOST: sorted(theirs | {both})}
    guest, host = matches(case(ids).run(tmp_path_factory.mktemp("step")))
    assert guest == host
    assert sorted(guest) == sorted((ours | {both}) & (theirs | {both}))


def test_below_the_guests_minimum_the_host_learns_nothing(tmp_path: Path) -> None:
    step, network = case(SMALL, IntersectParams(min_intersection=3)), LocalNetwork(tmp_path)
    with pytest.raises(DataError, match="FED-241"):
        step.over(network)
    assert "kkrt_matches" not in {message.key.topic for message in network.sent}


def test_no_match_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="FED-241"):
        case({GUEST: ["a"], HOST: ["b"]}).run(tmp_path)


def test_sizes_on_the_wire_are_those_of_the_lists_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another intersection or other ids of the same number change no message's length, but for the matches."""
    monkeypatch.setattr(sizes, "BUCKET_IDS", 100)
    seen = []
    for start in (0, 150, 399):
        ids = {GUEST: [f"u{i}" for i in range(400)], HOST: [f"u{i}" for i in range(start, start + 300)]}
        sent = case(ids).run(tmp_path / str(start)).sent
        seen.append({m.key: m.size for m in sent if m.key.topic != "kkrt_matches"})
    assert seen[0] == seen[1] == seen[2]


def test_nothing_of_an_id_and_no_order_is_on_the_wire(tmp_path: Path) -> None:
    ids = [f"customer-{i:04}" for i in range(200)]
    sent = case({GUEST: ids, HOST: ids}).run(tmp_path).sent
    assert not any(b"customer" in message.body for message in sent)
    rows = next(MATCHES.codec.decode(m.body) for m in sent if m.key.topic == "kkrt_matches")
    assert (rows[1:] > rows[:-1]).all()  # so they do not tell which bin of an id the guest used


def test_matches_do_not_come_in_the_order_of_a_table(tmp_path: Path) -> None:
    ids = [f"u{i:03}" for i in range(200)]
    guest, host = matches(case({GUEST: ids, HOST: ids}).run(tmp_path))
    assert guest == host != ids


def test_two_runs_on_the_same_lists_share_no_value(tmp_path: Path) -> None:
    seen: list[set[bytes]] = []
    for run in ("first", "second"):
        sent = case(SMALL).run(tmp_path / run).sent
        values = next(VALUES.codec.decode(m.body) for m in sent if m.key.topic == "kkrt_values")
        matrix = next(QUERY.codec.decode(m.body)["matrix"] for m in sent if m.key.topic == "kkrt_query")
        seen.append({v.tobytes() for row in values for v in row} | {row.tobytes() for row in matrix})
    assert not seen[0] & seen[1]


def changed(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict], dict]:
    return lambda message: {**message, name: np.ascontiguousarray(change(message[name]))}


HOSTILE: list[tuple[str, Any, Callable[[Any], Any], str]] = [
    ("guest", START, changed("element", lambda x: x * 0), "FED-730.*neutral"),
    ("guest", START, changed("element", lambda x: x | 255), "FED-730"),
    ("guest", START, changed("element", lambda x: x[:31]), "FED-733"),
    ("guest", START, changed("commitment", lambda x: x[:5]), "FED-733"),
    ("guest", START, changed("commitment", lambda x: x ^ 1), "FED-734"),
    ("guest", SEED, lambda x: x[:31], "FED-733"),
    ("guest", SEED, lambda x: x ^ 1, "FED-734"),
    ("guest", QUERY, changed("turn", lambda x: x + 16), "FED-733"),
    ("guest", QUERY, changed("turn", lambda x: x[:0]), "FED-733"),
    ("guest", QUERY, changed("matrix", lambda x: x[:-1]), "FED-733"),
    ("guest", QUERY, changed("matrix", lambda x: x[:, :-1]), "FED-733"),
    ("guest", MATCHES, lambda x: np.r_[x, x], "FED-733"),
    ("guest", MATCHES, lambda x: x[::-1], "FED-733"),
    ("guest", MATCHES, lambda x: x + 4, "FED-733"),
    ("guest", MATCHES, lambda x: x[:0], "FED-241"),
    ("host", CHOICES, changed("seed", lambda x: x[:-1]), "FED-733"),
    ("host", CHOICES, changed("elements", lambda x: x[:-1]), "FED-733"),
    ("host", CHOICES, changed("elements", lambda x: x[:, :-1]), "FED-733"),
    ("host", CHOICES, changed("elements", lambda x: x * 0), "FED-730"),
    ("host", CHOICES, changed("elements", lambda x: x | 1), "FED-730"),
    ("host", VALUES, lambda x: x[:-1], "FED-733"),
    ("host", VALUES, lambda x: x[:, :-1], "FED-733"),
    ("host", VALUES, lambda x: x[:, :, :-1], "FED-733"),
    ("host", VALUES, lambda x: np.repeat(x[:2], 2, axis=0), "FED-733|FED-241"),
]


@pytest.mark.parametrize(("who", "topic", "change", "code"), HOSTILE)
def test_a_hostile_peers_message_is_refused(tmp_path: Path, who: str, topic: Any, change: Any, code: str) -> None:
    run = {"guest": KKRT.guest, "host": KKRT.host}[who]
    with pytest.raises((ProtocolError, DataError), match=code):
        case(SMALL, **{who: tampering(run, topic, change)}).run(tmp_path)


def test_a_match_with_a_row_that_holds_no_id_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "BUCKET_IDS", 50)
    ids = [f"u{i}" for i in range(100)]
    all_rows = tampering(KKRT.guest, MATCHES, lambda _: np.arange(sizes.capacity(100, 2), dtype="<u4"))
    with pytest.raises(ProtocolError, match=r"FED-733.*names matches"):
        case({GUEST: ids, HOST: ids}, guest=all_rows).run(tmp_path)
