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
from airfed.job import drop, view
from airfed.party import passwords
from airfed_proto.v1 import job_pb2, local_pb2
from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX, parse_paths
from dags_generator.spec import PipelineSpec, dag_id
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

DAG_TIMEOUT = 30.0
JOB_TIMEOUT = 300.0
POLL = 0.2
OPEN = ("", "proposed", "running")


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
    airflow = AirflowRest(guest, PEOPLE, passwords(guest)[PEOPLE])
    try:
        drop(guest, spec.pipeline, dsl, conf)
        visible_after = airflow.wait_for_dag(dag, spec.pipeline, DAG_TIMEOUT)
        screen.say(f"  {dag} is a DAG in Airflow {visible_after:.1f} s after its files were dropped")
        begun = time.monotonic()
        job_id = airflow.trigger(dag)
        watched = _watch(guest, job_id, spec, screen)
        run = _ended_run(airflow, dag, job_id)
        return Finished(job_id, spec, watched, run, visible_after, time.monotonic() - begun)
    finally:
        airflow.close()


def _watch(guest: PartyHome, job_id: str, spec: PipelineSpec, screen: Screen) -> local_pb2.JobView:
    """Show every component at every party until the job has a verdict."""
    columns = [_title(str(member.role), member.party) for member in spec.parties.members]
    deadline = time.monotonic() + JOB_TIMEOUT
    with screen.board(f"Job {job_id}", columns) as board:
        while time.monotonic() < deadline:
            found = _known(guest, job_id)
            if found is not None:
                board.show(_cells(found))
                if found.state not in OPEN:
                    return found
            time.sleep(POLL)
    raise FedError("FED-929", f"job {job_id} has no verdict after {JOB_TIMEOUT:.0f} s", f"logs: {guest.logs}")


def _known(guest: PartyHome, job_id: str) -> local_pb2.JobView | None:
    try:
        return view(guest, job_id)
    except FedError as error:
        if error.code == "FED-924" or error.retryable:  # its first task has not yet told the gateway, or that is busy
            return None
        raise


def _cells(found: local_pb2.JobView) -> dict[tuple[str, str], str]:
    return {
        (step.component, _title(each.member.role, each.member.party_id)): _state(each)
        for step in found.steps
        for each in step.members
    }


def _state(member: local_pb2.MemberStep) -> str:
    name = job_pb2.StepState.Name(member.state).lower()
    doing = member.state == job_pb2.STARTED and (member.progress or member.text)
    return f"{name} {member.progress:.0%} {member.text}".rstrip() if doing else name


def _title(role: str, party: str) -> str:
    return f"{role} {party}"


def _ended_run(airflow: AirflowRest, dag: str, job_id: str) -> dict[str, Any]:
    """The guest's DAG run once Airflow has ended it, seconds after the verdict."""
    deadline = time.monotonic() + 30.0
    while (run := airflow.run(dag, job_id))["state"] not in ("success", "failed"):
        if time.monotonic() > deadline:
            break
        time.sleep(POLL)
    return run
