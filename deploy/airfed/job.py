"""Submit and look at jobs of a party that runs on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from airfed.airflow_config import SERVICE_USER
from airfed.airflow_rest import AirflowRest
from airfed.party import passwords
from airfed_proto.v1 import local_pb2
from dags_generator.dropin import compiled, scan
from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX, parse_paths
from dags_generator.spec import PipelineSpec, dag_id
from dags_generator.store import BundleStore
from federated_operators.gateway.client import GatewayClient
from federatedml.errors import DslError, FedError
from federatedml.federation.home import PartyHome

DAG_TIMEOUT = 60.0  # seconds until a dropped pipeline must be a DAG


@dataclass(frozen=True)
class Submitted:
    """A job that was started; ``visible_after`` is the time from file to DAG in seconds."""

    job_id: str
    dag_id: str
    spec: PipelineSpec
    visible_after: float


@contextmanager
def session(home: PartyHome, user: str = SERVICE_USER) -> Iterator[AirflowRest]:
    """A session at the party's own Airflow."""
    airflow = AirflowRest(home, user, passwords(home)[user])
    try:
        yield airflow
    finally:
        airflow.close()


def submit(home: PartyHome, dsl: Path, conf: Path) -> Submitted:
    """Put a pipeline into the drop-in folder, wait for its DAG, start a run.

    Raises:
        DslError: the files are not a pipeline that this party initiates.
        FedError: Airflow does not take it.
    """
    spec = parse_paths(dsl, conf)
    initiator = spec.parties.initiator
    if initiator.party != home.config.party_id:
        raise DslError("FED-161", f"{conf.name}: the initiator is party {initiator.party}, not {home.config.party_id}")
    drop(home, spec.pipeline, dsl, conf)
    with session(home) as airflow:
        dag = dag_id(spec.pipeline, initiator, initiator)
        took = wait_for_dag(home, airflow, spec.pipeline, dag)
        return Submitted(airflow.trigger(dag), dag, spec, took)


def drop(home: PartyHome, pipeline: str, dsl: Path, conf: Path) -> None:
    """Copy a pair into the drop-in folder; what is there and equal stays untouched."""
    for source, suffix in ((dsl, DSL_SUFFIX), (conf, CONF_SUFFIX)):
        target = home.dropin / f"{pipeline}{suffix}"
        body = source.read_bytes()
        if not target.exists() or target.read_bytes() != body:
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            temporary.write_bytes(body)
            temporary.rename(target)


def wait_for_dag(home: PartyHome, airflow: AirflowRest, pipeline: str, dag: str) -> float:
    """Wait until Airflow's DAG is that of the files as they are now, not of earlier ones; seconds that it took.

    Raises:
        DslError: the folder holds something else by that name, too.
        FedError: Airflow does not take it.
    """
    source = scan(home).get(pipeline)
    if source is None:
        raise DslError("FED-162", f"{pipeline}{DSL_SUFFIX} is not the name of a pipeline's file", "it is too long")
    wanted = compiled(source, home.config.party_id)
    if not wanted.valid:
        raise DslError(**json.loads(wanted.body)["error"])
    store = BundleStore(home.bundle)
    return airflow.wait_for_dag(dag, pipeline, DAG_TIMEOUT, lambda version: store.holds(version, pipeline, wanted))


def view(home: PartyHome, job_id: str) -> local_pb2.JobView:
    """A job as this party's gateway sees it; ``FedError`` if it has none of that id."""
    with GatewayClient(home.socket) as client:
        found = client.show(job_id=job_id).jobs if job_id else []
    if not found:
        raise FedError("FED-924", f"party {home.config.party_id} has no job {job_id!r}")
    return found[0]


def jobs(home: PartyHome, limit: int) -> Sequence[local_pb2.JobView]:
    """The newest jobs that this party's gateway knows, newest first; ``limit`` 0: all."""
    with GatewayClient(home.socket) as client:
        return list(client.newest(limit))


def as_json(job: local_pb2.JobView) -> Mapping[str, Any]:
    """A job as plain JSON, enumerations by name."""
    return MessageToDict(job, preserving_proto_field_name=True)
