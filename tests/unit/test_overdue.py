"""A verdict that was lost on the way is asked for; a proposal that nobody follows up expires."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job
from federated_operators.gateway.overdue import PROPOSAL_S, Overdue
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, ProposalRow, VerdictRow
from federated_operators.gateway.runs import NoRuns
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.store import Store
from federated_operators.gateway.verdicts import Verdicts, no_hook
from federatedml.errors import PeerError, ProtocolError
from federatedml.federation.home import PartyHome
from tests.members import GUEST, HOST

JOB = Job(GUEST.party, "20260728120000000001")


class Coordinator:
    """A peer's door that answers one question."""

    def __init__(self, verdict: int | None) -> None:
        self.verdict, self.asked = verdict, 0

    async def call(self, party: str, method: str, request: Any) -> Any:
        assert (party, method, request) == (GUEST.party, "AskVerdict", JOB.key())
        self.asked += 1
        if self.verdict is None:
            raise PeerError("FED-410", "party 9999 does not answer")
        return job_pb2.VerdictNotice(job=request, generation=1, verdict=self.verdict)  # type: ignore[arg-type]


class Party:
    def __init__(self, store: Store, home: PartyHome, state: str, verdict: int | None) -> None:
        self.store, self.now, self.door = store, 0.0, Coordinator(verdict)
        store.put(JobRow(JOB.initiator, JOB.job_id, "p", b"", b"", state, 1, 0.0))
        roster, seats = Roster(store, HOST.party), Seats()
        own = OwnSteps(store, roster, home, seats.tell)
        verdicts = Verdicts(store, roster, own, seats, home, NoRuns(), no_hook)
        self.overdue = Overdue(store, roster, self.door, verdicts, lambda: self.now)  # type: ignore[arg-type]

    def look(self) -> str:
        asyncio.run(self.overdue.once())
        row = self.store.get(JobRow, **JOB.where)
        assert row is not None
        return row.state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "gateway.db")
    yield made
    made.close()


def test_a_lost_verdict_is_asked_for_and_adopted(store: Store, tmp_path: Path) -> None:
    party = Party(store, PartyHome(tmp_path), "running", job_pb2.CANCELLED)
    assert party.look() == "cancelled"
    assert store.get(VerdictRow, **JOB.where) is not None
    party.look()
    assert party.door.asked == 1, "a job that has ended is not asked for"


@pytest.mark.parametrize("verdict", [job_pb2.VERDICT_UNSPECIFIED, None])
def test_a_job_without_a_verdict_goes_on(store: Store, tmp_path: Path, verdict: int | None) -> None:
    party = Party(store, PartyHome(tmp_path), "running", verdict)
    assert party.look() == "running"
    assert party.door.asked == 1


def test_a_proposal_expires_after_a_day(store: Store, tmp_path: Path) -> None:
    party = Party(store, PartyHome(tmp_path), "proposed", None)
    party.now = PROPOSAL_S
    assert party.look() == "proposed"
    party.now += 1.0
    assert party.look() == "expired"
    standing = store.get(ProposalRow, **JOB.where)
    assert standing is not None
    assert standing.state == job_pb2.EXPIRED


def test_own_jobs_are_this_partys_own_matter(store: Store, tmp_path: Path) -> None:
    party = Party(store, PartyHome(tmp_path), "running", None)
    store.put(JobRow(HOST.party, "20260728120000000002", "p", b"", b"", "proposed", 1, -2 * PROPOSAL_S))
    party.look()
    assert {row.state for row in store.select(JobRow)} == {"running", "proposed"}


class Away:
    """Doors of several parties: one of them never answers, and others do meanwhile."""

    def __init__(self, dead: str) -> None:
        self.dead = dead
        self.asked: list[str] = []
        self.others_are_done = asyncio.Event()

    async def call(self, party: str, method: str, request: Any) -> Any:
        self.asked.append(party)
        if party == self.dead:
            await self.others_are_done.wait()
            raise PeerError("FED-401", "party does not answer")
        if len(self.asked) == 1 + 2 * 3:
            self.others_are_done.set()
        if request.job_id.endswith("2"):
            raise ProtocolError("FED-348", "an answer, if not a friendly one")
        if request.job_id.endswith("1"):
            raise ValueError("of the own parts")
        return job_pb2.VerdictNotice(job=request, generation=1, verdict=job_pb2.CANCELLED)


def test_a_dead_party_delays_nobody_elses_verdict(store: Store, tmp_path: Path) -> None:
    party = Party(store, PartyHome(tmp_path), "cancelled", None)
    for initiator in ("1", "2", "3"):
        for number in (1, 2, 3):
            store.put(JobRow(initiator, f"2026072812000000000{number}", "p", b"", b"", "running", 1, 0.0))

    async def look() -> list[str]:
        doors = Away("1")
        party.overdue._peers = doors  # type: ignore[assignment]
        await asyncio.wait_for(party.overdue.once(), 60.0)
        return doors.asked

    assert sorted(asyncio.run(look())) == ["1", *["2"] * 3, *["3"] * 3], "a dead party is asked for one job"
    states = {(row.initiator, row.job_id[-1]): row.state for row in store.select(JobRow) if len(row.initiator) == 1}
    expected = {(i, n): "cancelled" if i != "1" and n == "3" else "running" for i in "123" for n in "123"}
    assert states == expected
