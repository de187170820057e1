"""Whoever waits for a seat without a process: woken to look again, never told what to see."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from federated_operators.gateway.names import Seat


class Waiting:
    """Bells by seat."""

    def __init__(self) -> None:
        self._bells: dict[Seat, set[asyncio.Event]] = defaultdict(set)

    def wake(self, seat: Seat) -> None:
        """Ring for everybody who waits for the seat."""
        for bell in self._bells.get(seat, ()):
            bell.set()

    async def until(self, seat: Seat, come: Callable[[], bool]) -> None:
        """Wait until ``come`` says yes; it is asked now and whenever somebody rings."""
        with self._bell(seat) as bell:
            while not come():
                await bell.wait()
                bell.clear()

    @contextmanager
    def _bell(self, seat: Seat) -> Iterator[asyncio.Event]:
        bell = asyncio.Event()
        self._bells[seat].add(bell)
        try:
            yield bell
        finally:
            self._bells[seat].discard(bell)
            if not self._bells[seat]:
                del self._bells[seat]
