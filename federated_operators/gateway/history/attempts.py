"""What happens inside attempts: nothing after their end, the right resume point, no iteration twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.history.facts import Event, Facts
from federated_operators.gateway.history.job import Finding, JobHistory, of_step
from federated_operators.gateway.rows import AttemptRow, StepRow

Place = tuple[str, int, str]  # component, generation, member; no member: the coordinator
Point = tuple[int, int]  # attempt and round of a checkpoint
BEGINNING: Point = (0, 0)
STORED, KNOWN = "checkpoint stored", "checkpoint known"
_CHECKPOINT = re.compile(r"\S+ round ([0-9]+) ([0-9a-f]*)")
_STARTS = {"start", "started", "start without a worker"}
_COORDINATOR = {"start", "prepared", "commit", "end attempt", KNOWN}
_MEMBER = {"started", "start without a worker", "outputs stored", STORED, "committed"}
_ENDS = {"end attempt", "commit", "attempt ended", "committed"}
_AFTER_VERDICT = {"verdict": _COORDINATOR, "verdict adopted": {"started", "committed"}}


def fencing(job: JobHistory) -> Iterator[Finding]:
    """No event of an attempt after it ended, after a newer one started, or after the verdict."""
    for facts in job.facts.values():
        for event, text in [*_after_end(facts), *_after_verdict(facts)]:
            found = f"event {event.id}, {event.event!r} of attempt {event.attempt}, {text}"
            yield job.finding("fencing", found, facts.party, component=event.component)


def _after_end(facts: Facts) -> Iterator[tuple[Event, str]]:
    started: dict[Place, int] = defaultdict(int)
    ended: dict[Place, int] = defaultdict(int)
    for event in facts.events:
        place = (event.component, event.generation, "" if event.event in _COORDINATOR else event.member)
        if event.event in _COORDINATOR | _MEMBER:
            if event.attempt < started[place]:
                yield event, f"follows the start of attempt {started[place]}"
            elif event.attempt <= ended[place] and event.event != KNOWN:  # a report may be longer under way
                yield event, f"follows the end of attempt {ended[place]}"
        if event.event in _STARTS:
            started[place] = max(started[place], event.attempt)
        if event.event in _ENDS:
            ended[place] = max(ended[place], event.attempt)


def _after_verdict(facts: Facts) -> Iterator[tuple[Event, str]]:
    for verdict, names in _AFTER_VERDICT.items():
        given = {event.generation: event.id for event in reversed(facts.noted(verdict))}
        for event in facts.noted(*names):
            if event.id > given.get(event.generation, event.id):
                yield event, f"follows the verdict of generation {event.generation}"


def resume(job: JobHistory) -> Iterator[Finding]:
    """An attempt goes on from the newest checkpoint that every member had stored when it started, or from none."""
    for facts, step in job.steps():
        members = [str(member) for member in job.components.get(step.component, ())]
        common = _common_at_starts(facts, step, members)
        for row in facts.all(AttemptRow, **of_step(step)):
            point = (row.resume_attempt, row.resume_round)
            if point != common.get(row.attempt, BEGINNING):
                text = f"attempt {row.attempt} goes on from {point}, all had {common.get(row.attempt, BEGINNING)}"
                yield job.finding("resume", text, facts.party, component=step.component)
            yield from _at_members(job, step, row, point)


def _common_at_starts(facts: Facts, step: StepRow, members: list[str]) -> dict[int, Point]:
    """Attempt -> newest checkpoint that all members had, replayed from what the coordinator heard."""
    stored: dict[str, set[Point]] = {member: set() for member in members}
    common: dict[int, Point] = {}
    for event in facts.noted("start", KNOWN, **of_step(step)):
        if event.event == KNOWN:
            stored.setdefault(event.member, set()).update((event.attempt, at) for at in _round(event))
        else:
            point = max(set.intersection(*stored.values()) if stored else (), default=BEGINNING)
            common[event.attempt] = point
            stored = {member: {point} & had for member, had in stored.items()}
    return common


def _at_members(job: JobHistory, step: StepRow, row: AttemptRow, point: Point) -> Iterator[Finding]:
    """Whether every member has stored the point, and was told this point."""
    for member, facts, own in job.seats(step):
        stored = facts.noted(STORED, **of_step(step), attempt=point[0])
        rounds = {at for event in stored if event.member == str(member) for at in _round(event)}
        if point != BEGINNING and point[1] not in rounds:
            text = f"attempt {row.attempt} goes on from {point}, {member} never stored that"
            yield job.finding("resume", text, facts.party, component=step.component)
        if own and own.attempt == row.attempt:
            told = job_pb2.StepCommand.FromString(own.start).resume_from
            if (told.attempt, told.round) != point:
                text = f"attempt {row.attempt} goes on from {point}, {member} from {(told.attempt, told.round)}"
                yield job.finding("resume", text, facts.party, component=step.component)


def repeat(job: JobHistory) -> Iterator[Finding]:
    """No iteration at or below the resume point of an attempt runs in it again, and none runs twice."""
    points = _points(job)
    for facts in job.facts.values():
        seen: dict[tuple[object, ...], str] = {}
        for event in facts.noted(STORED):
            found = _CHECKPOINT.fullmatch(event.reason)
            if found is None:
                continue
            number, digest = int(found[1]), found[2]
            attempt = (event.component, event.generation, event.attempt)
            point = points.get(attempt, BEGINNING)
            if point != BEGINNING and number <= point[1]:
                text = f"{event.member} stored round {number} in attempt {event.attempt}, which went on from {point}"
                yield job.finding("repeat", text, facts.party, component=event.component)
            if seen.setdefault((*attempt, event.member, number), digest) != digest:
                text = f"{event.member} ran round {number} of attempt {event.attempt} twice"
                yield job.finding("repeat", text, facts.party, component=event.component)


def _points(job: JobHistory) -> Mapping[tuple[str, int, int], Point]:
    """Resume points of attempts: as the coordinator decided, else as members were told."""
    told: dict[tuple[str, int, int], Point] = {}
    for _, own in job.own():
        start = job_pb2.StepCommand.FromString(own.start)
        at = start.resume_from
        told[own.component, own.generation, start.step.attempt] = (at.attempt, at.round)
    rows = job.coordinator.all(AttemptRow) if job.coordinator else []
    decided = {(row.component, row.generation, row.attempt): (row.resume_attempt, row.resume_round) for row in rows}
    return {**told, **decided}


def _round(event: Event) -> list[int]:
    found = _CHECKPOINT.fullmatch(event.reason)
    return [int(found[1])] if found else []
