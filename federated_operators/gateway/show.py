"""Jobs as people want to see them: the coordinator knows all members, every other party its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.coordinator import Coordinator
from federated_operators.gateway.names import CONCLUDE, Job, Seat, member_of, member_pb, moment
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.plan import JobPlan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import (
    RUNNING,
    UNKNOWN,
    JobRow,
    MemberRow,
    OwnRow,
    ProposalRow,
    StepRow,
    VerdictRow,
)
from federated_operators.gateway.rules import FINISHED
from federated_operators.gateway.steps import Steps
from federated_operators.gateway.store import Store
from federated_operators.gateway.traffic import Traffic
from federated_operators.gateway.unanswered import Unanswered
from federated_operators.gateway.verdicts import GIVEN_UP
from federatedml.federation.party import Member

PAGE = 32  # jobs in one answer
Progress = Mapping[Seat, tuple[float, str]]
State = job_pb2.StepState
_NOT_STARTED = (State.STEP_STATE_UNSPECIFIED, State.WAITED, State.CALLED, State.PRESENT, State.ABSENT)


class Show:
    """Views of the store.

    Args:
        silent: parties of a running job that nothing is heard of -> since when, in Unix seconds.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        coordinator: Coordinator,
        own: OwnSteps,
        traffic: Traffic | None = None,
        unanswered: Unanswered | None = None,
        silent: Callable[[Job], Mapping[str, float]] = lambda job: {},
    ) -> None:
        self._store, self._roster, self._coordinator, self._own = store, roster, coordinator, own
        self._traffic, self._unanswered = traffic or Traffic(), unanswered or Unanswered()
        self._silent, self._steps = silent, Steps(store, roster)

    def jobs(self, query: local_pb2.JobQuery) -> local_pb2.JobViews:
        """The jobs that the query names, newest first, ``PAGE`` at most: an answer must fit into a message."""
        where = {"initiator": query.initiator, "job_id": query.job_id}
        named = {name: value for name, value in where.items() if value}
        rows = self._store.newest_jobs(min(query.limit or PAGE, PAGE), query.skip, **named)
        return local_pb2.JobViews(jobs=[self._job(row) for row in rows])

    def unanswered(self, job: Job) -> str:
        """Who does not answer the job's proposal, or is silent while it runs, in words; empty: nobody is late."""
        silent = [f"party {party}, silent since {moment(at)}" for party, at in sorted(self._silent(job).items())]
        return self._unanswered.before(job, math.inf) or "; ".join(silent)

    def _job(self, row: JobRow) -> local_pb2.JobView:
        job = Job(row.initiator, row.job_id)
        plan = self._roster.plan(job)
        view = local_pb2.JobView(
            job=job.key(),
            pipeline=row.pipeline,
            state=row.state,
            steps=[self._step(job, row, plan, component) for component in [*_order(plan), CONCLUDE]],
            created_at=row.created_at,
            ended_at=row.ended_at,
            members=[member_pb(member) for member in plan.members],
            model_key=plan.model_key,
            generation=row.generation,
        )
        verdict = self._store.get(VerdictRow, **job.where, generation=row.generation)
        if verdict:
            view.by = verdict.by
            if verdict.failure:
                view.failure.ParseFromString(verdict.failure)
        if row.state == UNKNOWN:
            text = f"given up here; the verdict of party {job.initiator} is still to come"
            view.failure.CopyFrom(pb.Failure(code=GIVEN_UP, message=text))
        for answer in self._store.select(ProposalRow, **job.where):
            view.parties[answer.party].CopyFrom(self._unanswered.standing(answer))
        view.unanswered.update(self._unanswered.since(job) or (self._silent(job) if row.state == RUNNING else {}))
        return view

    def _step(self, job: Job, row: JobRow, plan: JobPlan, component: str) -> local_pb2.StepView:
        generation = self._roster.generation(job, component)
        where = {**job.where, "component": component, "generation": generation}
        view = local_pb2.StepView(
            component=component, module=plan.modules.get(component, CONCLUDE), generation=generation
        )
        step = self._store.get(StepRow, **where)
        if step:
            view.state, view.attempt = step.state, step.attempt  # type: ignore[assignment]
            view.started_at, view.ended_at = step.started_at, step.ended_at
        known: list[MemberRow] | list[OwnRow] = self._store.select(MemberRow, **where)
        for own in known or self._store.select(OwnRow, **where):
            view.members.append(self._member(Seat(job, component, Member.parse(own.member)), own, view.attempt))
        if not step and view.members:
            view.state, view.attempt = view.members[0].state, view.members[0].attempt
        if row.state == "running" and view.state in _NOT_STARTED:
            view.waits = self._why(job, component, view)
        return view

    def _why(self, job: Job, component: str, view: local_pb2.StepView) -> str:
        """What a step that has not started waits for, in words."""
        if job.initiator != self._roster.party:
            own = [Seat(job, component, plan.me) for plan in self._roster.plans(job)]
            there = any(step.state in (State.PRESENT, State.WAITED) for step in view.members)
            lines = (self._own.leases.why(seat) for seat in own)
            return next((f"waits for {text}" for text in lines if text), "waits for the other members" if there else "")
        states = self._steps.states(job)
        before = [name for name in self._roster.upstream(job, component) if states.get(name) not in FINISHED]
        if before:
            return f"after {', '.join(before)}"
        where = {**job.where, "component": component, "generation": view.generation}
        here = {row.member for row in self._store.select(MemberRow, **where) if row.state != State.ABSENT}
        absent = [member for member in self._roster.members(job, component) if str(member) not in here]
        if absent:
            return f"waits for {', '.join(f'{member.role} {member.party}' for member in absent)}"
        told = (self._coordinator.waits.get(Seat(job, component, member_of(step.member))) for step in view.members)
        return next((f"waits for {text}" for text in told if text), "waits for a slot")

    def _member(self, seat: Seat, row: MemberRow | OwnRow, attempt: int) -> local_pb2.MemberStep:
        progress: Progress = self._coordinator.progress if isinstance(row, MemberRow) else self._own.progress
        done, text = progress.get(seat, (0.0, ""))
        done = 1.0 if row.state == State.COMMITTED else done
        tried = attempt if isinstance(row, MemberRow) else row.attempt
        return local_pb2.MemberStep(
            member=member_pb(seat.member),
            state=row.state,  # type: ignore[arg-type]
            attempt=tried,
            progress=done,
            text=text,
            bytes_sent=self._traffic.of(seat).sent,
            bytes_received=self._traffic.of(seat).received,
        )


def _order(plan: JobPlan) -> list[str]:
    """Components in the order of the DSL, as people wrote it."""
    written = list(plan.dsl.get("components", {}))
    return sorted(plan.all_steps, key=lambda name: written.index(name) if name in written else len(written))
