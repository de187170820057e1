"""Who says nothing while a job runs is shown to people long before it ends the job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airfed.job_text import party_lines, waits
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway import silence
from federated_operators.gateway.coordinator import Coordinator
from federated_operators.gateway.names import Job
from federated_operators.gateway.notes import WaitNotes
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.plan import dump_plan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, PlanRow, ProposalRow, StepRow
from federated_operators.gateway.show import Show
from federated_operators.gateway.silence import Silence
from federated_operators.gateway.store import Store
from federatedml.errors import PeerError
from federatedml.federation.home import PartyHome
from tests.members import GUEST, HOST
from tests.unit.test_wait_notes import JOB, PLAN, Noting

BEGUN = 1_785_240_000.0  # 2026-07-28T12:00:00Z


class Peers:
    """Parties that answer, or do not."""

    silent = True

    async def call(self, party: str, method: str, request: object, timeout: float) -> object:
        if self.silent:
            raise PeerError("FED-401", "no answer")
        return job_pb2.Greeting()


class World:
    """A gateway that greets every ten seconds, on a clock of its own."""

    def __init__(self, folder: Path, me: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.peers = 0.0, Peers()
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: BEGUN + self.now)
        monkeypatch.setattr(silence, "time", clock)
        self.store, home = Store(folder / "gateway.db"), PartyHome(folder)
        roster = Roster(self.store, me)
        own = OwnSteps(self.store, roster, home, lambda seat, frame: None)
        coordinator = Coordinator(self.store, roster, lambda: 0.0, lambda: 0.0)
        peers: Any = self.peers
        self.silence = Silence(self.store, roster, coordinator, own, peers, timeout=600.0)
        self.show = Show(self.store, roster, coordinator, own, silent=self.silence.since)
        self.control = Noting()
        self.notes = WaitNotes(self.store, roster, self.show, self.control)

    def greet(self, times: int) -> None:
        for _ in range(times):
            asyncio.run(self.silence.once())
            self.now += 10.0
            asyncio.run(self.notes.once())

    def view(self) -> local_pb2.JobView:
        (found,) = self.show.jobs(local_pb2.JobQuery()).jobs
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path, GUEST.party, monkeypatch)
    made.store.put(JobRow(JOB.initiator, JOB.job_id, "p", b"", b"", "running", 1, 0.0))
    made.store.put(PlanRow(JOB.initiator, JOB.job_id, str(GUEST), dump_plan(PLAN)))
    made.store.put(StepRow(JOB.initiator, JOB.job_id, "lr_0", 1, job_pb2.STARTED))
    for party in (GUEST.party, HOST.party):
        made.store.put(ProposalRow(JOB.initiator, JOB.job_id, party, job_pb2.ENROLLED, b"", f"http://{party}"))
    yield made
    made.store.close()


def test_a_party_that_is_silent_while_its_job_runs_is_named(world: World) -> None:
    world.greet(2)
    assert (dict(world.view().unanswered), world.control.notes) == ({}, [])
    world.greet(3)
    line = "party 10000, silent since 2026-07-28T12:00:00Z"
    assert world.control.notes == [f"started by a backfill\nWaiting: {line}"], "written once: the moment stays the same"
    assert waits(world.view()) == "party 10000: enrolled, silent since 2026-07-28T12:00:00Z"
    assert party_lines(world.view())[0] == "party 10000: enrolled, silent since 2026-07-28T12:00:00Z"
    world.peers.silent = False
    world.greet(3)
    assert world.control.notes[1:] == ["started by a backfill"]
    assert waits(world.view()) == ""
    assert party_lines(world.view())[0] == "party 10000: http://10000"


def test_a_peer_names_the_coordinator_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(HOST.party, JOB.job_id)
    world = World(tmp_path, GUEST.party, monkeypatch)
    world.store.put(JobRow(job.initiator, job.job_id, "p", b"", b"", "running", 1, 0.0))
    world.store.put(PlanRow(job.initiator, job.job_id, str(GUEST), dump_plan(replace(PLAN, initiator=HOST))))
    world.greet(5)
    assert world.control.notes == ["started by a backfill\nWaiting: party 10000, silent since 2026-07-28T12:00:00Z"]
    assert party_lines(world.view()) == ["party 10000: silent since 2026-07-28T12:00:00Z"]
    world.store.close()
