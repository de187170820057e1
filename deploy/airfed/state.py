"""``HOME/run/supervisor.json``: what the supervisor of a party is doing, for everyone who asks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from airfed import proc
from airfed.airflow_config import write_private
from federatedml.federation.home import PartyHome


class Condition(StrEnum):
    """Where a process is in its life."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting to restart"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Record:
    """One supervised process; its pid is also its session."""

    name: str
    condition: Condition = Condition.STOPPED
    pid: int = 0
    started: int = 0  # clock ticks after boot
    ready_after: float | None = None  # seconds
    restarts: int = 0
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Supervision:
    """The supervisor and its processes."""

    pid: int = 0
    started: int = 0
    ready_after: float | None = None  # seconds until all were ready
    records: tuple[Record, ...] = field(default=())

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return proc.alive(self.pid, self.started)

    @property
    def ready(self) -> bool:
        """Whether everything runs and is ready."""
        return self.alive and bool(self.records) and all(r.condition is Condition.READY for r in self.records)


def path(home: PartyHome) -> Path:
    """The file."""
    return home.run / "supervisor.json"


def write(home: PartyHome, supervision: Supervision) -> None:
    """Store, whole or not at all."""
    write_private(path(home), json.dumps(asdict(supervision), indent=1))


def read(home: PartyHome) -> Supervision:
    """What is stored; nothing runs if there is no file."""
    try:
        stored = json.loads(path(home).read_text())
    except FileNotFoundError:
        return Supervision()
    records = stored.pop("records")
    found = Supervision(**stored)
    return replace(found, records=tuple(_record(r) for r in records))


def _record(stored: dict[str, object]) -> Record:
    fields = {**stored, "condition": Condition(str(stored["condition"])), "ports": tuple(stored["ports"])}  # type: ignore[arg-type]
    return Record(**fields)  # type: ignore[arg-type]
