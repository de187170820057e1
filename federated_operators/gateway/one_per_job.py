"""One at a time in what is done for a job. Nothing is kept of a job for which nobody does anything."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from federated_operators.gateway.names import Job


class OnePerJob:
    """A lock per job."""

    def __init__(self) -> None:
        self._locks: dict[Job, asyncio.Lock] = {}
        self._users: Counter[Job] = Counter()  # who has it, and who waits for it

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def alone(self, job: Job) -> AsyncIterator[None]:
        """Wait until nobody else is at it."""
        lock = self._locks.setdefault(job, asyncio.Lock())
        self._users[job] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[job] -= 1
            if not self._users[job]:
                del self._users[job], self._locks[job]
