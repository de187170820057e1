"""The gateway's memory: SQLite, written and synced before anything is told. One process, one thread writes.

Two tables are not rows of ``rows.py``: ``outbox`` (what must still be told, in order, per lane) and ``events``
(append-only: every decision, with its reason).
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import Field, astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from federated_operators.gateway.names import Job
from federated_operators.gateway.rows import TABLES, JobRow, Row

R = TypeVar("R", bound=Row)
_TYPES = {"str": "TEXT", "int": "INTEGER", "bytes": "BLOB", "float": "REAL"}
_FIXED = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL,
    epoch BLOB NOT NULL DEFAULT x'') STRICT;
CREATE INDEX IF NOT EXISTS outbox_lane ON outbox (lane, id);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, party TEXT NOT NULL, initiator TEXT NOT NULL, job_id TEXT NOT NULL,
    component TEXT NOT NULL, generation INTEGER NOT NULL, attempt INTEGER NOT NULL, event TEXT NOT NULL,
    monotonic REAL NOT NULL, wall REAL NOT NULL, reason TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""


@dataclass(frozen=True)
class Letter:
    """Something that must be told; ``id`` grows and serves as the serial of reports.

    Attributes:
        epoch: of the gateway's opening that posted it. A database that is new, or was put back from a copy, gives ids
            that were there before: never in an epoch that was there before.
    """

    id: int
    lane: str
    kind: str
    body: bytes
    epoch: bytes = b""


class Store:
    """Rows, outbox and events of one gateway.

    Args:
        path: the database file; its folder is made.
        on_post: called with a lane when a letter was put into it.
    """

    def __init__(self, path: Path, on_post: Callable[[str], None] = lambda _: None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        self._db.row_factory = sqlite3.Row
        self._depth = 0
        self._told: list[int] = []
        self._epoch = secrets.token_bytes(8)
        self.changes = 0  # grows whenever a row changes
        self.on_post = on_post
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript("".join(_table(kind) for kind in TABLES) + _FIXED)
        for kind in TABLES:
            self._add_columns(kind)
        if "epoch" not in self._columns("outbox"):
            self._db.execute("ALTER TABLE outbox ADD COLUMN epoch BLOB NOT NULL DEFAULT x''")
        path.chmod(0o600)

    def _add_columns(self, kind: type[Row]) -> None:
        """Columns that an older version's table lacks; their fields have defaults."""
        known = self._columns(kind.TABLE)
        for field in fields(kind):
            if field.name not in known:
                default = {"TEXT": "''", "BLOB": "x''"}.get(_TYPES[str(field.type)], "0")
                self._db.execute(f"ALTER TABLE {kind.TABLE} ADD COLUMN {_column(field)} DEFAULT {default}")

    def _columns(self, table: str) -> set[str]:
        return {row["name"] for row in self._db.execute(f"PRAGMA table_info({table})")}

    def close(self) -> None:
        """Write what is pending and close."""
        with self.transaction():
            pass
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an inner transaction is part of the outer one."""
        if self._depth == 0:
            self._db.execute("BEGIN IMMEDIATE")
            self._forget_told()
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._db.execute("COMMIT")
                self._told.clear()
        except BaseException:
            if self._depth == 1 and self._db.in_transaction:  # on a full disk SQLite may have rolled back itself
                self._db.execute("ROLLBACK")
            self.changes += 1
            raise
        finally:
            self._depth -= 1

    def put(self, row: Row) -> None:
        """Insert, or replace the row of the same key."""
        names = [field.name for field in fields(row)]
        marks = ", ".join("?" * len(names))
        self.changes += 1
        with self.transaction():
            self._db.execute(f"INSERT OR REPLACE INTO {row.TABLE} ({', '.join(names)}) VALUES ({marks})", astuple(row))  # noqa: S608 - names of our own fields

    def get(self, kind: type[R], **where: Any) -> R | None:
        """The row with these values, or None."""
        return next(iter(self.select(kind, **where)), None)

    def select(self, kind: type[R], **where: Any) -> list[R]:
        """All rows with these values, in the order of their key."""
        tests = " AND ".join(f"{name} = ?" for name in where) or "1"
        order = ", ".join(kind.KEY)
        found = self._db.execute(f"SELECT * FROM {kind.TABLE} WHERE {tests} ORDER BY {order}", tuple(where.values()))  # noqa: S608
        return [kind(**dict(row)) for row in found]

    def newest_jobs(self, limit: int, skip: int = 0, **where: Any) -> list[JobRow]:
        """At most ``limit`` jobs with these values, newest first, after ``skip`` newer ones."""
        tests = " AND ".join(f"{name} = ?" for name in where) or "1"
        query = f"SELECT * FROM jobs WHERE {tests} ORDER BY created_at DESC, initiator, job_id DESC LIMIT ? OFFSET ?"  # noqa: S608
        return [JobRow(**dict(row)) for row in self._db.execute(query, (*where.values(), limit, skip))]

    def ended(self, until: float, states: Collection[str]) -> list[tuple[Job, int]]:
        """Jobs in these states, with their generation, that ended at ``until`` (Unix seconds) or before."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT initiator, job_id, generation FROM jobs WHERE state IN ({marks}) AND ended_at <= ?"  # noqa: S608
        return [(Job(row[0], row[1]), int(row[2])) for row in self._db.execute(query, (*states, until))]

    def delete(self, kind: type[R], **where: Any) -> None:
        """Remove the rows with these values."""
        tests = " AND ".join(f"{name} = ?" for name in where)
        self.changes += 1
        with self.transaction():
            self._db.execute(f"DELETE FROM {kind.TABLE} WHERE {tests}", tuple(where.values()))  # noqa: S608

    def post(self, lane: str, kind: str, body: bytes) -> None:
        """Put a letter into a lane; it is told in order, at least once, until it is answered."""
        with self.transaction():
            letter = (lane, kind, body, self._epoch)
            self._db.execute("INSERT INTO outbox (lane, kind, body, epoch) VALUES (?, ?, ?, ?)", letter)
        self.on_post(lane)

    def next_letter(self, lane: str, after: int) -> Letter | None:
        """The oldest letter of a lane with an id above ``after``."""
        found = self._db.execute("SELECT * FROM outbox WHERE lane = ? AND id > ? ORDER BY id LIMIT 1", (lane, after))
        row = found.fetchone()
        return Letter(**dict(row)) if row else None

    def waiting(self, lane: str, kind: str) -> list[Letter]:
        """Letters of a kind that the lane's party has not answered, oldest first."""
        found = self._db.execute("SELECT * FROM outbox WHERE lane = ? AND kind = ? ORDER BY id", (lane, kind))
        letters = [Letter(**dict(row)) for row in found]
        return [letter for letter in letters if letter.id not in self._told]

    def answered(self, letter: Letter) -> None:
        """The letter was taken. It is removed with the next write: told again after a crash, which does no harm."""
        self._told.append(letter.id)

    def event(
        self,
        event: str,
        job: Job | None = None,
        component: str = "",
        generation: int = 0,
        attempt: int = 0,
        party: str = "",
        reason: str = "",
    ) -> int:
        """Append one line to the record of decisions; its number."""
        names = (job.initiator, job.job_id) if job else ("", "")
        with self.transaction():
            line = self._db.execute(
                "INSERT INTO events (party, initiator, job_id, component, generation, attempt, event, monotonic, wall,"
                " reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (party, *names, component, generation, attempt, event, time.monotonic(), time.time(), reason[:2000]),
            )
        return line.lastrowid or 0

    def events(self, job: Job | None = None) -> list[dict[str, Any]]:
        """The record, oldest first, of one job or of all."""
        if job is None:
            return [dict(row) for row in self._db.execute("SELECT * FROM events ORDER BY id")]
        found = self._db.execute(
            "SELECT * FROM events WHERE initiator = ? AND job_id = ? ORDER BY id", (job.initiator, job.job_id)
        )
        return [dict(row) for row in found]

    def _forget_told(self) -> None:
        self._db.executemany("DELETE FROM outbox WHERE id = ?", [(letter,) for letter in self._told])


def _column(field: Field[Any]) -> str:
    return f"{field.name} {_TYPES[str(field.type)]} NOT NULL"


def _table(kind: type[Row]) -> str:
    columns = ", ".join(map(_column, fields(kind)))
    return f"CREATE TABLE IF NOT EXISTS {kind.TABLE} ({columns}, PRIMARY KEY ({', '.join(kind.KEY)})) STRICT;\n"
