"""Runs that Airflow names itself, of a backfill or by an asset, are no jobs: each starts one, and ends as it does.

Such a starter has one job for ever, however often its tasks run: the job's id is derived from the starter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airfed_proto.v1 import local_pb2
from federated_operators.gateway.airflow_client import AirflowClient
from federated_operators.gateway.client import GatewayClient
from federated_operators.gateway.names import JOB_ID, words
from federated_operators.gateway.runs import Run
from federatedml.errors import DslError, FedError
from federatedml.federation.home import PartyHome

STARTERS = ("backfill", "asset_triggered")  # types of Airflow's runs
STARTER = "starter"  # key of the conf of a run that one of them started
FIRST_YEAR = 2000
MAX_EVENTS = 100


@dataclass(frozen=True)
class Starter:
    """A run that starts a job in its own DAG.

    Attributes:
        conf: its own, handed on to the job's run.
        why: plain JSON: interval of data, events of assets.
    """

    dag_id: str
    run_id: str
    run_after: datetime
    conf: Mapping[str, Any]
    why: Mapping[str, Any]

    @property
    def job_id(self) -> str:
        """The time from which the starter may run, and six digits of its name: the same at every try."""
        name = hashlib.sha256(f"{self.dag_id}\0{self.run_id}".encode()).digest()
        at = self.run_after.astimezone(UTC)
        return f"{at:%Y%m%d%H%M%S%f}{int.from_bytes(name[:8]) % 10**6:06d}"

    @property
    def job_conf(self) -> dict[str, Any]:
        """Conf of the job's run: what it was started by, for people, beside the form."""
        return {**self.conf, STARTER: {"run_id": self.run_id, **self.why}}


def starter_of(dag_id: str, run: Any) -> Starter | None:
    """The starter that a run of Airflow is; None for the run of a job, as a backfill may repeat one."""
    if str(getattr(run.run_type, "value", run.run_type)) not in STARTERS or JOB_ID.fullmatch(run.run_id):
        return None
    if run.run_after.year < FIRST_YEAR:
        raise DslError("FED-146", f"run {run.run_id} is of a year before {FIRST_YEAR}", "no job id begins like that")
    return Starter(dag_id, run.run_id, run.run_after, run.conf or {}, _why(run))


def _why(run: Any) -> dict[str, Any]:
    why: dict[str, Any] = {}
    if run.data_interval_start and run.data_interval_end:
        why["data_interval"] = [run.data_interval_start.isoformat(), run.data_interval_end.isoformat()]
    if run.consumed_asset_events:
        why["assets"] = [
            {"uri": event.asset.uri, "at": event.timestamp.isoformat(), "by": event.source_dag_id}
            for event in run.consumed_asset_events[:MAX_EVENTS]
        ]
    return why


async def start_job(home: PartyHome, starter: Starter) -> None:
    """Trigger the run of the job, unless it is there already; each run's note tells of the other."""
    job, own = Run(starter.dag_id, starter.job_id), Run(starter.dag_id, starter.run_id)
    airflow = AirflowClient(home)
    try:
        await airflow.start(job, starter.job_conf, f"started by {own.job_id}: {airflow.url(own)}")
        await airflow.note(own, f"started job {job.job_id}: {airflow.url(job)}")
    finally:
        await airflow.close()


def verdict(home: PartyHome, initiator: str, job_id: str) -> str:
    """What became of a job that did not succeed."""
    try:
        with GatewayClient(home.socket) as gateway:
            found = gateway.show(initiator, job_id)
    except FedError:
        found = local_pb2.JobViews()
    if not found.jobs:
        return f"job {job_id} failed before it was proposed, or its gateway is away: its own run says why"
    job = found.jobs[0]
    why = f": {words(job.failure)}" if job.HasField("failure") else ""
    return f"job {job_id}: {job.state.replace('_', ' ')}{why}"
