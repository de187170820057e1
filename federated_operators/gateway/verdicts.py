"""What a gateway does when a job's verdict is known: adopt it, dismiss workers, end the own run, tidy up.

Adoption is a transaction; the rest is a letter to the own party, repeated until done and harmless when repeated.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import CONCLUDE, Job, failure_pb, words
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.passing import may_pass
from federated_operators.gateway.plan import JobPlan
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import ACTIVE, UNKNOWN, JobRow, OutputRow, OwnRow, VerdictRow
from federated_operators.gateway.runs import Run, RunControl
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.store import Store
from federatedml.errors import FedError, PeerError, ProtocolError
from federatedml.federation.home import PartyHome

EFFECTS = "effects"  # lane and kind of what remains to be done here
TRACKING = "tracking"  # and of what the hook must be told after that
RESTORED = "restored"  # kind: a job that was given up here has succeeded
STATES = {
    job_pb2.SUCCEEDED: "succeeded",
    job_pb2.JOB_FAILED: "failed",
    job_pb2.CANCELLED: "cancelled",
    job_pb2.TIMED_OUT: "timed_out",
}
GIVEN_UP = "FED-454"
LEAVE_S = 5.0  # how long workers of an ended job have to go before their files are removed
log = logging.getLogger(__name__)


class VerdictHook(Protocol):
    """Told of every verdict, and with none when a job runs again; once per own member, at least once. A retryable
    ``FedError`` asks to be told again."""

    def __call__(self, plan: JobPlan, verdict: int, failure: pb.Failure | None) -> None:
        """Runs in a thread of its own."""
        ...


def no_hook(plan: JobPlan, verdict: int, failure: pb.Failure | None) -> None:
    """Nobody wants to know."""


class Verdicts:
    """Verdicts as this party carries them out."""

    def __init__(
        self,
        store: Store,
        roster: Roster,
        own: OwnSteps,
        seats: Seats,
        home: PartyHome,
        control: RunControl,
        hook: VerdictHook,
    ) -> None:
        self._store, self._roster, self._own, self._seats = store, roster, own, seats
        self._home, self._control, self._hook = home, control, hook

    def adopt(self, notice: job_pb2.VerdictNotice) -> None:
        """Take over the coordinator's verdict; the first one stands."""
        job = Job.of(notice.job)
        failure = notice.failure.SerializeToString() if notice.HasField("failure") else b""
        verdict = VerdictRow(job.initiator, job.job_id, notice.generation, notice.verdict, failure, notice.by[:200])
        if notice.verdict not in STATES:
            raise ProtocolError("FED-351", f"verdict {notice.verdict} is not known")
        with self._store.transaction():
            row = self._store.get(JobRow, **job.where)
            if row is None or notice.generation < row.generation + (row.state in STATES.values()):
                return  # refused here, or repeated; a later generation may end that this party never followed
            known = self._store.get(VerdictRow, **job.where, generation=notice.generation)
            if known and known.verdict != notice.verdict:
                raise ProtocolError("FED-352", f"job {job.job_id} has another verdict already")
            self._store.put(verdict)
            self._store.put(
                replace(row, state=STATES[notice.verdict], generation=notice.generation, ended_at=time.time())
            )
            party = self._roster.party
            self._store.event("verdict adopted", job, generation=notice.generation, party=party, reason=_note(notice))
            given_up = row.state == UNKNOWN and notice.verdict == job_pb2.SUCCEEDED
            self._store.post(EFFECTS, RESTORED if given_up else EFFECTS, notice.SerializeToString())
            self._own.leases.end(job)
        self._own.dismiss(job, None if notice.verdict == job_pb2.SUCCEEDED else _failure(notice))

    def adopt_after(self, notice: job_pb2.VerdictNotice) -> None:
        """Take over a verdict that was asked for: after the orders that it would overtake.

        They come by themselves too, and change nothing then.
        """
        for command in notice.before:
            try:
                if command.step.job != notice.job:
                    raise ProtocolError("FED-358", "an order of another job came with a verdict")
                self._own.order(command)
            except Exception as error:
                if may_pass(error):
                    raise
                log.exception("an order of job %s cannot be carried out", notice.job.job_id)
        self.adopt(notice)

    def give_up(self, job: Job, by: str, reason: str) -> None:
        """A person gives up a job that only a silent coordinator could end: it ends here, its verdict stays unknown.

        Slots are free at once, processes and the own run end; the first verdict that comes replaces ``unknown``.
        """
        text = f"given up at party {self._roster.party}{': ' if reason else ''}{reason}"
        notice = job_pb2.VerdictNotice(job=job.key(), by=by[:200], failure=pb.Failure(code=GIVEN_UP, message=text))
        with self._store.transaction():
            row = self._store.get(JobRow, **job.where)
            if row is None or row.state not in ACTIVE:
                return
            notice.generation = row.generation
            self._store.put(replace(row, state=UNKNOWN, ended_at=time.time()))
            self._store.event(
                "given up", job, generation=row.generation, party=self._roster.party, reason=_note(notice)
            )
            self._store.post(EFFECTS, EFFECTS, notice.SerializeToString())
            self._own.leases.end(job)
        self._own.dismiss(job, notice.failure)

    async def restore(self, notice: job_pb2.VerdictNotice) -> None:
        """The job that was given up here has succeeded: its end, which has failed in the scheduler, is repeated."""
        job = Job.of(notice.job)
        for plan in self._roster.plans(job):
            await self._control.clear(Run(plan.dag_id, plan.job_id), [CONCLUDE])
        await self.carry_out(notice)

    async def carry_out(self, notice: job_pb2.VerdictNotice) -> None:
        """What the verdict, or that there is none, means here. Repeatable."""
        job = Job.of(notice.job)
        plans = self._roster.plans(job)
        if notice.verdict != job_pb2.SUCCEEDED:
            for plan in plans:
                await self._end_run(plan, _note(notice))
            await self._workers_gone(job)
            for plan in plans:
                await asyncio.to_thread(_remove, self._uncommitted(plan, decided=notice.verdict in STATES))
        if notice.verdict in STATES:
            self._store.post(TRACKING, TRACKING, notice.SerializeToString())
            self._store.event("verdict carried out", job, party=self._roster.party)

    async def tell_hook(self, notice: job_pb2.VerdictNotice) -> None:
        """Tell whoever wants to know. A lane of its own: while tracking is down, other jobs end all the same."""
        job = Job.of(notice.job)
        good = notice.verdict in (job_pb2.SUCCEEDED, job_pb2.VERDICT_UNSPECIFIED)
        failure = None if good else _failure(notice)
        for plan in self._roster.plans(job):
            await asyncio.to_thread(self._hook, plan, notice.verdict, failure)
        self._roster.forget(job)

    async def _end_run(self, plan: JobPlan, note: str) -> None:
        """Set the own run failed. A scheduler that refuses is no reason to leave outputs behind."""
        try:
            await self._control.fail(Run(plan.dag_id, plan.job_id), note)
        except FedError as error:
            if error.retryable:
                raise
            job = Job(plan.initiator.party, plan.job_id)
            self._store.event("run not ended", job, party=self._roster.party, reason=str(error))

    async def _workers_gone(self, job: Job) -> None:
        deadline = time.monotonic() + LEAVE_S
        while self._seats.of(job) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)

    def _uncommitted(self, plan: JobPlan, decided: bool) -> list[Path]:
        """Attempt folders of one member that no row calls current.

        Args:
            decided: the job has a verdict; without one, what is prepared stays: it may be committed already.
        """
        of_member = {"initiator": plan.initiator.party, "job_id": plan.job_id, "member": str(plan.me)}
        rows: list[OutputRow | OwnRow] = [*self._store.select(OutputRow, **of_member)]
        rows += self._store.select(OwnRow, **of_member, state=job_pb2.PREPARED) if not decided else []
        current = {(row.component, f"g{row.generation}", f"a{row.attempt}") for row in rows}
        folder = self._home.job_dir(plan.initiator.party, plan.job_id)
        attempts = folder.glob(f"*/{plan.me.role}/g*/a*")
        return [path for path in attempts if (path.parts[-4], path.parts[-2], path.parts[-1]) not in current]


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _failure(notice: job_pb2.VerdictNotice) -> pb.Failure:
    if notice.HasField("failure"):
        return notice.failure
    return failure_pb(PeerError("FED-405", f"the job was {STATES[notice.verdict]} by {notice.by or 'somebody'}"))


def _note(notice: job_pb2.VerdictNotice) -> str:
    """The note that people read beside the run."""
    by = f" by {notice.by}" if notice.by else ""
    why = f": {words(notice.failure)}" if notice.HasField("failure") else ""
    return f"{STATES.get(notice.verdict, UNKNOWN)}{by}{why}"
