"""One component of one job at one member: join, compute, store, commit, publish."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from airfed_proto.v1 import common_pb2, local_pb2
from federated_operators.airflow_frames import airflow_frame
from federated_operators.budgets import budget_of, source_tables
from federated_operators.federate import read_plan
from federated_operators.gateway.declared import Declared
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.names import member_of, member_pb
from federated_operators.gateway.plan import ALL_SUCCESS, JobPlan, StepPlan
from federated_operators.gateway.worker import WorkerSession
from federated_operators.outputs import JobStore, StepOutputs, dump_outputs, load_committed, load_outputs
from federated_operators.tracking.publish import store_views
from federated_operators.tracking.tracker import StepTracker
from federated_operators.trained import TrainedModels
from federatedml.component import Component, Outputs, Params, component
from federatedml.compute.engine import Compute
from federatedml.data.catalogue import Catalogue
from federatedml.errors import AttemptEnded, DslError, FedError, ProtocolError, Skipped
from federatedml.federation.box import AttemptKey, Box
from federatedml.federation.checkpoint import Checkpoint, CheckpointStore
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member
from federatedml.federation.party_seal import PartySeal
from federatedml.federation.topic import Topic
from federatedml.federation.vault import FolderVault

log = logging.getLogger(__name__)

OnRun = Callable[[str], None]
TELL_EVERY = 1.0  # seconds between two lines of progress in the task's log
PATIENCE_S = 10.0  # for which a step that has not started is waited for in a process


class StepWaits(Exception):  # noqa: N818 - not an error
    """The step has not started, and the gateway keeps the seat: end this process and wait for the call."""


@dataclass(frozen=True)
class Seat:
    """What an Airflow task stands for. ``task_instance`` is new for every try."""

    home: PartyHome
    initiator: str
    job_id: str
    component: str
    member: Member
    task_instance: str
    try_number: int

    @property
    def job_dir(self) -> Path:
        """The job's folder in the party's home."""
        return self.home.job_dir(self.initiator, self.job_id)

    def plan(self) -> JobPlan:
        """The job as this member runs it."""
        return read_plan(self.home, self.initiator, self.job_id, self.member)

    def session(self, plan: JobPlan, version: str, topics: Mapping[str, Topic[Any]]) -> WorkerSession:
        """A worker's session at the own gateway; messages of other topics are refused as they come."""
        join = local_pb2.Join(
            job=common_pb2.JobKey(initiator=self.initiator, job_id=self.job_id),
            component=self.component,
            member=member_pb(self.member),
            task_instance_id=self.task_instance,
            try_number=self.try_number,
            pid=os.getpid(),
            conf_digest=bytes.fromhex(plan.digest),
            component_version=version,
        )
        limits, declared = Limits.of(self.home.config.transport), Declared(topics)
        return WorkerSession(self.home.worker_socket, join, limits=limits, declared=declared)


class Work(Protocol):
    """What a worker does in a step."""

    def compute(self, start: local_pb2.Start) -> bytes:
        """Do the attempt and store its outputs durably; what PREPARED says of them."""
        ...


