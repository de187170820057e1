"""The record of decisions is whole: in order, without gaps, and with a line for everything that the rows say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.history.facts import Facts, PartyHistory
from federated_operators.gateway.history.job import Finding, JobHistory, of_step, shown, verdict_name
from federated_operators.gateway.rows import (
    AttemptRow,
    CheckpointRow,
    GenerationRow,
    JobRow,
    LeaseRow,
    MemberRow,
    OwnRow,
    StepRow,
    VerdictRow,
)
from federated_operators.gateway.verdicts import STATES

RULE = "record"
OPENING = "opening"  # a gateway starts: after a boot, the monotonic clock counts anew
State = job_pb2.StepState
Wanted = tuple[str, dict[str, object], str]  # name of an event, its values, the member that its reason begins with
_DECIDED: dict[int, str] = {State.FAILED: "step failed", State.SKIPPED: "skipped"}
_OWN = {State.STARTED: "started", State.PREPARED: "outputs stored", State.COMMITTED: "committed"}


def order(party: PartyHistory) -> Iterator[Finding]:
    """Ids without gaps; monotonic time never goes back but at a start of the gateway."""
    for before, event in pairwise(party.events):
        if event.id != before.id + 1:
            found = f"events {before.id + 1} to {event.id - 1} are missing"
            yield Finding(RULE, event.initiator, event.job_id, event.component, (party.party,), found)
        if event.monotonic < before.monotonic and event.event != OPENING:
            found = f"event {event.id}, {event.event!r}, is older than the one before it"
            yield Finding(RULE, event.initiator, event.job_id, event.component, (party.party,), found)


def decisions(job: JobHistory) -> Iterator[Finding]:
    """Everything that a row says was decided has its line."""
    for party, facts in job.facts.items():
        wanted = [*_own(facts), *(_coordinator(facts) if party == job.job.initiator else ())]
        for name, where, member in wanted:
            if not any(event.member == member or not member for event in facts.noted(name, **where)):
                which = ", ".join(f"{key} {value}" for key, value in where.items() if key != "component")
                text = f"no event {name!r} {member} ({which})"
                yield job.finding(RULE, text, party, component=str(where.get("component", "")))
        yield from _verdict_words(job, facts)


def _coordinator(facts: Facts) -> Iterator[Wanted]:
    for verdict in facts.all(VerdictRow):
        yield "verdict", {"generation": verdict.generation}, ""
    for attempt in facts.all(AttemptRow):
        at = {**of_step(attempt), "attempt": attempt.attempt}
        yield "start", at, ""
        if attempt.outcome:
            yield "commit" if attempt.outcome == "committed" else "end attempt", at, ""
    for step in facts.all(StepRow):
        at = {**of_step(step), "attempt": step.attempt}
        if step.state in _DECIDED:
            yield _DECIDED[step.state], at, ""
        for member in facts.all(MemberRow, **of_step(step)):
            if member.state in (State.PREPARED, State.COMMITTED):
                yield "prepared", at, member.member
    for stored in facts.all(CheckpointRow):
        yield "checkpoint known", {**of_step(stored), "attempt": stored.attempt}, stored.member


def _own(facts: Facts) -> Iterator[Wanted]:
    for row in facts.all(OwnRow):
        for state, name in _OWN.items():
            if state <= row.state <= State.COMMITTED:
                yield name, {**of_step(row), "attempt": row.attempt}, row.member
    for lease in facts.all(LeaseRow, held=1):
        yield "slot taken", {**of_step(lease), "attempt": lease.attempt}, lease.member
    for generation in facts.all(GenerationRow):
        yield "reopened", {"generation": generation.generation}, ""
    for job in facts.all(JobRow):
        if job.state in STATES.values():
            yield "verdict adopted", {"generation": job.generation}, ""


def _verdict_words(job: JobHistory, facts: Facts) -> Iterator[Finding]:
    """What the record says of a verdict is what the row says."""
    for row in facts.all(VerdictRow):
        words = {"verdict": verdict_name(row), "verdict adopted": shown(row)}
        for event in facts.noted(*words, generation=row.generation):
            if not event.reason.startswith(words[event.event]):
                text = f"event {event.event!r} says {event.reason[:40]!r}, the row {verdict_name(row)}"
                yield job.finding(RULE, text, facts.party)
