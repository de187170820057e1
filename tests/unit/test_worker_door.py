"""Of two processes of one task the live one is that which the party's own scheduler names."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway import worker_door
from federated_operators.gateway.connection import Connection
from federated_operators.gateway.frames import FrameReader, Kind, frame
from federated_operators.gateway.names import Seat, member_pb
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.progress import Progress
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.runs import NoRuns, Run
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.worker_door import WorkerDoor
from federatedml.errors import PeerError
from tests.gateway_world import JOB, LR, State, World, plan
from tests.members import ARBITER, GUEST, HOST

SEAT = Seat(JOB, LR, HOST)
LIVE, STALLED = "t-live", "t-stalled"
WITHIN_S = 60.0


class Scheduler(NoRuns):
    """Names one process; may be away."""

    def __init__(self) -> None:
        self.current: str | None = LIVE
        self.away = 0
        self.asked: list[tuple[Run, str]] = []

    async def process(self, run: Run, task: str) -> str | None:
        self.asked.append((run, task))
        if len(self.asked) <= self.away:
            raise PeerError("FED-420", "the own Airflow does not answer")
        return self.current


class Worker:
    """The other end of a stream."""

    def __init__(self, party: Party, ti_id: str, attempt: int = 0) -> None:
        ours, theirs = socket.socketpair()
        party.workers.append(self)
        self.serving = asyncio.create_task(party.door._serve(Connection(theirs)))
        self.ti_id, self._socket, self._reader = ti_id, ours, FrameReader()
        ours.setblocking(False)
        join = local_pb2.Join(
            job=JOB.key(),
            component=LR,
            member=member_pb(HOST),
            task_instance_id=ti_id,
            attempt=attempt,
            generation=1 if attempt else 0,
            conf_digest=b"c",
            component_version="1",
        )
        content = local_pb2.WorkerFrame(join=join).SerializeToString()
        ours.sendall(b"".join(frame(Kind.CONTROL, [content])))

    def told(self) -> list[local_pb2.GatewayFrame]:
        frames = []
        try:
            while count := self._socket.recv_into(self._reader.room()):
                frames += [local_pb2.GatewayFrame.FromString(body) for _, body in self._reader.took(count)]
        except BlockingIOError:
            pass
        return frames[1:]  # after the one that says that somebody is there

    def leave(self) -> None:
        self._socket.close()


class Party:
    """The host's door for workers, over its store in a world of three."""

    def __init__(self, root: Path) -> None:
        self.world, self.scheduler = World(root), Scheduler()
        self.workers: list[Worker] = []
        self.open()

    def open(self) -> None:
        """A gateway begins: only its store is as it was."""
        gateway = self.world.gateways[HOST.party]
        self.seats, self.roster = Seats(), Roster(gateway.store, HOST.party)
        self.own = OwnSteps(gateway.store, self.roster, gateway.home, self.seats.tell)
        gateway.own = self.own
        progress = Progress(self.own.progress, self.silent)
        parts: list[Any] = [None, self.own, self.seats, None, progress, gateway.reopening, None]
        self.door = WorkerDoor(self.roster, *parts, self.scheduler)

    async def silent(self, party: str, report: job_pb2.StepReport) -> None: ...

    async def come(self, ti_id: str, attempt: int = 0) -> Worker:
        """A process comes; until it sits, or must go."""
        worker = Worker(self, ti_id, attempt)
        await until(lambda: self.sits == ti_id or worker.serving.done())
        return worker

    @property
    def sits(self) -> str:
        attachment = self.seats.at(SEAT)
        return attachment.ti_id if attachment else ""

    async def started(self) -> Worker:
        """The live process in its first attempt."""
        for member in (GUEST, ARBITER):
            self.world.join(member, "t1")
        live = await self.come(LIVE)
        self.world.settle()
        assert self.own.state(SEAT) == State.STARTED
        return live

    async def restarted(self, live: Worker) -> None:
        """The gateway begins anew; its workers are not back yet."""
        self.seats.stop()
        await live.serving
        self.open()


async def until(true: Callable[[], bool]) -> None:
    async def polled() -> None:
        while not true():
            await asyncio.sleep(0)

    await asyncio.wait_for(polled(), WITHIN_S)


@pytest.fixture
def party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Party]:
    monkeypatch.setattr(worker_door, "AGAIN_S", 0.0)
    made = Party(tmp_path)
    yield made
    for worker in made.workers:
        worker.leave()
    made.world.close()


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def whole() -> None:
        await scene
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run(whole())


def test_a_stalled_try_does_not_take_the_live_ones_place(party: Party) -> None:
    async def scene() -> None:
        live = await party.started()
        stalled = await party.come(STALLED)
        await stalled.serving
        assert [told.failed.code for told in stalled.told()] == ["FED-346"]
        assert party.sits == LIVE
        assert [told.WhichOneof("frame") for told in live.told()] == ["start"]
        assert party.scheduler.asked == [(Run(plan(HOST).dag_id, JOB.job_id), LR)]
        party.world.settle()
        assert party.world.step().lost == 0

    play(scene())


def test_nor_does_it_after_a_restart_before_the_live_one_is_back(party: Party) -> None:
    async def scene() -> None:
        live = await party.started()
        await party.restarted(live)
        stalled = await party.come(STALLED)
        await stalled.serving
        assert party.sits == ""
        back = await party.come(LIVE, attempt=1)
        assert party.sits == LIVE
        assert back.told() == []
        assert party.own.state(SEAT) == State.STARTED

    play(scene())


def test_a_new_try_ends_the_attempt_of_the_process_before_it(party: Party) -> None:
    async def scene() -> None:
        live = await party.started()
        party.scheduler.current = "t-new"
        await party.come("t-new")
        assert party.sits == "t-new"
        await live.serving
        assert live.told()[-1].failed.code == "FED-346"
        party.world.settle()
        assert (party.world.step().lost, party.world.step().attempt) == (1, 1)

    play(scene())


def test_without_an_answer_of_the_scheduler_nothing_is_decided(party: Party) -> None:
    async def scene() -> None:
        live = await party.started()
        party.scheduler.away = 2
        for _ in range(2):
            stalled = await party.come(STALLED)
            await stalled.serving
            assert stalled.told() == []
        assert party.sits == LIVE
        assert not live.serving.done()
        stalled = await party.come(STALLED)
        await stalled.serving
        assert [told.failed.code for told in stalled.told()] == ["FED-346"]

    play(scene())


@pytest.mark.parametrize("current", [None, LIVE])
def test_who_comes_alone_or_without_a_scheduler_is_let_in(party: Party, current: str | None) -> None:
    async def scene() -> None:
        party.scheduler.current = current
        first = await party.come(LIVE)
        assert party.scheduler.asked == []
        await party.come(LIVE)  # it reconnects
        assert party.scheduler.asked == []
        await first.serving
        if current is None:
            await party.come(STALLED)
            assert party.sits == STALLED

    play(scene())
