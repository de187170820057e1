"""The last task of a job: everything tracked and the model registered, then - all parties agreed - the alias set."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from airfed_proto.v1 import local_pb2, model_pb2
from federated_operators.gateway.plan import PREDICT, JobPlan
from federated_operators.gateway.worker import WorkerSession
from federated_operators.outputs import JobStore, StepOutputs, load_committed
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.rest import MlflowRest
from federated_operators.step import Clock, OnRun, Seat, until_committed
from federated_operators.tracking.close import drain, patiently
from federated_operators.tracking.last_words import LastWords
from federated_operators.tracking.runs import JobRuns
from federatedml.canonical import canonical_json
from federatedml.data.catalogue import Catalogue
from federatedml.errors import FedError
from federatedml.model_bundle import ModelBundle, StoredModel

log = logging.getLogger(__name__)

VERSION = "1"  # of this step, compared between parties
PATIENCE = 300.0  # seconds that the job's last points may wait for MLflow, and as many its model


class ConcludeWork:
    """PREPARED: tracking is drained, and the model's version is registered without alias."""

    def __init__(self, seat: Seat, plan: JobPlan, runs: JobRuns, words: LastWords, clock: Clock) -> None:
        self.seat, self.plan, self.runs, self.words, self.clock = seat, plan, runs, words, clock
        self.registry = ModelRegistry(runs.rest)

    def compute(self, start: local_pb2.Start) -> bytes:
        """Prepare the verdict."""
        found = load_committed(start.inputs, self.plan)
        committed = {name: outputs for name, outputs in found.items() if not outputs.job}
        with self.clock.part("tracking"):
            drain(self.runs, committed, self.seat.job_dir, PATIENCE)
        outputs: dict[str, Any] = {"summary": {name: dict(out.summary) for name, out in committed.items()}}
        with self.clock.part("register"):
            bundle = bundle_of(self.plan, found, JobStore(self.seat.job_dir, Catalogue(self.seat.home.data)), start)
            if bundle is not None:
                outputs["registered"] = patiently(partial(self._register, bundle), PATIENCE)
        self.words.keep(outputs)
        return json.dumps(outputs).encode()

    def _register(self, bundle: ModelBundle) -> dict[str, Any]:
        version = self.registry.register(
            bundle,
            self.runs.experiment_name,
            run_id=self.runs.parent().run_id,
            tags={"fed.dsl": self.plan.spec_digest},
            description=f"Job {self.plan.job_id} of pipeline {self.plan.pipeline}",
        )
        log.info("registered %s, version %d", version.name, version.version)
        return {"name": version.name, "version": version.version}

    def finish(self, outputs: Mapping[str, Any]) -> None:
        """COMMITTED: the alias is set and the job's run ends. What fails here the gateway says again."""
        try:
            self.words.say(outputs)
        except FedError as error:
            log.warning("the job succeeded, MLflow hears of it later, from the gateway: %s", error)


def bundle_of(
    plan: JobPlan, committed: Mapping[str, StepOutputs], store: JobStore, start: local_pb2.Start
) -> ModelBundle | None:
    """This member's half of the model, of the components that are deployed; None if the job fitted none.

    Components that do not run in the job add what the earlier job left: the model is whole.
    """
    if plan.job_type == PREDICT:
        return None
    fitted = [name for name, step in plan.steps.items() if step.need_deploy and name in committed]
    if not any(committed[name].model for name in fitted):
        return None
    deployed = plan.inference_dsl.get("components", {})
    earlier = [name for name, outputs in committed.items() if outputs.job and name in deployed]
    models = {
        name: StoredModel(files.module, alias, store.of(committed[name]).model_bytes(files))
        for name in (*fitted, *earlier)
        for alias, files in committed[name].model.items()
    }
    pipeline = model_pb2.Pipeline(
        inference_dsl=canonical_json(plan.inference_dsl) if plan.inference_dsl else b"",
        train_dsl=canonical_json(plan.dsl),
        train_runtime_conf=canonical_json(plan.conf),
        model_id=plan.model_id,
        model_version=plan.job_id,
    )
    return ModelBundle(
        me=plan.me,
        members=plan.members,
        model_key=plan.model_key,
        model_version=plan.job_id,
        initiator=plan.initiator.party,
        generation=start.step.generation,
        components=models,
        pipeline=pipeline.SerializeToString(deterministic=True),
    )


def run_conclude(seat: Seat, on_session: Callable[[WorkerSession], None], on_run: OnRun) -> dict[str, Any]:
    """Conclude the job at this member; seconds per part and the registered version, for XCom."""
    clock = Clock()
    plan = seat.plan()
    session = seat.session(plan, VERSION, topics={})
    on_session(session)
    try:
        with MlflowRest(seat.home.mlflow_url) as rest, LastWords(runs := JobRuns(rest, seat.home, plan)) as words:
            work = ConcludeWork(seat, plan, runs, words, clock)
            outputs: dict[str, Any] = json.loads(until_committed(session, work, seat, clock).outputs)
            with clock.part("finish"):
                work.finish(outputs)
            on_run(runs.url(runs.parent()))
        session.done()
    finally:
        session.close()
    return {"outputs": outputs, "seconds": clock.seconds}
