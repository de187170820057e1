"""While a step runs, checkpoints that nobody goes back to do not pile up, at the members or at the coordinator."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Seat
from federated_operators.gateway.rows import CheckpointRow
from federatedml.federation.party import Member
from tests.gateway_world import JOB, LR, MEMBERS, Player, State, World, findings
from tests.members import ARBITER, GUEST, HOST

ALL = range(len(MEMBERS))
Point = tuple[int, int]
Report = job_pb2.StepReport


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()
    assert findings(tmp_path) == []


def files(world: World, member: Member) -> set[Point]:
    folder = world.gateways[member.party].home.job_dir(JOB.initiator, JOB.job_id) / LR / str(member.role) / "g1"
    return {(int(path.parts[-3][1:]), int(path.name)) for path in folder.glob("a*/ckpt/*")}


def rows(world: World) -> list[tuple[str, int, int]]:
    return [(row.member, row.attempt, row.round) for row in world.stores[GUEST.party].select(CheckpointRow)]


def running(world: World) -> Player:
    player = Player(world, (LR,))
    player.play([("come", who) for who in ALL])
    world.settle()
    assert world.step().state == State.STARTED
    return player


def test_fifty_rounds_leave_one_or_two(world: World) -> None:
    player = running(world)
    for number in range(50):
        player.play([("round", who) for who in ALL])
        world.settle()
        assert rows(world) == [(str(member), 1, number) for member in MEMBERS]
        for member in MEMBERS:
            assert files(world, member) <= {(1, number - 1), (1, number)}
            assert (1, number) in files(world, member)


def test_what_a_slow_member_has_not_stored_is_kept_by_the_others(world: World) -> None:
    player = running(world)
    player.play([("round", who) for who in ALL])
    world.settle()
    for _ in range(5):
        player.play([("round", 0), ("round", 1)])  # in the order of members; the host lags behind
        world.settle()
    assert files(world, GUEST) == {(1, round) for round in range(6)}
    assert {(1, 0)} <= files(world, HOST)
    player.play([("round", 2), ("round", 2)])
    world.settle()
    assert files(world, HOST) == {(1, 2)}
    player.play([("round", 0)])  # who reports next hears of it
    world.settle()
    assert files(world, ARBITER) == {(1, round) for round in range(2, 7)}


def test_an_older_attempts_checkpoint_goes_when_all_have_a_newer_one(world: World) -> None:
    player = running(world)
    player.play([("round", who) for who in ALL])
    world.settle()
    player.play([("lose", 0), ("come", 0)])
    world.settle()
    player.play([("round", who) for who in ALL])  # they look
    world.settle()
    assert world.step().attempt == 2
    player.play([("round", who) for _ in range(2) for who in ALL])
    world.settle()
    assert {point[0] for member in MEMBERS for point in files(world, member)} == {2}
    assert {attempt for _, attempt, _ in rows(world)} == {2}


@pytest.mark.parametrize(
    ("common", "left"),
    [((1, 2), {(1, 2), (1, 3)}), ((1, 3), {(1, 3)}), ((1, 4), None), ((2, 0), None), ((0, 0), None)],
)
def test_no_answer_makes_a_member_remove_what_it_has_stored_last(
    world: World, common: Point, left: set[Point] | None
) -> None:
    player = running(world)
    player.play([("round", 0) for _ in range(4)])
    arbiter = MEMBERS[0]
    before = files(world, arbiter)
    step, own = Seat(JOB, LR, arbiter).step(1, 1), world.own[arbiter.party]
    stored = job_pb2.CheckpointRef(attempt=1, round=3)
    report = Report(member={"role": "arbiter", "party_id": arbiter.party}, step=step, checkpoint=stored)  # type: ignore[arg-type]
    reference = job_pb2.CheckpointRef(attempt=common[0], round=common[1])
    own.reported(report, job_pb2.StepReportReply(common=reference))
    assert files(world, arbiter) == (before if left is None else left)
    own.reported(report, job_pb2.StepReportReply())  # of an older version
    assert files(world, arbiter) == (before if left is None else left)


BUSY = ["come", "come", "round", "round", "round", "lose", "restart", "work", *["deliver"] * 8]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(BUSY), st.integers(0, 14)), max_size=150))
def test_whatever_happens_every_attempt_finds_the_checkpoint_that_it_goes_on_from(
    actions: list[tuple[str, int]],
) -> None:
    root = Path(tempfile.mkdtemp())
    world = World(root)
    try:
        player = running(world)
        for _ in range(2):
            player.play([("round", who) for who in ALL])
        player.play(actions)  # a process that begins reads its checkpoint
        for _ in range(3):
            world.settle()
            player.play([*[("come", who) for who in ALL], *[("round", who) for who in ALL]])
        assert findings(root) == []
    finally:
        world.close()
        shutil.rmtree(root)