@dataclass
class Clock:
    """Seconds per part of a task, for people and benchmarks."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 4)


def until_committed(
    session: WorkerSession, work: Work, seat: Seat, clock: Clock, retries: int = 0
) -> local_pb2.Committed:
    """Join and work, attempt after attempt, until the step is committed.

    Args:
        retries: attempts that may follow an error of the algorithm.

    Raises:
        StepWaits: nothing is decided yet. Never after an attempt has started in this process.
        Skipped: the step does not run in this job.
        FedError: the step failed, here or elsewhere; final unless it is retryable.
    """
    patience: float | None = PATIENCE_S
    while True:
        with clock.part("join"):
            answer = session.join(patience)
        if isinstance(answer, local_pb2.Deferred):
            session.done()
            raise StepWaits(answer.reason)
        patience = None
        if isinstance(answer, local_pb2.Committed):
            log.info("%s is committed already: its outputs are published again", seat.component)
            return answer
        log.info("attempt %d of generation %d starts", answer.step.attempt, answer.step.generation)
        try:
            with _reported(session, seat, retries > 0):
                outputs = work.compute(answer)
            with clock.part("commit"):
                return session.prepared(outputs)
        except AttemptEnded as ended:
            log.warning("attempt %d ended: %s", answer.step.attempt, ended.reason)


@contextmanager
def _reported(session: WorkerSession, seat: Seat, may_retry: bool) -> Iterator[None]:
    """Tell the other parties of an error. Only the words of a ``FedError`` may cross the border."""
    try:
        yield
    except FedError as error:
        if error.retryable or error is session.failure:
            raise
        session.failed(error.code, error.message, may_retry)
        raise FedError(error.code, f"{seat.component} at {seat.member}: {error.args[0]}") from error
    except Exception as error:
        what = f"unexpected {type(error).__name__} in {seat.component} at {seat.member}; see that party's log"
        session.failed("FED-900", what, may_retry)
        raise FedError("FED-900", what) from error


class ComponentWork:
    """Runs a component's role function on this member's inputs."""

    def __init__(
        self,
        seat: Seat,
        plan: JobPlan,
        session: WorkerSession,
        tracker: StepTracker,
        clock: Clock,
        on_run: OnRun,
        compute: Compute,
    ) -> None:
        self.seat, self.session, self.tracker, self.clock = seat, session, tracker, clock
        self.engine = compute
        self.plan, self.step = plan, plan.steps[seat.component]
        self.rule = plan.trigger_rules.get(seat.component, ALL_SUCCESS)
        self.on_run: OnRun | None = on_run
        stored = partial(TrainedModels(seat.home).buffers, plan)
        self.store = JobStore(seat.job_dir, Catalogue(seat.home.data, airflow_frame), stored)
        self._told = 0.0
        self.tables: tuple[str, ...] = ()

    def compute(self, start: local_pb2.Start) -> bytes:
        """One attempt of the component."""
        attempt_dir = Path(start.attempt_dir)
        attempt_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.tracker.begin(attempt_dir)
        with self.clock.part("load"):
            runs, params = running(self.step)
            committed = load_committed(start.inputs, self.plan)
            inputs = self.store.inputs(self.step, committed, self.rule)
            earlier = {name: outputs.tables for name, outputs in committed.items()}
            self.tables = source_tables(self.plan, self.seat.component, earlier)
            box = self._box(start, attempt_dir, runs)
        with self.clock.part("algorithm"):
            outputs = runs.roles[self.seat.member.role](params, box, inputs)
        with self.clock.part("store"):
            return self._store(outputs, attempt_dir)

    def _store(self, outputs: Outputs, attempt_dir: Path) -> bytes:
        store_views(attempt_dir, outputs.views)
        self.tracker.summarise(outputs.summary)
        stored = replace(self.store.store(self.step, outputs, attempt_dir), tables=self.tables)
        for name, value in stored.summary.items():
            log.info("%s = %.6g", name, value)
        return dump_outputs(stored)

    def _box(self, start: local_pb2.Start, attempt_dir: Path, runs: Component) -> Box:
        checkpoints = CheckpointStore(attempt_dir.parent)
        attempt = AttemptKey(
            self.seat.initiator, self.seat.job_id, self.seat.component, start.step.generation, start.step.attempt
        )
        return Box(
            me=self.seat.member,
            members=sorted(member_of(member) for member in start.members),
            topics=runs.topic_table(),
            transport=self.session.transport,
            attempt=attempt,
            checkpoints=checkpoints,
            resume=_resume(start, checkpoints),
            compute=self.engine,
            budget=budget_of(self.seat.home, self.seat.member, attempt),
            vault=FolderVault(self.seat.home.vault),
            seal=PartySeal(self.seat.home),
            tables=self.tables,
            on_metric=self.tracker.point,
            on_progress=self._progress,
            on_checkpoint=self._checkpoint,
        )

    def _checkpoint(self, checkpoint: Checkpoint) -> None:
        self.session.checkpoint(checkpoint)
        self.tracker.covered(checkpoint.round)

    def _progress(self, done: float, text: str) -> None:
        self.session.progress(done, text)
        now = time.monotonic()
        if now - self._told >= TELL_EVERY or done >= 1.0:
            self._told = now
            self.show_run()
            log.info("%3.0f %% %s", 100 * done, text)

    def show_run(self) -> None:
        """Say once where the component's MLflow run is, as soon as it is known."""
        if self.tracker.url and self.on_run is not None:
            self.on_run(self.tracker.url)
            self.on_run = None


