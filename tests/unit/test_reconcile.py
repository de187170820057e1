"""What a scheduler shows against what was decided: found, told once, and who did it; cleared tasks are wishes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import CONCLUDE, Seat
from federated_operators.gateway.plan import StepPlan
from federated_operators.gateway.reconcile import Reconciler
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, SeenRow
from federated_operators.gateway.runs import NoRuns, Run, RunState, TaskState, Touched
from federatedml.errors import PeerError, PolicyError
from tests.gateway_world import JOB, LR, MEMBERS, State, World
from tests.members import GUEST, HOST

RUN = Run(f"p.{HOST}", JOB.job_id)


class Scheduler(NoRuns):
    """The host's scheduler, as a test wants it."""

    def __init__(self) -> None:
        self.runs: list[RunState] = []
        self.over: list[TaskState] = []
        self.person = ""
        self.touches: list[Touched] = []
        self.touched_at = math.inf  # Unix seconds
        self.notes: list[str] = []
        self.cleared: list[str] = []
        self.away = False

    async def states(self, runs: Sequence[Run]) -> list[RunState]:
        return [state for state in self.runs if state.run in runs]

    async def tasks(self, runs: Sequence[Run]) -> list[TaskState]:
        return [state for state in self.over if state.run in runs]

    async def ended_by(self, run: Run, after: int) -> str:
        if self.away:
            raise PeerError("FED-420", "the own Airflow does not answer")
        return self.person

    async def touched(self, run: Run, after: int, since: float) -> Touched | None:
        if self.away:
            raise PeerError("FED-420", "the own Airflow does not answer")
        touches = self.touches if self.touched_at > since else []
        return next((touch for touch in touches if touch.event > after), None)

    async def newest_event(self, run: Run) -> int:
        return max((touch.event for touch in self.touches), default=0)

    async def clear(self, run: Run, tasks: Sequence[str]) -> None:
        self.cleared += tasks

    async def note(self, run: Run, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


@pytest.fixture
def world(tmp_path: Path, scheduler: Scheduler) -> Iterator[World]:
    steps = {LR: StepPlan(LR, "HeteroLR", "1", MEMBERS, {}, {})}
    made = World(tmp_path, control=scheduler, steps=steps)
    yield made
    made.close()


@pytest.fixture
def reconciler(world: World, scheduler: Scheduler) -> Reconciler:
    gateway = world.gateways[HOST.party]
    return Reconciler(gateway.store, Roster(gateway.store, HOST.party), gateway.own, scheduler)


def look(world: World, reconciler: Reconciler) -> pb.Failure | None:
    """The reason of the verdict after the host has compared."""
    asyncio.run(reconciler.once())
    world.settle()
    row = world.verdict()
    return pb.Failure.FromString(row.failure) if row else None


def over(task: str, state: str) -> list[TaskState]:
    return [TaskState(RUN, task, state)]


def test_what_agrees_is_not_told(world: World, scheduler: Scheduler, reconciler: Reconciler) -> None:
    assert look(world, reconciler) is None
    world.all_do(LR)
    scheduler.runs = [RunState(RUN, "running")]
    scheduler.over = [*over("enrol", "success"), *over(LR, "success"), *over("another", "failed")]
    assert look(world, reconciler) is None
    world.all_join(CONCLUDE)
    for member in MEMBERS:
        world.prepared(member, CONCLUDE)
    world.settle()
    scheduler.runs = [RunState(RUN, "success")]
    assert look(world, reconciler) == pb.Failure()
    assert not world.events("run ended", HOST.party)


@pytest.mark.parametrize("state", ["success", "skipped", "failed"])
def test_a_person_who_marks_a_task_ends_the_job(
    world: World, scheduler: Scheduler, reconciler: Reconciler, state: str
) -> None:
    world.all_join()
    scheduler.over, scheduler.person = over(LR, state), "ada"
    failure = look(world, reconciler)
    assert failure is not None
    assert (failure.code, failure.component, failure.member.party_id) == ("FED-450", LR, HOST.party)
    assert f"its task was {'failed' if state == 'failed' else state.replace('success', 'marked success')} by ada" in (
        failure.message
    )
    row = world.verdict()
    assert row is not None
    assert (row.verdict, row.by) == (job_pb2.CANCELLED, f"party {HOST.party}")


def test_a_task_that_failed_by_itself_is_a_failed_step(
    world: World, scheduler: Scheduler, reconciler: Reconciler
) -> None:
    world.all_join()
    scheduler.over = over(LR, "failed")
    failure = look(world, reconciler)
    assert failure is not None
    assert (failure.code, failure.component) == ("FED-453", LR)
    assert world.step().state == State.FAILED


def test_a_task_that_failed_as_was_decided_is_not_told(
    world: World, scheduler: Scheduler, reconciler: Reconciler
) -> None:
    world.all_join()
    world.failed(HOST)
    scheduler.over = over(LR, "failed")
    asyncio.run(reconciler.once())
    assert [line["reason"] for line in world.events("failed", HOST.party)] == [f"{HOST} no"]


@pytest.mark.parametrize("task", ["federate", "enrol"])
def test_a_failed_first_task_ends_the_job(
    world: World, scheduler: Scheduler, reconciler: Reconciler, task: str
) -> None:
    scheduler.over = over(task, "failed")
    failure = look(world, reconciler)
    assert failure is not None
    assert (failure.code, failure.component) == ("FED-453", task)


def proposed(world: World) -> None:
    """The job waits for a party that does not answer."""
    for store in world.stores.values():
        (row,) = store.select(JobRow)
        store.put(replace(row, state="proposed"))


def test_a_first_task_that_is_marked_failed_while_the_job_is_proposed_ends_it(
    world: World, scheduler: Scheduler, reconciler: Reconciler
) -> None:
    """Its process is gone, and the gateway asks the parties without it."""
    proposed(world)
    scheduler.over, scheduler.person = over("federate", "failed"), "ada"
    failure = look(world, reconciler)
    assert failure is not None
    assert (failure.code, failure.message) == ("FED-450", "its task was failed by ada")
    assert {world.job_state(member.party) for member in MEMBERS} == {"cancelled"}


@pytest.mark.parametrize(("task", "state"), [("federate", "success"), (LR, "failed"), (LR, "skipped")])
def test_other_tasks_of_a_proposed_job_are_not_looked_at(
    world: World, scheduler: Scheduler, reconciler: Reconciler, task: str, state: str
) -> None:
    proposed(world)
    scheduler.over = over(task, state)
    assert look(world, reconciler) is None


@pytest.mark.parametrize(("person", "verdict"), [("", job_pb2.JOB_FAILED), ("ada", job_pb2.CANCELLED)])
@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_ended_ends_the_job(
    world: World, scheduler: Scheduler, reconciler: Reconciler, state: str, person: str, verdict: int
) -> None:
    world.all_do(LR)
    scheduler.runs, scheduler.person = [RunState(RUN, state, "conclude" if state == "failed" else "")], person
    failure = look(world, reconciler)
    assert failure is not None
    assert ("marked success" in failure.message) is (state == "success")
    row = world.verdict()
    assert row is not None
    assert row.verdict == verdict


def test_it_is_told_once_even_if_the_scheduler_went_away_in_between(
    world: World, scheduler: Scheduler, reconciler: Reconciler
) -> None:
    scheduler.runs, scheduler.away = [RunState(RUN, "failed")], True
    with pytest.raises(PeerError):
        asyncio.run(reconciler.once())
    scheduler.away = False
    for _ in range(3):
        asyncio.run(reconciler.once())
    assert len(world.events("run ended", HOST.party)) == 1


def test_a_job_that_is_being_reopened_is_not_looked_at(
    world: World, scheduler: Scheduler, reconciler: Reconciler
) -> None:
    """Its run still shows the last end. What happens after it is new."""
    scheduler.runs = [RunState(RUN, "failed")]
    look(world, reconciler)
    world.rerun()
    while world.job_state(HOST.party) != "reopening":
        world.deliver(GUEST.party, HOST.party)
    asyncio.run(reconciler.once())
    assert len(world.events("run ended", HOST.party)) == 1
    scheduler.runs = []
    world.settle()
    assert scheduler.cleared.count(LR) == len(MEMBERS)
    scheduler.runs = [RunState(RUN, "failed")]
    assert look(world, reconciler) is not None
    row = world.verdict()
    assert row is not None
    assert row.generation == 2


# A process that comes although its job has ended


class Coordinator:
    """Answers wishes, and opens the generation before it does."""

    def __init__(self, world: World, refusal: str = "") -> None:
        self.world, self.refusal = world, refusal
        self.orders: list[job_pb2.RerunOrder] = []

    async def ask(self, order: job_pb2.RerunOrder) -> job_pb2.RerunAnswer:
        self.orders.append(order)
        if self.refusal:
            return job_pb2.RerunAnswer(failure=pb.Failure(code="FED-362", message=self.refusal))
        store = self.world.stores[HOST.party]
        row = store.get(JobRow, **JOB.where)
        assert row is not None
        store.put(replace(row, generation=2, state="running"))
        return job_pb2.RerunAnswer(generation=2)


def judge(world: World, coordinator: Coordinator) -> None:
    plan = Roster(world.stores[HOST.party], HOST.party).plan(JOB)
    asyncio.run(world.gateways[HOST.party].reopening.judge(plan, coordinator.ask))


@pytest.fixture
def ended(world: World) -> World:
    world.all_fail()
    return world


def test_a_cleared_task_is_a_wish_for_a_rerun_that_is_asked_once(ended: World, scheduler: Scheduler) -> None:
    coordinator = Coordinator(ended, refusal="not today")
    scheduler.touches = [Touched("ada", 7, [LR, CONCLUDE])]
    for _ in range(2):
        judge(ended, coordinator)
    (order,) = coordinator.orders
    assert (list(order.components), order.by, order.party) == ([LR], "ada", HOST.party)
    assert scheduler.notes == ["no rerun: not today"]
    assert [line["reason"] for line in ended.events("rerun refused", HOST.party)] == ["no rerun: not today"]
    scheduler.touches = [Touched("ada", 8, [LR])]
    judge(ended, coordinator)
    assert len(coordinator.orders) == 2, "cleared again, asked again"


@pytest.mark.parametrize(
    ("cleared", "components", "downstream"),
    [
        (["enrol", LR, CONCLUDE], [LR, "evaluation_0"], False),  # the whole run is the whole job
        ([LR, CONCLUDE], [LR], True),  # and what follows, here and elsewhere
        ([LR], [LR], False),
    ],
)
def test_what_a_person_clears_says_what_runs_again_elsewhere(
    tmp_path: Path, scheduler: Scheduler, cleared: list[str], components: list[str], downstream: bool
) -> None:
    steps, follows = {LR: StepPlan(LR, "HeteroLR", "1", MEMBERS, {}, {})}, {LR: MEMBERS, "evaluation_0": (GUEST,)}
    world = World(tmp_path, control=scheduler, steps=steps, all_steps=follows, upstream={"evaluation_0": [LR]})
    world.all_do(LR)
    world.join(GUEST, "t1", "evaluation_0")
    world.settle()
    world.prepared(GUEST, "evaluation_0")
    world.all_do(CONCLUDE)
    coordinator = Coordinator(world, refusal="not today")
    scheduler.touches = [Touched("ada", 7, cleared)]
    judge(world, coordinator)
    (order,) = coordinator.orders
    assert (sorted(order.components), order.downstream) == (sorted(components), downstream)
    world.close()


def test_a_process_that_nobody_sent_asks_for_nothing(ended: World, scheduler: Scheduler) -> None:
    coordinator = Coordinator(ended)
    judge(ended, coordinator)
    scheduler.touches = [Touched("ada", 3, ["enrol", CONCLUDE])]
    judge(ended, coordinator)
    assert coordinator.orders == [], "first and last tasks only repeat their answer"


def test_a_wish_that_is_granted_lets_the_process_into_the_new_generation(ended: World, scheduler: Scheduler) -> None:
    coordinator = Coordinator(ended)
    scheduler.touches = [Touched("ada", 7, [LR])]
    judge(ended, coordinator)
    judge(ended, coordinator)
    assert len(coordinator.orders) == 1, "the job runs again: nobody is held any longer"
    assert scheduler.notes == []


def test_a_wish_that_cannot_be_known_or_asked_is_noted(ended: World, scheduler: Scheduler) -> None:
    async def refuse(order: job_pb2.RerunOrder) -> job_pb2.RerunAnswer:
        raise PolicyError("FED-541", "no part in it")

    coordinator = Coordinator(ended)
    scheduler.away = True
    judge(ended, coordinator)
    scheduler.away, scheduler.touches = False, [Touched("ada", 7, [LR])]
    coordinator.ask = refuse  # type: ignore[method-assign]
    judge(ended, coordinator)
    assert [line["reason"][:9] for line in ended.events("rerun not asked for", HOST.party)] == [
        "[FED-420]",
        "[FED-541]",
    ]
    assert scheduler.notes == ["no rerun: no part in it"]


def test_what_was_cleared_while_the_job_ran_is_no_wish_after_its_end(ended: World, scheduler: Scheduler) -> None:
    coordinator = Coordinator(ended)
    row = ended.stores[HOST.party].get(JobRow, **JOB.where)
    assert row is not None
    scheduler.touches, scheduler.touched_at = [Touched("ada", 7, [LR])], row.ended_at - 1.0
    judge(ended, coordinator)
    assert coordinator.orders == []
    scheduler.touched_at = row.ended_at + 1.0
    judge(ended, coordinator)
    assert len(coordinator.orders) == 1


def test_a_wish_survives_a_crash_while_it_is_asked(ended: World, scheduler: Scheduler) -> None:
    async def crash(order: job_pb2.RerunOrder) -> job_pb2.RerunAnswer:
        raise asyncio.CancelledError

    coordinator = Coordinator(ended)
    asked, coordinator.ask = coordinator.ask, crash  # type: ignore[method-assign]
    scheduler.touches = [Touched("ada", 7, [LR])]
    with pytest.raises(asyncio.CancelledError):
        judge(ended, coordinator)
    coordinator.ask = asked  # type: ignore[method-assign]
    judge(ended, coordinator)
    assert len(coordinator.orders) == 1


def test_what_was_cleared_before_a_rerun_is_no_wish_after_it(ended: World, scheduler: Scheduler) -> None:
    scheduler.touches = [Touched("ada", 7, [LR])]
    ended.rerun()
    ended.settle()
    seen = ended.stores[HOST.party].get(SeenRow, **JOB.where)
    assert seen is not None
    assert seen.event == 7
    assert ended.own[HOST.party].state(Seat(JOB, LR, HOST)) == State.ABSENT
    ended.all_fail()
    coordinator = Coordinator(ended)
    judge(ended, coordinator)
    assert coordinator.orders == []
