"""A letter that nobody will ever take: its job cannot go on, so it ends, with the reason."""

from __future__ import annotations

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.coordinator import COMMAND, Coordinator
from federated_operators.gateway.names import Job, Seat, failure_pb
from federated_operators.gateway.own_steps import REPORT
from federated_operators.gateway.reconcile import tell_run_ended
from federated_operators.gateway.reopening import REOPENED
from federated_operators.gateway.reruns import REOPEN
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import ACTIVE, JobRow
from federated_operators.gateway.store import Letter, Store
from federatedml.errors import FedError


class Undelivered:
    """Ends jobs: own ones, and others by asking their coordinator. What follows a verdict ends nothing."""

    def __init__(self, store: Store, roster: Roster, coordinator: Coordinator) -> None:
        self._store, self._roster, self._coordinator = store, roster, coordinator

    def __call__(self, letter: Letter, why: FedError) -> None:
        """The letter is lost for ``why``."""
        if letter.kind == COMMAND:
            command = job_pb2.StepCommand.FromString(letter.body)
            seat = Seat.of(command.step, command.member)
            self._coordinator.end(seat.job, job_pb2.JOB_FAILED, failure_pb(why, seat.member, seat.component))
        elif letter.kind == REOPEN:
            job = Job.of(job_pb2.RerunOrder.FromString(letter.body).job)
            self._coordinator.end(job, job_pb2.JOB_FAILED, failure_pb(why))
        elif letter.kind == REOPENED:
            self._ask_for_end(Job.of(job_pb2.RerunOrder.FromString(letter.body).job), failure_pb(why))
        elif letter.kind == REPORT:
            report = job_pb2.StepReport.FromString(letter.body)
            if report.event != job_pb2.StepReport.RUN_ENDED:  # which is the last thing that can be said
                failure = pb.Failure(component=report.step.component, member=report.member)
                failure.MergeFrom(failure_pb(why))
                self._ask_for_end(Job.of(report.step.job), failure)

    def _ask_for_end(self, job: Job, failure: pb.Failure) -> None:
        row = self._store.get(JobRow, **job.where)
        if row is not None and row.state in ACTIVE:
            tell_run_ended(self._store, self._roster.plan(job), failure)
