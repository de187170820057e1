"""Logs of a job's tasks at this party, from its own Airflow; every party keeps its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airfed.airflow_rest import AirflowRest
from airfed.job import session
from airfed.job_watch import known
from federated_operators.gateway.names import JOB_ID
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome


@dataclass(frozen=True)
class TaskLog:
    """The newest try of a task. ``entries`` are Airflow's: each has ``event``, mostly ``timestamp`` and ``level``."""

    dag_id: str
    task: str
    attempt: int
    state: str
    entries: Sequence[Mapping[str, Any]]

    def json(self) -> dict[str, Any]:
        """As plain JSON."""
        head = {"dag_id": self.dag_id, "task": self.task, "try": self.attempt, "state": self.state}
        return {**head, "log": list(self.entries)}


def logs(home: PartyHome, job_id: str, component: str = "") -> list[TaskLog]:
    """The newest try of each task that began, or of one task.

    Raises:
        FedError: this party's Airflow has no run, or the run no task, of that name.
    """
    with session(home) as airflow:
        runs = airflow.runs(job_id) if JOB_ID.fullmatch(job_id) else []
        tasks = [task for run in runs for task in airflow.tasks(run["dag_id"], job_id)]
        chosen = [task for task in tasks if component in ("", task["task_id"])]
        if not chosen:
            raise FedError("FED-934", _nothing(home, job_id, component, [task["task_id"] for task in tasks]))
        return [_log(airflow, job_id, task) for task in chosen if component or task["try_number"]]


def elsewhere(home: PartyHome, job_id: str) -> dict[str, str]:
    """The other parties of a job, as far as they are known here: party id -> page of its run, or empty."""
    found = known(home, job_id)
    if found is None:
        return {}
    others = {member.party_id for member in found.members} - {home.config.party_id}
    return {party: found.parties[party].run_url if party in found.parties else "" for party in sorted(others)}


def _log(airflow: AirflowRest, job_id: str, task: Mapping[str, Any]) -> TaskLog:
    dag, name, attempt = task["dag_id"], task["task_id"], task["try_number"]
    entries = airflow.log(dag, job_id, name, attempt) if attempt else []
    return TaskLog(dag, name, attempt, task["state"] or "not begun", entries)


def _nothing(home: PartyHome, job_id: str, component: str, tasks: Sequence[str]) -> str:
    party = home.config.party_id
    if not tasks:
        return f"the Airflow of party {party} has no run of a job {job_id!r}"
    return f"job {job_id} has no task {component!r} at party {party}; its tasks there: {', '.join(tasks)}"
