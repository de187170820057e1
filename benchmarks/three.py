"""Three parties on this machine, as the demo starts them, and jobs at them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from airfed import proc
from airfed.airflow_config import PEOPLE
from airfed.airflow_rest import AirflowRest
from airfed.demo_data import breast
from airfed.demo_parties import PARTIES, make_homes, put_tables, running
from airfed.demo_score import example_folder
from airfed.job import drop
from airfed.party import passwords
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

DAGS = {"guest": "hetero_lr.guest_9999", "host": "9999.hetero_lr.host_10000", "arbiter": "9999.hetero_lr.arbiter_10001"}
POLL = 0.05


@dataclass(frozen=True)
class Three:
    """The parties, ready, with the example in the guest's folder.

    Attributes:
        ready: seconds from the start of the processes until all were ready.
        visible: seconds from the dropped files to the DAG.
    """

    homes: Mapping[str, PartyHome]
    ready: float
    visible: float

    def rest(self, name: str) -> AirflowRest:
        """A session at a party's Airflow."""
        return AirflowRest(self.homes[name], PEOPLE, passwords(self.homes[name])[PEOPLE])

    def job(self) -> tuple[str, float]:
        """Run the example; its id, and seconds from the trigger until all three Airflows say success."""
        with ExitStack() as stack:
            rests = {name: self.rest(name) for name in PARTIES}
            for rest in rests.values():
                stack.callback(rest.close)
            begun = time.perf_counter()
            job_id = rests["guest"].trigger(DAGS["guest"])
            for name in PARTIES:
                while (state := _state(rests[name], DAGS[name], job_id)) != "success":
                    if state == "failed" or time.perf_counter() - begun > 300:
                        raise RuntimeError(f"job {job_id} is {state} at {name}")
                    time.sleep(POLL)
            return job_id, time.perf_counter() - begun

    def tasks(self, name: str, job_id: str) -> list[dict[str, Any]]:
        """Task instances of a party's run, each with what its XCom says of seconds per part."""
        home, dag = self.homes[name], DAGS[name]
        with httpx.Client(base_url=home.airflow_url, timeout=30.0, trust_env=False) as client:
            login = {"username": PEOPLE, "password": passwords(home)[PEOPLE]}
            client.headers["authorization"] = f"Bearer {client.post('/auth/token', json=login).json()['access_token']}"
            run = f"/api/v2/dags/{dag}/dagRuns/{job_id}/taskInstances"
            found: list[dict[str, Any]] = client.get(run).json()["task_instances"]
            for task in found:
                entry = client.get(f"{run}/{task['task_id']}/xcomEntries/return_value", params={"deserialize": True})
                value = entry.json().get("value") if entry.is_success else None
                task["seconds"] = value.get("seconds", {}) if isinstance(value, dict) else {}
        return found

    def processes(self) -> list[proc.Process]:
        """All processes of all parties."""
        return [process for home in self.homes.values() for process in proc.of_home(home.root)]


@contextmanager
def three(root: Path, base_port: int) -> Iterator[Three]:
    """Three parties below ``root``; at the end nothing of them runs."""
    homes = make_homes(root, base_port)
    put_tables(homes, breast())
    begun = time.perf_counter()
    with running(homes, lambda *_: None):
        ready = time.perf_counter() - begun
        folder = example_folder()
        guest = homes["guest"]
        rest = AirflowRest(guest, PEOPLE, passwords(guest)[PEOPLE])
        drop(guest, "hetero_lr", folder / "hetero_lr_dsl.json", folder / "hetero_lr_conf.json")
        visible = rest.wait_for_dag(DAGS["guest"], "hetero_lr", 30.0)
        rest.close()
        yield Three(homes, ready, visible)


def _state(rest: AirflowRest, dag: str, job_id: str) -> str:
    if not rest.has_dag(dag):
        return "not there"
    try:
        return str(rest.run(dag, job_id)["state"])
    except FedError:
        return "not there"  # the peer's run is yet to be made
