"""A letter is told again while what stops it may pass; one that nobody will ever take ends its job."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway import courier
from federated_operators.gateway.coordinator import COMMAND, VERDICT
from federated_operators.gateway.courier import Courier
from federated_operators.gateway.own_steps import REPORT
from federated_operators.gateway.passing import may_pass
from federated_operators.gateway.reopening import REOPENED
from federated_operators.gateway.reruns import REOPEN
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.store import Letter, Store
from federated_operators.gateway.undelivered import Undelivered
from federatedml.errors import FedError, PeerError, PolicyError, ProtocolError
from tests.gateway_world import HOSTS_JOB, JOB, LR, MEMBERS, PARTIES, State, World, findings
from tests.members import GUEST, HOST

WITHIN_S = 60.0
Report = job_pb2.StepReport


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "gateway.db")
    yield made
    made.close()


def run(carrying: Courier, lane: str, until: Callable[[], bool]) -> None:
    """Serve a lane until something is true."""

    async def served() -> None:
        task = asyncio.create_task(carrying.run(lane))
        while not until() and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    asyncio.run(asyncio.wait_for(served(), WITHIN_S))


def failing(*errors: Exception) -> tuple[list[int], Callable[[Letter], Awaitable[None]]]:
    """Numbers of the letters that were tried, and a way to tell letters that fails with these errors first."""
    tried: list[int] = []

    async def deliver(letter: Letter) -> None:
        tried.append(letter.id)
        if len(tried) <= len(errors):
            raise errors[len(tried) - 1]

    return tried, deliver


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), PeerError("FED-401", "away")])
def test_what_may_pass_is_tried_again_and_what_follows_waits(store: Store, error: Exception) -> None:
    tried, deliver = failing(error, error)
    for body in (b"first", b"second"):
        store.post("9999", COMMAND, body)
    run(Courier(store, deliver), "9999", lambda: len(tried) == 4)
    assert tried == [1, 1, 1, 2]
    assert store.events() == []


@pytest.mark.parametrize("error", [KeyError("secret"), ProtocolError("FED-348", "no")])
def test_what_cannot_pass_is_recorded_and_given_up(store: Store, error: Exception) -> None:
    tried, deliver = failing(error)
    lost: list[FedError] = []
    store.post("9999", COMMAND, b"first")
    store.post("9999", COMMAND, b"second")
    run(Courier(store, deliver, lambda letter, why: lost.append(why)), "9999", lambda: len(tried) == 2)
    assert tried == [1, 2]
    assert [line["event"] for line in store.events()] == ["undelivered command"]
    assert [why.code for why in lost] == [error.code if isinstance(error, FedError) else "FED-900"]
    assert "secret" not in str(lost[0]), "words of a bug stay here"


def test_a_full_disk_delays_the_record_of_a_refusal_too(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    tried, deliver = failing(ProtocolError("FED-348", "no"))
    store.post("9999", COMMAND, b"first")
    store.post("9999", COMMAND, b"x" * 100_000)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(100):  # what is left of the last page
        try:
            store.event("fill", reason="x" * 2000)
        except sqlite3.OperationalError:
            break
    before = len(store.events())
    caplog.set_level(logging.WARNING)

    def told() -> bool:
        if any("is tried again" in record.message for record in caplog.records):
            store._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
        return len(tried) == 2

    run(Courier(store, deliver), "9999", told)
    assert [line["event"] for line in store.events()[before:]] == ["undelivered command"]


def test_an_error_in_what_follows_does_not_stop_the_lane(store: Store) -> None:
    def broken(letter: Letter, why: FedError) -> None:
        raise ValueError

    tried, deliver = failing(ProtocolError("FED-348", "no"))
    store.post("9999", COMMAND, b"first")
    store.post("9999", COMMAND, b"second")
    run(Courier(store, deliver, broken), "9999", lambda: len(tried) == 2)


def test_only_disks_and_parties_come_back() -> None:
    with sqlite3.connect(":memory:") as db, pytest.raises(sqlite3.OperationalError) as wrong:
        db.execute("SELECT nothing")
    db.close()
    final = [wrong.value, OSError(errno.ENOENT, "gone"), OSError(errno.ENOTDIR, "a file"), ValueError(), OSError("?")]
    assert [may_pass(error) for error in (*final, PolicyError("FED-500", "no"))] == [False] * 6
    assert may_pass(OSError(errno.EDQUOT, "full"))
    assert may_pass(PeerError("FED-401", "away"))


class Starting:
    """A world in which everybody waits for the start, and the letters of the coordinator go by a real courier."""

    def __init__(self, root: Path) -> None:
        self.world = world = World(root)
        self.store = world.stores[GUEST.party]
        self.undelivered = Undelivered(self.store, Roster(self.store, GUEST.party), world.coordinator)

    async def _deliver(self, letter: Letter) -> None:
        self.world._take(GUEST.party, letter.lane, letter)

    def bring_to(self, done: Callable[[], bool]) -> None:
        for member in MEMBERS:
            self.world.join(member, "t1")

        lanes = [(source, to) for source in PARTIES for to in PARTIES if to != HOST.party or source == HOST.party]

        def others() -> bool:
            while [lane for lane in lanes if self.world.deliver(*lane)]:
                pass
            return done()

        run(Courier(self.store, self._deliver, self.undelivered), HOST.party, others)


def folders_fail(monkeypatch: pytest.MonkeyPatch, root: Path, *errors: Exception) -> None:
    """The host's folders of attempts cannot be made, so many times."""
    left, made = list(errors), Path.mkdir

    def mkdir(self: Path, *args: Any, **options: Any) -> None:
        if left and self.name == "a1" and self.is_relative_to(root / HOST.party):
            raise left.pop(0)
        made(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)


