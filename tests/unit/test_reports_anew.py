"""Serials of reports: repetitions are dropped, and a gateway whose database is a new one is heard all the same."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.names import CONCLUDE, Job, Seat
from federated_operators.gateway.rows import HeardRow
from federated_operators.gateway.store import Store
from tests.gateway_world import JOB, LR, MEMBERS, State, World, findings
from tests.members import GUEST, HOST

SECOND = Job(GUEST.party, "20260728120000000009")
ANEW = "reports count anew"
JOIN = local_pb2.Join(task_instance_id="t2", conf_digest=b"c", component_version="1")


def put_back(world: World, files: Callable[[Path], None]) -> None:
    """The host's gateway stops; its database is changed; it starts again."""
    world.gateways[HOST.party].store.close()
    files(world.root / HOST.party)
    world.open(HOST.party)


def second_job_starts(world: World) -> bool:
    for number, member in enumerate(MEMBERS):
        world._admit(member, SECOND, number, {})
        world.own[member.party].join(Seat(SECOND, LR, member), JOIN)
    world.settle()
    return world.step(LR, SECOND).state == State.STARTED


def remove(home: Path) -> None:
    for path in home.glob("gateway.db*"):
        path.unlink()


def test_a_party_with_a_new_database_is_heard(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.all_do(LR)
    world.all_do(CONCLUDE)
    put_back(world, remove)
    assert second_job_starts(world)
    lines = [line for line in world.stores[GUEST.party].events() if line["event"] == ANEW]
    assert [HOST.party in line["reason"] for line in lines] == [True], "once"
    world.close()
    assert [finding for finding in findings(tmp_path) if finding.job_id == SECOND.job_id] == []


def test_a_party_with_an_old_copy_of_its_database_is_heard(tmp_path: Path) -> None:
    world = World(tmp_path)
    copy = tmp_path / "copy.db"
    world.join(HOST, "t1")  # under way in the copy
    world.stores[HOST.party]._db.execute(f"VACUUM INTO '{copy}'")
    world.all_join()
    for member in MEMBERS:
        world.prepared(member)
    world.settle()
    world.all_do(CONCLUDE)
    before = len(world.events("present"))

    def restore(home: Path) -> None:
        remove(home)
        shutil.copy(copy, home / "gateway.db")

    put_back(world, restore)
    world.settle()
    assert len(world.events("present")) == before, "what was heard before the copy was made is a repetition"
    assert second_job_starts(world)
    world.close()


def test_a_restart_repeats_reports_to_no_effect(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.all_join()
    world.lost(HOST, "t1")
    while world.deliver(HOST.party, GUEST.party):
        pass
    world.open(HOST.party)  # its last letter is told again
    assert world.stores[HOST.party].next_letter(GUEST.party, 0) is not None
    world.settle()
    assert world.step().lost == 1
    assert not [line for line in world.stores[GUEST.party].events() if line["event"] == ANEW]
    world.close()


def test_a_party_of_an_older_version_is_heard(tmp_path: Path) -> None:
    world = World(tmp_path)
    heard = []
    for serial, epoch in ((7, b""), (7, b""), (8, b""), (3, b""), (9, b"new"), (9, b"new"), (10, b"new")):
        before = len(world.events("lost"))
        world.coordinator.report(HOST.party, lost_report(serial, epoch))
        heard.append(len(world.events("lost")) - before)
    assert heard == [1, 0, 1, 0, 1, 0, 1]
    assert world.stores[GUEST.party].get(HeardRow, party=HOST.party) == HeardRow(HOST.party, 10, b"new")
    world.close()


def lost_report(serial: int, epoch: bytes) -> job_pb2.StepReport:
    step = pb.StepKey(job=JOB.key(), component=LR, generation=1)
    member = pb.Member(role="host", party_id=HOST.party)
    event = job_pb2.StepReport.WORKER_LOST
    return job_pb2.StepReport(member=member, step=step, event=event, serial=serial, epoch=epoch)


def test_letters_keep_the_epoch_in_which_they_were_posted(tmp_path: Path) -> None:
    epochs = []
    for opening in range(3):
        store = Store(tmp_path / "gateway.db")
        store.post("a", "kind", bytes([opening]))
        letters, after = [], 0
        while letter := store.next_letter("a", after):
            letters.append(letter.epoch)
            after = letter.id
        epochs.append(letters)
        store.close()
    assert len(set(epochs[-1])) == 3
    assert epochs == [epochs[-1][: length + 1] for length in range(3)]


@pytest.mark.parametrize("letters", [0, 2])
def test_an_older_versions_outbox_is_taken_over(tmp_path: Path, letters: int) -> None:
    path = tmp_path / "gateway.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT, kind TEXT, body BLOB) STRICT")
        db.executemany("INSERT INTO outbox (lane, kind, body) VALUES ('a', 'kind', ?)", [(b"x",)] * letters)
    db.close()
    store = Store(path)
    store.post("a", "kind", b"y")
    found = [store.next_letter("a", after) for after in range(letters + 1)]
    assert [letter.epoch == b"" for letter in found if letter] == [True] * letters + [False]
    store.close()
