"""The supervisor of a party: starts its processes, restarts what dies, and leaves nothing behind.

Every process leads a session of its own. It dies with the supervisor (``launch``), and what it has started itself is
ended by session (``guard``). State is in ``HOME/run/supervisor.json``.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from airfed import airflow_config, databases, guard, proc, state
from airfed.processes import Program, environment_of, programs
from airfed.state import Condition, Record, Supervision
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

FIRST_BACKOFF = 0.5  # seconds
LONGEST_BACKOFF = 30.0
STEADY = 5.0  # a process that was ready for so long starts again at the first backoff
GRACE = 7.0  # between SIGTERM and SIGKILL
PROBE = 0.5
GUARD_PATIENCE = 10.0
LOG_LIMIT = 16 << 20
LOG_CHECK = 60.0


def prepared_programs(home: PartyHome) -> list[Program]:
    """The programs of a party, after their settings and databases have been made."""
    airflow_config.configure(home)
    databases.ensure(home)
    return programs(home)


def supervise(
    home: PartyHome,
    say: Callable[[str], None] = print,
    make: Callable[[PartyHome], list[Program]] = prepared_programs,
) -> None:
    """Run a party until SIGTERM, SIGINT or SIGHUP (not SIGHUP under ``nohup``).

    Raises:
        FedError: another supervisor owns the home, or a port is taken.
    """
    os.umask(0o077)
    home.run.mkdir(parents=True, exist_ok=True)
    with _lock(home):
        guard.clear_away(home)
        state.write(home, Supervision())
        chosen = make(home)
        _check_ports(home, chosen)
        warden, alarm = guard.fork_guard(home)
        try:
            asyncio.run(_Supervisor(home, chosen, say).run())
        finally:
            os.close(alarm)
            os.waitpid(warden, 0)


class _Supervisor:
    def __init__(self, home: PartyHome, chosen: list[Program], say: Callable[[str], None]) -> None:
        self._home, self._say = home, say
        self._begun = time.monotonic()
        self._ready_after: float | None = None
        self._children = [_Child(home, program, self._changed, say) for program in chosen]
        me = proc.process(os.getpid())
        self._me = Supervision(os.getpid(), me.started if me else 0)

    async def run(self) -> None:
        """Keep all children until told to stop."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sign in proc.ending():
            loop.add_signal_handler(sign, stop.set)
        keepers = [asyncio.create_task(child.keep()) for child in self._children]
        keepers.append(asyncio.create_task(_keep_logs_small(self._home)))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, *keepers], return_when=asyncio.FIRST_COMPLETED)
        self._say(f"{self._home.config.name}: stopping")
        for task in (stopping, *keepers):
            task.cancel()
        ends = await asyncio.gather(*keepers, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _changed(self) -> None:
        records = tuple(child.record for child in self._children)
        if self._ready_after is None and all(r.condition is Condition.READY for r in records):
            self._ready_after = round(time.monotonic() - self._begun, 1)
            self._say(f"{self._home.config.name}: ready after {self._ready_after} s")
        state.write(self._home, replace(self._me, ready_after=self._ready_after, records=records))


def next_backoff(before: float, ready_for: float) -> float:
    """Twice the seconds from an end of a process to its next start.

    Only what does not become ready, or ends at once when it is, waits longer each time: a process that worked and was
    killed is needed now, however often that happens.
    """
    return FIRST_BACKOFF if ready_for > STEADY else min(2 * before, LONGEST_BACKOFF)


class _Child:
    """One program and its present process."""

    def __init__(
        self, home: PartyHome, program: Program, changed: Callable[[], None], say: Callable[[str], None]
    ) -> None:
        self._home, self._program, self._changed, self._say = home, program, changed, say
        self.record = Record(program.name, Condition.STARTING, ports=tuple(program.ports))

    async def keep(self) -> None:
        """Run the program again whenever it ends, until cancelled."""
        backoff = FIRST_BACKOFF
        while True:
            begun = time.monotonic()
            process = await self._start()
            watcher = asyncio.create_task(self._watch(begun))
            try:
                await process.wait()
            finally:
                watcher.cancel()
                await self._end(process)
            after = self.record.ready_after
            backoff = next_backoff(backoff, 0.0 if after is None else time.monotonic() - begun - after)
            self._note(condition=Condition.WAITING, restarts=self.record.restarts + 1, ready_after=None)
            await asyncio.sleep(backoff / 2)

    async def _start(self) -> asyncio.subprocess.Process:
        with _log(self._home, self._program.name) as log:
            process = await asyncio.create_subprocess_exec(
                *proc.dying_with_parent(self._program.command),
                env=environment_of(self._program, self._home),
                cwd=self._home.root,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        found = proc.process(process.pid)
        self._note(condition=Condition.STARTING, pid=process.pid, started=found.started if found else 0)
        return process

    async def _watch(self, begun: float) -> None:
        """Ask until the answer is yes; then replace the process if it lives and does not work."""
        since = time.time()
        while not await self._program.ready(self._home, since):
            await asyncio.sleep(PROBE)
        self._note(condition=Condition.READY, ready_after=round(time.monotonic() - begun, 1))
        if self._program.stuck is not None:
            why = await self._program.stuck(self._home, since)
            self._say(f"{self._home.config.name}: {self._program.name} is replaced: {why}")
            proc.send(self.record.pid, signal.SIGKILL)  # its session follows

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """SIGTERM, patience, and then SIGKILL for whatever is left of the session."""
        if process.returncode is None:
            proc.send(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE)
        proc.kill_session(process.pid, self._home.root)
        await process.wait()
        self._note(condition=Condition.STOPPED, pid=0, started=0)

    def _note(self, **changes: object) -> None:
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]
        self._changed()


@contextlib.contextmanager
def _lock(home: PartyHome) -> Iterator[None]:
    with (home.run / "supervisor.lock").open("w") as file:
        deadline = time.monotonic() + GUARD_PATIENCE
        while not _flock(file):
            owner = state.read(home)
            if owner.alive or time.monotonic() > deadline:
                raise FedError("FED-910", f"{home.root} is already run by process {owner.pid}", "airfed party stop")
            time.sleep(0.05)  # the guard of a killed supervisor is at work
        yield


def _flock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_ports(home: PartyHome, chosen: list[Program]) -> None:
    for program in chosen:
        for port in program.ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((home.config.host, port))
                except OSError as error:
                    raise FedError(
                        "FED-911",
                        f"port {port} for {program.name} of party {home.config.party_id}: {error.strerror}",
                        "choose other ports in party.yaml (airfed demo --base-port)",
                    ) from None


def _log(home: PartyHome, name: str) -> IO[bytes]:
    """The log of a process, open for appending."""
    home.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    return (home.logs / f"{name}.log").open("ab")


async def _keep_logs_small(home: PartyHome) -> None:
    """Put the contents of large logs aside; the processes go on appending to the emptied files."""
    while True:
        for path in home.logs.glob("*.log"):
            with contextlib.suppress(OSError):  # a full disk is no reason to end the party
                put_aside(path, LOG_LIMIT)
        await asyncio.sleep(LOG_CHECK)


def put_aside(path: Path, limit: int) -> None:
    """Copy a log of more than ``limit`` bytes to ``NAME.log.1`` and empty it."""
    if path.stat().st_size > limit:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)
