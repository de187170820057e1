"""What a peer with a valid certificate can make a gateway do by asking for what is refused: little."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from federated_operators.gateway import callers
from federated_operators.gateway.callers import FRESH_S, MOST, Callers
from federated_operators.gateway.refusals import EVERY_S, Refusals
from federated_operators.gateway.store import Store
from federated_operators.gateway.throttle import LONGEST_WAIT_S, Throttle
from federatedml.errors import PeerError, PolicyError
from federatedml.federation.identity import create_ca, issue


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "gateway.db")
    yield made
    made.close()


def reasons(store: Store) -> list[str]:
    return [event["reason"] for event in store.events()]


def test_a_flood_of_refusals_is_a_few_rows(store: Store, clock: Clock) -> None:
    refusals = Refusals(store, clock)
    for number in range(10_000):
        refusals.note("refused message", PolicyError("FED-541", f"number {number}"), "9999")
        clock.now += EVERY_S / 5000
        refusals.write()
    first, *others = reasons(store)
    assert first == "[FED-541] number 0"
    assert len(others) in (1, 2)
    assert re.fullmatch(r"(4999|5000) more within 60 s, the last one: \[FED-541\] number (4999|5000)", others[0])


def test_each_kind_of_each_party_is_written_at_once(store: Store, clock: Clock) -> None:
    refusals = Refusals(store, clock)
    for party in ("9999", "10000"):
        for code in ("FED-541", "FED-544"):
            for event in ("refused message", "refused Report"):
                refusals.note(event, PolicyError(code, "no"), party)
    assert len(reasons(store)) == 8


def test_after_a_quiet_time_the_next_refusal_is_written_in_full(store: Store, clock: Clock) -> None:
    refusals = Refusals(store, clock)
    for _ in range(2):
        refusals.note("refused message", PolicyError("FED-541", "no"), "9999")
        refusals.write()
        clock.now += EVERY_S
    assert reasons(store) == ["[FED-541] no"] * 2


def test_a_peer_has_a_burst_of_turns_then_so_many_a_second(clock: Clock) -> None:
    throttle = Throttle(10.0, 20.0, clock)
    assert [throttle.wait("9999") for _ in range(20)] == pytest.approx([0.0] * 20, abs=1e-6)
    assert throttle.wait("9999") == pytest.approx(0.1)
    assert throttle.wait("10000") == 0.0, "another peer has turns of its own"
    clock.now += 100
    assert [throttle.wait("9999") for _ in range(20)] == pytest.approx([0.0] * 20, abs=1e-6)
    assert throttle.wait("9999") > 0.05


def test_who_does_not_wait_for_its_turns_is_refused(clock: Clock) -> None:
    throttle = Throttle(10.0, 20.0, clock)

    def taken() -> bool:
        try:
            return throttle.wait("9999") <= LONGEST_WAIT_S
        except PeerError:
            return False

    most = 20 + round(LONGEST_WAIT_S * 10)
    assert sum(taken() for _ in range(1000)) in (most - 1, most)
    clock.now += 0.2
    assert taken(), "refusals take no turns"


def test_a_leaf_is_checked_again_after_a_while(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = create_ca("9999")
    leaf = issue(ca, "9999").certificate
    checked = []
    real = callers.verify_leaf
    monkeypatch.setattr(callers, "verify_leaf", lambda *args: (checked.append(1), real(*args))[1])
    known = Callers({"9999": ca.certificate}, clock)
    assert {known.party(leaf) for _ in range(5)} == {"9999"}
    assert len(checked) == 1
    clock.now += FRESH_S
    known.party(leaf)
    assert len(checked) == 2


def test_a_leaf_that_was_refused_is_never_remembered(clock: Clock) -> None:
    ca, other = create_ca("9999"), create_ca("9999")
    known = Callers({"9999": ca.certificate}, clock)
    for _ in range(2):
        with pytest.raises(PolicyError, match="FED-505"):
            known.party(issue(other, "9999").certificate)
    for _ in range(MOST + 2):
        known.party(issue(ca, "9999").certificate)
    assert len(known._known) <= MOST
