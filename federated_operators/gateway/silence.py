"""Notices that a party is silent. Silence only pauses a job, until the coordinator's ``peer_timeout`` is over."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from collections.abc import Mapping

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.coordinator import Coordinator
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow
from federated_operators.gateway.store import Store
from federatedml.errors import FedError

GREET_S = 10.0
LATE = 2.5  # greetings that are not answered before people are told


class Silence:
    """Greets the parties of this coordinator's running jobs, and the coordinators of the others.

    Args:
        timeout: seconds of silence after which a party's jobs end; those of a silent coordinator are suspended here
            until it is back: only it decides.
    """

    def __init__(
        self, store: Store, roster: Roster, coordinator: Coordinator, own: OwnSteps, peers: Peers, timeout: float
    ) -> None:
        self._store, self._roster, self._coordinator, self._peers = store, roster, coordinator, peers
        self._own, self._timeout = own, timeout
        self._suspended: set[Job] = set()
        self._heard: dict[str, tuple[float, float]] = {}  # monotonic, and Unix seconds for people
        self._every = min(GREET_S, timeout / 4)
        self._greeting = job_pb2.Greeting(party_id=roster.party, version=importlib.metadata.version("airfed"))

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._every)
            await self.once()

    async def once(self) -> None:
        """Greet now."""
        jobs = self._running()
        parties = {party for job in jobs for party in self._speakers(job)} - {self._roster.party}
        self._heard = {party: at for party, at in self._heard.items() if party in parties}
        await asyncio.gather(*(self._greet(party, self._every) for party in parties))
        for job in jobs:
            if job.initiator == self._roster.party:
                self._end_if_silent(job)
            else:
                self._suspend_if_silent(job)
        self._suspended &= set(jobs)

    def since(self, job: Job) -> Mapping[str, float]:
        """Whom this job waits for because nothing is heard of them, and since when (Unix seconds), for people."""
        late = [party for party in self._speakers(job) if self._silent(party) > LATE * self._every]
        return {party: self._heard[party][1] for party in late}

    def _running(self) -> list[Job]:
        return [Job(row.initiator, row.job_id) for row in self._store.select(JobRow, state="running")]

    def _speakers(self, job: Job) -> list[str]:
        """Who must be heard of: all parties by the coordinator, the coordinator by all."""
        return self._roster.parties(job) if job.initiator == self._roster.party else [job.initiator]

    async def _greet(self, party: str, seconds: float) -> None:
        self._heard.setdefault(party, _now())
        try:
            await self._peers.call(party, "Greet", self._greeting, timeout=seconds)
            self._heard[party] = _now()
        except FedError as error:
            if not error.retryable:  # an answer, if not a friendly one
                self._heard[party] = _now()

    def _suspend_if_silent(self, job: Job) -> None:
        silent = self._silent(job.initiator)
        if silent <= self._timeout:
            return self._suspended.discard(job)
        if job not in self._suspended:
            self._suspended.add(job)
            text = f"party {job.initiator}, which decides, has not answered for {silent:.0f} s"
            self._store.event("coordinator silent", job, party=self._roster.party, reason=text)
            self._own.suspend(job, pb.Failure(code="FED-409", message=text))
        return None

    def _silent(self, party: str) -> float:
        return time.monotonic() - self._heard[party][0] if party in self._heard else 0.0

    def _end_if_silent(self, job: Job) -> None:
        for member in self._roster.plan(job).members:
            silent = self._silent(member.party)
            if silent > self._timeout:
                text = f"party {member.party} has not answered for {silent:.0f} s, peer_timeout is {self._timeout:g} s"
                failure = pb.Failure(code="FED-406", message=text, member=member_pb(member))
                return self._coordinator.end(job, job_pb2.JOB_FAILED, failure)
        return None


def _now() -> tuple[float, float]:
    return time.monotonic(), time.time()
