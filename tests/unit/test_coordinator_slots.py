"""Before a step starts: slots at every party, waiting without a process, the call. Nothing hangs, nothing leaks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway import slots
from federated_operators.gateway.coordinator import CALL_S
from federated_operators.gateway.names import Job, Seat
from federated_operators.gateway.rows import AttemptRow
from federated_operators.gateway.slots import HELD, HOLD_S, NONE
from tests.gateway_world import HOSTS_JOB, JOB, LR, MEMBERS, PARTIES, Player, State, World, findings
from tests.members import ARBITER, GUEST, HOST

TWO = {"all_steps": {"a": MEMBERS, "b": MEMBERS}}
SILENT = pb.Failure(code="FED-409", message="silent")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    assert findings(tmp_path) == []
    made.close()


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[World]:
    """One slot at every party, two components that may run at once, and another party's job."""
    made = World(tmp_path, slots=1, jobs=(JOB, HOSTS_JOB), **TWO)
    yield made
    assert findings(tmp_path) == []
    made.close()


# Slots


def test_no_step_starts_without_all_slots(narrow: World) -> None:
    narrow.all_join("a", "a1")
    narrow.all_join("b", "b1")
    assert narrow.step("a").state == State.STARTED
    assert narrow.step("b").state == State.WAITED
    assert [narrow.held(party) for party in PARTIES] == [1, 1, 1]
    for member in MEMBERS:
        narrow.prepared(member, "a")
    narrow.settle()
    assert narrow.step("b").state == State.STARTED, "slots come back with the commit"


def test_slots_are_asked_for_in_one_order_of_parties(world: World) -> None:
    for member in MEMBERS:
        world.join(member, "t1")
    for member in (HOST, ARBITER):
        while world.deliver(member.party, GUEST.party):
            pass
    while world.deliver(GUEST.party, GUEST.party):
        pass
    leases = {member.party: world.member(member).lease for member in MEMBERS}
    assert leases == {HOST.party: 1, ARBITER.party: NONE, GUEST.party: NONE}, "10000 comes before 10001 and 9999"


def test_a_held_slot_is_given_back_when_another_party_has_none(narrow: World) -> None:
    arbiter = narrow.own[ARBITER.party].leases
    arbiter.ask(Seat(HOSTS_JOB, "b", ARBITER), 1, 1, 1)
    narrow.all_join("a")
    assert (narrow.member(HOST, "a").lease, narrow.held(HOST.party)) == (HELD, 1)
    narrow.later(HOLD_S)
    assert narrow.held(HOST.party) == 0
    assert (JOB.job_id, "a", False) in narrow.leases(ARBITER.party), "the place in line is kept"
    narrow.later(60.0)
    assert narrow.held(HOST.party) == 0, "it waits holding nothing"
    arbiter.give_back(Seat(HOSTS_JOB, "b", ARBITER))
    narrow.settle()
    assert narrow.step("a").state == State.STARTED


def test_slots_of_a_step_that_lost_a_member_are_returned(narrow: World) -> None:
    narrow.own[GUEST.party].leases.ask(Seat(HOSTS_JOB, "b", GUEST), 1, 1, 1)
    narrow.all_join("a")
    narrow.lost(HOST, "t1", "a")
    narrow.settle()
    assert [lease for party in PARTIES for lease in narrow.leases(party)] == [(HOSTS_JOB.job_id, "b", True)]


def test_a_verdict_frees_what_is_held_and_what_is_waited_for(narrow: World) -> None:
    narrow.all_join("a", "a1")
    narrow.all_join("b", "b1")
    narrow.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    narrow.settle()
    assert not any(narrow.leases(party) for party in PARTIES)


