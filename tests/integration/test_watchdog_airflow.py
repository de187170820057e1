"""A real scheduler whose queue is locked for ever: the watchdog replaces it, and tasks run again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airfed import control, proc, state
from airfed.airflow_config import SERVICE_USER
from airfed.airflow_rest import AirflowRest
from airfed.party import init_party, party_config, passwords
from federatedml.federation.home import PartyHome

pytestmark = pytest.mark.timeout(240)
SCRIPT = Path(__file__).with_name("party_of_airflow.py")
EXAMPLE = Path(__file__).parents[2] / "examples" / "hetero_lr"
DAG = "hetero_lr.guest_9999"


def until(condition: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.1)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[PartyHome]:
    """A party whose supervisor is killed in the end; nothing of it stays."""
    home = init_party(tmp_path / "home", party_config("9999", "guest", 26050))
    for name in ("dsl", "conf"):
        shutil.copy(EXAMPLE / f"hetero_lr_{name}.json", home.dropin)
    with (home.logs / "supervisor.log").open("wb") as log:
        child = subprocess.Popen([sys.executable, str(SCRIPT), str(home.root)], stdout=log, stderr=log)
    try:
        control.wait_ready([control.Starting(home, child)], timeout=150.0)
        yield home
        child.kill()
        child.wait()
        until(lambda: not proc.of_home(home.root) and not list((home.run / "tmp").iterdir()), "an empty machine")
    finally:
        child.kill()
        child.wait()
        control.stop(home)


def scheduler(home: PartyHome) -> state.Record:
    return next(record for record in state.read(home).records if record.name == "scheduler")


def idle_workers(home: PartyHome) -> list[int]:
    found = proc.members(scheduler(home).pid, home.root)
    return [each.pid for each in found if b"<idle>" in Path(f"/proc/{each.pid}/cmdline").read_bytes()]


def first_task(rest: AirflowRest, run_id: str) -> dict[str, Any]:
    return next((task for task in rest.tasks(DAG, run_id) if task["task_id"] == "federate"), {"state": None})


def test_a_locked_queue_is_noticed_and_the_next_task_runs(home: PartyHome) -> None:
    rest = AirflowRest(home, SERVICE_USER, passwords(home)[SERVICE_USER])
    rest.wait_for_dag(DAG, "hetero_lr_dsl", 60.0)
    until(lambda: len(idle_workers(home)) == home.config.parallelism, "idle workers")
    for worker in idle_workers(home):  # one of them holds the lock of the queue, and keeps it
        os.kill(worker, signal.SIGKILL)
    stuck = rest.trigger(DAG)
    until(lambda: first_task(rest, stuck)["state"] == "queued", "a queued task")
    until(lambda: scheduler(home).restarts == 1 and state.read(home).ready, "another scheduler")
    assert "guest: scheduler is replaced: 1 tasks queued" in (home.logs / "supervisor.log").read_text()
    after = rest.trigger(DAG)
    until(lambda: first_task(rest, after).get("start_date"), "a task that runs")
    until(lambda: first_task(rest, stuck).get("start_date"), "the task that was stuck")
    assert scheduler(home).restarts == 1
    rest.close()
