"""Slots of this party: how many steps may run here at once, and who comes next.

Slots are given in the order in which this gateway admitted the jobs, among the steps that wait at all of their
members: only those are asked for. Where an initiator has its share, the next in line of another one comes first. A
lease ends with its attempt, with a failed call, or with the job.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job, Seat
from federated_operators.gateway.rows import JobRow, LeaseRow
from federated_operators.gateway.store import Store
from federatedml.federation.party import Member

Report = job_pb2.StepReport


class Leases:
    """Grants and takes back.

    Args:
        slots: how many there are, as the policy says now.
        report: tells a lease's coordinator an event, with words for people; of a grant, how many of them are taken.
        share: how many of them jobs of one initiator may have; None: all.
    """

    def __init__(
        self,
        store: Store,
        slots: Callable[[], int],
        report: Callable[[LeaseRow, Seat, int, str], None],
        share: Callable[[str], int | None] = lambda initiator: None,
    ) -> None:
        self._store, self._slots, self._report, self._share = store, slots, report, share

    def ask(self, seat: Seat, generation: int, attempt: int, number: int) -> None:
        """Put a member in line for a slot. A repeated wish changes nothing."""
        known = self._of(seat)
        if known and (known.generation, known.number) >= (generation, number):
            return
        self._delete(seat)
        job = self._store.get(JobRow, **seat.job.where)
        names = (seat.job.initiator, seat.job.job_id, seat.component, generation, str(seat.member))
        self._store.put(LeaseRow(*names, attempt, number, job.admitted if job else 0))
        self._grant()
        row = self._of(seat)
        if row and not row.held:
            self._report(row, seat, Report.LEASE_WAITS, self.why(seat))

    def give_back(self, seat: Seat, number: int | None = None) -> None:
        """Free the slot, or leave the line.

        Args:
            number: of the wish that is over; a newer one stays. None: any.
        """
        row = self._of(seat)
        if row and (number is None or row.number <= number):
            self._delete(seat)
            self._grant()

    def end(self, job: Job) -> None:
        """Free all slots of a job."""
        if self._store.get(LeaseRow, **job.where):
            self._store.delete(LeaseRow, **job.where)
            self._grant()

    def asked(self, seat: Seat) -> bool:
        """Whether the member has a slot, or is in line for one."""
        return self._of(seat) is not None

    def held(self, seat: Seat) -> bool:
        """Whether a slot is taken for this member."""
        row = self._of(seat)
        return row is not None and bool(row.held)

    def why(self, seat: Seat) -> str:
        """What a member in line waits for, in words; empty if it is not in line."""
        row = self._of(seat)
        if row is None or row.held:
            return ""
        rows = self._store.select(LeaseRow)
        taken = sum(other.held for other in rows)
        share, has = self._share(row.initiator), sum(other.held for other in rows if other.initiator == row.initiator)
        if share is not None and has >= share:
            return f"a slot at party {seat.member.party}: jobs of party {row.initiator} have {has} of their {share}"
        before = sum(not other.held and _place(other) < _place(row) for other in rows)
        return f"a slot at party {seat.member.party}: {taken} of {self._slots()} are taken, {before} in line before it"

    def regrant(self) -> None:
        """Give slots that a changed policy, or a restart, has freed."""
        if self._store.get(LeaseRow, held=0):
            self._grant()

    def _grant(self) -> None:
        with self._store.transaction():
            rows = self._store.select(LeaseRow)
            slots, taken = self._slots(), Counter(row.initiator for row in rows if row.held)
            for row in sorted((row for row in rows if not row.held), key=_place):
                if taken.total() >= slots:
                    return
                share = self._share(row.initiator)
                if share is not None and taken[row.initiator] >= share:
                    continue
                taken[row.initiator] += 1
                self._store.put(replace(row, held=1))
                seat = Seat(Job(row.initiator, row.job_id), row.component, Member.parse(row.member))
                self._report(row, seat, Report.LEASE_GRANTED, f"{taken.total()} of {slots}")

    def _of(self, seat: Seat) -> LeaseRow | None:
        return self._store.get(LeaseRow, **seat.where)

    def _delete(self, seat: Seat) -> None:
        self._store.delete(LeaseRow, **seat.where)


def _place(row: LeaseRow) -> tuple[int, str, str]:
    return row.admitted, row.component, row.member
