"""The processes of a party that can be killed, and how long their supervisor takes to replace them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from airfed import state
from airfed.state import Condition
from federatedml.federation.home import PartyHome

WATCH = 0.05
PATIENCE = 90.0


@dataclass
class Killed:
    """A process that was killed, and what became of its place.

    Attributes:
        at: monotonic time.
        noticed, ready: seconds until the supervisor had started another one, and until that was ready.
    """

    what: str
    party: str
    pid: int
    at: float
    noticed: float | None = None
    ready: float | None = None


def tasks(home: PartyHome) -> list[psutil.Process]:
    """Processes that execute a task now: children of LocalExecutor's workers."""
    return [child for worker in _workers(home) for child in _children(worker)]


def workers(home: PartyHome, busy: bool) -> list[psutil.Process]:
    """LocalExecutor's workers that have a task, or none. A worker is its task's supervisor."""
    return [worker for worker in _workers(home) if bool(_children(worker)) == busy]


def supervised(home: PartyHome, name: str) -> int:
    """The id of a process that the party's supervisor keeps; 0 while there is none."""
    return next((record.pid for record in state.read(home).records if record.name == name), 0)


def kill(home: PartyHome, what: str, pid: int) -> Killed:
    """``kill -9``."""
    at = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return Killed(what, home.config.name, pid, at)


def watch(home: PartyHome, killed: Killed) -> threading.Thread:
    """Note in ``killed`` when the supervisor has replaced the process; runs beside the caller."""
    thread = threading.Thread(target=_watch, args=(home, killed), daemon=True)
    thread.start()
    return thread


def wait_ready(homes: Sequence[PartyHome], patience: float = PATIENCE) -> bool:
    """Wait until everything of all parties runs again; whether it does."""
    deadline = time.monotonic() + patience
    while not all(state.read(home).ready for home in homes):
        if time.monotonic() > deadline:
            return False
        time.sleep(WATCH)
    return True


def _watch(home: PartyHome, killed: Killed) -> None:
    while time.monotonic() - killed.at < PATIENCE:
        record = next((r for r in state.read(home).records if r.name == killed.what), None)
        if record and record.pid not in (0, killed.pid):
            killed.noticed = killed.noticed or time.monotonic() - killed.at
            if record.condition is Condition.READY:
                killed.ready = time.monotonic() - killed.at
                return
        time.sleep(WATCH)


def _workers(home: PartyHome) -> list[psutil.Process]:
    try:
        scheduler = psutil.Process(supervised(home, "scheduler"))
    except (psutil.NoSuchProcess, ValueError):
        return []
    return [child for child in _children(scheduler) if "LocalExecutor" in " ".join(_title(child))]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
    except psutil.NoSuchProcess:
        return []


def _title(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
