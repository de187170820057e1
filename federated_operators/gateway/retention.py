"""What a finished job leaves in the party's home is removed ``retention_days`` after its end (``policy.yaml``).

Removed are the attempts' folders of this party's members: tables, model files, checkpoints, points for MLflow. What
says which job it was stays: ``job.json``, DSL, conf, plans, and the record of decisions. The removal is decided in one
transaction before the first file goes: nobody builds on outputs that are about to go, and a restart goes on with it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import Job
from federated_operators.gateway.policy import load_policy
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import ACTIVE, UNKNOWN, JobRow, OutputRow, RemovedRow
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.store import Store
from federated_operators.gateway.turns import take_turns
from federated_operators.gateway.verdicts import EFFECTS, RESTORED, STATES, TRACKING
from federatedml.federation.home import PartyHome

EVERY_S = 20.0
DAY_S = 86_400.0
log = logging.getLogger(__name__)


def outputs_gone(store: Store, job: Job) -> bool:
    """Whether outputs of the job, or of some of its components, were removed at this party and not made anew."""
    removed = store.get(RemovedRow, **job.where)
    return removed is not None and any(
        row.generation <= removed.generation for row in store.select(OutputRow, **job.where)
    )


class Retention:
    """Removes what finished jobs left."""

    def __init__(self, store: Store, roster: Roster, home: PartyHome, seats: Seats) -> None:
        self._store, self._roster, self._home, self._seats = store, roster, home, seats

    async def run(self) -> None:
        """For ever."""
        await take_turns(lambda: self.once(time.time()), EVERY_S, "outputs of finished jobs stay for now", log)

    async def once(self, now: float) -> list[Job]:
        """Remove what is due at ``now`` (Unix seconds), and what an earlier turn did not finish; the jobs."""
        with self._store.transaction():
            for job, generation in self._due(now):
                self._store.put(RemovedRow(job.initiator, job.job_id, generation, now))
                self._store.event("outputs removed", job, generation=generation, party=self._roster.party)
        done = []
        for row in self._store.select(RemovedRow, done=0):
            job = Job(row.initiator, row.job_id)
            try:
                await asyncio.to_thread(_remove, self._folders(job, row.generation))
            except OSError as error:  # asked again at the next turn; other jobs do not wait for it
                log.warning("outputs of job %s stay for now: %s", job.job_id, error)
                continue
            self._store.put(replace(row, done=1))
            self._roster.forget(job)
            done.append(job)
        return done

    def _due(self, now: float) -> Iterator[tuple[Job, int]]:
        days = load_policy(self._home.policy).retention_days
        if days is None:
            return
        removed = {(row.initiator, row.job_id): row.generation for row in self._store.select(RemovedRow)}
        needed = {*self._told(), *self._earlier()}
        for job, generation in self._store.ended(now - days * DAY_S, (*STATES.values(), UNKNOWN)):
            known = removed.get((job.initiator, job.job_id), 0)
            if generation > known and job not in needed and not self._seats.of(job):
                yield job, generation

    def _told(self) -> Iterator[Job]:
        """Jobs whose end is still being carried out, or told to MLflow."""
        for lane in (EFFECTS, TRACKING):
            letter = self._store.next_letter(lane, 0)
            while letter is not None:
                if letter.kind in (lane, RESTORED):
                    yield Job.of(job_pb2.VerdictNotice.FromString(letter.body).job)
                letter = self._store.next_letter(lane, letter.id)

    def _earlier(self) -> Iterator[Job]:
        """Jobs whose outputs stand in for components of a job that has not ended."""
        for state in ACTIVE:
            for row in self._store.select(JobRow, state=state):
                for plan in self._roster.plans(Job(row.initiator, row.job_id)):
                    if plan.earlier_job:
                        yield Job(row.initiator, plan.earlier_job)

    def _folders(self, job: Job, generation: int) -> list[Path]:
        """Folders ``COMPONENT/ROLE/gG`` of the own members up to a generation; nothing that a link leads to."""
        top = self._home.job_dir(job.initiator, job.job_id).resolve()
        found = [path for plan in self._roster.plans(job) for path in top.glob(f"*/{plan.me.role}/g*")]
        own = [path for path in found if path == path.resolve() and path.is_dir()]
        return [path for path in own if path.name[1:].isdecimal() and int(path.name[1:]) <= generation]


def _remove(folders: list[Path]) -> None:
    """Repeatable; ``OSError`` if something cannot be removed."""
    for folder in folders:
        shutil.rmtree(folder)
