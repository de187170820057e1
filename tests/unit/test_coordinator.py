"""Coordinator and members' own steps as state machines: letters are delivered by hand, in any order of parties."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.coordinator import COMMAND, LOST_BUDGET, Coordinator
from federated_operators.gateway.names import CONCLUDE, Job, Seat, member_pb
from federated_operators.gateway.own_steps import REPORT, OwnSteps
from federated_operators.gateway.plan import JobPlan, dump_plan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import AttemptRow, JobRow, OutputRow, PlanRow, StepRow, VerdictRow
from federated_operators.gateway.store import Store
from federatedml.errors import PolicyError, ProtocolError
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member
from tests.members import ARBITER, GUEST, HOST

JOB = Job(GUEST.party, "20260728120000000001")
LR = "lr_0"
MEMBERS = (ARBITER, GUEST, HOST)
State = job_pb2.StepState


def plan(me: Member, **content: Any) -> JobPlan:
    made = JobPlan(
        initiator=GUEST,
        job_id=JOB.job_id,
        pipeline="p",
        me=me,
        members=MEMBERS,
        model_key="model",
        digest="00",
        spec_digest="00",
        dag_id=f"p.{me}",
        steps={},
        all_steps={LR: MEMBERS},
        modules={LR: "HeteroLR"},
        dsl={},
        conf={},
        disclosure={},
    )
    return replace(made, **content)


class World:
    """Three parties without sockets. ``content`` changes their plans."""

    def __init__(self, root: Path, **content: Any) -> None:
        self.root = root
        self.now = 0.0
        self.slots = 4
        self.stores: dict[str, Store] = {}
        self.own: dict[str, OwnSteps] = {}
        self.told: dict[Member, list[local_pb2.GatewayFrame]] = {member: [] for member in MEMBERS}
        self.done: dict[tuple[str, str], int] = {}
        self.processes: dict[Member, Process] = {}
        for member in MEMBERS:
            self.open(member.party)
            store = self.stores[member.party]
            store.put(JobRow(JOB.initiator, JOB.job_id, "p", b"", b"", "running", 1, 0.0))
            store.put(PlanRow(JOB.initiator, JOB.job_id, str(member), dump_plan(plan(member, **content))))

    def open(self, party: str) -> None:
        """(Re)start a gateway: only its store survives."""
        if party in self.stores:
            self.stores[party].close()
            self.done = {lane: at for lane, at in self.done.items() if lane[0] != party}
        store = self.stores[party] = Store(self.root / party / "gateway.db")
        roster = Roster(store, party)
        home = PartyHome(self.root / party)
        self.own[party] = OwnSteps(
            store, roster, home, lambda seat, frame: self.told[seat.member].append(frame), slots=lambda: self.slots
        )
        if party == GUEST.party:
            self.coordinator = Coordinator(store, roster, lambda: self.now, lambda: self.now)
            self.coordinator.recover()

    def close(self) -> None:
        for store in self.stores.values():
            store.close()

    def deliver(self, source: str, to: str) -> bool:
        """The next letter of a lane; whether there was one."""
        letter = self.stores[source].next_letter(to, self.done.get((source, to), 0))
        if letter is None:
            return False
        if letter.kind == REPORT:
            report = job_pb2.StepReport.FromString(letter.body)
            report.serial = letter.id
            self.coordinator.report(source, report)
        elif letter.kind == COMMAND:
            self.own[to].order(job_pb2.StepCommand.FromString(letter.body))
        self.stores[source].answered(letter)
        self.done[source, to] = letter.id
        return True

    def settle(self) -> None:
        """Deliver everything."""
        lanes = [(GUEST.party, m.party) for m in MEMBERS] + [(m.party, GUEST.party) for m in (HOST, ARBITER)]
        while [lane for lane in lanes if self.deliver(*lane)]:
            pass

    # Workers

    def join(self, member: Member, ti_id: str, component: str = LR, attempt: int = 0, **content: Any) -> None:
        join = local_pb2.Join(
            task_instance_id=ti_id,
            attempt=attempt,
            generation=1 if attempt else 0,
            conf_digest=b"c",
            component_version="1",
        )
        join.MergeFrom(local_pb2.Join(**content))
        self.own[member.party].join(Seat(JOB, component, member), join)

    def prepared(self, member: Member, component: str = LR) -> None:
        self.own[member.party].prepared(Seat(JOB, component, member), str(member).encode())

    def lost(self, member: Member, ti_id: str) -> None:
        self.own[member.party].lost(Seat(JOB, LR, member), ti_id)

    def all_join(self, component: str = LR, ti_id: str = "t1") -> None:
        for member in MEMBERS:
            self.join(member, ti_id, component)
        self.settle()

    def defer(self, member: Member, component: str = LR) -> bool:
        """Whether the worker may go."""
        self.own[member.party].defer(Seat(JOB, component, member))
        return bool(self.told[member]) and self.last(member).HasField("deferred")

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.coordinator.tick()
        self.settle()

    # What the coordinator's store says

    def step(self, component: str = LR) -> StepRow:
        row = self.stores[GUEST.party].get(StepRow, **JOB.where, component=component)
        assert row is not None
        return row

    def verdict(self) -> VerdictRow | None:
        return self.stores[GUEST.party].get(VerdictRow, **JOB.where)

    def last(self, member: Member) -> local_pb2.GatewayFrame:
        return self.told[member][-1]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_nothing_starts_before_all_are_present(world: World) -> None:
    for member in (GUEST, HOST):
        world.join(member, "t1")
        world.settle()
    assert world.step().state == State.WAITED
    assert not any(world.told.values())
    world.join(ARBITER, "t1")
    world.settle()
    for member in MEMBERS:
        start = world.last(member).start
        assert (start.step.generation, start.step.attempt) == (1, 1)
        assert [m.role for m in start.members] == ["arbiter", "guest", "host"]
        assert Path(start.attempt_dir).is_dir()


def test_nothing_is_committed_before_all_are_prepared(world: World) -> None:
    world.all_join()
    for member in (GUEST, HOST):
        world.prepared(member)
    world.settle()
    assert world.step().state == State.STARTED
    world.prepared(ARBITER)
    world.settle()
    assert world.step().state == State.COMMITTED
    for member in MEMBERS:
        assert world.last(member).committed.outputs == str(member).encode()
        assert world.last(member).committed.computed


def test_different_digests_end_the_job_with_both_values(world: World) -> None:
    world.join(ARBITER, "t1")
    world.join(GUEST, "t1")
    world.join(HOST, "t1", component_version="2")
    world.settle()
    verdict = world.verdict()
    assert verdict is not None
    assert "differ: arbiter_10001 1, host_10000 2" in pb.Failure.FromString(verdict.failure).message


def test_a_lost_worker_ends_the_attempt_for_all(world: World) -> None:
    world.all_join()
    world.lost(HOST, "t1")
    world.settle()
    for member in (GUEST, ARBITER):
        assert world.last(member).end_attempt.step.attempt == 1
        world.own[member.party].rejoin(Seat(JOB, LR, member))
    world.settle()
    assert world.step().state == State.WAITED
    world.join(HOST, "t2")
    world.settle()
    assert [world.last(member).start.step.attempt for member in MEMBERS] == [2, 2, 2]


def test_all_resume_from_the_newest_checkpoint_that_all_have(world: World) -> None:
    world.all_join()
    for member, rounds in ((GUEST, 4), (HOST, 3), (ARBITER, 5)):
        for r in range(rounds):
            stored = job_pb2.CheckpointRef(attempt=1, round=r, digest=str(member).encode())
            world.own[member.party].checkpoint(Seat(JOB, LR, member), stored)
    world.lost(HOST, "t1")
    world.settle()
    for member in (GUEST, ARBITER):
        world.own[member.party].rejoin(Seat(JOB, LR, member))
    world.join(HOST, "t2")
    world.settle()
    for member in MEMBERS:
        resume = world.last(member).start.resume_from
        assert (resume.attempt, resume.round, resume.digest) == (1, 2, str(member).encode())


def test_a_step_may_lose_five_processes_and_no_more(world: World) -> None:
    world.join(GUEST, "t1")
    for number in range(LOST_BUDGET + 1):
        assert world.verdict() is None
        world.join(HOST, f"t{number}")
        world.lost(HOST, f"t{number}")
        world.settle()
    verdict = world.verdict()
    assert verdict is not None
    assert verdict.verdict == job_pb2.JOB_FAILED


def test_the_first_verdict_stands(world: World) -> None:
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    world.coordinator.end(JOB, job_pb2.SUCCEEDED)
    verdict = world.verdict()
    assert verdict is not None
    assert (verdict.verdict, verdict.by) == (job_pb2.CANCELLED, "ada")
    world.all_join()
    assert not world.stores[GUEST.party].select(AttemptRow), "nothing starts in a job that has ended"


def test_conclude_gives_the_verdict_when_all_are_prepared(world: World) -> None:
    world.all_join(CONCLUDE)
    assert not any(world.told.values()), "it follows all components"
    world.all_join()
    for member in MEMBERS:
        world.prepared(member)
    world.settle()
    for member in MEMBERS:
        assert world.verdict() is None
        world.prepared(member, CONCLUDE)
        world.settle()
    verdict = world.verdict()
    assert verdict is not None
    assert verdict.verdict == job_pb2.SUCCEEDED


def test_a_repeated_report_changes_nothing(world: World) -> None:
    world.join(HOST, "t1")
    letter = world.stores[HOST.party].next_letter(GUEST.party, 0)
    assert letter is not None
    report = job_pb2.StepReport.FromString(letter.body)
    report.event, report.serial = job_pb2.StepReport.WORKER_LOST, letter.id
    for _ in range(3):
        world.coordinator.report(HOST.party, report)
    assert world.step().lost == 1


@pytest.mark.parametrize("caller", [GUEST.party, ARBITER.party, "666"])
def test_nobody_reports_for_another(world: World, caller: str) -> None:
    report = job_pb2.StepReport(
        member=member_pb(HOST), step=Seat(JOB, LR, HOST).step(1), event=job_pb2.StepReport.WORKER_FAILED, serial=1
    )
    with pytest.raises(PolicyError, match="may not speak for host_10000"):
        world.coordinator.report(caller, report)
    report.member.party_id = caller
    with pytest.raises(PolicyError, match="is no member"):
        world.coordinator.report(caller, report)
    assert world.verdict() is None


def test_messages_of_ended_attempts_are_refused_and_early_ones_wait(world: World) -> None:
    world.all_join()
    seat = Seat(JOB, LR, HOST)
    own = world.own[HOST.party]
    assert own.in_attempt(seat, seat.step(1, 1))
    assert not own.in_attempt(seat, seat.step(1, 2))
    world.lost(GUEST, "t1")
    world.settle()
    with pytest.raises(ProtocolError, match="attempt 1 of lr_0 is over"):
        own.in_attempt(seat, seat.step(1, 1))


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_worker_that_comes_back_after_a_restart_goes_on(world: World, attempt: int) -> None:
    world.all_join()
    world.open(HOST.party)
    world.told[HOST].clear()
    world.join(HOST, "t1", attempt=attempt)
    world.settle()
    assert [frame.WhichOneof("frame") for frame in world.told[HOST]] == ([] if attempt else ["start"])
    assert world.step().lost == 0


def test_a_worker_that_was_called_lost_and_comes_back_joins_again(world: World) -> None:
    world.all_join()
    world.lost(HOST, "t1")
    world.settle()
    world.join(HOST, "t1", attempt=1)
    assert world.last(HOST).end_attempt.step.attempt == 1
    world.own[HOST.party].rejoin(Seat(JOB, LR, HOST))
    for member in (GUEST, ARBITER):
        world.own[member.party].rejoin(Seat(JOB, LR, member))
    world.settle()
    assert world.last(HOST).start.step.attempt == 2


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["join", "work", "lose", "restart", "defer", "tick", "deliver", "deliver"]), st.integers(0, 2)
    ),
    max_size=80,
)


@settings(max_examples=30, deadline=None)
@given(ACTIONS)
def test_any_interleaving_ends_in_one_commit_of_one_attempt(actions: list[tuple[str, int]]) -> None:
    root = Path(tempfile.mkdtemp())
    world = World(root)
    try:
        _play(world, actions)
        _finish(world)
        rows = [world.stores[m.party].get(OutputRow, **JOB.where, member=str(m)) for m in MEMBERS]
        if world.verdict() is None:
            assert world.step().state == State.COMMITTED
            assert {row.attempt for row in rows if row} == {world.step().attempt}
            assert all(rows)
        else:
            assert world.step().lost > LOST_BUDGET
            assert not any(rows)
    finally:
        world.close()
        shutil.rmtree(root)


class Process:
    """A worker as its session behaves: at most one process per member, with the attempt that it believes in."""

    def __init__(self, world: World, member: Member, ti_id: str) -> None:
        self.world, self.member, self.ti_id, self.attempt = world, member, ti_id, 0
        self.world.told[member].clear()
        world.join(member, ti_id)

    def work(self) -> None:
        """Take what was told; with a start, store outputs."""
        seat = Seat(JOB, LR, self.member)
        own = self.world.own[self.member.party]
        for frame in self.world.told[self.member]:
            if frame.HasField("start"):
                self.attempt = frame.start.step.attempt
            elif frame.HasField("end_attempt"):
                self.attempt = 0
                own.rejoin(seat)
        self.world.told[self.member].clear()
        if self.attempt:
            self.world.prepared(self.member)


def _play(world: World, actions: list[tuple[str, int]]) -> None:
    processes = world.processes
    for number, (action, who) in enumerate(actions):
        member = MEMBERS[who]
        process = processes.get(member)
        if action == "join" and process is None:
            processes[member] = Process(world, member, f"t{number}")
        elif action == "work" and process:
            process.work()
        elif action == "lose" and process:
            world.lost(member, processes.pop(member).ti_id)
        elif action == "defer" and process and not process.attempt:
            if world.defer(member):
                del processes[member]
        elif action == "tick":
            world.now += 4.0
            world.coordinator.tick()
        elif action == "restart":
            world.open(member.party)
            if process:  # frames that were not taken are lost with the stream
                world.told[member].clear()
                world.join(member, process.ti_id, attempt=process.attempt)
        else:
            world.deliver(GUEST.party, member.party)
            world.deliver(member.party, GUEST.party)


def _finish(world: World) -> None:
    """From here on nothing goes wrong."""
    processes = world.processes
    world.settle()
    for member in MEMBERS:
        if member not in processes:
            processes[member] = Process(world, member, "last")
    for _ in range(8):
        world.settle()
        for process in processes.values():
            process.work()
    world.settle()


@pytest.mark.parametrize(
    "content",
    [
        {"event": job_pb2.StepReport.WORKER_PRESENT, "conf_digest": bytes(65)},
        {"event": job_pb2.StepReport.OUTPUTS_PREPARED, "outputs_digest": bytes(65)},
        {"event": job_pb2.StepReport.CHECKPOINT_STORED, "checkpoint": job_pb2.CheckpointRef(digest=bytes(65))},
    ],
)
def test_a_peer_cannot_store_what_it_likes_at_the_coordinator(world: World, content: dict[str, Any]) -> None:
    step = pb.StepKey(job=JOB.key(), component=LR)
    with pytest.raises(ProtocolError, match="FED-359"):
        world.coordinator.report(HOST.party, job_pb2.StepReport(member=member_pb(HOST), step=step, serial=1, **content))
