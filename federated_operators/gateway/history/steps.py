"""Attempts and commits of steps: counted without gaps, in order, and the same at every member."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.history.facts import Facts
from federated_operators.gateway.history.job import Finding, JobHistory, of_step
from federated_operators.gateway.names import member_of
from federated_operators.gateway.rows import AttemptRow, MemberRow, OutputRow, OwnRow, StepRow
from federatedml.federation.party import Member

State = job_pb2.StepState
COMMITTED = "committed"


def attempts(job: JobHistory) -> Iterator[Finding]:
    """Numbered 1..n; all but the newest are closed, each before the next one starts; only the newest may commit."""
    for facts, step in job.steps():
        rows = facts.all(AttemptRow, **of_step(step))
        numbers = [row.attempt for row in rows]
        if numbers != list(range(1, step.attempt + 1)):
            text = f"attempts {numbers}, the step counts {step.attempt}"
            yield job.finding("attempts", text, facts.party, component=step.component)
        for row in rows:
            if text := _wrong(row, step) or _late(facts, row):
                yield job.finding("attempts", text, facts.party, component=step.component)


def _wrong(row: AttemptRow, step: StepRow) -> str:
    newest = row.attempt == step.attempt
    if newest and step.state == State.COMMITTED and row.outcome != COMMITTED:
        return f"the step is committed, its attempt {row.attempt} is {row.outcome or 'open'!r}"
    if row.outcome == COMMITTED and not (newest and step.state == State.COMMITTED):
        return f"attempt {row.attempt} is committed, the step is in attempt {step.attempt}, {_name(step.state)}"
    if newest and step.state == State.STARTED and row.outcome:
        return f"attempt {row.attempt} is {row.outcome!r}, the step is in it"
    if not row.outcome and (not newest or step.state in (State.WAITED, State.CALLED)):
        return f"attempt {row.attempt} is open, the step is in attempt {step.attempt}, {_name(step.state)}"
    return ""


def _late(facts: Facts, row: AttemptRow) -> str:
    """Whether an attempt was started twice, or before the one before it had ended."""
    starts = facts.noted("start", **of_step(row), attempt=row.attempt)
    ends = facts.noted("end attempt", **of_step(row), attempt=row.attempt - 1)
    if len(starts) > 1:
        return f"attempt {row.attempt} was started {len(starts)} times"
    if starts and row.attempt > 1 and not (ends and ends[0].id < starts[0].id):
        return f"attempt {row.attempt} was started before attempt {row.attempt - 1} had ended"
    return ""


def order(job: JobHistory) -> Iterator[Finding]:
    """Started before prepared before committed: at the coordinator for all members, and at each member."""
    for facts, step in job.steps():
        if step.state == State.COMMITTED:
            members = [str(member) for member in job.components.get(step.component, ())]
            at = {**of_step(step), "attempt": step.attempt}
            prepared = {event.member: event.id for event in facts.noted("prepared", **at)}
            for member in members:
                line = [*_ids(facts, "start", at), prepared.get(member, 0), *_ids(facts, "commit", at)]
                if line != sorted(line) or member not in prepared:
                    text = f"start, prepared of {member} and commit are events {line}"
                    yield job.finding("order", text, facts.party, component=step.component)
    for facts, row in job.own():
        if row.state == State.COMMITTED:
            at = {**of_step(row), "attempt": row.attempt}
            names = ("started", "outputs stored", COMMITTED)
            line = [id for name in names for id in _ids(facts, name, at, row.member)]
            if line != sorted(line) or len(line) != len(names):
                text = f"started, outputs stored and committed of {row.member} are events {line}"
                yield job.finding("order", text, facts.party, component=row.component)


def _ids(facts: Facts, name: str, at: dict[str, object], member: str = "") -> list[int]:
    return [event.id for event in facts.noted(name, **at) if not member or event.member == member]


def commit(job: JobHistory) -> Iterator[Finding]:
    """A committed step is committed at all members, with its attempt and its outputs; what is not, is at none."""
    for facts, step in job.steps():
        for member, own, row in job.seats(step):
            if text := _disagrees(facts, step, member, row):
                yield job.finding("commit", f"{member}: {text}", facts.party, own.party, component=step.component)
    decided = {(step.component, step.generation) for _, step in job.steps()}
    for own, row in job.own():
        if job.coordinator and row.state == State.COMMITTED and (row.component, row.generation) not in decided:
            text = f"{row.member} has committed what the coordinator does not know"
            yield job.finding("commit", text, own.party, component=row.component)


def _disagrees(facts: Facts, step: StepRow, member: Member, row: OwnRow | None) -> str:
    if step.state != State.COMMITTED:
        return "committed here, not at the coordinator" if row and row.state == State.COMMITTED else ""
    known = facts.one(MemberRow, **of_step(step), member=str(member))
    if known is None or known.state != State.COMMITTED:
        return "not committed in the coordinator's list of members"
    state = row.state if row else State.WAITED
    if state != State.COMMITTED and not (state == State.PREPARED and _ordered(facts, step, member)):
        return f"the step is committed, here it is {_name(state)} and no order is under way"
    if row is None or row.attempt != step.attempt:
        return f"attempt {step.attempt} is committed, here attempt {row.attempt if row else 0}"
    if hashlib.sha256(row.outputs).digest() != known.outputs_digest:
        return "the outputs are not those that were prepared"
    return ""


def _ordered(facts: Facts, step: StepRow, member: Member) -> bool:
    """Whether the order to commit still waits for an answer."""
    letters = facts.unanswered(member.party, job_pb2.StepCommand)
    wanted = (job_pb2.StepCommand.COMMIT, step.component, step.generation, member)
    return any((x.action, x.step.component, x.step.generation, member_of(x.member)) == wanted for x in letters)


def outputs(job: JobHistory) -> Iterator[Finding]:
    """Current outputs are those of a committed step, and every newest committed step has them."""
    for party, facts in job.facts.items():
        for row in facts.all(OutputRow):
            own = facts.one(OwnRow, **of_step(row), member=row.member)
            if own is None or own.state != State.COMMITTED:
                text = f"outputs of {row.member} are current, its step is not committed"
                yield job.finding("outputs", text, party, component=row.component)
            elif (own.attempt, own.outputs) != (row.attempt, row.outputs):
                text = f"current outputs of {row.member} are not those of the committed attempt {own.attempt}"
                yield job.finding("outputs", text, party, component=row.component)
        for own in facts.all(OwnRow, state=State.COMMITTED):
            current = facts.one(OutputRow, component=own.component, member=own.member)
            if current is None or current.generation < own.generation:
                text = f"{own.member} has committed its step and has no current outputs"
                yield job.finding("outputs", text, party, component=own.component)


def _name(state: int) -> str:
    return job_pb2.StepState.Name(state) if state in job_pb2.StepState.values() else str(state)
