"""What a gateway has recorded of a job, read beside it while it runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_QUERY = (
    "SELECT id, party, job_id, component, attempt, event, monotonic, wall, reason FROM events"
    " WHERE id > ? AND job_id IN (?, '') ORDER BY id"
)


@dataclass(frozen=True)
class Entry:
    """One line of the record of decisions. ``monotonic`` compares with this process's clock: same machine."""

    id: int
    party: str
    job_id: str
    component: str
    attempt: int
    event: str
    monotonic: float
    wall: float
    reason: str


class Timeline:
    """The record of one gateway about one job, and what concerns no job.

    Args:
        db: the gateway's database.
    """

    def __init__(self, db: Path, job_id: str) -> None:
        self._db = sqlite3.connect(f"{db.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0)
        self._job_id = job_id
        self._last = 0

    def news(self) -> list[Entry]:
        """What was added since the last call."""
        rows = [Entry(*row) for row in self._db.execute(_QUERY, (self._last, self._job_id))]
        self._last = rows[-1].id if rows else self._last
        return rows

    def close(self) -> None:
        """Close the database."""
        self._db.close()


@contextmanager
def timeline(db: Path, job_id: str) -> Iterator[Timeline]:
    """A timeline for a while."""
    found = Timeline(db, job_id)
    try:
        yield found
    finally:
        found.close()


def entries(db: Path, job_id: str) -> list[Entry]:
    """All that is recorded of a job."""
    with timeline(db, job_id) as found:
        return [entry for entry in found.news() if entry.job_id == job_id]
