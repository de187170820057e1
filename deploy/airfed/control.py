"""Start, stop and look at the supervisor of a party from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airfed import guard, proc, state
from airfed.proc import dying_with_parent
from airfed.state import Condition, Supervision
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

READY_TIMEOUT = 300.0
STOP_TIMEOUT = 20.0
TOO_MANY_RESTARTS = 4
TAIL = 15  # lines of a log in an error


@dataclass(frozen=True)
class Status:
    """One process as ``airfed party status`` shows it: seconds, bytes."""

    name: str
    state: str
    pid: int
    age: float
    memory: int
    processes: int
    ports: tuple[int, ...]
    restarts: int
    ready_after: float | None


@dataclass(frozen=True)
class Starting:
    """A party whose supervisor this process has started."""

    home: PartyHome
    child: subprocess.Popen[bytes]


def spawn(home: PartyHome, with_parent: bool) -> Starting:
    """Start the supervisor as a child process; its words go to ``logs/supervisor.log``.

    Args:
        with_parent: it stops in order when this process ends, however it ends.
    """
    home.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-P", "-m", "airfed", "party", "start", str(home.root)]
    with (home.logs / "supervisor.log").open("wb") as log:
        child = subprocess.Popen(
            dying_with_parent(command, signal.SIGTERM) if with_parent else command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Starting(home, child)


def wait_ready(
    parties: Sequence[Starting],
    look: Callable[[PartyHome, Supervision], None] = lambda *_: None,
    timeout: float = READY_TIMEOUT,
) -> None:
    """Wait until everything of all parties is ready; ``look`` is called with every state on the way.

    Raises:
        FedError: a supervisor ended, a process keeps dying, or it takes too long; with the end of the log.
    """
    deadline = time.monotonic() + timeout
    while late := [party for party in parties if not _ready(party, look)]:
        if time.monotonic() > deadline:
            names = [r.name for r in state.read(late[0].home).records if r.condition is not Condition.READY]
            raise FedError("FED-914", f"{late[0].home.root} is not ready after {timeout:.0f} s: {', '.join(names)}")
        time.sleep(0.2)


def _ready(party: Starting, look: Callable[[PartyHome, Supervision], None]) -> bool:
    home, found = party.home, state.read(party.home)
    if party.child.poll() is not None:
        raise FedError("FED-912", f"the supervisor of {home.root} ended: {tail(home, 'supervisor')}")
    if found.pid != party.child.pid:
        return False
    look(home, found)
    for record in found.records:
        if record.restarts >= TOO_MANY_RESTARTS:
            raise FedError("FED-913", f"{record.name} of {home.root} does not start: {tail(home, record.name)}")
    return found.ready


def start_detached(home: PartyHome) -> Supervision:
    """Start a party that goes on when this process has ended; returns when it is ready, or stops it and raises."""
    if state.read(home).alive:
        raise FedError("FED-910", f"{home.root} is already run by process {state.read(home).pid}", "airfed party stop")
    starting = spawn(home, with_parent=False)
    try:
        wait_ready([starting])
        return state.read(home)
    except BaseException:
        stop(home)
        raise


def stop(home: PartyHome) -> bool:
    """End the party; True if something ran. What a killed supervisor left is ended too.

    Raises:
        FedError: it did not end in time.
    """
    found = state.read(home)
    ran = found.alive
    if ran:
        proc.send(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while proc.alive(found.pid, found.started):
        if time.monotonic() > deadline:
            raise FedError("FED-915", f"process {found.pid} of {home.root} did not stop in {STOP_TIMEOUT:.0f} s")
        time.sleep(0.05)
    guard.end_sessions(home)
    return ran


def status(home: PartyHome) -> list[Status]:
    """The supervised processes as they are now."""
    found = state.read(home)
    everything = proc.of_home(home.root)
    rows = []
    for record in found.records:
        session = [p for p in everything if record.pid and p.session == record.pid]
        runs = bool(record.pid) and proc.alive(record.pid, record.started)
        rows.append(
            Status(
                name=record.name,
                state=str(record.condition) if runs else str(Condition.STOPPED),
                pid=record.pid if runs else 0,
                age=round(proc.age(record.started), 1) if runs else 0.0,
                memory=proc.memory(session),
                processes=len(session),
                ports=record.ports,
                restarts=record.restarts,
                ready_after=record.ready_after,
            )
        )
    return rows


def tail(home: PartyHome, name: str) -> str:
    """The last lines of a process's log, and where the rest is."""
    path = home.logs / f"{name}.log"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:] if path.exists() else []
    return "\n".join([f"see {path}", *lines])
