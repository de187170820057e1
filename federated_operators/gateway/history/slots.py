"""Slots: nothing runs at a party without one, and no party gives more than it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from federated_operators.gateway.history.facts import Event
from federated_operators.gateway.history.job import Finding, JobHistory
from federated_operators.gateway.rows import JobRow, LeaseRow
from federated_operators.gateway.verdicts import STATES

_TAKEN = re.compile(r"\S+ ([0-9]+) of ([0-9]+)")


def taken(job: JobHistory) -> Iterator[Finding]:
    """Every start at a member follows its slot, which was one of those that the party had; the job's end frees all."""
    for facts in job.facts.values():
        slots = facts.noted("slot taken")
        for lease in facts.all(LeaseRow) if any(row.state in STATES.values() for row in facts.all(JobRow)) else ():
            text = f"{lease.member} has a slot, or waits for one, in a job that has ended"
            yield job.finding("slots", text, facts.party, component=lease.component)
        for event in slots:
            found = _TAKEN.fullmatch(event.reason)
            if found is None or int(found[1]) > int(found[2]):
                text = f"event {event.id} takes a slot that is not there: {event.reason[:60]!r}"
                yield job.finding("slots", text, facts.party, component=event.component)
        had = {_attempt(event): event.id for event in reversed(slots)}
        for event in facts.noted("started"):
            if had.get(_attempt(event), event.id) >= event.id:
                text = f"attempt {event.attempt} started at {event.member} without a slot"
                yield job.finding("slots", text, facts.party, component=event.component)


def _attempt(event: Event) -> tuple[str, int, int, str]:
    return event.component, event.generation, event.attempt, event.member
