"""Bytes of messages that went through this gateway, for the own people: counted in this process, never stored."""

from __future__ import annotations

from dataclasses import dataclass

from federated_operators.gateway.names import Job, Seat

MOST_JOBS = 1000  # that are remembered: those whose steps began last


@dataclass
class Bytes:
    """Of one own member in one step, what was sent again included."""

    sent: int = 0
    received: int = 0


class Traffic:
    """Counters of own members."""

    def __init__(self) -> None:
        self._of: dict[Job, dict[Seat, Bytes]] = {}

    def sent(self, seat: Seat, size: int) -> None:
        """The worker in ``seat`` sent so many."""
        self._counted(seat).sent += size

    def received(self, seat: Seat, size: int) -> None:
        """The worker in ``seat`` was given so many."""
        self._counted(seat).received += size

    def of(self, seat: Seat) -> Bytes:
        """So far."""
        return self._of.get(seat.job, {}).get(seat, Bytes())

    def _counted(self, seat: Seat) -> Bytes:
        seats = self._of.get(seat.job)
        if seats is None or seat not in seats:
            seats = self._of[seat.job] = self._of.pop(seat.job, {})  # the newest is the last
            seats[seat] = Bytes()
            if len(self._of) > MOST_JOBS:
                del self._of[next(iter(self._of))]
        return seats[seat]
