"""The party's own Airflow over its public REST API, as a person or a script would use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from federated_operators.gateway.nudge import nudge
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

POLL = 0.2  # seconds
ROLLED_BACK = '"Database error"'  # Airflow's words where SQLite was locked: nothing was written, it may be tried again
ROLLED_BACK_PAUSES = (0.1, 0.2, 0.4, 0.8)  # seconds
PAGE = 100  # entries: Airflow's own limit


def any_version(_: str) -> bool:
    """Every version of the bundle will do."""
    return True


class AirflowRest:
    """One user's session.

    Raises:
        FedError: Airflow is not there, or refuses; with its words.
    """

    def __init__(self, home: PartyHome, user: str, password: str) -> None:
        self._home, self._url = home, home.airflow_url
        self._client = httpx.Client(base_url=self._url, timeout=30.0, trust_env=False)
        token = self._call("POST", "/auth/token", {"username": user, "password": password})["access_token"]
        self._client.headers["authorization"] = f"Bearer {token}"

    def wait_for_dag(
        self, dag_id: str, file_stem: str, timeout: float, current: Callable[[str], bool] = any_version
    ) -> float:
        """Wait until a dropped file is a DAG; seconds that it took. An import error of that file ends the wait.

        Args:
            current: whether a version of the bundle holds the file as it was dropped; a DAG of another one is old.
        """
        begun, since = time.monotonic(), time.time()
        while not self._is_current(dag_id, current):
            fault = self._import_error(file_stem, since if current is not any_version else 0.0)
            if fault:
                raise FedError("FED-921", fault)
            if time.monotonic() - begun > timeout:
                what = self._import_error(file_stem, 0.0) or f"{dag_id} is not a DAG of these files"
                raise FedError("FED-922", f"after {timeout:.0f} s: {what}", f"look at {self._url}")
            time.sleep(POLL)
        return time.monotonic() - begun

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has this DAG."""
        return self._client.get(f"/api/v2/dags/{dag_id}").status_code == 200

    def runs(self, run_id: str) -> list[dict[str, Any]]:
        """All runs of this id: one per role that the party plays."""
        found = self._call("GET", "/api/v2/dags/~/dagRuns", params={"run_id_pattern": run_id})["dag_runs"]
        return [run for run in found if run["dag_run_id"] == run_id]

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Task instances of a run, in the order in which they began; last those that did not."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, params={"limit": PAGE, "offset": len(found), "order_by": "id"})
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return sorted(found, key=lambda task: task["start_date"] or "9")

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> list[dict[str, Any]]:
        """Entries of a try's log, each with ``event`` and mostly ``timestamp`` and ``level``."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        content = self._call("GET", path)["content"]
        return [{"event": entry} if isinstance(entry, str) else entry for entry in content]

    def trigger(self, dag_id: str) -> str:
        """Start a run with the DAG's own defaults; its run id."""
        run_id: str = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
        nudge(self._home)
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run as Airflow shows it."""
        return self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def close(self) -> None:
        """End the session."""
        self._client.close()

    def _is_current(self, dag_id: str, current: Callable[[str], bool]) -> bool:
        """Whether the DAG is there, and made from a version that is current; ``FedError`` if it is paused."""
        if not self.has_dag(dag_id):
            return False
        dag = self._call("GET", f"/api/v2/dags/{dag_id}")
        if dag["is_paused"]:
            raise FedError("FED-932", f"DAG {dag_id} is paused: its jobs would wait for ever", f"look at {self._url}")
        return not dag["is_stale"] and current(dag["bundle_version"] or "")

    def _import_error(self, file_stem: str, since: float) -> str:
        """Why a file is not a DAG, as found after ``since`` (Unix seconds); empty if nothing is known."""
        for found in self._call("GET", "/api/v2/importErrors")["import_errors"]:
            at = datetime.fromisoformat(found["timestamp"]).timestamp()
            if Path(found["filename"]).stem == file_stem and at >= since:
                return f"{found['filename']} is not a pipeline: {found['stack_trace'].strip()}"
        return ""

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, params: Mapping[str, str | int] | None = None
    ) -> dict[str, Any]:
        response = self._answer(method, path, body, params)
        for pause in ROLLED_BACK_PAUSES:
            if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR or ROLLED_BACK not in response.text:
                break
            time.sleep(pause)
            response = self._answer(method, path, body, params)
        if response.is_error:
            raise FedError("FED-923", f"{method} {self._url}{path}: {response.status_code} {response.text[:500]}")
        found: dict[str, Any] = response.json()
        return found

    def _answer(
        self, method: str, path: str, body: dict[str, Any] | None, params: Mapping[str, str | int] | None
    ) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body, params=params)
        except httpx.TransportError as error:
            raise FedError("FED-920", f"{self._url} does not answer: {error}", "airfed party status") from None
