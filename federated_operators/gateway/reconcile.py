"""Compares the own scheduler with the jobs that should run: whatever ended a run or a task there, this finds it."""

from __future__ import annotations

import logging

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.coordinator import ENDED_BY_PERSON, TASK_OVER
from federated_operators.gateway.names import CONCLUDE, Job, Seat, member_pb
from federated_operators.gateway.own_steps import REPORT, OwnSteps
from federated_operators.gateway.plan import JobPlan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import PROPOSED, RUNNING, JobRow, OutputRow, SeenRow, VerdictRow
from federated_operators.gateway.runs import Run, RunControl, RunState, TaskState
from federated_operators.gateway.store import Store
from federated_operators.gateway.turns import take_turns
from federatedml.federation.party import Member

EVERY_S = 2.0
RUN_FAILED = "FED-452"
FIRST_TASKS = ("federate", "enrol")
State = job_pb2.StepState
# What an own step must be where the scheduler says that its task is over.
_RIGHT = {
    "success": (State.COMMITTED,),
    "failed": (State.FAILED, State.COMMITTED),
    "skipped": (State.SKIPPED,),
}
log = logging.getLogger(__name__)


class Reconciler:
    """Two batch questions to the scheduler every two seconds, while jobs run."""

    def __init__(self, store: Store, roster: Roster, own: OwnSteps, control: RunControl) -> None:
        self._store, self._roster, self._own, self._control = store, roster, own, control
        self._told: set[tuple[str, str, int, str]] = set()

    async def run(self) -> None:
        """For ever."""
        await take_turns(self.once, EVERY_S, "own runs could not be read", log)

    async def once(self) -> None:
        """Compare now."""
        plans = {Run(plan.dag_id, plan.job_id): plan for plan in self._active()}
        self._told = {key for key in self._told if Run(key[0], key[1]) in plans}
        if not plans:
            return
        for state in await self._control.states(list(plans)):
            if self._ended(plans[state.run], state):
                await self._tell_run(plans[state.run], state)
        for task in await self._control.tasks(list(plans)):
            if self._contradicts(plans[task.run], task):
                await self._tell_task(plans[task.run], task)

    def _active(self) -> list[JobPlan]:
        rows = [row for state in (PROPOSED, RUNNING) for row in self._store.select(JobRow, state=state)]
        jobs = [Job(row.initiator, row.job_id) for row in rows if not self._verdict(row)]
        return [plan for job in jobs for plan in self._roster.plans(job)]

    def _verdict(self, row: JobRow) -> VerdictRow | None:
        return self._store.get(VerdictRow, initiator=row.initiator, job_id=row.job_id, generation=row.generation)

    def _ended(self, plan: JobPlan, state: RunState) -> bool:
        """Whether the run ended although nobody decided so; success is right where ``conclude`` was committed."""
        row = self._job(plan)
        if state.state not in ("failed", "success") or row is None or self._verdict(row):
            return False
        concluded = self._store.get(OutputRow, **_job(plan).where, component=CONCLUDE, member=str(plan.me))
        return concluded is None or concluded.generation < self._roster.generation(_job(plan), CONCLUDE)

    def _contradicts(self, plan: JobPlan, task: TaskState) -> bool:
        """Whether a task is over in a way that nobody decided."""
        row = self._job(plan)
        if row is None or row.state not in (PROPOSED, RUNNING) or self._verdict(row):
            return False
        if task.task in FIRST_TASKS:
            return task.state == "failed"
        if row.state == PROPOSED:  # what others do then, they do because of the first
            return False
        if task.task != CONCLUDE and task.task not in plan.steps:
            return False
        return self._own.state(Seat(_job(plan), task.task, plan.me)) not in _RIGHT[task.state]

    async def _tell_run(self, plan: JobPlan, state: RunState) -> None:
        key = self._key(plan, "run")
        if key in self._told:
            return
        by = await self._control.ended_by(state.run, self._seen(plan))
        word = "marked success" if state.state == "success" else "failed"
        task = f", task {state.failed_task} failed" if state.failed_task else ""
        failure = self._failure(f"the run was {word}", by, RUN_FAILED, task)
        failure.component = state.failed_task
        tell_run_ended(self._store, plan, failure)
        self._told.add(key)

    async def _tell_task(self, plan: JobPlan, task: TaskState) -> None:
        """A person ends the job; what failed for another reason is a failed step, which the job may survive."""
        key = self._key(plan, task.task)
        if key in self._told:
            return
        by = await self._control.ended_by(task.run, self._seen(plan))
        word = {"success": "marked success", "skipped": "skipped"}.get(task.state, "failed")
        failure = self._failure(f"its task was {word}", by, TASK_OVER)
        failure.component = task.task
        failure.member.CopyFrom(member_pb(plan.me))
        if by or task.task in FIRST_TASKS:
            tell_run_ended(self._store, plan, failure)
        else:
            self._own.failed(Seat(_job(plan), task.task, plan.me), failure)
        self._told.add(key)

    def _failure(self, what: str, by: str, code: str, more: str = "") -> pb.Failure:
        text = f"{what}{f' by {by}' if by else ' in the scheduler'}{more}"
        return pb.Failure(code=ENDED_BY_PERSON if by else code, message=text)

    def _key(self, plan: JobPlan, what: str) -> tuple[str, str, int, str]:
        """What is told once in a generation."""
        row = self._job(plan)
        return plan.dag_id, plan.job_id, row.generation if row else 0, what

    def _seen(self, plan: JobPlan) -> int:
        row = self._store.get(SeenRow, **_job(plan).where, member=str(plan.me))
        return row.event if row else 0

    def _job(self, plan: JobPlan) -> JobRow | None:
        return self._store.get(JobRow, **_job(plan).where)


def tell_run_ended(store: Store, plan: JobPlan, failure: pb.Failure) -> None:
    """Report to the coordinator that this member's run is over."""
    job = _job(plan)
    row = store.get(JobRow, **job.where)
    report = job_pb2.StepReport(
        member=member_pb(plan.me),
        step=pb.StepKey(job=job.key(), generation=row.generation if row else 1),
        event=job_pb2.StepReport.RUN_ENDED,
        failure=failure,
    )
    store.event("run ended", job, party=plan.me.party, reason=failure.message)
    store.post(job.initiator, REPORT, report.SerializeToString())


def cancelled(member: Member, by: str, reason: str) -> pb.Failure:
    """A person of ``member``'s party wants the job to end."""
    text = f"cancelled by {by or 'somebody'}{': ' if reason else ''}{reason}"
    return pb.Failure(code=ENDED_BY_PERSON, message=text[:500], member=member_pb(member))


def _job(plan: JobPlan) -> Job:
    return Job(plan.initiator.party, plan.job_id)
