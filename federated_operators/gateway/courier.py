"""Tells what the outbox holds: one lane per party, in order, one at a time, again until it is answered."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from federated_operators.gateway.passing import may_pass
from federated_operators.gateway.store import Letter, Store
from federatedml.errors import FedError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
log = logging.getLogger(__name__)


class Courier:
    """Delivers letters.

    Args:
        deliver: tells one letter. An error that may pass (the peer is not there, the own disk is full) is tried again
            after a pause that doubles; any other error is the answer "no": recorded, never tried again.
        lost: told of a letter that nobody will take, and why, in the transaction that records it.
    """

    def __init__(
        self,
        store: Store,
        deliver: Callable[[Letter], Awaitable[None]],
        lost: Callable[[Letter, FedError], None] = lambda letter, why: None,
    ) -> None:
        self._store, self._deliver, self._lost = store, deliver, lost
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
        error = await self._tried(letter, self._deliver)
        if error is None:
            return
        if isinstance(error, FedError):
            log.warning("%s to %s was refused: %s", letter.kind, letter.lane, error)
            why, reason = error, str(error)
        else:
            log.error("%s to %s failed", letter.kind, letter.lane, exc_info=error)
            why = FedError("FED-900", f"unexpected {type(error).__name__} in this party's gateway; see its log")
            reason = repr(error)

        async def give_up(letter: Letter) -> None:
            with self._store.transaction():
                self._store.event(f"undelivered {letter.kind}", party=letter.lane, reason=reason)
                self._lost(letter, why)

        broken = await self._tried(letter, give_up)
        if broken is not None:
            log.error("what follows from that cannot be done", exc_info=broken)

    async def _tried(self, letter: Letter, step: Callable[[Letter], Awaitable[None]]) -> Exception | None:
        """Try until it is done; the error that no repetition mends, if there is one."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await step(letter)
                return None
            except Exception as error:
                if not may_pass(error):
                    return error
                if not isinstance(error, FedError) and pause == FIRST_PAUSE_S:
                    log.warning("%s to %s is tried again: %r", letter.kind, letter.lane, error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, LONGEST_PAUSE_S)
