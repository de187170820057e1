"""Tells what the outbox holds: one lane per party, in order, one at a time, again until it is answered."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from federated_operators.gateway.store import Letter, Store
from federatedml.errors import FedError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
log = logging.getLogger(__name__)


class Courier:
    """Delivers letters.

    Args:
        deliver: tells one letter. A retryable ``FedError`` (the peer is not there) is tried again after a pause that
            doubles; any other error is the answer "no": recorded, never tried again.
    """

    def __init__(self, store: Store, deliver: Callable[[Letter], Awaitable[None]]) -> None:
        self._store, self._deliver = store, deliver
        self._wake: dict[str, asyncio.Event] = {}
        store.on_post = self._on_post

    def _on_post(self, lane: str) -> None:
        if lane in self._wake:
            self._wake[lane].set()

    async def run(self, lane: str) -> None:
        """Serve a lane for ever."""
        wake = self._wake.setdefault(lane, asyncio.Event())
        done = 0
        while True:
            letter = self._store.next_letter(lane, done)
            if letter is None:
                await wake.wait()
                wake.clear()
                continue
            await self._tell(letter)
            self._store.answered(letter)
            done = letter.id

    async def _tell(self, letter: Letter) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                return await self._deliver(letter)
            except FedError as error:
                if not error.retryable:
                    self._store.event(f"undelivered {letter.kind}", party=letter.lane, reason=str(error))
                    return log.warning("%s to %s was refused: %s", letter.kind, letter.lane, error)
            except Exception as error:
                self._store.event(f"undelivered {letter.kind}", party=letter.lane, reason=repr(error))
                return log.exception("%s to %s failed", letter.kind, letter.lane)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, LONGEST_PAUSE_S)