def test_a_gateway_that_dies_right_after_the_verdict_leaks_no_slot(
    narrow: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow.all_join("a")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    narrow.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    monkeypatch.setattr(narrow.own[HOST.party], "dismiss", die)
    with pytest.raises(KeyboardInterrupt):
        narrow.settle()
    narrow.open(HOST.party)
    narrow.settle()
    assert not any(narrow.leases(party) for party in PARTIES)


@pytest.mark.parametrize("again", range(1, 12))
def test_orders_that_come_again_after_a_crash_change_nothing(narrow: World, again: int) -> None:
    """Any last few letters of the coordinator, again, while somebody else waits for the slot."""
    narrow.all_join("a")
    narrow.own[HOST.party].leases.ask(Seat(HOSTS_JOB, "b", HOST), 1, 1, 1)
    narrow.lost(GUEST, "t1", "a")
    narrow.settle()
    narrow.rejoin(HOST, ARBITER, component="a")
    sent = narrow.orders[HOST.party][-again:]
    before = (narrow.leases(HOST.party), narrow.own[HOST.party].state(Seat(JOB, "a", HOST)))
    for command in sent:
        narrow.own[HOST.party].order(command)
    assert (narrow.leases(HOST.party), narrow.own[HOST.party].state(Seat(JOB, "a", HOST))) == before


@settings(max_examples=15, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.tuples(*[st.permutations([JOB, HOSTS_JOB])] * 3),
    st.booleans(),
)
def test_jobs_of_two_coordinators_that_need_each_others_slots_finish(
    chosen: Random, orders: tuple[list[Job], ...], waits: bool
) -> None:
    """Every party admitted the jobs in an order of its own; jitter is drawn by hypothesis."""
    root = Path(tempfile.mkdtemp())
    world = World(root, slots=1, admitted=dict(zip(PARTIES, orders, strict=True)), jobs=(JOB, HOSTS_JOB))
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(slots.random, "uniform", chosen.uniform)
    try:
        player = Player(world, jobs=(JOB, HOSTS_JOB))
        for seat in player.seats:
            player.come(seat)
            if waits:
                player.defer(seat)
        player.finish(rounds=60)
        assert {world.job_state(party, job) for party in PARTIES for job in (JOB, HOSTS_JOB)} == {"succeeded"}
        assert findings(root) == []
    finally:
        monkeypatch.undo()
        world.close()
        shutil.rmtree(root)


# Waiting without a process


def all_wait(world: World) -> None:
    for member in MEMBERS:
        world.join(member, "t1")
        assert world.defer(member)
        assert not world.awaited(member)


def test_a_step_whose_tasks_all_wait_is_called_and_starts(world: World) -> None:
    all_wait(world)
    world.settle()
    assert world.step().state == State.CALLED
    assert all(world.awaited(member) for member in MEMBERS)
    world.all_join(ti_id="t2")
    assert [world.last(member).start.step.attempt for member in MEMBERS] == [1, 1, 1]


def test_nobody_leaves_while_a_slot_is_held_for_it(world: World) -> None:
    for member in MEMBERS:
        world.join(member, "t1")
    world.defer(GUEST)
    world.settle()
    assert world.step().state == State.CALLED
    assert not world.defer(HOST)
    world.join(GUEST, "t2")
    world.settle()
    assert world.step().state == State.STARTED
    assert not world.defer(HOST)


def test_who_does_not_come_is_absent_until_a_task_of_it_registers_again(world: World) -> None:
    all_wait(world)
    world.settle()
    for member in (GUEST, ARBITER):
        world.join(member, "t2")
    world.settle()
    world.later(CALL_S - 1)
    assert world.step().state == State.CALLED
    world.later(1)
    assert world.step().state == State.WAITED
    assert world.member(HOST).state == State.ABSENT
    assert not any(world.leases(party) for party in PARTIES)
    world.later(60)
    assert world.step().state == State.WAITED
    assert not world.awaited(HOST)
    world.settle()
    assert world.step().state == State.CALLED
    world.join(HOST, "t2")
    world.settle()
    assert world.step().state == State.STARTED
    assert world.step().lost == 0


def test_a_triggerer_that_restarts_asks_again_and_changes_nothing(world: World) -> None:
    all_wait(world)
    for _ in range(3):
        assert not world.awaited(HOST)
    world.settle()
    world.open(HOST.party)
    assert world.awaited(HOST), "its step was called meanwhile"
    world.settle()
    assert world.step().state == State.CALLED
    world.all_join(ti_id="t2")
    assert world.step().state == State.STARTED


@pytest.mark.parametrize("party", PARTIES)
def test_a_gateway_may_restart_between_call_and_start(world: World, party: str) -> None:
    all_wait(world)
    world.settle()
    world.open(party)
    world.settle()
    world.later(CALL_S - 1)
    for member in MEMBERS:
        world.join(member, "t2")
    world.settle()
    assert world.step().state == State.STARTED


def test_a_worker_that_comes_back_after_it_was_let_go_is_present(world: World) -> None:
    """Its gateway died before it could say so."""
    world.join(HOST, "t1")
    world.defer(HOST)
    world.open(HOST.party)
    world.join(HOST, "t1")
    for member in (GUEST, ARBITER):
        world.join(member, "t1")
    world.settle()
    assert world.step().state == State.STARTED


def test_a_process_that_waited_and_was_killed_is_not_lost(world: World) -> None:
    all_wait(world)
    world.lost(HOST, "t1")
    world.settle()
    assert (world.step().state, world.step().lost) == (State.CALLED, 0)


# A silent coordinator


def test_what_is_prepared_stays_so_while_the_coordinator_is_silent(world: World) -> None:
    world.all_join()
    world.prepared(HOST)
    while world.deliver(HOST.party, GUEST.party):
        pass
    for member in (GUEST, ARBITER):
        world.prepared(member)
    world.settle(without=[HOST.party])
    assert world.step().state == State.COMMITTED
    world.own[HOST.party].suspend(JOB, SILENT)
    assert not world.leases(HOST.party)
    world.settle()
    assert world.last(HOST).committed.outputs == str(HOST).encode()


def test_an_attempt_that_a_silent_coordinator_left_begins_anew(world: World) -> None:
    world.all_join()
    world.own[HOST.party].suspend(JOB, SILENT)
    assert world.last(HOST).end_attempt.failure.code == SILENT.code
    assert not world.leases(HOST.party)
    world.own[HOST.party].rejoin(Seat(JOB, LR, HOST))
    world.settle()
    world.rejoin(GUEST, ARBITER)
    assert [world.last(member).start.step.attempt for member in MEMBERS] == [2, 2, 2]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_a_slot_that_was_freed_in_the_silence_is_taken_anew_before_a_start(
    world: World, waits: bool, started: bool
) -> None:
    """The start may be under way already: nothing runs on a slot that is not there, and nothing hangs."""
    all_wait(world)
    world.settle()
    for member in (GUEST, ARBITER):
        world.join(member, "t2")
    world.settle(without=[HOST.party])
    if started:
        world.join(HOST, "t2")
        world.deliver(HOST.party, GUEST.party)
        assert world.step().state == State.STARTED
    elif not waits:
        world.join(HOST, "t2")
    world.own[HOST.party].suspend(JOB, SILENT)
    if waits and started:
        assert world.defer(HOST)
    world.settle()
    world.rejoin(GUEST, ARBITER)
    world.settle()
    if waits:
        assert world.awaited(HOST), "it is called anew"
        world.join(HOST, "t3")
        world.settle()
    assert world.step().state == State.STARTED
    assert [world.last(member).WhichOneof("frame") for member in MEMBERS] == ["start"] * 3
    assert [world.held(party) for party in PARTIES] == [1, 1, 1]
    assert len(world.stores[GUEST.party].select(AttemptRow)) == (1 if waits and not started else 2)
