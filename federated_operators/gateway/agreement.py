"""Every party's own answer to a proposal, and what it does when all agreed: install the pipeline, start its run."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.earlier import check_allowed
from federated_operators.gateway.names import Job, failure_pb
from federated_operators.gateway.one_per_job import OnePerJob
from federated_operators.gateway.plan import JobAcceptor, JobPlan, ProposedJob, dump_plan
from federated_operators.gateway.policy import load_policy
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import PROPOSED, JobRow, PlanRow, ProposalRow, VerdictRow
from federated_operators.gateway.runs import NOT_IMPORTED, Run, RunControl
from federated_operators.gateway.store import Store
from federatedml.errors import DataError, DslError, FedError, PolicyError, ProtocolError
from federatedml.federation.home import PartyHome

INSTALL_S = 60.0
PARSED_AGAIN_S = 15.0  # how long an import error may be that of the file that was just replaced
POLL_S = 0.1
Answer = job_pb2.ProposalAnswer


class Agreement:
    """Validation by the own code, the own policy, and enrolment in the own scheduler."""

    def __init__(
        self, store: Store, roster: Roster, home: PartyHome, acceptor: JobAcceptor, control: RunControl
    ) -> None:
        self.roster, self.home = roster, home
        self.store = self._store = store
        self._acceptor, self._control = acceptor, control
        self._party = home.config.party_id
        self._enrolling = OnePerJob()

    async def propose(self, content: ProposedJob) -> tuple[job_pb2.Proposal, Sequence[JobPlan]]:
        """The proposal of an own job, after all that is checked at every party."""
        digest, versions, disclosure = await asyncio.to_thread(self._acceptor.digest, content)
        plans = await self._plans(content)
        key = Job(content.initiator, content.job_id).key()
        proposal = job_pb2.Proposal(
            job=key,
            pipeline=content.pipeline,
            dsl=content.dsl,
            conf=content.conf,
            component_versions=versions,
            disclosure_digest=disclosure,
            digest=bytes.fromhex(digest),
        )
        return proposal, plans

    async def answer(self, caller: str, proposal: job_pb2.Proposal) -> Answer:
        """This party's answer to a peer's proposal. A refusal leaves nothing but a line in the record."""
        job = Job.of(proposal.job)
        try:
            if job.initiator != caller:
                raise PolicyError("FED-546", f"party {caller} may not propose jobs of party {job.initiator}")
            known = self._store.get(JobRow, **job.where)
            if known is None:
                await self._accept(job, proposal)
            elif known.digest != proposal.digest:
                raise ProtocolError("FED-349", f"job {job.job_id} was already proposed with another content")
        except FedError as error:
            self._store.event("refused", job, party=self._party, reason=str(error))
            return Answer(state=job_pb2.REFUSED, failure=_told(error))
        return self.standing(job)

    async def _accept(self, job: Job, proposal: job_pb2.Proposal) -> None:
        content = ProposedJob(job.initiator, job.job_id, proposal.pipeline, proposal.dsl, proposal.conf)
        digest, versions, disclosure = await asyncio.to_thread(self._acceptor.digest, content)
        _compare("component versions", dict(proposal.component_versions), dict(versions))
        _compare("disclosure", proposal.disclosure_digest.hex(), disclosure.hex())
        _compare("digest", proposal.digest.hex(), digest)
        plans = await self._plans(content)
        known = self._store.get(JobRow, **job.where)
        if known is not None:  # the same call came twice, or two contents for one job: the first one stands
            return _compare("contents", proposal.digest.hex(), known.digest.hex())
        with self._store.transaction():
            self.record(job, proposal, plans)
            self._store.put(ProposalRow(job.initiator, job.job_id, self._party, job_pb2.ACCEPTED))
            self._store.event("accepted", job, party=self._party, reason=digest)

    async def _plans(self, content: ProposedJob) -> Sequence[JobPlan]:
        plans = await asyncio.to_thread(self._acceptor.plans, content, self._party)
        if not plans:
            raise DslError("FED-156", f"party {self._party} has no role in the job")
        policy = load_policy(self.home.policy)
        for plan in plans:
            if plan.initiator.party != content.initiator:
                raise PolicyError("FED-546", f"party {content.initiator} proposes a job of {plan.initiator.party}")
            check_allowed(plan, policy, self._store, self.home)
        return [policy.enforced(plan) for plan in plans]

    def record(self, job: Job, proposal: job_pb2.Proposal, plans: Sequence[JobPlan]) -> None:
        """Write the admitted job down: rows, and the files that tasks read."""
        load_policy(self.home.policy).check_room(self.roster.active(), job.initiator, self._party)
        key = (job.initiator, job.job_id)
        admitted = self._store.event("proposed", job, party=self._party, reason=proposal.digest.hex())
        row = JobRow(*key, proposal.pipeline, proposal.SerializeToString(), proposal.digest, PROPOSED, 1, time.time())
        self._store.put(replace(row, admitted=admitted))
        for plan in plans:
            self._store.put(PlanRow(*key, str(plan.me), dump_plan(plan)))

    def standing(self, job: Job) -> Answer:
        """The own answer as it stands."""
        row = self._store.get(ProposalRow, **job.where, party=self._party)
        if row is None:
            return Answer()
        return Answer(state=row.state, run_url=row.run_url)  # type: ignore[arg-type]

    async def enrol(self, reference: job_pb2.ProposalRef) -> Answer:
        """Install the pipeline and start the run of every own member; asked again, the same."""
        job = Job.of(reference.job)
        row = self._store.get(JobRow, **job.where)
        if row is None or row.digest != reference.digest:
            raise ProtocolError("FED-340", f"job {job.job_id} with that digest was not accepted here")
        async with self._enrolling.alone(job):
            standing = self._store.get(ProposalRow, **job.where, party=self._party)
            if standing and standing.state == job_pb2.ENROLLED:
                return self.standing(job)
            if self._store.get(VerdictRow, **job.where, generation=row.generation):
                raise ProtocolError("FED-350", f"job {job.job_id} has ended")
            if standing and standing.state in (job_pb2.WITHDRAWN, job_pb2.EXPIRED):
                word = "was withdrawn" if standing.state == job_pb2.WITHDRAWN else "has expired"
                raise ProtocolError("FED-350", f"job {job.job_id} {word}")
            try:
                url = await self._start_runs(job, row)
            except FedError as error:  # a scheduler that is not there now is no refusal: asked again, it may be
                state = job_pb2.PENDING if error.retryable else job_pb2.REFUSED
                return Answer(state=state, failure=_told(error))
        with self._store.transaction():
            self._store.put(ProposalRow(job.initiator, job.job_id, self._party, job_pb2.ENROLLED, b"", url))
            ended = self._store.get(VerdictRow, **job.where, generation=row.generation)
            if job.initiator != self._party and not ended:
                self._store.put(replace(row, state="running"))
            self._store.event("enrolled", job, party=self._party)
        return self.standing(job)

    async def _start_runs(self, job: Job, row: JobRow) -> str:
        url = ""
        for plan in self.roster.plans(job):
            self._write_files(job, row, plan)
            run = Run(plan.dag_id, job.job_id)
            url = url or self._control.url(run)
            if plan.me == plan.initiator:
                continue  # that run asked for all this
            if job.initiator != self._party:
                await self._install(plan)
            await self._control.trigger(run, plan.digest)
        return url

    async def _install(self, plan: JobPlan) -> None:
        """Put the pipeline in place and wait until the scheduler has it."""
        begun = time.monotonic()
        await asyncio.to_thread(self._acceptor.install, plan)
        while not await self._parsed(plan, time.monotonic() - begun < PARSED_AGAIN_S):
            if time.monotonic() - begun > INSTALL_S:
                raise DslError("FED-157", f"DAG {plan.dag_id} was not parsed within {INSTALL_S:g} s")
            await asyncio.sleep(POLL_S)

    async def _parsed(self, plan: JobPlan, fresh: bool) -> bool:
        """Whether the scheduler's DAG is the one of this plan, by the bundle version that it was parsed from.

        Args:
            fresh: the file may be so new that an import error is still that of the one before it.
        """
        if not await asyncio.to_thread(self._acceptor.installed, plan):
            return False
        try:
            version = await self._control.bundle_version(plan.dag_id)
        except DslError as error:
            if fresh and error.code == NOT_IMPORTED:
                return False
            raise
        return version is not None and await asyncio.to_thread(self._acceptor.installed, plan, version or None)

    def _write_files(self, job: Job, row: JobRow, plan: JobPlan) -> None:
        folder = self.home.job_dir(job.initiator, job.job_id)
        proposal = job_pb2.Proposal.FromString(row.proposal)
        content = {"dsl": json.loads(proposal.dsl), "conf": json.loads(proposal.conf), "digest": row.digest.hex()}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        _write(folder / "job.json", text.encode())
        _write(folder / "job_dsl.json", proposal.dsl)
        _write(folder / "job_runtime_conf.json", proposal.conf)
        _write(folder / str(plan.me.role) / "plan.json", dump_plan(plan))

    async def withdraw(self, reference: job_pb2.ProposalRef) -> Answer:
        """The initiator gave the proposal up."""
        job = Job.of(reference.job)
        row = self._store.get(JobRow, **job.where)
        standing = self._store.get(ProposalRow, **job.where, party=self._party)
        if row and row.digest == reference.digest and standing and standing.state == job_pb2.ACCEPTED:
            with self._store.transaction():
                self._store.put(ProposalRow(job.initiator, job.job_id, self._party, job_pb2.WITHDRAWN))
                self._store.event("withdrawn", job, party=self._party, reason=reference.reason)
        return self.standing(job)


def _told(error: FedError) -> pb.Failure:
    """What a peer is told of an error. Details of own tables stay here."""
    return failure_pb(DataError(error.code, error.message) if isinstance(error, DataError) else error)


def _compare(what: str, proposed: object, own: object) -> None:
    if proposed != own:
        raise DslError("FED-158", f"{what} differ between the parties", f"proposed {proposed}, here {own}")


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
