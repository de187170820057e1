"""Submit and watch jobs of a party that runs on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from airfed.airflow_config import SERVICE_USER
from airfed.airflow_rest import AirflowRest
from airfed.party import passwords
from airfed_proto.v1 import local_pb2
from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX, parse_paths
from dags_generator.spec import dag_id
from federated_operators.gateway.client import GatewayClient
from federatedml.errors import DslError, FedError
from federatedml.federation.home import PartyHome

DAG_TIMEOUT = 60.0  # seconds until a dropped pipeline must be a DAG


@dataclass(frozen=True)
class Submitted:
    """A job that was started; ``visible_after`` is the time from file to DAG in seconds."""

    job_id: str
    dag_id: str
    visible_after: float


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
    airflow = AirflowRest(home, SERVICE_USER, passwords(home)[SERVICE_USER])
    try:
        dag = dag_id(spec.pipeline, initiator, initiator)
        took = airflow.wait_for_dag(dag, spec.pipeline, DAG_TIMEOUT)
        return Submitted(airflow.trigger(dag), dag, took)
    finally:
        airflow.close()


def drop(home: PartyHome, pipeline: str, dsl: Path, conf: Path) -> None:
    """Copy a pair into the drop-in folder; what is there and equal stays untouched."""
    for source, suffix in ((dsl, DSL_SUFFIX), (conf, CONF_SUFFIX)):
        target = home.dropin / f"{pipeline}{suffix}"
        body = source.read_bytes()
        if not target.exists() or target.read_bytes() != body:
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            temporary.write_bytes(body)
            temporary.rename(target)


def view(home: PartyHome, job_id: str) -> local_pb2.JobView:
    """A job as this party's gateway sees it; ``FedError`` if it has none of that id."""
    with GatewayClient(home.socket) as client:
        found = client.show(job_id=job_id).jobs
    if not found:
        raise FedError("FED-924", f"party {home.config.party_id} has no job {job_id!r}")
    return found[0]


def as_json(job: local_pb2.JobView) -> Mapping[str, Any]:
    """A job as plain JSON, enumerations by name."""
    return MessageToDict(job, preserving_proto_field_name=True)
