"""The service for this party's own processes, over a Unix socket that only its user can open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2, local_pb2_grpc
from federated_operators.gateway.abandon import Abandonment
from federated_operators.gateway.admission import Admission
from federated_operators.gateway.agreement import Agreement
from federated_operators.gateway.client import SOMEBODY_IS_HERE
from federated_operators.gateway.coordinator import Coordinator
from federated_operators.gateway.door import status_of
from federated_operators.gateway.names import Job, Seat, failure_pb
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.policy import load_policy
from federated_operators.gateway.reconcile import cancelled, tell_run_ended
from federated_operators.gateway.reopening import Ask, Reopening
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.show import Show
from federated_operators.gateway.waiting import Waiting
from federatedml.errors import FedError, PolicyError, ProtocolError

News = local_pb2.AdmissionNews


class LocalService(local_pb2_grpc.LocalServicer):
    """One method per RPC of ``Local``."""

    def __init__(
        self,
        roster: Roster,
        agreement: Agreement,
        admission: Admission,
        coordinator: Coordinator,
        own: OwnSteps,
        show: Show,
        waiting: Waiting,
        reopening: Reopening,
        ask_rerun: Ask,
        abandonment: Abandonment,
    ) -> None:
        self._abandonment = abandonment
        self._waiting, self._reopening, self._ask_rerun = waiting, reopening, ask_rerun
        self._roster, self._agreement, self._admission = roster, agreement, admission
        self._coordinator, self._own, self._show = coordinator, own, show

    async def Federate(self, request: local_pb2.FederateRequest, context: Any) -> AsyncIterator[News]:  # noqa: N802
        """Propose a job and see it enrolled everywhere."""
        yield SOMEBODY_IS_HERE
        await self._judge(self._roster.party, request.job_id, request.dag_id)
        async for news in self._admission.federate(request):
            yield news

    async def EnrolRun(self, request: local_pb2.EnrolRequest, context: Any) -> AsyncIterator[News]:  # noqa: N802
        """Whether a run belongs to a job that was agreed."""
        yield SOMEBODY_IS_HERE
        try:
            job = Job.of(pb.JobKey(initiator=request.initiator, job_id=request.job_id))
            plan = next((plan for plan in self._roster.plans(job) if plan.dag_id == request.dag_id), None)
            if plan is None:
                text = f"no job {request.job_id} of party {request.initiator} was agreed for DAG {request.dag_id}"
                raise ProtocolError("FED-353", text, "it was started by hand: start it at the initiator")
            await self._reopening.judge(plan, self._ask_rerun)
            if plan.spec_digest != request.spec_digest:
                raise ProtocolError("FED-354", "this DAG was not built from the pipeline that was agreed")
        except FedError as error:
            yield News(done=True, failure=failure_pb(error))
            return
        yield News(done=True, job_dir=str(self._agreement.home.job_dir(job.initiator, job.job_id)))

    async def Await(self, request: local_pb2.AwaitRequest, context: Any) -> local_pb2.AwaitReply:  # noqa: N802
        """Answers when the task shall come: its step is called, or decided."""
        try:
            seat = Seat.of(pb.StepKey(job=request.job, component=request.component), request.member)
            await self._waiting.until(seat, lambda: self._own.awaited(seat))
        except FedError as error:
            await context.abort(status_of(error), str(error))
        return local_pb2.AwaitReply()

    async def AwaitAdmission(self, request: pb.JobKey, context: Any) -> local_pb2.AwaitReply:  # noqa: N802
        """Answers when the first task of an own job shall come: its parties have answered, or nobody asks them."""
        try:
            await self._admission.settled(Job.of(request))
        except FedError as error:
            await context.abort(status_of(error), str(error))
        return local_pb2.AwaitReply()

    async def Rerun(self, request: job_pb2.RerunOrder, context: Any) -> job_pb2.RerunAnswer:  # noqa: N802
        """A person of this party wants a rerun: decided by the job's coordinator."""
        request.party = self._roster.party
        try:
            Job.of(request.job)
            return await self._ask_rerun(request)
        except FedError as error:
            return job_pb2.RerunAnswer(failure=failure_pb(error))

    async def _judge(self, initiator: str, job_id: str, dag_id: str) -> None:
        """Hold the first task of a job that has ended until it is known why it runs."""
        job = Job(initiator, job_id)
        for plan in self._roster.plans(job):
            if plan.dag_id == dag_id:
                await self._reopening.judge(plan, self._ask_rerun)

    async def Show(self, request: local_pb2.JobQuery, context: Any) -> local_pb2.JobViews:  # noqa: N802
        """What is known of jobs."""
        return self._show.jobs(request)

    async def EndJob(self, request: local_pb2.EndJobRequest, context: Any) -> local_pb2.EndJobReply:  # noqa: N802
        """A person of this party ends a job: decided by its coordinator."""
        try:
            job = Job.of(request.job)
            plan = self._roster.plan(job)
            if job.initiator == self._roster.party:
                failure = cancelled(plan.me, request.by, request.reason)
                self._coordinator.end(job, job_pb2.CANCELLED, failure, by=f"{request.by} at party {job.initiator}")
            elif load_policy(self._agreement.home.policy).may_cancel:
                tell_run_ended(self._agreement.store, plan, cancelled(plan.me, request.by, request.reason))
            else:
                raise PolicyError("FED-532", "policy may_cancel: people of this party may not cancel others' jobs")
        except FedError as error:
            await context.abort(status_of(error), str(error))
        return local_pb2.EndJobReply()

    async def Abandon(self, request: local_pb2.EndJobRequest, context: Any) -> local_pb2.EndJobReply:  # noqa: N802
        """A person of this party gives a job up that its silent coordinator does not end."""
        try:
            await self._abandonment.abandon(request)
        except FedError as error:
            await context.abort(status_of(error), str(error))
        return local_pb2.EndJobReply()
