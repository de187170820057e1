"""Compares the own scheduler with the jobs that should run: whatever ended a run there, this finds it."""

from __future__ import annotations

import asyncio
import logging

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.coordinator import ENDED_BY_PERSON
from federated_operators.gateway.names import CONCLUDE, Job, member_pb
from federated_operators.gateway.own_steps import REPORT
from federated_operators.gateway.plan import JobPlan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, OutputRow, VerdictRow
from federated_operators.gateway.runs import Run, RunControl, RunState
from federated_operators.gateway.store import Store
from federatedml.errors import FedError
from federatedml.federation.party import Member

EVERY_S = 2.0
RUN_FAILED = "FED-452"
log = logging.getLogger(__name__)


class Reconciler:
    """One batch question to the scheduler every two seconds, while jobs run."""

    def __init__(self, store: Store, roster: Roster, control: RunControl) -> None:
        self._store, self._roster, self._control = store, roster, control
        self._told: set[Run] = set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.once()
            except FedError as error:
                log.info("own runs could not be read: %s", error)
            except Exception:
                log.exception("own runs could not be read")

    async def once(self) -> None:
        """Compare now."""
        plans = {Run(plan.dag_id, plan.job_id): plan for plan in self._active()}
        for state in await self._control.states(list(plans)) if plans else []:
            plan = plans[state.run]
            if state.run not in self._told and self._ended(plan, state):
                self._told.add(state.run)
                tell_run_ended(self._store, plan, _why(state))

    def _active(self) -> list[JobPlan]:
        rows = [row for state in ("proposed", "running") for row in self._store.select(JobRow, state=state)]
        jobs = [Job(row.initiator, row.job_id) for row in rows if not self._verdict(row)]
        return [plan for job in jobs for plan in self._roster.plans(job)]

    def _verdict(self, row: JobRow) -> VerdictRow | None:
        return self._store.get(VerdictRow, initiator=row.initiator, job_id=row.job_id, generation=row.generation)

    def _ended(self, plan: JobPlan, state: RunState) -> bool:
        """Whether the run ended although nobody decided so; success is right where ``conclude`` was committed."""
        job = Job(plan.initiator.party, plan.job_id)
        row = self._store.get(JobRow, **job.where)
        if state.state not in ("failed", "success") or row is None or self._verdict(row):
            return False
        concluded = self._store.get(OutputRow, **job.where, component=CONCLUDE, member=str(plan.me))
        return concluded is None


def tell_run_ended(store: Store, plan: JobPlan, failure: pb.Failure) -> None:
    """Report to the coordinator that this member's run is over."""
    job = Job(plan.initiator.party, plan.job_id)
    report = job_pb2.StepReport(
        member=member_pb(plan.me),
        step=pb.StepKey(job=job.key()),
        event=job_pb2.StepReport.RUN_ENDED,
        failure=failure,
    )
    store.event("run ended", job, party=plan.me.party, reason=failure.message)
    store.post(job.initiator, REPORT, report.SerializeToString())


def cancelled(member: Member, by: str, reason: str) -> pb.Failure:
    """A person of ``member``'s party wants the job to end."""
    text = f"cancelled by {by or 'somebody'}{': ' if reason else ''}{reason}"
    return pb.Failure(code=ENDED_BY_PERSON, message=text[:500], member=member_pb(member))


def _why(state: RunState) -> pb.Failure:
    code = ENDED_BY_PERSON if state.by else RUN_FAILED
    word = "marked success" if state.state == "success" else "failed"
    by = f" by {state.by}" if state.by else ""
    task = f", task {state.failed_task} failed" if state.failed_task else ""
    return pb.Failure(code=code, message=f"the run was {word}{by}{task}", component=state.failed_task)
