"""How jobs end: one verdict, the same everywhere, and what schedulers and model registries show agrees with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.history.facts import Facts
from federated_operators.gateway.history.job import Finding, JobHistory, shown
from federated_operators.gateway.names import CONCLUDE, Job
from federated_operators.gateway.plan import load_plan
from federated_operators.gateway.rows import JobRow, PlanRow, ProposalRow, StepRow, VerdictRow
from federated_operators.gateway.rules import Flow
from federated_operators.gateway.runs import Run, RunState
from federated_operators.gateway.verdicts import STATES
from federatedml.federation.party import Role

Notice = job_pb2.VerdictNotice


@dataclass(frozen=True)
class ModelVersion:
    """A version of a model in a party's registry.

    Attributes:
        released: the alias ``product`` was given to it, so that it can be served.
    """

    job: Job
    member: str
    released: bool


def verdict(job: JobHistory) -> Iterator[Finding]:
    """One per generation, the same at all parties; absent only where the coordinator still tries to tell it."""
    given = {row.generation for facts in job.facts.values() for row in facts.all(VerdictRow)}
    for generation in sorted(given):
        rows = {party: facts.one(VerdictRow, generation=generation) for party, facts in job.facts.items()}
        contents = {party: _content(row) for party, row in rows.items() if row}
        if len(set(contents.values())) > 1:
            names = ", ".join(f"{party} {content[0]}" for party, content in contents.items())
            yield job.finding("verdict", f"generation {generation}: {names}", *contents)
        for party in job.parties:
            if rows[party] is None and not _may_lack(job, party, generation):
                text = f"generation {generation} has a verdict elsewhere, and nobody tries to tell it"
                yield job.finding("verdict", text, party)
    for facts in job.facts.values():
        yield from _once(job, facts)
        yield from _state(job, facts)


def _content(row: VerdictRow) -> tuple[int, str, str]:
    failure = pb.Failure.FromString(row.failure)
    return row.verdict, failure.code, failure.message


def _may_lack(job: JobHistory, party: str, generation: int) -> bool:
    """Whether the party never agreed to the job, or the coordinator has not reached it yet (or was not read)."""
    if job.coordinator is None:
        return True
    if party == job.job.initiator:
        return False
    notices = job.coordinator.unanswered(party, Notice)
    if any(notice.generation == generation for notice in notices):
        return True
    answer = job.coordinator.one(ProposalRow, party=party)
    agreed = answer is None or answer.state in (job_pb2.ACCEPTED, job_pb2.ENROLLED)
    return not agreed and job.facts[party].one(JobRow) is None


def _once(job: JobHistory, facts: Facts) -> Iterator[Finding]:
    for name in ("verdict", "verdict adopted"):
        generations = [event.generation for event in facts.noted(name)]
        for generation in sorted({at for at in generations if generations.count(at) > 1}):
            yield job.finding("verdict", f"event {name!r} twice in generation {generation}", facts.party)


def _state(job: JobHistory, facts: Facts) -> Iterator[Finding]:
    row = facts.one(JobRow)
    if row is None:
        return
    known = facts.one(VerdictRow, generation=row.generation)
    expected = shown(known) if known and facts.noted("verdict adopted", generation=row.generation) else ""
    if (expected and row.state != expected) or (row.state in STATES.values() and not known):
        text = f"the job is {row.state!r}, its verdict says {expected or 'nothing'!r}"
        yield job.finding("verdict", text, facts.party)


def success(job: JobHistory) -> Iterator[Finding]:
    """A job succeeds only if every step, in the newest generation that included it, is committed or covered."""
    coordinator = job.coordinator
    if coordinator is None:
        return
    flow = Flow(job.plan.all_steps, job.plan.upstream, job.plan.trigger_rules)
    for row in coordinator.all(VerdictRow, verdict=job_pb2.SUCCEEDED):
        states = {step.component: step.state for step in coordinator.all(StepRow) if step.generation <= row.generation}
        for component in job.components:
            state = states.get(component)
            fine = (
                state in (job_pb2.COMMITTED, job_pb2.SKIPPED) if component != CONCLUDE else state == job_pb2.COMMITTED
            )
            if not fine and not (state == job_pb2.FAILED and flow.covered(component, states)):
                text = f"generation {row.generation} succeeded without this step"
                yield job.finding("success", text, coordinator.party, component=component)


def runs(job: JobHistory, states: Sequence[RunState]) -> Iterator[Finding]:
    """A run that has ended shows the verdict; a run whose job failed does not go on."""
    shown_by = {state.run: state for state in states}
    for facts in job.facts.values():
        for plan in [load_plan(row.plan) for row in facts.all(PlanRow)]:
            state = shown_by.get(Run(plan.dag_id, job.job.job_id))
            if state and (text := _run_disagrees(facts, state)):
                yield job.finding("run", f"{plan.me}: {text}", facts.party)


def _run_disagrees(facts: Facts, state: RunState) -> str:
    row = facts.one(JobRow)
    known = facts.one(VerdictRow, generation=row.generation) if row else None
    succeeded = known is not None and known.verdict == job_pb2.SUCCEEDED
    if state.state == "success" and not succeeded:
        return "the run shows success, the job did not succeed"
    if known is None or state.state == "success" or any(isinstance(x, Notice) for _, x in facts.letters):
        return ""
    if succeeded:
        return "the run shows failure, the job succeeded" if state.state == "failed" else ""
    refused = facts.noted("run not ended")
    return "" if state.state == "failed" or refused else f"the run is {state.state}, the job has ended without success"


def models(job: JobHistory, versions: Sequence[ModelVersion]) -> Iterator[Finding]:
    """Released at every guest and host if the job succeeded, else at none; no model at all is no error."""
    own = {version.member: version.released for version in versions if version.job == job.job}
    given = [row.verdict for facts in job.facts.values() for row in facts.all(VerdictRow)]
    expected = job_pb2.SUCCEEDED in given
    for member in job.plan.members if own else ():
        released = own.get(str(member), False)
        if member.role == Role.ARBITER and str(member) not in own:
            continue
        if released != expected:
            text = (
                f"{member} has {'a' if released else 'no'} released model, the job {'has' if expected else 'has not'}"
            )
            yield job.finding("model", f"{text} succeeded", member.party)
