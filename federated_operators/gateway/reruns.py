"""The coordinator's side of a rerun: what runs again, every party asked, a new generation opened."""

from __future__ import annotations

import asyncio
import time

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job, failure_pb
from federated_operators.gateway.one_per_job import OnePerJob
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.reopening import NOT_ENDED, Reopening
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import GenerationRow, JobRow, ProposalRow, VerdictRow
from federated_operators.gateway.steps import Steps
from federated_operators.gateway.store import Store
from federated_operators.gateway.verdicts import STATES
from federatedml.errors import DslError, FedError, PolicyError, ProtocolError

REOPEN = "reopen"  # kind of the letter to a party
VERDICT_S = 5.0  # how long the last verdict may be under way to a party
PAUSE_S = 0.1
State = job_pb2.StepState
Order = job_pb2.RerunOrder
Answer = job_pb2.RerunAnswer


class Reruns:
    """Reruns of the jobs that this party coordinates."""

    def __init__(self, store: Store, roster: Roster, peers: Peers, reopening: Reopening) -> None:
        self._store, self._roster, self._peers, self._reopening = store, roster, peers, reopening
        self._steps = Steps(store, roster)
        self._opening = OnePerJob()

    async def ask(self, order: Order) -> Answer:
        """Open a generation, or say why not. ``order.party`` is who asks, already known to be it."""
        job = Job.of(order.job)
        if job.initiator != self._roster.party or not self._roster.plans(job):
            raise PolicyError("FED-543", f"party {self._roster.party} does not coordinate job {job.job_id}")
        async with self._opening.alone(job):
            try:
                return await self._open(job, order)
            except FedError as error:
                self._store.event("rerun refused", job, party=self._roster.party, reason=f"{order.party}: {error}")
                return Answer(failure=failure_pb(error))

    async def _open(self, job: Job, order: Order) -> Answer:
        row = self._store.get(JobRow, **job.where)
        if row is None:
            raise ProtocolError("FED-340", f"job {job.job_id} is not known here")
        if order.party not in self._roster.parties(job):
            raise PolicyError("FED-541", f"party {order.party} takes no part in job {job.job_id}")
        asked = self._asked(job, order)
        if row.state not in STATES.values():
            return self._merged(job, row, asked)
        refused = [answer for answer in self._store.select(ProposalRow, **job.where) if not _runs(answer)]
        if refused:
            problem = f"job {job.job_id} never ran at party {refused[0].party}"
            raise ProtocolError("FED-364", problem, "submit it again")
        opened = Order(
            job=job.key(),
            generation=row.generation + 1,
            components=self._again(job, asked),
            by=f"{order.by[:100]} at party {order.party}",
            reason=order.reason[:500],
            party=order.party,
        )
        await self._all_agree(job, opened)
        with self._store.transaction():
            self._reopening.adopt(opened)
            for party in self._roster.parties(job):
                if party != self._roster.party:
                    self._store.post(party, REOPEN, opened.SerializeToString())
        return Answer(generation=opened.generation, components=opened.components)

    def _asked(self, job: Job, order: Order) -> set[str]:
        """The components that were named, and those after them if that was said."""
        known = self._roster.plan(job).all_steps
        wrong = sorted(set(order.components) - set(known))
        if wrong:
            allowed = f"components: {', '.join(known)}"
            raise DslError("FED-367", f"job {job.job_id} has no component {wrong[0][:64]!r}", allowed)
        named = set(order.components)
        return self._steps.flow(job).downstream(named) & set(known) if order.downstream else named

    def _again(self, job: Job, asked: set[str]) -> list[str]:
        """What runs again: what was asked for, and all that did not succeed, without which no job succeeds."""
        states = self._steps.states(job)
        names = [name for name in states if name in asked or states[name] != State.COMMITTED]
        if not names and not self._only_conclude(job):
            raise ProtocolError("FED-365", f"every component of job {job.job_id} succeeded", "name those to run again")
        return names

    def _only_conclude(self, job: Job) -> bool:
        """Whether all components succeeded and the job did not: its end is repeated."""
        row = self._store.get(JobRow, **job.where)
        return row is not None and row.state != "succeeded"

    def _merged(self, job: Job, row: JobRow, asked: set[str]) -> Answer:
        """A wish that the running generation fulfils."""
        current = self._store.get(GenerationRow, **job.where, generation=row.generation)
        components = current.components.split("\n") if current else []
        over = self._store.get(VerdictRow, **job.where, generation=row.generation)  # and not adopted yet
        if current and not over and asked <= set(components):
            return Answer(generation=row.generation, components=components)
        raise ProtocolError("FED-363", f"job {job.job_id} still runs", "wait for its end, or kill it first")

    async def _all_agree(self, job: Job, order: Order) -> None:
        await self._reopening.agree(order)
        others = [party for party in self._roster.parties(job) if party != self._roster.party]
        answers = await asyncio.gather(*(self._check(party, order) for party in others))
        for party, answer in zip(others, answers, strict=True):
            if answer.HasField("failure"):
                raise PolicyError("FED-362", f"party {party} refuses the rerun: {answer.failure.message}")

    async def _check(self, party: str, order: Order) -> Answer:
        """A party's answer; to one that has not heard the verdict yet, some time is given."""
        deadline = time.monotonic() + VERDICT_S
        while True:
            try:
                answer: Answer = await self._peers.call(party, "CheckRerun", order)
            except FedError as error:
                return Answer(failure=failure_pb(error))
            if answer.failure.code != NOT_ENDED or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(PAUSE_S)


def _runs(answer: ProposalRow) -> bool:
    return answer.state == job_pb2.ENROLLED
