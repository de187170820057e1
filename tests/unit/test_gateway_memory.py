"""A gateway lives for months: what it only remembers of jobs goes with them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from airfed_proto.v1 import job_pb2
from federated_operators.gateway import roster, traffic
from federated_operators.gateway.names import Job, Seat, member_pb
from federated_operators.gateway.one_per_job import OnePerJob
from federated_operators.gateway.plan import StepPlan
from federated_operators.gateway.progress import Progress
from federated_operators.gateway.reconcile import Reconciler
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.runs import NoRuns, Run, TaskState
from federated_operators.gateway.traffic import Bytes, Traffic
from federatedml.errors import PeerError
from tests.gateway_world import HOSTS_JOB, JOB, LR, MEMBERS, World
from tests.members import ARBITER, GUEST, HOST

WITHIN_S = 60.0


def seat(number: int, component: str = LR) -> Seat:
    return Seat(Job(GUEST.party, f"{20260728120000000000 + number}"), component, HOST)


def test_one_at_a_time_for_a_job_and_nothing_kept_after() -> None:
    doing: list[str] = []

    async def turn(locks: OnePerJob, job: Job, name: str) -> None:
        async with locks.alone(job):
            doing.append(name)
            await asyncio.sleep(0)
            doing.append(name)
            if name == "fails":
                raise PeerError("FED-401", "away")

    async def scene() -> None:
        locks = OnePerJob()
        names = ("first", "fails", "cancelled", "last")
        tasks = [asyncio.create_task(turn(locks, JOB, name)) for name in names]
        other = asyncio.create_task(turn(locks, HOSTS_JOB, "other"))
        await asyncio.sleep(0)
        assert doing == ["first", "other"]
        tasks[2].cancel()
        found = await asyncio.gather(*tasks, other, return_exceptions=True)
        assert [type(each) for each in found[1:3]] == [PeerError, asyncio.CancelledError]
        of_job = [name for name in doing if name != "other"]
        assert of_job == ["first", "first", "fails", "fails", "last", "last"]
        assert len(locks) == 0

    asyncio.run(scene())


def test_bytes_of_the_newest_jobs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MOST_JOBS", 3)
    counted = Traffic()
    for number in range(5):
        counted.sent(seat(number), 10)
        counted.received(seat(0, f"step_{number}"), 1)  # a job whose steps go on
    assert [counted.of(seat(number)).sent for number in (0, 1, 2, 3, 4)] == [10, 0, 0, 10, 10]
    assert counted.of(seat(0, "step_4")) == Bytes(0, 1)
    assert len(counted._of) == 3
    counted.sent(seat(4), 10)
    assert counted.of(seat(4)) == Bytes(20, 0)


def test_plans_of_the_jobs_that_were_asked_for_last_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, jobs=(JOB, HOSTS_JOB))
    monkeypatch.setattr(roster, "MOST_JOBS", 1)
    kept = Roster(world.stores[HOST.party], HOST.party)
    for job in (JOB, HOSTS_JOB, JOB):
        assert kept.plan(job).job_id == job.job_id
        assert len(kept._plans) == 1
    world.close()


def test_progress_goes_with_its_worker() -> None:
    known: dict[Seat, tuple[float, str]] = {}
    told: list[str] = []

    async def scene() -> None:
        second = asyncio.Event()

        async def tell(party: str, report: job_pb2.StepReport) -> None:
            told.append(report.progress_text)
            for each in list(known):  # while one is told, the workers of the others go
                progress.forget(each)
            if report.progress_text == "again":
                second.set()

        progress = Progress(known, tell)
        for number in range(3):
            progress.set(seat(number), 0.5, "half")
        running = asyncio.create_task(progress.run())
        while not told:
            await asyncio.sleep(0)
        progress.set(seat(9), 0.9, "again")
        await asyncio.wait_for(second.wait(), WITHIN_S)
        running.cancel()
        await asyncio.wait([running])

    Progress.EVERY_S, before = 0.0, Progress.EVERY_S
    try:
        asyncio.run(scene())
    finally:
        Progress.EVERY_S = before
    assert told == ["half", "again"]
    assert known == {}


def test_progress_of_a_job_that_has_ended_is_not_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    step = Seat(JOB, LR, HOST).step(1, 1)
    event = job_pb2.StepReport.PROGRESS
    report = job_pb2.StepReport(member=member_pb(HOST), step=step, event=event, progress=0.5, progress_text="half")
    world.coordinator.report(HOST.party, report)
    assert world.coordinator.progress == {Seat(JOB, LR, HOST): (0.5, "half")}
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    world.coordinator.report(HOST.party, report)
    assert world.coordinator.progress == {}
    world.close()


def test_slots_of_a_job_that_has_ended_are_not_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    for member in MEMBERS:
        world.join(member, "t1")
    while not world.held(HOST.party):
        for source in (HOST.party, ARBITER.party, GUEST.party):
            world.deliver(source, GUEST.party)
        world.deliver(GUEST.party, HOST.party)
    world.slots = 0
    world.settle()
    assert world.coordinator._slots._until
    world.coordinator.end(HOSTS_JOB, job_pb2.CANCELLED, by="ada")
    assert world.coordinator._slots._until
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    assert world.coordinator._slots._until == {}
    world.close()


class Failed(NoRuns):
    """A scheduler in which a task has failed."""

    async def tasks(self, runs: list[Run]) -> list[TaskState]:  # type: ignore[override]
        return [TaskState(run, LR, "failed") for run in runs]


def test_what_was_told_of_a_job_is_forgotten_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, steps={LR: StepPlan(LR, "HeteroLR", "1", MEMBERS, {}, {})})
    gateway = world.gateways[HOST.party]
    reconciler = Reconciler(gateway.store, Roster(gateway.store, HOST.party), gateway.own, Failed())
    for _ in range(2):
        asyncio.run(reconciler.once())
        assert len(reconciler._told) == 1
    assert len(world.events("failed", HOST.party)) == 1
    world.settle()
    assert world.job_state(HOST.party) == "failed"
    asyncio.run(reconciler.once())
    assert reconciler._told == set()
    world.close()