def run_component(seat: Seat, on_session: Callable[[WorkerSession], None], on_run: OnRun) -> dict[str, Any]:
    """Run the component of ``seat`` to its commit; references to its outputs, and seconds per part, for XCom.

    Args:
        on_session: called with the session before it joins, for the one who may have to close it.
        on_run: called with the URL of the component's MLflow run once it is known.
    """
    clock = Clock()
    with clock.part("load"):
        plan, step = taken_part(seat)
        tracker = StepTracker(seat.home, plan, step, seat.job_dir)
    session = seat.session(plan, step.version, running(step)[0].topic_table())
    on_session(session)
    try:
        with seat.home.compute() as compute:
            work = ComponentWork(seat, plan, session, tracker, clock, on_run, compute)
            retries = plan.auto_retries.get(seat.component, 0)
            committed = until_committed(session, work, seat, clock, retries)
        outputs = load_outputs(committed.outputs)
        with clock.part("tracking"):
            tracked = tracker.finish(outputs)
        if not tracked:
            log.warning("MLflow does not have everything of %s yet; conclude brings it", seat.component)
        work.show_run()
        CheckpointStore((seat.job_dir / outputs.folder).parent).prune(0, 0)  # nothing goes back behind a commit
        session.done()
    finally:
        tracker.stop()
        session.close()
    log.info("seconds: %s", ", ".join(f"{name} {seconds:.3f}" for name, seconds in clock.seconds.items()))
    return {"outputs": xcom(outputs), "seconds": clock.seconds}


def taken_part(seat: Seat) -> tuple[JobPlan, StepPlan]:
    """The plan and the part of it that ``seat`` fills.

    Raises:
        Skipped: ``FED-390``, the job was not admitted, as its first task says: tasks start whatever became of those
            before them; ``FED-392``, the job does without the component.
    """
    try:
        plan = seat.plan()
    except ProtocolError as error:
        raise Skipped(error.code, error.message, error.hint) from error
    if seat.component not in plan.steps:
        raise Skipped("FED-392", f"{seat.member} does not run {seat.component!r} in job {plan.job_id}")
    return plan, plan.steps[seat.component]


def xcom(outputs: StepOutputs) -> dict[str, Any]:
    """References to outputs, small enough for XCom."""
    return {
        "data": {alias: {"path": table.path, "rows": table.rows} for alias, table in outputs.data.items()},
        "model": {alias: model.module for alias, model in outputs.model.items()},
        "summary": dict(outputs.summary),
    }


def running(step: StepPlan) -> tuple[Component, Params]:
    """The component as it runs with its parameters, and these; ``DslError`` if they are not valid."""
    declared = component(step.module, predicting=step.model is not None)
    params = _params(declared, step)
    return declared.variant(declared, params), params


def _params(kind: Component, step: StepPlan) -> Params:
    try:
        return kind.params.model_validate_json(json.dumps(step.params))
    except ValidationError as error:
        where = "; ".join(".".join(map(str, problem["loc"])) for problem in error.errors()[:3])
        raise DslError("FED-138", f"{step.component}: parameters {where} are not valid") from error


def _resume(start: local_pb2.Start, checkpoints: CheckpointStore) -> Checkpoint | None:
    """The checkpoint that all members go back to; what is newer or older is deleted."""
    if not start.HasField("resume_from"):
        checkpoints.prune(0, 0)
        return None
    ref = start.resume_from
    checkpoints.prune(ref.attempt, ref.round)
    return checkpoints.load(ref.attempt, ref.round, ref.digest)
