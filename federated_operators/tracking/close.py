"""The end of a job as MLflow shows it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from airfed_proto.v1 import common_pb2, job_pb2
from federated_operators.gateway.plan import JobPlan
from federated_operators.outputs import StepOutputs
from federated_operators.registry.rest import MlflowRest
from federated_operators.tracking.last_words import LastWords
from federated_operators.tracking.publish import publish_job, publish_step
from federated_operators.tracking.runs import JobRuns
from federatedml.errors import FedError, ModelError, PeerError
from federatedml.federation.home import PartyHome

log = logging.getLogger(__name__)

STATUS: dict[int, str] = {job_pb2.JOB_FAILED: "FAILED", job_pb2.CANCELLED: "KILLED", job_pb2.TIMED_OUT: "KILLED"}
ENDED = ("FINISHED", "FAILED", "KILLED")
PAUSE = 1.0
T = TypeVar("T")


def close_runs(home: PartyHome, plan: JobPlan, verdict: int, failure: common_pb2.Failure | None = None) -> None:
    """End a job's open runs with its verdict and reason, or open them when it runs again (no verdict). Of a success,
    what its last task has left unsaid. Blocking; may be repeated.

    Raises:
        PeerError: MLflow is not there; call again later.
    """
    if verdict == job_pb2.VERDICT_UNSPECIFIED:
        return _reopen(home, plan)
    if verdict == job_pb2.SUCCEEDED:
        return _last_words(home, plan)
    status = STATUS.get(verdict)
    if status is None:
        return None
    with MlflowRest(home.mlflow_url) as rest:
        runs = JobRuns(rest, home, plan)
        runs.close(status)
        experiment = runs.known_experiment()
        if experiment is None:
            return None
        for kind in ("task", "job"):
            for run in rest.search_runs(experiment, runs.identity(kind)):
                if run.status not in ENDED:
                    rest.set_tags(run.run_id, _reason(failure))
                    rest.update_run(run.run_id, status)
    return None


def _last_words(home: PartyHome, plan: JobPlan) -> None:
    with MlflowRest(home.mlflow_url) as rest, LastWords(JobRuns(rest, home, plan)) as words:
        words.say_what_is_left()


def _reopen(home: PartyHome, plan: JobPlan) -> None:
    """The job's run goes on; components that run again get runs of their own generation."""
    with MlflowRest(home.mlflow_url) as rest:
        runs = JobRuns(rest, home, plan)
        runs.reopen()
        if runs.known_experiment() is not None:
            rest.update_run(runs.parent().run_id, "RUNNING")


def drain(runs: JobRuns, committed: Mapping[str, StepOutputs], job_dir: Path, patience: float) -> None:
    """Bring everything of the job's committed steps to MLflow, waiting at most ``patience`` seconds for it.

    What MLflow refuses is dropped with a warning: it would be refused again.

    Raises:
        ModelError: ``FED-482``, as ``patiently``.
    """
    patiently(lambda: _publish_all(runs, committed, job_dir), patience)


def patiently(call: Callable[[], T], patience: float) -> T:
    """What ``call`` answers once MLflow is there.

    Raises:
        ModelError: ``FED-482``, MLflow did not come back within ``patience`` seconds. Final: who waits has waited.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return call()
        except PeerError as error:
            if time.monotonic() > until:
                text = f"this party's MLflow did not come back within {patience:g} s"
                raise ModelError("FED-482", text, str(error)) from error
            log.warning("MLflow is waited for: %s", error)
            time.sleep(PAUSE)


def _publish_all(runs: JobRuns, committed: Mapping[str, StepOutputs], job_dir: Path) -> None:
    publish_job(runs)
    for component, outputs in committed.items():
        try:
            publish_step(runs, runs.plan.steps[component], outputs, job_dir)
        except FedError as error:
            if error.retryable:
                raise
            log.warning("tracking of %s is incomplete: %s", component, error)


def _reason(failure: common_pb2.Failure | None) -> dict[str, str]:
    if failure is None or not failure.code:
        return {}
    where = f"{failure.member.role}_{failure.member.party_id}" if failure.member.party_id else ""
    reason = {"fed.code": failure.code, "fed.reason": failure.message, "fed.component": failure.component}
    return {key: text[:1000] for key, text in {**reason, "fed.failed_at": where}.items() if text}
