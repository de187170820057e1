"""A rerun at one party: whether it may be, the new generation taken over, the own tasks cleared.

What this gateway clears in its own scheduler is never taken for a person's wish: such records carry its own name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.earlier import check_allowed
from federated_operators.gateway.names import CONCLUDE, Job, failure_pb
from federated_operators.gateway.one_per_job import OnePerJob
from federated_operators.gateway.plan import JobPlan
from federated_operators.gateway.policy import Policy, load_policy
from federated_operators.gateway.reconcile import FIRST_TASKS, tell_run_ended
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import REOPENING, RUNNING, GenerationRow, JobRow, OutputRow, SeenRow
from federated_operators.gateway.runs import Run, RunControl, Touched
from federated_operators.gateway.store import Store
from federated_operators.gateway.verdicts import EFFECTS, STATES, TRACKING
from federatedml.errors import DataError, FedError, PeerError, PolicyError, ProtocolError
from federatedml.federation.home import PartyHome

WISHED = "rerun asked"  # event: people of this party want one
REOPENED = "reopened"  # kind of the letter to the own party: what remains to be done here
NOT_ENDED = "FED-360"
AFRESH = "submit the job again"
SETTLED_S = 15.0  # how long a held process waits for the new generation
log = logging.getLogger(__name__)
Order = job_pb2.RerunOrder
Ask = Callable[[Order], Awaitable[job_pb2.RerunAnswer]]


class Reopening:
    """Reruns as this party carries them out.

    Args:
        outputs_gone: whether the outputs of a job that ended were removed.
        kept: whether a version of the DAG bundle is there and holds a plan's pipeline.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        home: PartyHome,
        control: RunControl,
        outputs_gone: Callable[[Job], bool] = lambda job: False,
        kept: Callable[[JobPlan, str], bool] = lambda plan, version: True,
    ) -> None:
        self._store, self._roster, self._home, self._control = store, roster, home, control
        self._outputs_gone, self._kept = outputs_gone, kept
        self._judging = OnePerJob()

    async def agree(self, order: Order) -> None:
        """Whether this party takes part in a rerun, asked before anything is done anywhere.

        Raises:
            FedError: as ``check``; ``PeerError`` if the scheduler does not answer; ``FED-369``, it no longer has the
                run, or the bundle no longer what the run's tasks are built from.
        """
        self.check(order)
        party = self._roster.party
        for plan in self._roster.plans(Job.of(order.job)):
            try:
                version = await self._control.version_of(Run(plan.dag_id, plan.job_id))
            except FedError as error:  # the scheduler's own words are for this party's people
                log.warning("a rerun of job %s cannot be checked: %s", plan.job_id, error)
                raise PeerError(
                    error.code, f"the scheduler of party {party} cannot say what it has of the run"
                ) from None
            if version is None:
                raise DataError("FED-369", f"party {party} no longer has the run of job {plan.job_id}", AFRESH)
            if version and not await asyncio.to_thread(self._kept, plan, version):
                problem = f"party {party} no longer has the version of the DAG that job {plan.job_id} ran from"
                raise DataError("FED-369", problem, AFRESH)

    def check(self, order: Order) -> None:
        """Whether this party takes part in a rerun, as far as it alone knows.

        Raises:
            FedError: it does not; says why.
        """
        job = Job.of(order.job)
        row = self._store.get(JobRow, **job.where)
        if row is None or row.state not in STATES.values():
            raise ProtocolError(NOT_ENDED, f"job {job.job_id} has not ended at party {self._roster.party}")
        if order.generation != row.generation + 1:
            raise ProtocolError("FED-361", f"generation {order.generation} cannot follow {row.generation}")
        policy = load_policy(self._home.policy)
        self._check_asker(job, order, policy, row.generation)
        policy.check_room(self._roster.active(), job.initiator, self._roster.party)
        again = set(order.components)
        plan = self._roster.plan(job)
        if again - set(plan.all_steps):
            raise ProtocolError(
                "FED-341", f"job {job.job_id} has no component {min(again - set(plan.all_steps))[:64]!r}"
            )
        for own in self._roster.plans(job):
            check_allowed(own, policy, self._store, self._home, again)
            policy.check_floors(own)
        read = set(plan.all_steps) - again  # by what runs again, or by ``conclude``, which reads all
        if read and self._outputs_gone(job):
            problem = f"the outputs of {', '.join(sorted(read))} were removed at party {self._roster.party}"
            raise DataError("FED-228", problem, "rerun these components, too")
        lacking = sorted(name for name in read if self._lacks(job, plan, name))
        if lacking:
            problem = f"party {self._roster.party} has no outputs of {', '.join(lacking)}"
            raise DataError("FED-228", problem, "rerun these components, too")

    def _lacks(self, job: Job, plan: JobPlan, component: str) -> bool:
        """Whether an own member of a committed step has no outputs of it: the order to commit came too late."""
        newest = self._roster.generation(job, component)
        for own in self._roster.plans(job):
            row = self._store.get(OutputRow, **job.where, component=component, member=str(own.me))
            if own.me in plan.all_steps[component] and (row is None or row.generation < newest):
                return True
        return False

    def wished(self, order: Order) -> None:
        """Remember that people of this party ask for a rerun, before their wish leaves."""
        row = self._store.get(JobRow, **Job.of(order.job).where)
        if row is not None:
            party, by = self._roster.party, order.by[:100]
            self._store.event(WISHED, Job.of(order.job), generation=row.generation, party=party, reason=by)

    def _check_asker(self, job: Job, order: Order, policy: Policy, generation: int) -> None:
        """Whether reruns of who asks are followed here. The coordinator knows it by its certificate.

        Its own word is not proof for others: a wish of this party itself is one that left here, and one of a third
        party counts as the coordinator's too.
        """
        policy.check_rerun(order.party)
        party = self._roster.party
        if party == job.initiator:
            return
        if order.party != party:
            policy.check_rerun(job.initiator)
        elif not any(line["event"] == WISHED and line["generation"] == generation for line in self._store.events(job)):
            problem = f"nobody at party {party} asked for generation {order.generation} of job {job.job_id}"
            raise PolicyError("FED-368", problem, "whoever wants the rerun asks in the own party's name")

    def adopt(self, order: Order) -> None:
        """Take the coordinator's new generation over. Repeated orders change nothing.

        Raises:
            FedError: this party does not take part, as ``check``.
        """
        job = Job.of(order.job)
        with self._store.transaction():
            row = self._store.get(JobRow, **job.where)
            if row is None or order.generation <= row.generation:
                return
            self.check(order)
            names = "\n".join(dict.fromkeys(order.components))
            by, why = order.by[:200], order.reason[:500]
            self._store.put(GenerationRow(*_key(job), order.generation, names, time.time(), by, why))
            self._store.put(replace(row, generation=order.generation, state=REOPENING, ended_at=0.0))
            reason = f"{', '.join(order.components)} by {order.by}: {order.reason}".removesuffix(": ")
            self._store.event(REOPENED, job, generation=order.generation, party=self._roster.party, reason=reason)
            self._store.post(EFFECTS, REOPENED, order.SerializeToString())

    async def carry_out(self, order: Order) -> None:
        """Clear the own tasks; from then on the scheduler's states count again. Repeatable.

        A scheduler that refuses ends the job: its tasks would never come.
        """
        job = Job.of(order.job)
        refused: list[tuple[JobPlan, pb.Failure]] = []
        for plan in self._roster.plans(job):
            try:
                await self._clear(job, plan, order)
            except FedError as error:
                if error.retryable:
                    raise
                refused.append((plan, failure_pb(error, plan.me)))
        with self._store.transaction():
            row = self._store.get(JobRow, **job.where)
            if row and row.state == REOPENING:
                self._store.put(replace(row, state=RUNNING))
                for plan, failure in refused:
                    tell_run_ended(self._store, plan, failure)
        opened = job_pb2.VerdictNotice(job=job.key(), generation=order.generation)
        self._store.post(TRACKING, TRACKING, opened.SerializeToString())

    async def _clear(self, job: Job, plan: JobPlan, order: Order) -> None:
        again = {*order.components, CONCLUDE}
        run = Run(plan.dag_id, plan.job_id)
        newest = await self._control.newest_event(run)
        await self._control.clear(run, [name for name in (*plan.steps, CONCLUDE) if name in again])
        await self._control.note(run, f"rerun of {', '.join(order.components)} by {order.by}")
        self._store.put(SeenRow(*_key(job), str(plan.me), newest))

    async def judge(self, plan: JobPlan, ask: Ask) -> None:
        """Hold a process that comes although its job has ended, until it is known why it does.

        If a person cleared its task, that is a wish for a rerun; it goes to the coordinator, and if it is granted,
        the process finds a running job. In all other cases, decided steps are only repeated to it.
        """
        job = Job(plan.initiator.party, plan.job_id)
        async with self._judging.alone(job):
            row = self._store.get(JobRow, **job.where)
            if row is None or row.state not in STATES.values():
                return
            seen = self._store.get(SeenRow, **job.where, member=str(plan.me))
            run = Run(plan.dag_id, plan.job_id)
            touched = await self._touched(job, run, seen.event if seen else 0, row.ended_at)
            if touched is None:
                return
            try:
                components, downstream = _wish(plan, touched.tasks)
                if components:
                    party = self._roster.party
                    order = Order(
                        job=job.key(), components=components, downstream=downstream, by=touched.by, party=party
                    )
                    await self._ask(job, run, order, ask)
            except FedError as error:
                self._not_asked(job, error)
            # Only now: after a crash before this line the wish is read again, and merged with what it brought about.
            self._store.put(SeenRow(*_key(job), str(plan.me), touched.event))

    async def _touched(self, job: Job, run: Run, after: int, since: float) -> Touched | None:
        try:
            return await self._control.touched(run, after, since)
        except FedError as error:
            self._not_asked(job, error)
            return None

    def _not_asked(self, job: Job, error: FedError) -> None:
        self._store.event("rerun not asked for", job, party=self._roster.party, reason=str(error))

    async def _ask(self, job: Job, run: Run, order: Order, ask: Ask) -> None:
        order.reason = "cleared in the scheduler"
        try:
            answer = await ask(order)
        except FedError as error:  # the coordinator is away: whoever cleared the task must ask again
            await self._control.note(run, f"no rerun: {error.message}")
            raise
        if answer.HasField("failure"):
            text = f"no rerun: {answer.failure.message}"
            self._store.event("rerun refused", job, party=order.party, reason=text)
            return await self._control.note(run, text)
        deadline = time.monotonic() + SETTLED_S
        while not self._reached(job, answer.generation) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return None

    def _reached(self, job: Job, generation: int) -> bool:
        row = self._store.get(JobRow, **job.where)
        return row is not None and row.generation >= generation and row.state != REOPENING


def _wish(plan: JobPlan, cleared: Sequence[str]) -> tuple[list[str], bool]:
    """Components that a person wants again, and whether with what follows from them, by the tasks that were cleared.

    A whole run is the whole job, other parties' components too. Otherwise ``conclude``, which follows from all, tells
    whether the person cleared what follows here, and so what follows elsewhere.
    """
    names = [name for name in plan.steps if name in cleared]
    ends = CONCLUDE in cleared
    if ends and len(names) == len(plan.steps) and any(task in cleared for task in FIRST_TASKS):
        return list(plan.all_steps), False
    return names, ends


def _key(job: Job) -> tuple[str, str]:
    return job.initiator, job.job_id
