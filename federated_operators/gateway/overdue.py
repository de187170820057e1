"""Jobs of other initiators that are open here: asks whether one ended, should its verdict have been lost on the way,
and lets a proposal expire that nobody follows up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import PROPOSED, REOPENING, RUNNING, UNKNOWN, JobRow, ProposalRow
from federated_operators.gateway.store import Store
from federated_operators.gateway.turns import take_turns
from federated_operators.gateway.verdicts import Verdicts
from federatedml.errors import FedError, ProtocolError

EVERY_S = 30.0
PROPOSAL_S = 86_400.0  # how long a proposal stands
EXPIRED = "expired"  # state of a job
LOOKED_AT = (PROPOSED, RUNNING, REOPENING, UNKNOWN)
log = logging.getLogger(__name__)


class Overdue:
    """Looks after what other coordinators decide.

    Args:
        clock: Unix seconds.
    """

    def __init__(
        self, store: Store, roster: Roster, peers: Peers, verdicts: Verdicts, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._roster, self._peers, self._verdicts, self._clock = store, roster, peers, verdicts, clock

    async def run(self) -> None:
        """For ever."""
        await take_turns(self.once, EVERY_S, "verdicts could not be asked for", log)

    async def once(self) -> None:
        """Look now."""
        rows = [row for state in LOOKED_AT for row in self._store.select(JobRow, state=state)]
        open_at: dict[str, list[Job]] = defaultdict(list)
        for row in rows:
            if row.initiator == self._roster.party:
                continue
            if row.state == PROPOSED and self._clock() - row.created_at > PROPOSAL_S:
                self._expire(row)
            else:
                open_at[row.initiator].append(Job(row.initiator, row.job_id))
        await asyncio.gather(*map(self._ask_for, open_at.values()))

    async def _ask_for(self, jobs: Sequence[Job]) -> None:
        """Ask one party. If it does not answer, it is asked for nothing else before the next turn."""
        for job in jobs:
            try:
                if not await self._ask(job):
                    return
            except Exception:  # other parties' verdicts do not wait for it
                log.exception("the verdict of job %s cannot be taken", job.job_id)

    async def _ask(self, job: Job) -> bool:
        """Whether the party is there."""
        try:
            notice = await self._peers.call(job.initiator, "AskVerdict", job.key())
            if Job.of(notice.job) != job:
                raise ProtocolError("FED-358", f"party {job.initiator} answers for another job than {job.job_id}")
            if notice.verdict != job_pb2.VERDICT_UNSPECIFIED:
                self._verdicts.adopt_after(notice)
        except FedError as error:
            log.debug("the verdict of job %s is not known: %s", job.job_id, error)
            return not error.retryable
        return True

    def _expire(self, row: JobRow) -> None:
        job = Job(row.initiator, row.job_id)
        with self._store.transaction():
            self._store.put(replace(row, state=EXPIRED, ended_at=self._clock()))
            self._store.put(ProposalRow(job.initiator, job.job_id, self._roster.party, job_pb2.EXPIRED))
            self._store.event("expired", job, party=self._roster.party, reason="it was never started")
