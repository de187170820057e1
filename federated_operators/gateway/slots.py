"""The coordinator's side of slots: before a step is called, every member's party keeps one for it.

Parties are asked one after the other, in one order for all coordinators, so that two jobs seldom hold what the other
needs. Where they do all the same (a slot was given back and asked for again), whoever holds slots without getting the
next one gives them back after a few seconds and waits in line where it is refused, holding nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from federated_operators.gateway.names import Job
from federated_operators.gateway.rows import MemberRow, StepRow
from federated_operators.gateway.steps import Command, Steps, of_step

NONE, ASKED, HELD = 0, 1, 2  # MemberRow.lease
HOLD_S = 5.0  # how long slots are held without the next one
Step = tuple[object, ...]


class Slots:
    """Leases of steps.

    Args:
        monotonic: seconds, for waiting only.
    """

    def __init__(self, steps: Steps, monotonic: Callable[[], float]) -> None:
        self._steps, self._monotonic = steps, monotonic
        self._until: dict[Step, float] = {}  # when held slots are given back

    def complete(self, step: StepRow) -> bool:
        """Whether every member has its slot; if not, the next party is asked."""
        members = self._steps.members(step)
        missing = [row for row in members if row.lease != HELD]
        if not missing:
            self._until.pop(_name(step), None)
            return True
        if not any(row.lease == ASKED for row in missing):
            self._ask(step, missing[0])
        if any(row.lease == HELD for row in members):
            self._until.setdefault(_name(step), self._monotonic() + HOLD_S * random.uniform(0.6, 1.0))  # noqa: S311 - jitter
        return False

    def granted(self, step: StepRow, member: MemberRow, number: int) -> None:
        """A party keeps a slot; one that was returned meanwhile is on its way back."""
        if member.lease == ASKED and member.lease_number == number:
            self._steps.store.put(replace(member, lease=HELD))
            self._until.pop(_name(step), None)

    def give_back(self, step: StepRow) -> None:
        """Return all slots of a step, and leave all lines."""
        self._release(step, self._steps.members(step))
        self._until.pop(_name(step), None)

    def forget(self, job: Job) -> None:
        """The job has ended: its parties free its slots themselves."""
        self._until = {step: until for step, until in self._until.items() if step[:2] != (job.initiator, job.job_id)}

    def tick(self, steps: Sequence[StepRow]) -> None:
        """Give back what was held too long without the rest; the line where the step waits is kept."""
        for step in steps:
            if self._until.get(_name(step), float("inf")) <= self._monotonic():
                del self._until[_name(step)]
                self._steps.note(step, "slots given back", "another party has none free")
                self._release(step, [row for row in self._steps.members(step) if row.lease == HELD])

    def _ask(self, step: StepRow, member: MemberRow) -> None:
        asked = replace(member, lease=ASKED, lease_number=member.lease_number + 1)
        self._steps.store.put(asked)
        self._steps.order(replace(step, attempt=step.attempt + 1), asked, Command.LEASE)

    def _release(self, step: StepRow, members: Sequence[MemberRow]) -> None:
        for row in members:
            if row.lease != NONE:
                self._steps.store.put(replace(row, lease=NONE))
                self._steps.order(replace(step, attempt=step.attempt + 1), row, Command.RELEASE)


def _name(step: StepRow) -> Step:
    return tuple(of_step(step).values())
