from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from federated_operators.gateway.names import Job
from federated_operators.gateway.rows import JobRow, StepRow
from federated_operators.gateway.store import Store

JOB = Job("9999", "20260728120000000001")
ROW = StepRow(JOB.initiator, JOB.job_id, "lr_0", 1, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "gateway.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = Store(path)
    yield made
    made.close()


def test_a_row_is_read_as_it_was_put(store: Store) -> None:
    job = JobRow(JOB.initiator, JOB.job_id, "p", b"\x00proposal", b"\xff", "running", 1, 2.5)
    store.put(job)
    assert store.get(JobRow, **JOB.where) == job
    assert store.get(JobRow, initiator="9999", job_id="other") is None


def test_jobs_come_newest_first_page_by_page(store: Store) -> None:
    rows = [JobRow(f"{n % 2}", f"{n:020d}", "p", b"", b"", "running", 1, float(n // 2)) for n in range(10)]
    for row in rows:
        store.put(row)
    newest = sorted(rows, key=lambda row: (-row.created_at, row.initiator))
    assert store.newest_jobs(4) == newest[:4]
    assert [row for skip in (0, 4, 8, 12) for row in store.newest_jobs(4, skip)] == newest
    assert store.newest_jobs(99, initiator="1") == [row for row in newest if row.initiator == "1"]


def test_a_row_of_the_same_key_is_replaced(store: Store) -> None:
    store.put(ROW)
    store.put(replace(ROW, state=5, attempt=2))
    assert store.select(StepRow, **JOB.where) == [replace(ROW, state=5, attempt=2)]


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    def half() -> None:
        with store.transaction():
            store.put(ROW)
            store.event("start", JOB)
            store.post("10000", "command", b"x")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert store.get(StepRow, **JOB.where) is None
    assert store.events(JOB) == []
    assert store.next_letter("10000", 0) is None


def test_an_inner_transaction_is_part_of_the_outer_one(store: Store) -> None:
    def outer() -> None:
        with store.transaction():
            with store.transaction():
                store.put(ROW)
            raise KeyError

    with pytest.raises(KeyError):
        outer()
    assert store.get(StepRow, **JOB.where) is None


def test_everything_survives_the_process(path: Path) -> None:
    first = Store(path)
    first.put(ROW)
    first.post("10000", "command", b"x")
    second = Store(path)  # the first was killed: nothing was closed
    assert second.get(StepRow, **JOB.where) == ROW
    assert second.next_letter("10000", 0) is not None
    for store in (first, second):
        store.close()


def test_letters_come_in_order_per_lane_and_go_when_answered(store: Store, path: Path) -> None:
    for lane, body in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        store.post(lane, "kind", body)
    first = store.next_letter("a", 0)
    assert first is not None
    assert first.body == b"1"
    store.answered(first)
    second = store.next_letter("a", first.id)
    assert second is not None
    assert second.body == b"3"
    store.event("any write takes what was answered along")
    reopened = Store(path)
    oldest = reopened.next_letter("a", 0)
    assert oldest is not None
    assert oldest.id == second.id
    reopened.close()


def test_serials_grow_even_when_all_letters_are_gone(store: Store) -> None:
    ids = []
    for _ in range(3):
        store.post("a", "kind", b"")
        letter = store.next_letter("a", 0)
        assert letter is not None
        ids.append(letter.id)
        store.answered(letter)
        store.event("written")
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("statement", ["UPDATE events SET reason = 'other'", "DELETE FROM events"])
def test_the_record_of_decisions_is_append_only(store: Store, path: Path, statement: str) -> None:
    store.event("commit", JOB, "lr_0", 1, 1, reason="why")
    other = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    other.close()
    (event,) = store.events(JOB)
    assert (event["event"], event["component"], event["attempt"], event["reason"]) == ("commit", "lr_0", 1, "why")


def test_decisions_are_synced_and_private(store: Store, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_full_disk_loses_the_transaction_and_nothing_else(store: Store) -> None:
    store.put(ROW)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.post("10000", "command", bytes(10**6))
    store._db.execute("PRAGMA max_page_count=100000")
    store.post("10000", "command", b"relief")
    letter = store.next_letter("10000", 0)
    assert letter is not None
    assert letter.body == b"relief"


def test_a_commit_that_fails_is_rolled_back(store: Store) -> None:
    store._db.execute("CREATE TABLE child (x REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    store._db.execute("CREATE TABLE parent (y PRIMARY KEY)")
    with pytest.raises(sqlite3.IntegrityError), store.transaction():
        store._db.execute("INSERT INTO child VALUES (1)")
    store.put(ROW)
    assert store.select(StepRow) == [ROW]
