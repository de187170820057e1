"""A party whose peers are late: its task gives its process back, survives its triggerer, and comes when called."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airfed import control, databases, proc, state
from airfed.airflow_config import PEOPLE
from airfed.airflow_rest import AirflowRest
from airfed.demo_data import breast
from airfed.demo_parties import PARTIES, make_homes, put_tables
from airfed.demo_score import example_folder
from airfed.party import passwords, rewrite
from federatedml.federation.home import PartyHome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
BASE_PORT = 26060
BY_HAND = Path(__file__).parents[1] / "integration" / "operator_party.py"
DAG = "hetero_lr.guest_9999"
PEERS = ("host", "arbiter")


def until(condition: Callable[[], Any], what: str, seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.2)


def started(home: PartyHome, *arguments: str) -> subprocess.Popen[bytes]:
    """A gateway, or the tasks of a member without an Airflow."""
    environ = {**os.environ, "AIRFLOW_HOME": str(home.airflow), "AIRFED_HOME": str(home.root)}
    with (home.logs / f"{arguments[0]}.log").open("wb") as log:
        command = [sys.executable, str(BY_HAND), arguments[0], str(home.root), *arguments[1:]]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ)


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[dict[str, PartyHome]]:
    """The guest with everything; of its peers only the gateways run. All use the guest's MLflow."""
    homes = make_homes(tmp_path, BASE_PORT)
    put_tables(homes, breast())
    for home in homes.values():
        ports = home.config.ports.model_copy(update={"mlflow": homes["guest"].config.ports.mlflow})
        rewrite(home, home.config.model_copy(update={"ports": ports, "serving": False}))
    databases.prepare_all()
    with ExitStack() as stack:
        for name in PEERS:
            gateway = started(homes[name], "gateway")
            stack.callback(gateway.wait, 30)
            stack.callback(gateway.terminate)
        party = control.spawn(homes["guest"], with_parent=True)
        stack.callback(party.child.wait)
        stack.callback(control.stop, homes["guest"])
        control.wait_ready([party])
        yield homes


def test_a_task_waits_without_a_process_and_runs_when_its_peers_are_there(homes: dict[str, PartyHome]) -> None:
    guest = homes["guest"]
    for part in ("dsl", "conf"):
        shutil.copy(example_folder() / f"hetero_lr_{part}.json", guest.dropin)
    airflow = AirflowRest(guest, PEOPLE, passwords(guest)[PEOPLE])
    airflow.wait_for_dag(DAG, "hetero_lr_dsl", 60.0)
    job = airflow.trigger(DAG)

    def task() -> dict[str, Any]:
        return next((task for task in airflow.tasks(DAG, job) if task["task_id"] == "dataio_0"), {"state": None})

    def triggerer() -> state.Record:
        return next(record for record in state.read(guest).records if record.name == "triggerer")

    until(lambda: task()["state"] == "deferred" and task()["triggerer_job"], "a trigger that runs")
    scheduler = next(record for record in state.read(guest).records if record.name == "scheduler")
    assert len(proc.members(scheduler.pid, guest.root)) == 1 + guest.config.parallelism, "no task has a process"
    os.kill(triggerer().pid, signal.SIGKILL)
    until(lambda: triggerer().restarts == 1 and state.read(guest).ready, "another triggerer")
    peers = [started(homes[name], "tasks", "9999", f"{name}_{PARTIES[name]}", job) for name in PEERS]
    until(lambda: airflow.run(DAG, job)["state"] in ("success", "failed"), "the end of the job")
    assert airflow.run(DAG, job)["state"] == "success"
    assert [peer.wait(30) for peer in peers] == [0, 0]
    assert task()["try_number"] == 1
    airflow.close()