def test_a_start_survives_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starting = Starting(tmp_path)
    folders_fail(monkeypatch, tmp_path, OSError(errno.ENOSPC, "No space left on device"))
    starting.bring_to(lambda: bool(starting.world.told[HOST]))
    assert starting.world.last(HOST).start.step.attempt == 1
    assert starting.world.step().state == State.STARTED
    assert findings(tmp_path) == []


def test_a_start_that_can_never_be_carried_out_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starting = Starting(tmp_path)
    folders_fail(monkeypatch, tmp_path, ValueError("/somebody's/folder"))
    starting.bring_to(lambda: starting.world.job_state(HOST.party) == "failed")
    starting.world.settle()
    verdict = starting.world.verdict()
    assert verdict is not None
    failure = pb.Failure.FromString(verdict.failure)
    assert (failure.code, failure.component, failure.member.party_id) == ("FED-900", LR, HOST.party)
    assert "ValueError" in failure.message
    assert "folder" not in failure.message
    assert {starting.world.job_state(party) for party in PARTIES} == {"failed"}
    assert findings(tmp_path) == []


WHY = ProtocolError("FED-348", "party 9999: internal error of the gateway, see its log")


def lost(world: World, party: str, kind: str, body: bytes) -> None:
    """A letter of ``party`` is lost."""
    store = world.stores[party]
    gateway = world.gateways[party]
    Undelivered(store, Roster(store, party), gateway.coordinator)(Letter(1, "x", kind, body), WHY)
    world.settle()


def report(event: int) -> bytes:
    step = pb.StepKey(job=JOB.key(), component=LR, generation=1)
    return Report(member=pb.Member(role="host", party_id=HOST.party), step=step, event=event).SerializeToString()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("party", "kind", "body"),
    [
        (HOST.party, REPORT, report(Report.WORKER_PRESENT)),
        (GUEST.party, REPORT, report(Report.WORKER_PRESENT)),
        (HOST.party, REOPENED, job_pb2.RerunOrder(job=JOB.key()).SerializeToString()),
        (GUEST.party, REOPEN, job_pb2.RerunOrder(job=JOB.key()).SerializeToString()),
    ],
)
def test_the_job_of_a_lost_letter_ends_everywhere(tmp_path: Path, party: str, kind: str, body: bytes) -> None:
    world = World(tmp_path)
    lost(world, party, kind, body)
    assert {world.job_state(each) for each in PARTIES} == {"failed"}
    verdict = world.verdict()
    assert verdict is not None
    assert pb.Failure.FromString(verdict.failure).code == "FED-348"


@pytest.mark.parametrize(
    ("kind", "body"),
    [(REPORT, report(Report.RUN_ENDED)), (VERDICT, job_pb2.VerdictNotice(job=JOB.key()).SerializeToString())],
)
def test_the_last_words_are_not_followed_by_more(tmp_path: Path, kind: str, body: bytes) -> None:
    world = World(tmp_path)
    lost(world, HOST.party, kind, body)
    assert world.stores[HOST.party].next_letter(GUEST.party, 0) is None
    assert world.verdict() is None


def test_a_report_of_a_job_that_has_ended_says_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, jobs=(JOB, HOSTS_JOB))
    world.coordinator.end(JOB, job_pb2.CANCELLED, by="ada")
    world.settle()
    lost(world, HOST.party, REPORT, report(Report.WORKER_PRESENT))
    assert world.events("run ended", HOST.party) == []
