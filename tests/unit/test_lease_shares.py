"""A share of the slots for each initiator: one that floods a party with jobs leaves room for the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.leases import Leases
from federated_operators.gateway.names import Job, Seat
from federated_operators.gateway.policy import Policy
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, LeaseRow
from federated_operators.gateway.store import Store
from federatedml.errors import PolicyError
from tests.members import HOST

OWN, FLOOD, OTHER = HOST.party, "9999", "10001"
GRANTED = job_pb2.StepReport.LEASE_GRANTED


class Party:
    """Leases of a party whose policy can be changed; jobs are admitted in the order in which they are added."""

    def __init__(self, path: Path, **rules: int | None) -> None:
        self.store, self.told = Store(path), list[str]()
        self.change(**rules)
        self.leases = Leases(
            self.store,
            lambda: self.policy.slots,
            lambda row, seat, event, words: self.told.append(words),
            lambda initiator: self.policy.share(initiator, OWN),
        )
        self.seats: list[Seat] = []

    def change(self, **rules: int | None) -> None:
        self.policy = Policy.model_validate({"initiators": ["*"], **rules})

    def ask(self, initiator: str) -> Seat:
        number = len(self.seats)
        seat = Seat(Job(initiator, f"{number:020d}"), "a", HOST)
        row = JobRow(initiator, seat.job.job_id, "p", b"", b"", "running", 1, 0.0, admitted=number)
        self.store.put(row)
        self.seats.append(seat)
        self.leases.ask(seat, 1, 1, 1)
        return seat

    def taken(self) -> Counter[str]:
        return Counter(row.initiator for row in self.store.select(LeaseRow, held=1))

    def waiting(self) -> Counter[str]:
        return Counter(row.initiator for row in self.store.select(LeaseRow, held=0))


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    return tmp_path / "gateway.db"


def test_who_has_its_share_is_overtaken_and_told_why(path: Path) -> None:
    party = Party(path, slots=4, slots_per_initiator=2)
    seats = [party.ask(FLOOD) for _ in range(5)]
    assert party.taken() == {FLOOD: 2}
    assert party.leases.why(seats[2]) == "a slot at party 10000: jobs of party 9999 have 2 of their 2"
    late = party.ask(OTHER)
    assert party.leases.held(late), "nobody who may not run stands before it"
    party.leases.give_back(seats[0])
    assert [party.leases.held(seat) for seat in seats[1:]] == [True, True, False, False], "in the order of admission"


def test_own_jobs_and_a_policy_without_shares_may_have_all(path: Path) -> None:
    party = Party(path, slots=3, slots_per_initiator=1)
    for _ in range(4):
        party.ask(OWN)
    assert party.taken() == {OWN: 3}
    peers = Party(path.with_name("other.db"), slots=3)
    for _ in range(4):
        peers.ask(FLOOD)
    assert peers.taken() == {FLOOD: 3}


def test_a_changed_share_counts_from_the_next_slot_on(path: Path) -> None:
    party = Party(path, slots=4)
    seats = [party.ask(FLOOD) for _ in range(5)]
    party.change(slots=4, slots_per_initiator=2)
    party.leases.give_back(seats[0])
    assert party.taken() == {FLOOD: 3}, "those that run go on, no other starts"
    party.leases.end(seats[1].job)
    assert party.taken() == {FLOOD: 2}
    party.change(slots=4, slots_per_initiator=3)
    party.leases.regrant()
    assert party.taken() == {FLOOD: 3}


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.one_of(st.sampled_from((OWN, FLOOD, OTHER)), st.integers(0, 20)), max_size=30),
)
@settings(max_examples=30, deadline=None)
def test_no_slot_is_free_while_somebody_may_have_it(
    tmp_path_factory: pytest.TempPathFactory, slots: int, share: int, moves: list[str | int]
) -> None:
    party = Party(tmp_path_factory.mktemp("party") / "gateway.db", slots=slots, slots_per_initiator=share)
    for move in moves:
        if isinstance(move, str):
            party.ask(move)
        elif party.seats:
            party.leases.give_back(party.seats[move % len(party.seats)])
        taken, waiting = party.taken(), party.waiting()
        assert taken.total() <= slots
        assert max(taken[FLOOD], taken[OTHER]) <= share
        may = [name for name in waiting if name == OWN or taken[name] < share]
        assert taken.total() == slots or not may
    party.store.close()


def test_one_initiator_may_fill_only_its_share_of_the_line(path: Path) -> None:
    policy = Policy.model_validate({"initiators": ["*"], "max_jobs": 5, "max_jobs_per_initiator": 2})
    active = Counter({FLOOD: 2, OTHER: 1})
    policy.check_room(active, OTHER, OWN)
    policy.check_room(Counter({OWN: 4}), OWN, OWN)
    with pytest.raises(PolicyError, match=r"FED-532.*max_jobs_per_initiator: 2 jobs of party 9999 run or wait here"):
        policy.check_room(active, FLOOD, OWN)
    with pytest.raises(PolicyError, match=r"FED-532.*max_jobs: 5 jobs run or wait here"):
        policy.check_room(Counter({OWN: 5}), OWN, OWN)
    store = Store(path)
    for number, (initiator, state) in enumerate([(FLOOD, "running"), (FLOOD, "proposed"), (OTHER, "failed")]):
        store.put(JobRow(initiator, f"{number:020d}", "p", b"", b"", state, 1, 0.0))
    assert Roster(store, OWN).active() == {FLOOD: 2}
    store.close()
