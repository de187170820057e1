"""Why a job waits, beside its run in the own scheduler, where people look first."""

from __future__ import annotations

import logging

from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.names import Job
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import PROPOSED, RUNNING, JobRow
from federated_operators.gateway.runs import Run, RunControl
from federated_operators.gateway.show import Show
from federated_operators.gateway.store import Store
from federated_operators.gateway.turns import take_turns
from federatedml.errors import FedError

EVERY_S = 5.0
MARK = "Waiting: "  # begins the line that is ours
State = job_pb2.StepState
_GOES_ON = (State.STARTED, State.PREPARED)
log = logging.getLogger(__name__)


class WaitNotes:
    """Keeps one line of a run's note: written when its job waits for the same thing at two looks, removed when it goes
    on. All other lines are other people's.
    """

    def __init__(self, store: Store, roster: Roster, show: Show, control: RunControl) -> None:
        self._store, self._roster, self._show, self._control = store, roster, show, control
        self._before: dict[Job, str] = {}
        self._noted: dict[Job, str] = {}

    async def run(self) -> None:
        """For ever."""
        await take_turns(self.once, EVERY_S, "notes of waiting jobs could not be written", log)

    async def once(self) -> None:
        """Look now."""
        rows = [row for state in (PROPOSED, RUNNING) for row in self._store.select(JobRow, state=state)]
        now = {Job(row.initiator, row.job_id): self._waits(row) for row in rows}
        for job, text in now.items():
            if text == self._before.get(job) and text != self._noted.get(job, ""):
                try:
                    await self._write(job, text)
                except FedError as error:
                    log.info("the note of job %s could not be written: %s", job.job_id, error)
        self._before = now
        self._noted = {job: text for job, text in self._noted.items() if job in now}

    def _waits(self, row: JobRow) -> str:
        """What the job waits for: a silent party, or what a step needs while none of its steps runs."""
        silent = self._show.unanswered(Job(row.initiator, row.job_id))
        if silent or row.state == PROPOSED:
            return silent
        query = local_pb2.JobQuery(initiator=row.initiator, job_id=row.job_id)
        steps = [step for view in self._show.jobs(query).jobs for step in view.steps]
        if any(step.state in _GOES_ON for step in steps):
            return ""
        found = (f"{step.component} {step.waits}" for step in steps if step.waits.startswith("waits"))
        return next(found, "")

    async def _write(self, job: Job, text: str) -> None:
        for plan in self._roster.plans(job):
            run = Run(plan.dag_id, plan.job_id)
            lines = [line for line in (await self._control.note_of(run)).split("\n") if not line.startswith(MARK)]
            await self._control.note(run, "\n".join([*filter(None, lines), *([f"{MARK}{text}"] if text else [])]))
        self._noted[job] = text
