"""Progress of own workers, told to the coordinators at most twice a second and never kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Seat, member_pb
from federatedml.errors import FedError

Tell = Callable[[str, job_pb2.StepReport], Awaitable[None]]


class Progress:
    """The newest progress of each own worker.

    Args:
        known: where it is kept for the own people.
        tell: reports to a coordinator.
    """

    EVERY_S = 0.5

    def __init__(self, known: dict[Seat, tuple[float, str]], tell: Tell) -> None:
        self._known, self._tell = known, tell
        self._fresh: set[Seat] = set()

    def set(self, seat: Seat, done: float, text: str) -> None:
        """Note it; told with the next round."""
        self._known[seat] = (min(max(done, 0.0), 1.0), text[:200])
        self._fresh.add(seat)

    def forget(self, seat: Seat) -> None:
        """Its worker is gone."""
        self._known.pop(seat, None)
        self._fresh.discard(seat)

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self.EVERY_S)
            fresh, self._fresh = self._fresh, set()
            for seat in fresh:
                if seat not in self._known:  # forgotten while others were told
                    continue
                done, text = self._known[seat]
                report = job_pb2.StepReport(
                    member=member_pb(seat.member),
                    step=seat.step(),
                    event=job_pb2.StepReport.PROGRESS,
                    progress=done,
                    progress_text=text,
                )
                with contextlib.suppress(FedError):  # the next one says more
                    await self._tell(seat.job.initiator, report)
