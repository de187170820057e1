"""Notices a scheduler that lives and starts nothing.

A LocalExecutor worker that is killed while it waits for work holds the queue's lock for ever: what is queued then stays
queued, and no health check shows it. The remedy is a new scheduler, which costs the party's running tasks a resumption;
so nothing is done while the queue moves, while all slots are taken, or while Airflow does not answer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from federated_operators.gateway.airflow_client import AirflowClient
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

EVERY_S = 4.0
PATIENCE_S = 20.0  # for which nothing may leave the queue while slots are free
LONGEST_S = 60.0  # for which one task may be queued while slots are free, even if others are started
PAUSE_S = 60.0  # between two restarts at least


@dataclass
class Queue:
    """What is known of the tasks that wait for a worker. Times are monotonic seconds."""

    patience: float
    longest: float
    _seen: dict[str, float] = field(default_factory=dict)  # task -> first seen with a slot free ever since
    _moved: float = 0.0  # when a task last left the queue

    def look(self, queued: Collection[str], slot_is_free: bool, now: float) -> str:
        """Take a look; why the queue counts as stuck, or nothing."""
        if not slot_is_free:
            self.forget()
            return ""
        if any(task not in queued for task in self._seen):
            self._moved = now
        self._seen = {task: self._seen.get(task, now) for task in queued}
        if not self._seen:
            return ""
        oldest = min(self._seen.values())
        if now - max(oldest, self._moved) >= self.patience or now - oldest >= self.longest:
            return f"{len(queued)} tasks queued, for up to {now - oldest:.0f} s, although slots are free"
        return ""

    def forget(self) -> None:
        """What was seen says nothing any longer."""
        self._seen = {}


class QueueWatch:
    """Watches one party's scheduler after another; the reason for which the present one must be replaced."""

    def __init__(self) -> None:
        self._replaced = -math.inf

    async def __call__(self, home: PartyHome, since: float) -> str:
        """Watch the scheduler that was started at ``since`` (Unix seconds); returns when it is stuck, and why.

        What an earlier scheduler has queued is left out: Airflow queues it again when it has given that one up.
        """
        queue, airflow = Queue(PATIENCE_S, LONGEST_S), AirflowClient(home)
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                why = await _look(home, airflow, queue, since)
                if why and self.may_replace(time.monotonic()):
                    return why
        finally:
            await airflow.close()

    def may_replace(self, now: float) -> bool:
        """Whether a scheduler may be replaced now (monotonic seconds); a yes is taken as done."""
        if now - self._replaced < PAUSE_S:
            return False
        self._replaced = now
        return True


async def _look(home: PartyHome, airflow: AirflowClient, queue: Queue, since: float) -> str:
    try:
        tasks = await airflow.occupying()
    except (FedError, httpx.HTTPError, LookupError, ValueError, OSError):  # without an answer nothing is known
        queue.forget()
        return ""
    running = sum(task["state"] == "running" for task in tasks)
    queued = {task["id"] for task in tasks if task["state"] == "queued" and _queued_at(task) >= since}
    return queue.look(queued, running < home.config.parallelism, time.monotonic())


def _queued_at(task: dict[str, str | None]) -> float:
    """Unix seconds."""
    return datetime.fromisoformat(task["queued_when"] or "1970-01-01T00:00:00+00:00").timestamp()
