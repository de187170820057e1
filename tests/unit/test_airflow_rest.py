"""Waiting for a DAG, against what Airflow answers."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airfed.airflow_rest import AirflowRest
from airfed.party import init_party, party_config, rewrite
from federatedml.errors import FedError

DAG = "lr.guest_9999"
FRESH = {"is_paused": False, "is_stale": False, "bundle_version": "new"}


@dataclass
class Airflow:
    """Answers of an Airflow that a test writes; ``asked`` counts questions for the DAG."""

    dags: list[dict[str, Any]] = field(default_factory=list)  # one answer after the other, the last for ever
    errors: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    triggered: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # answers to triggers, then a run

    def get(self, path: str, query: str) -> tuple[int, dict[str, Any]]:
        if path.endswith("/importErrors"):
            return 200, {"import_errors": self.errors}
        if path.endswith("/dags/~/dagRuns"):
            return 200, {"dag_runs": self.runs}
        if path.endswith("/taskInstances"):
            offset = int(query.split("offset=")[1].split("&")[0])
            return 200, {"task_instances": self.tasks[offset : offset + 2], "total_entries": len(self.tasks)}
        if not self.dags:
            return 404, {}
        self.asked += 1
        return 200, self.dags[min(self.asked // 2, len(self.dags) - 1)]  # each look is two questions


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def rest(airflow: Airflow, tmp_path: Path) -> Iterator[AirflowRest]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            token = 201, {"access_token": "t"}
            run = 200, {"dag_run_id": "1"}
            login = self.path == "/auth/token"
            self._send(*(token if login else airflow.triggered.pop(0) if airflow.triggered else run))

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            self._send(*airflow.get(path, query))

        def log_message(self, *_: object) -> None: ...

        def _send(self, status: int, body: dict[str, Any]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    home = init_party(tmp_path / "guest", party_config("9999", "guest", 25900))
    ports = home.config.ports.model_copy(update={"airflow": server.server_port})
    rewrite(home, home.config.model_copy(update={"ports": ports}))
    made = AirflowRest(home, "airfed", "secret")
    yield made
    made.close()
    server.shutdown()
    thread.join()
    server.server_close()


def import_error(name: str, at: float, text: str = "[FED-121] wrong") -> dict[str, Any]:
    return {"filename": name, "timestamp": datetime.fromtimestamp(at, UTC).isoformat(), "stack_trace": f"{text}\n"}


def is_new(version: str) -> bool:
    return version == "new"


def test_dag_of_an_earlier_file_is_not_the_one(airflow: Airflow, rest: AirflowRest) -> None:
    airflow.dags = [{**FRESH, "bundle_version": "old"}, {**FRESH, "is_stale": True}, FRESH]
    airflow.errors = [import_error("lr.py", time.time() - 60), import_error("lr2.py", time.time() + 60)]
    rest.wait_for_dag(DAG, "lr", 30.0, is_new)
    assert airflow.asked >= 4


def test_any_dag_will_do_where_nothing_was_changed(airflow: Airflow, rest: AirflowRest) -> None:
    airflow.dags = [{**FRESH, "bundle_version": None}]
    rest.wait_for_dag(DAG, "lr", 30.0)
    assert airflow.asked == 2


def test_import_error_of_the_new_file_ends_the_wait(airflow: Airflow, rest: AirflowRest) -> None:
    airflow.errors = [import_error("lr.py", time.time() + 60)]
    with pytest.raises(FedError, match=r"FED-921.*lr\.py.*FED-121"):
        rest.wait_for_dag(DAG, "lr", 30.0, is_new)


def test_old_import_error_is_told_when_time_is_up(airflow: Airflow, rest: AirflowRest) -> None:
    airflow.errors = [import_error("lr.py", time.time() - 60)]
    with pytest.raises(FedError, match=r"FED-922.*FED-121"):
        rest.wait_for_dag(DAG, "lr", 0.0, is_new)


def test_paused_dag_is_an_error(airflow: Airflow, rest: AirflowRest) -> None:
    airflow.dags = [{**FRESH, "is_paused": True}]
    with pytest.raises(FedError, match="FED-932"):
        rest.wait_for_dag(DAG, "lr", 30.0, is_new)


def test_runs_of_exactly_this_id(airflow: Airflow, rest: AirflowRest) -> None:
    airflow.runs = [{"dag_run_id": "1"}, {"dag_run_id": "12"}]
    assert rest.runs("1") == [{"dag_run_id": "1"}]


def test_tasks_of_all_pages_in_the_order_in_which_they_began(airflow: Airflow, rest: AirflowRest) -> None:
    starts = ["2026-07-28T12:00:02Z", None, "2026-07-28T12:00:01Z"]
    airflow.tasks = [{"task_id": str(at), "start_date": start} for at, start in enumerate(starts)]
    assert [task["task_id"] for task in rest.tasks(DAG, "1")] == ["2", "0", "1"]


def test_a_run_that_a_locked_database_did_not_take_is_started_again(airflow: Airflow, rest: AirflowRest) -> None:
    locked = 500, {"detail": {"reason": "Database error", "statement": "hidden"}}
    airflow.triggered = [locked, locked]
    assert rest.trigger(DAG) == "1"
    airflow.triggered = [locked] * 5
    with pytest.raises(FedError, match="FED-923"):
        rest.trigger(DAG)


def test_another_error_of_airflow_is_not_tried_again(airflow: Airflow, rest: AirflowRest) -> None:
    airflow.triggered = [(500, {"detail": "unknown"})]
    with pytest.raises(FedError, match="FED-923"):
        rest.trigger(DAG)
