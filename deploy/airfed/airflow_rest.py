"""The party's own Airflow over its public REST API, as a person or a script would use it."""

from __future__ import annotations

import time
from typing import Any

import httpx

from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

POLL = 0.2  # seconds


class AirflowRest:
    """One user's session.

    Raises:
        FedError: Airflow is not there, or refuses; with its words.
    """

    def __init__(self, home: PartyHome, user: str, password: str) -> None:
        self._url = home.airflow_url
        self._client = httpx.Client(base_url=self._url, timeout=30.0, trust_env=False)
        token = self._call("POST", "/auth/token", {"username": user, "password": password})["access_token"]
        self._client.headers["authorization"] = f"Bearer {token}"

    def wait_for_dag(self, dag_id: str, file_stem: str, timeout: float) -> float:
        """Wait until a dropped file is a DAG; seconds that it took. An import error of that file ends the wait."""
        begun = time.monotonic()
        while not self.has_dag(dag_id):
            for name, text in self.import_errors().items():
                if file_stem in name:
                    raise FedError("FED-921", f"{name} is not a pipeline: {text.strip()}")
            if time.monotonic() - begun > timeout:
                raise FedError("FED-922", f"{dag_id} is not a DAG after {timeout:.0f} s", f"look at {self._url}")
            time.sleep(POLL)
        return time.monotonic() - begun

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has this DAG."""
        return self._client.get(f"/api/v2/dags/{dag_id}").status_code == 200

    def import_errors(self) -> dict[str, str]:
        """File name -> why it is not a DAG."""
        found = self._call("GET", "/api/v2/importErrors")["import_errors"]
        return {each["filename"]: each["stack_trace"] for each in found}

    def trigger(self, dag_id: str) -> str:
        """Start a run with the DAG's own defaults; its run id."""
        run_id: str = self._call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})["dag_run_id"]
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run as Airflow shows it."""
        return self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def close(self) -> None:
        """End the session."""
        self._client.close()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise FedError("FED-920", f"{self._url} does not answer: {error}", "airfed party status") from None
        if response.is_error:
            raise FedError("FED-923", f"{method} {self._url}{path}: {response.status_code} {response.text[:500]}")
        found: dict[str, Any] = response.json()
        return found
