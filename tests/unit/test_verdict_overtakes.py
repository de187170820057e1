"""A verdict that a party asks for comes before the coordinator's letters, and overtakes no order of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.names import CONCLUDE, Job, Seat, member_pb
from federated_operators.gateway.rows import JobRow, OutputRow, OwnRow
from federatedml.errors import DataError
from federatedml.federation.party import Member
from tests.gateway_world import HOSTS_JOB, JOB, LR, MEMBERS, Doors, State, World, findings
from tests.members import ARBITER, GUEST, HOST

OTHER = "eval_0"
STEPS = {LR: MEMBERS, OTHER: MEMBERS}
Command = job_pb2.StepCommand


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, all_steps=STEPS)
    yield made
    made.settle()
    assert findings(made.root) == []
    made.close()


class Older(Doors):
    """Of a coordinator that sends no orders with a verdict."""

    def changed(self, answer: job_pb2.VerdictNotice) -> job_pb2.VerdictNotice:
        answer.ClearField("before")
        return answer


def reports_only(world: World) -> None:
    """The coordinator hears everybody and decides; to the host nothing comes through."""
    lanes = [(GUEST.party, GUEST.party), (HOST.party, GUEST.party), (ARBITER.party, GUEST.party)]
    while [lane for lane in [*lanes, (GUEST.party, ARBITER.party)] if world.deliver(*lane)]:
        pass


def under_way(world: World) -> list[int]:
    letters = world.stores[GUEST.party].waiting(HOST.party, "command")
    return [Command.FromString(letter.body).action for letter in letters]


def folder(world: World, member: Member, component: str = LR) -> Path:
    home = world.gateways[member.party].home
    return home.job_dir(JOB.initiator, JOB.job_id) / component / str(member.role) / "g1/a1"


def all_start_both(world: World) -> None:
    world.all_join(LR)
    world.all_join(OTHER)


def fails_after_commit(world: World) -> None:
    """One step is committed, another fails; the host has heard of neither."""
    all_start_both(world)
    for member in MEMBERS:
        world.prepared(member)
    reports_only(world)
    assert world.step().state == State.COMMITTED
    world.failed(GUEST, OTHER)
    reports_only(world)
    assert world.verdict() is not None
    assert under_way(world) == [Command.COMMIT, Command.FAIL]


def effects(world: World, party: str) -> None:
    while world.deliver(party, "effects"):
        pass


@pytest.mark.parametrize("doors", [Doors, Older])
def test_a_slot_that_was_asked_for_before_the_end_is_not_kept(world: World, doors: type[Doors]) -> None:
    for member in MEMBERS:
        world.join(member, "t1")
    while not under_way(world):
        reports_only(world)
        world.deliver(GUEST.party, ARBITER.party)
    assert under_way(world) == [Command.LEASE]
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    world.ask(HOST.party, doors)
    assert world.job_state(HOST.party) == "cancelled"
    world.settle()
    assert world.leases(HOST.party) == []
    world.open(HOST.party)
    assert world.leases(HOST.party) == []


def test_a_slot_is_not_kept_for_a_job_that_was_given_up(world: World) -> None:
    for member in MEMBERS:
        world.join(member, "t1")
    reports_only(world)
    world.gateways[HOST.party].verdicts.give_up(JOB, "ada", "")
    while world.deliver(GUEST.party, HOST.party):
        pass
    assert world.leases(HOST.party) == []
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")


def test_what_was_committed_before_the_end_stays(world: World) -> None:
    fails_after_commit(world)
    world.ask(HOST.party)
    assert world.job_state(HOST.party) == "failed"
    effects(world, HOST.party)
    assert folder(world, HOST).is_dir()
    assert not folder(world, HOST, OTHER).exists()
    row = world.stores[HOST.party].get(OwnRow, **JOB.where, component=OTHER)
    assert row is not None
    assert pb.Failure.FromString(row.failure).code == "FED-601"
    noted = len(world.stores[HOST.party].events(JOB))
    world.settle()  # now the letters come, and change nothing
    assert len(world.stores[HOST.party].events(JOB)) == noted
    assert world.rerun().components == [OTHER]
    world.settle()
    world.all_join(OTHER, "t2")
    assert LR in world.last(HOST).start.inputs


def test_a_success_is_adopted_with_its_last_commit(world: World) -> None:
    world.all_do(LR)
    world.all_do(OTHER)
    world.all_join(CONCLUDE)
    for member in MEMBERS:
        world.prepared(member, CONCLUDE)
    reports_only(world)
    assert under_way(world) == [Command.COMMIT]
    world.ask(HOST.party)
    assert world.job_state(HOST.party) == "succeeded"
    assert world.last(HOST).HasField("committed"), "its task succeeds although the lane is stuck"


def test_orders_that_were_answered_and_of_other_jobs_do_not_come_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, all_steps=STEPS)
    fails_after_commit(world)
    world.deliver(GUEST.party, HOST.party)
    other = Command(step=pb.StepKey(job=Job(GUEST.party, "20260728120000000009").key()))
    world.stores[GUEST.party].post(HOST.party, "command", other.SerializeToString())
    answer = asyncio.run(Doors(world, HOST.party).call(GUEST.party, "AskVerdict", JOB.key()))
    assert [command.action for command in answer.before] == [Command.FAIL]
    world.close()


@pytest.mark.parametrize("adopted", [True, False])
def test_with_an_older_coordinator_a_late_commit_does_not_bring_back_files(tmp_path: Path, adopted: bool) -> None:
    """It may be committed elsewhere; a rerun that would read it is refused here, with a code, before it begins."""
    world = World(tmp_path, all_steps=STEPS)
    fails_after_commit(world)
    if adopted:
        world.ask(HOST.party, Older)
        effects(world, HOST.party)
    world.settle()
    outputs = world.stores[HOST.party].get(OutputRow, **JOB.where, component=LR)
    assert (outputs is not None) == folder(world, HOST).is_dir() == (not adopted)
    if adopted:
        order = job_pb2.RerunOrder(job=JOB.key(), generation=2, components=[OTHER], party=GUEST.party)
        with pytest.raises(DataError, match="FED-228"):
            world.gateways[HOST.party].reopening.check(order)
        order.components.append(LR)
        world.gateways[HOST.party].reopening.check(order)
    world.close()


def test_what_is_prepared_stays_when_its_job_is_given_up(world: World) -> None:
    fails_after_commit(world)
    world.gateways[HOST.party].verdicts.give_up(JOB, "ada", "")
    effects(world, HOST.party)
    assert folder(world, HOST).is_dir()
    assert not folder(world, HOST, OTHER).exists()
    world.settle()
    assert world.job_state(HOST.party) == "failed"
    assert folder(world, HOST).is_dir()
    assert world.rerun().components == [OTHER]


def test_what_was_prepared_and_never_committed_goes_with_the_verdict(world: World) -> None:
    all_start_both(world)
    world.prepared(HOST)
    world.settle()
    world.gateways[HOST.party].verdicts.give_up(JOB, "ada", "")
    effects(world, HOST.party)
    assert folder(world, HOST).is_dir()
    world.failed(GUEST)
    world.settle()
    assert not folder(world, HOST).exists()


class Liar(Doors):
    """Of a coordinator that answers for jobs of others."""

    def changed(self, answer: job_pb2.VerdictNotice) -> job_pb2.VerdictNotice:
        notice = job_pb2.VerdictNotice(job=HOSTS_JOB.key(), generation=1, verdict=job_pb2.CANCELLED)
        return job_pb2.VerdictNotice.FromString(notice.SerializeToString())


def test_nobody_answers_for_another_initiators_job(tmp_path: Path) -> None:
    world = World(tmp_path, jobs=(JOB, HOSTS_JOB))
    store = world.stores[ARBITER.party]
    store.delete(JobRow, **HOSTS_JOB.where)
    store.put(JobRow(*HOSTS_JOB.where.values(), "p", b"", b"", "expired", 1, world.now))  # only the other one is asked
    store.put(JobRow(*JOB.where.values(), "p", b"", b"", "running", 1, world.now))
    world.ask(ARBITER.party, Liar)
    assert world.job_state(ARBITER.party, HOSTS_JOB) == "expired"
    assert store.get(OwnRow, **JOB.where) is None
    world.close()


def test_orders_of_other_jobs_are_not_followed(tmp_path: Path) -> None:
    world = World(tmp_path, jobs=(JOB, HOSTS_JOB))
    join = local_pb2.Join(task_instance_id="t1", conf_digest=b"c", component_version="1")
    world.own[ARBITER.party].join(Seat(HOSTS_JOB, LR, ARBITER), join)
    step = Seat(HOSTS_JOB, LR, ARBITER).step(1, 1)
    wrong = Command(member=member_pb(ARBITER), step=step, action=Command.LEASE, lease=1)
    notice = job_pb2.VerdictNotice(job=JOB.key(), generation=1, verdict=job_pb2.CANCELLED, by="ada", before=[wrong])
    world.gateways[ARBITER.party].verdicts.adopt_after(notice)
    assert world.leases(ARBITER.party) == []
    assert world.job_state(ARBITER.party) == "cancelled"
    world.close()
