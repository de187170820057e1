"""What a gateway has on disk, job by job: read in one transaction, never written."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.coordinator import COMMAND, VERDICT
from federated_operators.gateway.names import Job
from federated_operators.gateway.rows import TABLES, HeardRow, Row
from federated_operators.gateway.verdicts import EFFECTS
from federatedml.errors import PolicyError

R = TypeVar("R", bound=Row)
M = TypeVar("M", bound=Message)
_LETTERS: Mapping[str, type[Any]] = {
    COMMAND: job_pb2.StepCommand,
    VERDICT: job_pb2.VerdictNotice,
    EFFECTS: job_pb2.VerdictNotice,
}


@dataclass(frozen=True)
class Event:
    """One line of the record of decisions."""

    id: int
    party: str
    initiator: str
    job_id: str
    component: str
    generation: int
    attempt: int
    event: str
    monotonic: float
    reason: str

    @property
    def member(self) -> str:
        """Of an event that one member caused: the first word of its reason."""
        return self.reason.partition(" ")[0]


@dataclass(frozen=True)
class Facts:
    """What one party knows of one job.

    Attributes:
        letters: (lane, letter): orders and verdicts that were not answered yet.
    """

    party: str
    rows: Sequence[Row] = ()
    events: Sequence[Event] = ()
    letters: Sequence[tuple[str, Message]] = ()

    def all(self, kind: type[R], **where: object) -> list[R]:
        """Rows with these values, in the order of their key."""
        return [row for row in self.rows if isinstance(row, kind) and _matches(row, where)]

    def one(self, kind: type[R], **where: object) -> R | None:
        """The first of them."""
        return next(iter(self.all(kind, **where)), None)

    def noted(self, *names: str, **where: object) -> list[Event]:
        """Events of these names with these values, oldest first."""
        return [event for event in self.events if event.event in names and _matches(event, where)]

    def unanswered(self, lane: str, kind: type[M]) -> list[M]:
        """Letters of this kind that the lane's party has not answered."""
        return [letter for to, letter in self.letters if to == lane and isinstance(letter, kind)]


@dataclass(frozen=True)
class PartyHistory:
    """Everything that the gateway of ``party`` has on disk."""

    party: str
    jobs: Mapping[Job, Facts]
    events: Sequence[Event]


def read_party(path: Path, party: str) -> PartyHistory:
    """Read a gateway's database.

    Raises:
        PolicyError: it is missing, damaged, or not a gateway's database of this version.
    """
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise PolicyError("FED-515", f"{path}: {error}") from None
    db.row_factory = sqlite3.Row
    try:
        db.execute("BEGIN")
        return _history(db, party)
    except (sqlite3.Error, DecodeError) as error:
        raise PolicyError("FED-515", f"{path} is not a readable database of a gateway: {error}") from None
    finally:
        db.close()


def _history(db: sqlite3.Connection, party: str) -> PartyHistory:
    rows: dict[Job, list[Row]] = defaultdict(list)
    for kind in TABLES:
        for row in _select(db, kind, kind.TABLE, kind.KEY) if kind is not HeardRow else ():
            rows[_job(row)].append(row)
    known = list(_select(db, Event, "events", ("id",)))
    events: dict[Job, list[Event]] = defaultdict(list)
    for event in known:
        events[_job(event)].append(event)
    letters: dict[Job, list[tuple[str, Message]]] = defaultdict(list)
    for lane, kind, body in db.execute("SELECT lane, kind, body FROM outbox ORDER BY id"):
        if kind in _LETTERS:
            letter = _LETTERS[kind].FromString(body)
            key = letter.step.job if kind == COMMAND else letter.job
            letters[Job(key.initiator, key.job_id)].append((lane, letter))
    jobs = {job: Facts(party, rows[job], events[job], letters[job]) for job in {*rows, *events} if job.job_id}
    return PartyHistory(party, jobs, known)


def _select(db: sqlite3.Connection, kind: type[Any], table: str, order: Sequence[str]) -> Iterator[Any]:
    names = ", ".join(field.name for field in fields(kind))
    found = db.execute(f"SELECT {names} FROM {table} ORDER BY {', '.join(order)}")  # noqa: S608 - names of our own fields
    return (kind(**dict(row)) for row in found)


def _job(row: Any) -> Job:
    return Job(row.initiator, row.job_id)


def _matches(row: object, where: Mapping[str, object]) -> bool:
    return all(getattr(row, name) == value for name, value in where.items())
