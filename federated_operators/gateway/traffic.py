"""Bytes of messages that went through this gateway, for the own people: counted in this process, never stored."""

from __future__ import annotations

from dataclasses import dataclass

from federated_operators.gateway.names import Job, Seat


@dataclass
class Bytes:
    """Of one own member in one step, what was sent again included."""

    sent: int = 0
    received: int = 0


class Traffic:
    """Counters of own members."""

    def __init__(self) -> None:
        self._of: dict[Seat, Bytes] = {}

    def sent(self, seat: Seat, size: int) -> None:
        """The worker in ``seat`` sent so many."""
        self._of.setdefault(seat, Bytes()).sent += size

    def received(self, seat: Seat, size: int) -> None:
        """The worker in ``seat`` was given so many."""
        self._of.setdefault(seat, Bytes()).received += size

    def of(self, seat: Seat) -> Bytes:
        """So far."""
        return self._of.get(seat, Bytes())

    def forget(self, job: Job) -> None:
        """The job is history."""
        for seat in [seat for seat in self._of if seat.job == job]:
            del self._of[seat]
