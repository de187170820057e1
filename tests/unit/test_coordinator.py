"""Coordinator and members' own steps as state machines: letters are delivered by hand, in any order of parties."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.coordinator import LOST_BUDGET
from federated_operators.gateway.names import CONCLUDE, Seat, member_pb
from federated_operators.gateway.rows import AttemptRow, OutputRow
from federatedml.errors import PolicyError, ProtocolError
from tests.gateway_world import JOB, LR, MEMBERS, Player, State, World
from tests.members import ARBITER, GUEST, HOST


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
        st.sampled_from(["come", "work", "lose", "restart", "defer", "tick", *["deliver"] * 4]), st.integers(0, 12)
    ),
    max_size=100,
)


@settings(max_examples=25, deadline=None)
@given(ACTIONS)
def test_any_interleaving_ends_in_one_commit_of_one_attempt(actions: list[tuple[str, int]]) -> None:
    root = Path(tempfile.mkdtemp())
    world = World(root)
    try:
        player = Player(world, [LR])
        player.play(actions)
        player.finish(rounds=8)
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
