"""The service that other parties call. Who calls is known by ``door.caller()``, never by a field."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator
from typing import Any

import grpc

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, job_pb2_grpc
from federated_operators.gateway.agreement import Agreement
from federated_operators.gateway.coordinator import COMMAND, Coordinator
from federated_operators.gateway.door import caller
from federated_operators.gateway.names import Job, failure_pb
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.peers import RELAY
from federated_operators.gateway.relay import Relay
from federated_operators.gateway.reopening import Reopening
from federated_operators.gateway.reruns import Reruns
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, VerdictRow
from federated_operators.gateway.store import Store
from federated_operators.gateway.verdicts import Verdicts
from federatedml.errors import FedError, PolicyError


class PeerService(job_pb2_grpc.PeerServicer):
    """One method per RPC of ``Peer``; every one first asks whether this caller may."""

    def __init__(
        self,
        store: Store,
        roster: Roster,
        agreement: Agreement,
        coordinator: Coordinator,
        own: OwnSteps,
        verdicts: Verdicts,
        relay: Relay,
        reopening: Reopening,
        reruns: Reruns,
    ) -> None:
        self._reopening, self._reruns = reopening, reruns
        self._store, self._roster, self._agreement = store, roster, agreement
        self._coordinator, self._own, self._verdicts, self._relay = coordinator, own, verdicts, relay

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve by ``server``. Chunks come as bytes: they are passed on as they are."""
        job_pb2_grpc.add_PeerServicer_to_server(self, server)  # type: ignore[no-untyped-call]
        relay = grpc.stream_stream_rpc_method_handler(self.Relay, None, pb.Receipts.SerializeToString)
        service, method = RELAY.removeprefix("/").split("/")
        server.add_registered_method_handlers(service, {method: relay})  # in the place of the one for parsed messages

    async def Greet(self, request: job_pb2.Greeting, context: Any) -> job_pb2.Greeting:  # noqa: N802 - names of the RPCs
        """Who is there."""
        if request.party_id != caller():
            raise PolicyError("FED-541", f"party {caller()} greets as {request.party_id[:64]!r}")
        return job_pb2.Greeting(party_id=self._roster.party, version=importlib.metadata.version("airfed"))

    async def Propose(self, request: job_pb2.Proposal, context: Any) -> job_pb2.ProposalAnswer:  # noqa: N802
        """The own answer to a proposal."""
        return await self._agreement.answer(caller(), request)

    async def AskProposal(self, request: job_pb2.ProposalRef, context: Any) -> job_pb2.ProposalAnswer:  # noqa: N802
        """The own answer as it stands."""
        return self._agreement.standing(self._of_initiator(request.job))

    async def Enrol(self, request: job_pb2.ProposalRef, context: Any) -> job_pb2.ProposalAnswer:  # noqa: N802
        """Install and start."""
        self._of_initiator(request.job)
        return await self._agreement.enrol(request)

    async def Withdraw(self, request: job_pb2.ProposalRef, context: Any) -> job_pb2.ProposalAnswer:  # noqa: N802
        """The initiator gave up."""
        self._of_initiator(request.job)
        return await self._agreement.withdraw(request)

    async def Report(self, request: job_pb2.StepReport, context: Any) -> job_pb2.StepReportReply:  # noqa: N802
        """A member's gateway reports to this coordinator."""
        return self._coordinator.report(caller(), request)

    async def Command(self, request: job_pb2.StepCommand, context: Any) -> job_pb2.StepCommandReply:  # noqa: N802
        """The coordinator of the job orders."""
        self._of_initiator(request.step.job)
        self._own.order(request)
        return job_pb2.StepCommandReply()

    async def Conclude(self, request: job_pb2.VerdictNotice, context: Any) -> job_pb2.VerdictReply:  # noqa: N802
        """The coordinator's verdict."""
        self._of_initiator(request.job)
        self._verdicts.adopt(request)
        return job_pb2.VerdictReply()

    async def AskVerdict(self, request: pb.JobKey, context: Any) -> job_pb2.VerdictNotice:  # noqa: N802
        """The verdict of an own job, for its members; none yet: unspecified.

        It must not overtake the orders that were given before it, and it cannot wait for them, should they never come
        through: so they come with it.
        """
        job = Job.of(request)
        if job.initiator != self._roster.party or caller() not in self._roster.parties(job):
            raise PolicyError("FED-541", f"party {caller()} may not ask for job {job.job_id}")
        row = self._store.get(JobRow, **job.where)
        found = self._store.get(VerdictRow, **job.where, generation=row.generation) if row else None
        if found is None:
            return job_pb2.VerdictNotice(job=request)
        failure = pb.Failure.FromString(found.failure) if found.failure else None
        return job_pb2.VerdictNotice(
            job=request,
            generation=found.generation,
            verdict=found.verdict,  # type: ignore[arg-type]
            failure=failure,
            by=found.by,
            before=self._under_way(job),
        )

    def _under_way(self, job: Job) -> list[job_pb2.StepCommand]:
        """Orders of a job to the caller that it has not answered."""
        letters = self._store.waiting(caller(), COMMAND)
        commands = [job_pb2.StepCommand.FromString(letter.body) for letter in letters]
        return [command for command in commands if Job.of(command.step.job) == job]

    async def AskRerun(self, request: job_pb2.RerunOrder, context: Any) -> job_pb2.RerunAnswer:  # noqa: N802
        """A party's people want a rerun of an own job."""
        request.party = caller()
        return await self._reruns.ask(request)

    async def CheckRerun(self, request: job_pb2.RerunOrder, context: Any) -> job_pb2.RerunAnswer:  # noqa: N802
        """Whether this party takes part in a rerun."""
        self._of_initiator(request.job)
        try:
            await self._reopening.agree(request)
        except FedError as error:
            return job_pb2.RerunAnswer(failure=failure_pb(error))
        return job_pb2.RerunAnswer(generation=request.generation, components=request.components)

    async def Reopen(self, request: job_pb2.RerunOrder, context: Any) -> job_pb2.RerunAnswer:  # noqa: N802
        """The coordinator opened a generation."""
        self._of_initiator(request.job)
        self._reopening.adopt(request)
        return job_pb2.RerunAnswer(generation=request.generation, components=request.components)

    async def Relay(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.Receipts]:  # noqa: N802
        """Messages of the caller's workers to this party's: serialised chunks."""
        async for receipts in self._relay.from_peer(caller(), request_iterator):
            yield receipts

    def _of_initiator(self, key: pb.JobKey) -> Job:
        """The job, if the caller initiated it."""
        job = Job.of(key)
        if job.initiator != caller():
            raise PolicyError("FED-543", f"party {caller()} does not coordinate jobs of party {job.initiator}")
        return job
