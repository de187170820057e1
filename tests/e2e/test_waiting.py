"""A party whose peers are late, to answer or to come: its tasks give their processes back, survive the triggerer, and
come when they are called."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from airfed import control, databases, proc, state
from airfed.airflow_config import PEOPLE
from airfed.airflow_rest import AirflowRest
from airfed.demo_data import breast
from airfed.demo_parties import PARTIES, make_homes, put_tables
from airfed.demo_score import example_folder
from airfed.job import view
from airfed.job_end import kill
from airfed.job_watch import known
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
    with (home.logs / f"{arguments[0]}.log").open("ab") as log:
        command = [sys.executable, str(BY_HAND), arguments[0], str(home.root), *arguments[1:]]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ)


@dataclass
class World:
    """The guest with everything; of its peers only gateways, which a test may stop. All use the guest's MLflow."""

    homes: dict[str, PartyHome]
    gateways: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def guest(self) -> PartyHome:
        return self.homes["guest"]

    def open(self, name: str) -> None:
        """Start a peer's gateway."""
        self.gateways[name] = started(self.homes[name], "gateway")
        until((self.homes[name].run / "gateway.ready").exists, f"the gateway of {name}")

    def stop(self, name: str) -> None:
        """End a peer's gateway."""
        gateway = self.gateways.pop(name)
        gateway.terminate()
        gateway.wait(30)

    def stop_all(self) -> None:
        for name in list(self.gateways):
            self.stop(name)

    def idle(self) -> bool:
        """Whether no task of the guest has a process."""
        scheduler = next(record for record in state.read(self.guest).records if record.name == "scheduler")
        return len(proc.members(scheduler.pid, self.guest.root)) == 1 + self.guest.config.parallelism

    def triggerer(self) -> state.Record:
        return next(record for record in state.read(self.guest).records if record.name == "triggerer")

    def kill_triggerer(self) -> None:
        """And wait for another one."""
        before = self.triggerer().restarts
        os.kill(self.triggerer().pid, signal.SIGKILL)
        until(lambda: self.triggerer().restarts == before + 1 and state.read(self.guest).ready, "another triggerer")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    homes = make_homes(tmp_path_factory.mktemp("w"), BASE_PORT)
    put_tables(homes, breast())
    for home in homes.values():
        ports = home.config.ports.model_copy(update={"mlflow": homes["guest"].config.ports.mlflow})
        rewrite(home, home.config.model_copy(update={"ports": ports, "serving": False}))
    databases.prepare_all()
    made = World(homes)
    with ExitStack() as stack:
        stack.callback(made.stop_all)
        for name in PEERS:
            made.open(name)
        party = control.spawn(homes["guest"], with_parent=True)
        stack.callback(party.child.wait)
        stack.callback(control.stop, homes["guest"])
        control.wait_ready([party])
        for part in ("dsl", "conf"):
            shutil.copy(example_folder() / f"hetero_lr_{part}.json", homes["guest"].dropin)
        yield made


@pytest.fixture
def airflow(world: World) -> Iterator[AirflowRest]:
    """The guest's, which has the pipeline."""
    rest = AirflowRest(world.guest, PEOPLE, passwords(world.guest)[PEOPLE])
    rest.wait_for_dag(DAG, "hetero_lr_dsl", 60.0)
    yield rest
    rest.close()


def task(airflow: AirflowRest, job: str, name: str) -> dict[str, Any]:
    """A task of a run; without a state while it is not there."""
    return next((task for task in airflow.tasks(DAG, job) if task["task_id"] == name), {"state": None})


def deferred(airflow: AirflowRest, job: str, name: str) -> bool:
    """Whether a task waits, with a trigger that runs."""
    found = task(airflow, job, name)
    return found["state"] == "deferred" and bool(found["triggerer_job"])


def mark_failed(home: PartyHome, job: str, name: str) -> None:
    """What a person does in the web UI: the same request."""
    with httpx.Client(base_url=home.airflow_url, trust_env=False) as client:
        login = {"username": PEOPLE, "password": passwords(home)[PEOPLE]}
        token = client.post("/auth/token", json=login).json()["access_token"]
        path, headers = f"/api/v2/dags/{DAG}/dagRuns/{job}/taskInstances/{name}", {"authorization": f"Bearer {token}"}
        answer = client.patch(path, json={"new_state": "failed"}, headers=headers)
    assert answer.is_success, answer.text


def test_a_task_waits_without_a_process_and_runs_when_its_peers_are_there(world: World, airflow: AirflowRest) -> None:
    job = airflow.trigger(DAG)
    until(lambda: deferred(airflow, job, "dataio_0"), "a trigger that runs")
    until(world.idle, "no process of a task")
    world.kill_triggerer()
    peers = [started(world.homes[name], "tasks", "9999", f"{name}_{PARTIES[name]}", job) for name in PEERS]
    until(lambda: airflow.run(DAG, job)["state"] in ("success", "failed"), "the end of the job")
    assert airflow.run(DAG, job)["state"] == "success"
    assert [peer.wait(30) for peer in peers] == [0, 0]
    assert task(airflow, job, "dataio_0")["try_number"] == 1


def test_a_proposal_waits_without_a_process_and_the_job_starts_when_all_have_answered(
    world: World, airflow: AirflowRest
) -> None:
    world.stop("arbiter")
    job = airflow.trigger(DAG)
    until(lambda: deferred(airflow, job, "federate"), "federate with a trigger that runs")
    until(world.idle, "no process of a task")
    assert silent(world, job) == {PARTIES["arbiter"]}
    world.kill_triggerer()
    until(lambda: deferred(airflow, job, "federate"), "its trigger again")
    gateway = next(record for record in state.read(world.guest).records if record.name == "gateway")
    os.kill(gateway.pid, signal.SIGKILL)
    until(lambda: silent(world, job) == {PARTIES["arbiter"]}, "a gateway that asks again")
    world.open("arbiter")
    until(lambda: task(airflow, job, "federate")["state"] == "success", "the end of federate")
    assert task(airflow, job, "federate")["try_number"] == 1
    assert view_state(world.guest, job) == "running"
    assert kill(world.guest, job, "seen enough").state == "cancelled"


def test_a_first_task_that_is_marked_failed_while_it_waits_ends_the_job(world: World, airflow: AirflowRest) -> None:
    world.stop("arbiter")
    job = airflow.trigger(DAG)
    until(lambda: deferred(airflow, job, "federate"), "federate with a trigger that runs")
    mark_failed(world.guest, job, "federate")
    for name in ("guest", "host"):
        until(lambda name=name: view_state(world.homes[name], job) == "cancelled", f"the verdict at {name}", 30.0)
        assert f"by {PEOPLE}" in view(world.homes[name], job).failure.message
    until(lambda: airflow.run(DAG, job)["state"] == "failed", "the end of the run", 30.0)
    world.open("arbiter")


def silent(world: World, job: str) -> set[str]:
    """Parties that do not answer the guest's proposal, as its gateway says if it is there."""
    found = known(world.guest, job)
    return set(found.unanswered) if found else set()


def view_state(home: PartyHome, job: str) -> str:
    """A job's state at a party's gateway; empty while that is away."""
    found = known(home, job)
    return found.state if found else ""
