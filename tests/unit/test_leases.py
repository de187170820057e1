"""Slots of a party: the order in which jobs were admitted, never more than there are, numbers told back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.leases import Leases
from federated_operators.gateway.names import Job, Seat
from federated_operators.gateway.rows import JobRow, LeaseRow
from federated_operators.gateway.store import Store
from tests.members import GUEST, HOST

Report = job_pb2.StepReport
JOBS = [Job(GUEST.party, f"2026072812000000000{number}") for number in range(4)]
COMPONENTS = ("a", "b")


class Party:
    """Leases over a store; what they tell is kept."""

    def __init__(self, root: Path, slots: int) -> None:
        self.root, self.slots = root, slots
        self.told: list[tuple[str, str, int, int]] = []  # job, component, event, number
        self.words: list[str] = []
        self.open()
        for number, job in enumerate(JOBS):
            row = JobRow(job.initiator, job.job_id, "p", b"", b"", "running", 1, 0.0, admitted=10 - number)
            self.store.put(row)  # the later its name, the earlier it was admitted

    def open(self) -> None:
        self.store = Store(self.root / "gateway.db")
        self.leases = Leases(self.store, lambda: self.slots, self._report)

    def restart(self) -> None:
        self.store.close()
        self.open()
        self.leases.regrant()

    def _report(self, row: LeaseRow, seat: Seat, event: int, words: str) -> None:
        self.told.append((row.job_id, row.component, event, row.number))
        self.words.append(words)

    def seat(self, job: int, component: str = "a") -> Seat:
        return Seat(JOBS[job], component, HOST)

    def ask(self, job: int, component: str = "a", number: int = 1) -> None:
        self.leases.ask(self.seat(job, component), 1, 1, number)

    def granted(self) -> list[str]:
        """Names of jobs in the order of their grants."""
        return [job[-1] for job, _, event, _ in self.told if event == Report.LEASE_GRANTED]

    def held(self) -> set[tuple[str, str]]:
        return {(row.job_id, row.component) for row in self.store.select(LeaseRow, held=1)}


@pytest.fixture
def party(tmp_path: Path) -> Iterator[Party]:
    made = Party(tmp_path, slots=1)
    yield made
    made.store.close()


def test_who_was_admitted_first_comes_first(party: Party) -> None:
    for job in (0, 1, 3, 2):
        party.ask(job)
    for job in (0, 3, 2):
        party.leases.give_back(party.seat(job))
    assert party.granted() == ["0", "3", "2", "1"]


def test_who_waits_is_told_for_what(party: Party) -> None:
    party.ask(2)
    party.ask(1)
    party.ask(0)
    assert party.words == [
        "1 of 1",
        "a slot at party 10000: 1 of 1 are taken, 0 in line before it",
        "a slot at party 10000: 1 of 1 are taken, 1 in line before it",
    ]
    assert party.leases.why(party.seat(2)) == ""


def test_the_number_that_was_asked_for_is_told_back(party: Party) -> None:
    party.ask(0, number=7)
    party.ask(1, number=3)
    party.leases.give_back(party.seat(0))
    assert [(job[-1], number) for job, _, event, number in party.told if event == Report.LEASE_GRANTED] == [
        ("0", 7),
        ("1", 3),
    ]


def test_a_repeated_wish_or_an_old_return_changes_nothing(party: Party) -> None:
    party.ask(0, number=2)
    party.ask(3, number=1)
    for number in (1, 2):
        party.ask(0, number=number)
        assert party.leases.held(party.seat(0)), "who asks twice does not lose the slot to the line"
    party.leases.give_back(party.seat(0), 1)
    assert party.leases.held(party.seat(0))
    party.leases.give_back(party.seat(0), 2)
    assert party.granted() == ["0", "3"]


def test_slots_that_a_changed_policy_adds_are_given(party: Party) -> None:
    for job in (0, 1, 2):
        party.ask(job)
    party.slots = 2
    party.leases.regrant()
    assert party.granted() == ["0", "2"]
    party.slots = 1
    party.leases.end(JOBS[0])
    assert party.granted() == ["0", "2"], "more are taken than there are now"


def test_the_end_of_a_job_frees_all_that_it_has_and_waits_for(party: Party) -> None:
    party.ask(3, "a")
    party.ask(3, "b")
    party.ask(0, "a")
    party.leases.end(JOBS[3])
    assert party.held() == {(JOBS[0].job_id, "a")}
    assert party.store.select(LeaseRow) == party.store.select(LeaseRow, held=1)


class LeaseMachine(RuleBasedStateMachine):
    """Any order of wishes, returns, ends, restarts and changed policies, against a list in memory."""

    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.party = Party(self.root, slots=2)
        self.number = 0
        self.line: dict[tuple[int, str], int] = {}  # whoever asked and has not left -> number
        self.most = 2  # slots that there ever were since all taken ones were given

    @rule(target=asked, job=st.integers(0, 3), component=st.sampled_from(COMPONENTS))
    def ask(self, job: int, component: str) -> tuple[int, str, int]:
        self.number += 1
        self.party.ask(job, component, self.number)
        self.line[job, component] = self.number
        return job, component, self.number

    @rule(wish=asked)
    def repeat(self, wish: tuple[int, str, int]) -> None:
        job, component, number = wish
        if self.line.get((job, component), 0) >= number:
            before = self.party.held()
            self.party.ask(job, component, number)
            assert self.party.held() == before

    @rule(wish=asked)
    def give_back(self, wish: tuple[int, str, int]) -> None:
        job, component, number = wish
        self.party.leases.give_back(self.party.seat(job, component), number)
        if self.line.get((job, component), number + 1) <= number:
            del self.line[job, component]

    @rule(job=st.integers(0, 3))
    def end(self, job: int) -> None:
        self.party.leases.end(JOBS[job])
        self.line = {name: number for name, number in self.line.items() if name[0] != job}

    @rule()
    def restart(self) -> None:
        self.party.restart()

    @rule(slots=st.integers(0, 3))
    def change(self, slots: int) -> None:
        before = len(self.party.held())
        self.party.slots = slots
        self.party.leases.regrant()
        self.most = max(slots, before)

    @invariant()
    def as_many_as_there_are_and_no_more(self) -> None:
        held = self.party.held()
        assert len(held) <= self.most
        if len(held) <= self.party.slots:
            self.most = self.party.slots
        assert len(held) >= min(self.party.slots, len(self.line)), "a slot is free and somebody waits"
        rows = {(row.job_id, row.component): row.number for row in self.party.store.select(LeaseRow)}
        assert rows == {(JOBS[job].job_id, name): number for (job, name), number in self.line.items()}

    @invariant()
    def every_slot_was_told(self) -> None:
        told = {(job, name, number) for job, name, event, number in self.party.told if event == Report.LEASE_GRANTED}
        taken = self.party.store.select(LeaseRow, held=1)
        assert {(row.job_id, row.component, row.number) for row in taken} <= told

    def teardown(self) -> None:
        self.party.store.close()
        shutil.rmtree(self.root)


TestLeases = LeaseMachine.TestCase
TestLeases.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
