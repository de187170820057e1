"""The demo's job: dropped into the guest's folder, started over the guest's REST API, watched at the guest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airfed.airflow_config import PEOPLE
from airfed.airflow_rest import AirflowRest
from airfed.demo_screen import Screen
from airfed.job import Submitted, drop, session, wait_for_dag
from airfed.job_watch import follow
from airfed_proto.v1 import local_pb2
from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX, parse_paths
from dags_generator.spec import PipelineSpec, dag_id
from federatedml.federation.home import PartyHome

JOB_TIMEOUT = 300.0
POLL = 0.2


@dataclass(frozen=True)
class Finished:
    """A job that has its verdict.

    Attributes:
        visible_after: seconds from the dropped file to the DAG.
        took: seconds from the trigger to the end of the guest's own run.
        run: the guest's DAG run.
    """

    job_id: str
    spec: PipelineSpec
    view: local_pb2.JobView
    run: Mapping[str, Any]
    visible_after: float
    took: float

    @property
    def success(self) -> bool:
        """Whether gateway and Airflow both say so."""
        return self.view.state == "succeeded" and self.run["state"] == "success"


def run_job(guest: PartyHome, folder: Path, screen: Screen) -> Finished:
    """Run the pair ``NAME_dsl.json``, ``NAME_conf.json`` of a folder at its initiator.

    Raises:
        FedError: it is not a pipeline, does not become a DAG, or has no verdict in time.
    """
    dsl = next(folder.glob(f"*{DSL_SUFFIX}"))
    conf = dsl.with_name(dsl.name.removesuffix(DSL_SUFFIX) + CONF_SUFFIX)
    spec = parse_paths(dsl, conf)
    dag = dag_id(spec.pipeline, spec.parties.initiator, spec.parties.initiator)
    with session(guest, PEOPLE) as airflow:
        drop(guest, spec.pipeline, dsl, conf)
        visible_after = wait_for_dag(guest, airflow, spec.pipeline, dag)
        screen.say(f"  {dag} is a DAG in Airflow {visible_after:.1f} s after its files were dropped")
        begun = time.monotonic()
        job = Submitted(airflow.trigger(dag), dag, spec, visible_after)
        watched = follow(guest, job, screen, JOB_TIMEOUT)
        run = _ended_run(airflow, dag, job.job_id)
        return Finished(job.job_id, spec, watched, run, visible_after, time.monotonic() - begun)


def _ended_run(airflow: AirflowRest, dag: str, job_id: str) -> dict[str, Any]:
    """The guest's DAG run once Airflow has ended it, seconds after the verdict."""
    deadline = time.monotonic() + 30.0
    while (run := airflow.run(dag, job_id))["state"] not in ("success", "failed"):
        if time.monotonic() > deadline:
            break
        time.sleep(POLL)
    return run
