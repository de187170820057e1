"""Cron, backfill and assets in a whole party that runs alone: which runs are jobs, and which start one."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pandas as pd
import pytest

from airfed import control, databases, proc
from airfed.party import init_party, party_config, passwords
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.home import PartyHome

pytestmark = pytest.mark.timeout(300)
JOB_ID = re.compile(r"20[0-9]{18,24}")
DSL = {
    "components": {
        "dataio_0": {
            "module": "DataIO",
            "input": {"data": {"data": ["args.train_data"]}},
            "output": {"data": ["train"], "model": ["dataio"]},
        }
    }
}
ASSET = "file:///sales/today.parquet"


def conf(schedule: Any) -> dict[str, Any]:
    table = {"name": "guest", "namespace": "sales"}
    return {
        "initiator": {"role": "guest", "party_id": 9999},
        "role": {"guest": [9999]},
        "job_parameters": {"model_key": "sales"},
        "role_parameters": {"guest": {"args": {"data": {"train_data": [table]}}}},
        "algorithm_parameters": {"dataio_0": {"with_label": False}},
        "schedule": schedule,
    }


def eventually(found: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return answer


class Party:
    """A party that runs, and its Airflow's REST API."""

    def __init__(self, home: PartyHome, http: httpx.Client) -> None:
        self.home, self._http = home, http
        login = {"username": "airfed", "password": passwords(home)["airfed"]}
        token = self._http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        self._http.headers["authorization"] = f"Bearer {token}"

    def drop(self, name: str, schedule: Any) -> str:
        """A pipeline with a schedule; the id of its DAG."""
        (self.home.dropin / f"{name}.json").write_text(json.dumps({"dsl": DSL, "conf": conf(schedule)}))
        dag = f"{name}.guest_9999"
        eventually(lambda: self._http.get(f"/api/v2/dags/{dag}").is_success, dag)
        return dag

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, f"/api/v2{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def asked(self, path: str, body: Any) -> bool:
        """Whether it was done; not while the database is busy, which Airflow says with 503."""
        answer = self._http.post(f"/api/v2{path}", json=body)
        assert answer.is_success or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
        return answer.is_success

    def runs(self, dag: str) -> dict[str, dict[str, Any]]:
        return {run["dag_run_id"]: run for run in self.call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]}

    def ended(self, dag: str, count: int) -> dict[str, dict[str, Any]]:
        """All runs, when there are so many and all have ended."""

        def all_ended() -> dict[str, dict[str, Any]] | None:
            runs = self.runs(dag)
            done = len(runs) >= count and all(run["state"] in ("success", "failed") for run in runs.values())
            return runs if done else None

        return eventually(all_ended, f"{count} runs of {dag}: {self.runs(dag)}")

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        path = f"/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances"
        return {task["task_id"]: task["state"] for task in self.call("GET", path)["task_instances"]}


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    home = init_party(tmp_path_factory.mktemp("p") / "guest", party_config("9999", "guest", 26100, serving=False))
    table = pd.DataFrame({"id": [str(i) for i in range(50)], "x": [float(i) for i in range(50)]})
    path = Catalogue(home.data).path(TableName("sales", "guest"))
    path.parent.mkdir(parents=True)
    table.to_parquet(path)
    databases.prepare_all()
    starting = control.spawn(home, with_parent=True)
    try:
        control.wait_ready([starting])
        with httpx.Client(base_url=home.airflow_url, timeout=30.0, trust_env=False) as http:
            yield Party(home, http)
    finally:
        control.stop(home)
        starting.child.wait(30)
    assert not [process for process in proc.of_home(home.root) if process.session != os.getsid(0)]


def test_cron_runs_are_jobs(party: Party) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 3 * 86_400))
    dag = party.drop("nightly", {"cron": "0 0 * * *", "start": day, "catchup": True})
    runs = party.ended(dag, 3)
    assert all(JOB_ID.fullmatch(run) for run in runs)
    assert {run["run_type"] for run in runs.values()} == {"scheduled"}
    assert {run["state"] for run in runs.values()} == {"success"}
    starts = sorted(run["data_interval_start"] for run in runs.values())
    assert starts[0].startswith(day)
    assert len(set(starts)) == len(starts), "once each; a fourth, if a day ended meanwhile"


def test_backfill_starts_one_job_per_interval_once(party: Party) -> None:
    dag = party.drop("later", {"cron": "0 0 1 1 *"})
    assert party.runs(dag) == {}, "nothing runs for the time before it was dropped in"
    order = {"dag_id": dag, "from_date": "2021-06-01T00:00:00Z", "to_date": "2023-06-01T00:00:00Z"}
    eventually(lambda: party.asked("/backfills", {**order, "max_active_runs": 2}), "a backfill")
    runs = party.ended(dag, 4)
    starters = {name: run for name, run in runs.items() if run["run_type"] == "backfill"}
    jobs = {name: run for name, run in runs.items() if name not in starters}
    assert len(starters) == len(jobs) == 2
    assert {run["state"] for run in runs.values()} == {"success"}
    assert all(JOB_ID.fullmatch(job) for job in jobs)
    for name, run in starters.items():
        (job,) = [job for job, of in jobs.items() if of["conf"]["starter"]["run_id"] == name]
        assert job in run["note"]
        assert name in jobs[job]["note"]
        interval = jobs[job]["conf"]["starter"]["data_interval"]
        assert [moment[:10] for moment in interval] == [run["data_interval_start"][:10], run["data_interval_end"][:10]]
        assert party.tasks(dag, name) == {"federate": "success", "dataio_0": "skipped", "conclude": "success"}

    again = {"dry_run": False, "dag_run_id": next(iter(starters)), "only_failed": False, "reset_dag_runs": True}
    party.call("POST", f"/dags/{dag}/clearTaskInstances", again)
    assert party.ended(dag, 4).keys() == runs.keys(), "a starter has one job for ever"


def test_data_that_arrives_starts_a_job_and_its_failure_is_the_starters(party: Party) -> None:
    dag = party.drop("arrival", {"assets": [ASSET]})
    (asset,) = party.call("GET", f"/assets?dag_ids={dag}")["assets"]
    party.call("POST", "/assets/events", {"asset_id": asset["id"]})
    runs = party.ended(dag, 2)
    (starter,) = [run for run in runs.values() if run["run_type"] == "asset_triggered"]
    (job,) = [run for run in runs.values() if run["run_type"] != "asset_triggered"]
    assert [event["uri"] for event in job["conf"]["starter"]["assets"]] == [ASSET]
    assert (starter["state"], job["state"]) == ("success", "success")

    Catalogue(party.home.data).path(TableName("sales", "guest")).unlink()
    party.call("POST", "/assets/events", {"asset_id": asset["id"]})
    states = [run["state"] for name, run in party.ended(dag, 4).items() if name not in runs]
    assert states == ["failed", "failed"]
