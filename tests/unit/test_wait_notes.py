"""People see beside the run why their job waits, once it does so for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.coordinator import Coordinator
from federated_operators.gateway.names import Job, Seat
from federated_operators.gateway.notes import WaitNotes
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.plan import JobPlan, dump_plan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, PlanRow, StepRow
from federated_operators.gateway.runs import NoRuns, Run
from federated_operators.gateway.show import Show
from federated_operators.gateway.store import Store
from federated_operators.gateway.unanswered import Unanswered
from federatedml.federation.home import PartyHome
from tests.members import GUEST, HOST

JOB = Job(GUEST.party, "20260728120000000001")
PLAN = JobPlan(
    GUEST,
    JOB.job_id,
    "p",
    GUEST,
    (GUEST, HOST),
    "model",
    "",
    "",
    "p.guest_9999",
    {},
    {"lr_0": (GUEST, HOST)},
    {"lr_0": "HeteroLR"},
    {},
    {},
    {},
)


class Noting(NoRuns):
    def __init__(self) -> None:
        self.notes: list[str] = []

    async def note_of(self, run: Run) -> str:
        return self.notes[-1] if self.notes else "started by a backfill"

    async def note(self, run: Run, text: str) -> None:
        assert run == Run("p.guest_9999", JOB.job_id)
        self.notes.append(text)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "gateway.db")
    made.put(JobRow(JOB.initiator, JOB.job_id, "p", b"", b"", "running", 1, 0.0))
    made.put(PlanRow(JOB.initiator, JOB.job_id, str(GUEST), dump_plan(PLAN)))
    yield made
    made.close()


def test_a_note_is_written_when_a_job_waits_at_two_looks_and_only_once(store: Store, tmp_path: Path) -> None:
    roster, control = Roster(store, GUEST.party), Noting()
    own = OwnSteps(store, roster, PartyHome(tmp_path), lambda seat, frame: None)
    coordinator = Coordinator(store, roster, lambda: 0.0, lambda: 0.0)
    notes = WaitNotes(store, roster, Show(store, roster, coordinator, own), control)
    own.join(Seat(JOB, "lr_0", GUEST), local_pb2.Join(task_instance_id="t1"))
    asyncio.run(notes.once())
    assert control.notes == []
    for _ in range(3):
        asyncio.run(notes.once())
    assert control.notes == ["started by a backfill\nWaiting: lr_0 waits for guest 9999, host 10000"]
    store.put(StepRow(JOB.initiator, JOB.job_id, "lr_0", 1, job_pb2.STARTED))
    for _ in range(3):
        asyncio.run(notes.once())
    assert control.notes[1:] == ["started by a backfill"]


def test_the_note_of_a_job_that_is_proposed_names_who_does_not_answer(store: Store, tmp_path: Path) -> None:
    (row,) = store.select(JobRow)
    store.put(replace(row, state="proposed"))
    roster, control, unanswered = Roster(store, GUEST.party), Noting(), Unanswered()
    own = OwnSteps(store, roster, PartyHome(tmp_path), lambda seat, frame: None)
    coordinator = Coordinator(store, roster, lambda: 0.0, lambda: 0.0)
    show = Show(store, roster, coordinator, own, unanswered=unanswered)
    notes = WaitNotes(store, roster, show, control)
    silent = job_pb2.ProposalAnswer(failure=pb.Failure(code="FED-401", message="no answer"))
    with unanswered.asking(JOB, HOST.party):
        for second in range(3):
            unanswered.again(JOB, HOST.party, silent, float(second), second + 1.0)
            asyncio.run(notes.once())
    assert control.notes == ["started by a backfill\nWaiting: party 10000: [FED-401] no answer"]
    for _ in range(3):
        asyncio.run(notes.once())
    assert control.notes[1:] == ["started by a backfill"]
