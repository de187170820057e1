"""From a trigger to running DAGs at all parties: propose, agree, enrol; one refusal stops the job everywhere."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import replace

from google.protobuf.message import Message

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.agreement import Agreement
from federated_operators.gateway.coordinator import Coordinator
from federated_operators.gateway.names import Job, failure_pb
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.plan import JobPlan, ProposedJob
from federated_operators.gateway.rows import PROPOSED, JobRow, ProposalRow, VerdictRow
from federated_operators.gateway.store import Store
from federated_operators.gateway.unanswered import Unanswered
from federatedml.errors import DslError, FedError, PeerError
from federatedml.federation.party import Role

PROPOSE_S = 30.0
SILENT = "FED-401"
ENROL_S = 75.0  # a peer gives itself 60
PAUSE_S = 0.25
AGREED = frozenset({job_pb2.ACCEPTED, job_pb2.ENROLLED})  # enrolled: this gateway restarted after that party was asked
log = logging.getLogger(__name__)
Answer = job_pb2.ProposalAnswer
News = local_pb2.AdmissionNews


class Admission:
    """The initiator's side; the own party answers like every other one, without a socket.

    Args:
        patience: seconds for which a party that does not answer is asked again.
        unanswered: has who is asked again.
    """

    def __init__(
        self,
        store: Store,
        agreement: Agreement,
        coordinator: Coordinator,
        peers: Peers,
        party: str,
        patience: float,
        unanswered: Unanswered,
    ) -> None:
        self._store, self._agreement, self._coordinator = store, agreement, coordinator
        self._peers, self._party, self._patience, self._unanswered = peers, party, patience, unanswered
        self._deciding: dict[Job, asyncio.Task[None]] = {}

    async def federate(self, request: local_pb2.FederateRequest) -> AsyncIterator[News]:
        """Run the admission and tell how it goes. Asked again, it goes on where it was; nobody has to listen."""
        try:
            job = Job.of(pb.JobKey(initiator=self._party, job_id=request.job_id))
            proposal = await self._proposal(job, request)
        except FedError as error:
            yield News(done=True, failure=failure_pb(error))
            return
        task, before = self._decision(job, proposal), b""
        while not task.done():
            await asyncio.wait([task], timeout=0.1)
            news = self._news(job, patience=request.patience)
            if news.SerializeToString(deterministic=True) != before:
                before = news.SerializeToString(deterministic=True)
                yield news
        task.result()
        yield self._news(job, done=True)

    async def settled(self, job: Job) -> None:
        """Wait as long as the job's parties are asked: not at all if nobody asks them, be it that none began."""
        if job in self._deciding:
            await asyncio.wait([self._deciding[job]])

    def _decision(self, job: Job, proposal: job_pb2.Proposal) -> asyncio.Task[None]:
        """The task that asks the parties, until it has ended."""
        if job not in self._deciding:
            self._deciding[job] = asyncio.create_task(self._decide(job, proposal))
            self._deciding[job].add_done_callback(lambda task: self._decided(job, task))
        return self._deciding[job]

    def _decided(self, job: Job, task: asyncio.Task[None]) -> None:
        del self._deciding[job]
        if not task.cancelled() and (error := task.exception()):  # whoever listens hears it, too
            log.error("the admission of job %s broke off", job.job_id, exc_info=error)

    async def _proposal(self, job: Job, request: local_pb2.FederateRequest) -> job_pb2.Proposal:
        content = ProposedJob(self._party, job.job_id, request.pipeline, request.dsl, request.conf)
        proposal, plans = await self._agreement.propose(content)
        own = next((plan for plan in plans if plan.dag_id == request.dag_id), None)
        if own is None:
            names = ", ".join(plan.dag_id for plan in plans)
            raise DslError("FED-153", f"the job does not belong to DAG {request.dag_id!r}", f"its DAGs here: {names}")
        if own.spec_digest != request.spec_digest:
            raise DslError("FED-154", "the pipeline's file changed after this DAG was built", "start it again")
        known = self._store.get(JobRow, **job.where)
        if known and known.digest != proposal.digest:
            raise DslError("FED-155", f"job {job.job_id} was already proposed with another content")
        if known is None:
            self._admit_here(job, proposal, plans)
        return proposal

    def _admit_here(self, job: Job, proposal: job_pb2.Proposal, plans: Sequence[JobPlan]) -> None:
        with self._store.transaction():
            self._agreement.record(job, proposal, plans)
            for party in sorted({member.party for member in plans[0].members}):
                self._store.put(ProposalRow(*_key(job), party, job_pb2.PROPOSED))

    async def _decide(self, job: Job, proposal: job_pb2.Proposal) -> None:
        row = self._store.get(JobRow, **job.where)
        if row is None or row.state != PROPOSED or self._verdict(job):
            return
        reference = job_pb2.ProposalRef(job=job.key(), digest=proposal.digest)
        agreed = await self._all(job, "Propose", proposal, AGREED, PROPOSE_S)
        if not (agreed and await self._all(job, "Enrol", reference, {job_pb2.ENROLLED}, ENROL_S)):
            return None if self._verdict(job) else await self._stop(job, proposal)
        row = self._store.get(JobRow, **job.where)
        if row and not self._verdict(job):
            with self._store.transaction():
                self._store.put(replace(row, state="running"))
                self._store.event("running", job, party=self._party)
        return None

    async def _all(self, job: Job, method: str, request: Message, wanted: Set[int], seconds: float) -> bool:
        """Ask all parties in parallel; whether every one gave a wanted answer."""
        parties = [row.party for row in self._store.select(ProposalRow, **job.where)]
        answers = await asyncio.gather(*(self._ask(job, party, method, request, seconds) for party in parties))
        return all(answer.state in wanted for answer in answers)

    async def _ask(self, job: Job, party: str, method: str, request: Message, seconds: float) -> Answer:
        """One party's answer, asked again while it is not there or its people are being asked.

        Nobody's answer is waited for when the job has ended, or another party has refused, meanwhile. ``seconds`` count
        from the end of a silence: a machine that starts again has its gateway before its scheduler.
        """
        begun = heard = now = time.monotonic()
        with self._unanswered.asking(job, party):
            while not self._verdict(job) and not self._refused(job):
                silent, asked = False, now
                try:
                    answer: Answer = await self._call(party, method, request, seconds)
                    limit = seconds if answer.state == job_pb2.PENDING else 0.0
                except FedError as error:
                    answer = Answer(state=job_pb2.REFUSED, failure=failure_pb(error))
                    silent, limit = error.code == SILENT, seconds if error.retryable else 0.0
                now = time.monotonic()
                if now - begun >= self._patience if silent else now - heard >= limit:
                    self._record(job, party, answer)
                    return answer
                heard = now if silent else heard
                self._unanswered.again(job, party, answer, asked, now)
                await asyncio.sleep(PAUSE_S)
        return Answer(state=job_pb2.WITHDRAWN)

    async def _call(self, party: str, method: str, request: Message, seconds: float) -> Answer:
        if party != self._party:
            answer: Answer = await self._peers.call(party, method, request, timeout=seconds)
            return answer
        if isinstance(request, job_pb2.ProposalRef):
            return await self._agreement.enrol(request)
        return Answer(state=job_pb2.ACCEPTED)  # checked before it was proposed

    def _record(self, job: Job, party: str, answer: Answer) -> None:
        failure = answer.failure.SerializeToString() if answer.HasField("failure") else b""
        with self._store.transaction():
            self._store.put(ProposalRow(*_key(job), party, answer.state, failure, answer.run_url[:2000]))
            name = job_pb2.ProposalState.Name(answer.state).lower()
            self._store.event(name, job, party=party, reason=answer.failure.message)

    async def _stop(self, job: Job, proposal: job_pb2.Proposal) -> None:
        """A party refused: the job ends everywhere with its reason."""
        refusals = [row for row in self._store.select(ProposalRow, **job.where) if row.failure]
        failure = pb.Failure.FromString(refusals[0].failure) if refusals else pb.Failure(code="FED-549")
        if refusals and not failure.HasField("member"):
            failure.member.CopyFrom(self._a_member(job, refusals[0].party))
        self._coordinator.end(job, job_pb2.JOB_FAILED, failure)
        withdrawal = job_pb2.ProposalRef(job=job.key(), digest=proposal.digest, reason=failure.message)
        agreed = [row.party for row in self._store.select(ProposalRow, **job.where) if not row.failure]
        await asyncio.gather(*(self._withdraw(party, withdrawal) for party in agreed if party != self._party))

    async def _withdraw(self, party: str, withdrawal: job_pb2.ProposalRef) -> None:
        try:
            await self._peers.call(party, "Withdraw", withdrawal)
        except FedError as error:  # the verdict's letter says the same until it is answered
            self._store.event("withdrawal not taken", Job.of(withdrawal.job), party=party, reason=str(error))

    def _a_member(self, job: Job, party: str) -> pb.Member:
        members = self._agreement.roster.plan(job).members
        role = next((member.role for member in sorted(members) if member.party == party), Role.GUEST)
        return pb.Member(role=str(role), party_id=party)

    def _news(self, job: Job, done: bool = False, patience: float = 0.0) -> News:
        news = News(done=done, job_dir=str(self._agreement.home.job_dir(job.initiator, job.job_id)))
        for row in self._store.select(ProposalRow, **job.where):
            news.answers[row.party].CopyFrom(self._unanswered.standing(row))
        if patience:
            news.waits = self._unanswered.before(job, time.monotonic() - patience)
        verdict = self._verdict(job)
        if verdict and verdict.verdict != job_pb2.SUCCEEDED:
            text = PeerError("FED-405", f"the job was ended by {verdict.by}")
            news.failure.CopyFrom(pb.Failure.FromString(verdict.failure) if verdict.failure else failure_pb(text))
        return news

    def _refused(self, job: Job) -> bool:
        return bool(self._store.select(ProposalRow, **job.where, state=job_pb2.REFUSED))

    def _verdict(self, job: Job) -> VerdictRow | None:
        row = self._store.get(JobRow, **job.where)
        return self._store.get(VerdictRow, **job.where, generation=row.generation) if row else None


def _key(job: Job) -> tuple[str, str]:
    return job.initiator, job.job_id
