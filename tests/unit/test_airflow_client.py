"""What the gateway asks its Airflow: every unfinished job, however many there are, and little if there are few."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from airfed.party import party_config
from federated_operators.gateway.airflow_client import PAGE, SINGLE, WHOLE_S, AirflowClient
from federated_operators.gateway.runs import Run, RunState
from federatedml.errors import PeerError
from federatedml.federation.home import PartyHome

T = TypeVar("T")


class FakeAirflow:
    """Runs and ended tasks, newest first, as Airflow's REST API lists them."""

    def __init__(self, runs: dict[Run, str], tasks: list[tuple[Run, str, str]] | None = None) -> None:
        self.runs, self.ended, self.asked = runs, tasks or [], list[str]()
        self.versions: dict[Run, str] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        url = urlsplit(str(request.url))
        self.asked.append(f"{request.method} {url.path}")
        if url.path.endswith("/dagRuns/list"):
            return httpx.Response(200, json={"dag_runs": self._listed(json.loads(request.content))})
        if url.path.endswith("/~/taskInstances"):
            return httpx.Response(200, json={"task_instances": self._over(parse_qs(url.query))})
        if url.path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": [{"task_id": "lr_0", "end_date": None}]})
        if url.path.endswith("/taskInstances/lr_0"):
            return httpx.Response(200, json={"id": "0198-of-the-newest-try", "task_id": "lr_0", "state": "running"})
        run = Run(*url.path.removeprefix("/api/v2/dags/").split("/dagRuns/"))  # of another task: none
        body = {"state": self.runs.get(run), "bundle_version": self.versions.get(run)}
        return httpx.Response(200, json=body) if run in self.runs else httpx.Response(404)

    def _listed(self, body: dict[str, Any]) -> list[dict[str, str]]:
        of_dags = {run: state for run, state in self.runs.items() if run.dag_id in body["dag_ids"]}
        found = [(run, state) for run, state in of_dags.items() if state in body.get("states", [state])]
        page = found[body["page_offset"] :][: body["page_limit"]]
        return [{"dag_id": run.dag_id, "dag_run_id": run.job_id, "state": state} for run, state in page]

    def _over(self, query: dict[str, list[str]]) -> list[dict[str, str]]:
        jobs = tuple(query["run_id_prefix_pattern"][0].split("|"))
        found = [each for each in self.ended if each[0].job_id.startswith(jobs)]
        page = found[int(query["offset"][0]) :][: int(query["limit"][0])]
        return [{"dag_id": run.dag_id, "dag_run_id": run.job_id, "task_id": task, "state": s} for run, task, s in page]


def client_of(airflow: FakeAirflow, tmp_path: Path) -> AirflowClient:
    (tmp_path / "party.yaml").write_text(json.dumps(party_config("9999", "guest", 26300).model_dump()))
    client = AirflowClient(PartyHome(tmp_path))
    client._http = httpx.AsyncClient(base_url="http://airflow", transport=httpx.MockTransport(airflow.answer))
    client._token, client._token_at = "token", float("inf")
    return client


def done(client: AirflowClient, call: Awaitable[T]) -> T:
    async def whole() -> T:
        try:
            return await call
        finally:
            await client.close()

    return asyncio.run(whole())


def runs(number: int, state: str, start: int = 0) -> dict[Run, str]:
    return {Run("p.guest_9999", f"{start + i:020d}"): state for i in range(number)}


def test_an_airflow_that_has_no_password_yet_does_not_answer(tmp_path: Path) -> None:
    client = client_of(FakeAirflow({}), tmp_path)
    client._token = ""
    with pytest.raises(PeerError, match="FED-420") as refusal:
        done(client, client.note_of(Run("p.guest_9999", "1" * 20)))
    assert str(tmp_path) not in str(refusal.value), "other parties may hear of it"


def test_the_newest_try_of_a_task_has_a_process(tmp_path: Path) -> None:
    airflow = FakeAirflow(runs(1, "running"))
    (run,) = airflow.runs
    for task, expected in (("lr_0", "0198-of-the-newest-try"), ("none_0", None)):
        client = client_of(airflow, tmp_path)
        assert done(client, client.process(run, task)) == expected


def test_few_runs_are_one_question(tmp_path: Path) -> None:
    airflow = FakeAirflow({**runs(3, "running"), **runs(1, "failed", 3), **runs(2, "success", 4)})
    wanted = [*list(airflow.runs)[:4], Run("p.guest_9999", "9" * 20)]
    client = client_of(airflow, tmp_path)
    found = done(client, client.states(wanted))
    assert found == [*(RunState(run, "running") for run in wanted[:3]), RunState(wanted[3], "failed", "lr_0")]
    assert airflow.asked[0] == "POST /api/v2/dags/~/dagRuns/list"
    assert len(airflow.asked) == 2  # and which task failed


@pytest.mark.parametrize("newer", ["running", "success"])
def test_no_unfinished_run_is_overlooked_behind_many_newer_ones(newer: str, tmp_path: Path) -> None:
    airflow = FakeAirflow({**runs(250, newer), **runs(120, "running", 1000), **runs(2, "failed", 2000)})
    wanted = [run for run in airflow.runs if int(run.job_id) >= 1000 or newer == "running"]
    client = client_of(airflow, tmp_path)
    found = {state.run: state.state for state in done(client, client.states(wanted))}
    assert found == {run: airflow.runs[run] for run in wanted}


def test_runs_that_are_not_there_are_asked_for_a_few_at_a_time(tmp_path: Path) -> None:
    airflow = FakeAirflow({**runs(PAGE, "success"), **runs(1, "failed", 5000)})
    wanted = [*runs(3 * SINGLE, "", 4000), Run("p.guest_9999", f"{5000:020d}")]
    client = client_of(airflow, tmp_path)

    async def looks() -> list[list[RunState]]:
        found = []
        for _ in range(4):
            airflow.asked.clear()
            found.append(await client.states(wanted))
            assert sum(asked.startswith("GET") for asked in airflow.asked) <= SINGLE + 1
        return found

    assert [len(found) for found in done(client, looks())] == [0, 0, 0, 1]


def test_all_ended_tasks_are_seen_at_the_first_look_and_then_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, now = list(runs(PAGE + 20, "running")), [1000.0]
    tasks = [(job, f"task_{i}", "success") for i in range(3) for job in jobs]
    airflow = FakeAirflow({}, tasks)
    client = client_of(airflow, tmp_path)
    monkeypatch.setattr("federated_operators.gateway.airflow_client.time.monotonic", lambda: now[0])

    async def looks() -> list[int]:
        found = [len(await client.tasks(jobs)), len(await client.tasks(jobs))]
        now[0] += WHOLE_S
        return [*found, len(await client.tasks(jobs))]

    assert done(client, looks()) == [360, PAGE + 60, 360]
    assert len(airflow.asked) == (4 + 1) + 2 + (4 + 1)


def test_a_run_has_the_version_that_it_started_with_none_or_is_not_there(tmp_path: Path) -> None:
    versioned, plain = runs(2, "failed")
    airflow = FakeAirflow(runs(2, "failed"))
    airflow.versions[versioned] = "ab" * 16
    client = client_of(airflow, tmp_path)

    async def all_of_them() -> list[str | None]:
        return [await client.version_of(run) for run in (versioned, plain, Run("p.guest_9999", "9" * 20))]

    assert done(client, all_of_them()) == ["ab" * 16, "", None]
