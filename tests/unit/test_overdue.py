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
from federatedml.errors import PeerError
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
