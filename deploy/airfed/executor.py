"""Airflow's LocalExecutor for a scheduler that waits for what happens instead of looking every quarter of a second.

A scheduler with nothing to do sleeps for a fixed time: what ends meanwhile waits for it, and a loop that finds nothing
costs as much as one that does. Here the pause is where the scheduler asks its executor for news. It ends with the first
task that ends, or with a nudge of somebody who has changed something (``federated_operators.gateway.nudge``).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from pathlib import Path

from airflow.executors.local_executor import LocalExecutor

from federatedml.federation.home import PartyHome

PAUSE_S = 0.4  # for what is changed without a nudge: in Airflow's pages, by its triggerer
BUSY_PAUSE_S = 0.1  # after tasks were handed over: there may be more than a loop takes, and they need the cores


class PromptLocalExecutor(LocalExecutor):
    """Runs tasks as LocalExecutor does. Airflow's own pause, ``scheduler_idle_sleep_time``, is to be 0."""

    _door: socket.socket
    _pause = PAUSE_S

    def start(self) -> None:
        """Open the door for nudges before the first worker is forked."""
        self._door = _door(PartyHome(Path(os.environ["AIRFED_HOME"])).scheduler_socket)
        super().start()

    def heartbeat(self) -> None:
        """Called once in every loop: hand tasks over, then ``sync``."""
        self._pause = BUSY_PAUSE_S if self.queued_tasks else PAUSE_S
        super().heartbeat()

    def sync(self) -> None:
        """Take news; if there are none, wait for some."""
        if self.result_queue.empty():
            select.select([self.result_queue._reader, self._door], [], [], self._pause)  # type: ignore[attr-defined]
            self._forget_nudges()
        super().sync()

    def end(self) -> None:
        """Wait for what runs, and close the door."""
        super().end()
        self._door.close()

    def _forget_nudges(self) -> None:
        """All of them mean the same."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._door.recv(1)


def _door(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    door.bind(str(path))
    path.chmod(0o600)
    door.setblocking(False)
    return door
