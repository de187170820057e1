"""How much of this gateway's time one peer may take: a bucket of tokens each, filled steadily."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from federatedml.errors import PeerError

LONGEST_WAIT_S = 2.0


@dataclass
class _Bucket:
    free_at: float = 0.0  # monotonic: when all that was taken will have been filled up again


class Throttle:
    """Turns of callers.

    Args:
        rate: turns a second that one caller may have for long.
        burst: turns that it may have at once.
        clock: monotonic seconds.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, party: str) -> float:
        """Take a turn; seconds until it comes.

        Raises:
            PeerError: so many turns were taken that it would not come soon.
        """
        now = self._clock()
        bucket = self._buckets.setdefault(party, _Bucket())
        free_at = max(bucket.free_at, now) + 1 / self._rate
        wait = free_at - now - self._burst / self._rate
        if wait > LONGEST_WAIT_S:
            raise PeerError("FED-771", f"party {party} calls more often than {self._rate:g} times a second")
        bucket.free_at = free_at
        return max(0.0, wait)

    async def turn(self, party: str) -> None:
        """Wait for a turn; as ``wait``."""
        if seconds := self.wait(party):
            await asyncio.sleep(seconds)
