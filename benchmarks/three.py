"""Three parties on this machine, as the demo starts them, and jobs at them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from airfed import proc
from airfed.airflow_config import PEOPLE
from airfed.airflow_rest import AirflowRest
from airfed.demo_data import breast
from airfed.demo_parties import PARTIES, make_homes, put_tables, running
from airfed.demo_score import example_folder
from airfed.party import passwords
from benchmarks.timeline import timeline
from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

EXAMPLE = "hetero_lr"
PATIENCE = 300.0  # seconds for a job
POLL = 0.05
OVER = frozenset({"success", "failed"})


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

    def pipeline(self, name: str, dsl: Mapping[str, Any], conf: Mapping[str, Any]) -> Pipeline:
        """A pipeline that the guest initiates."""
        return Pipeline(self, name, json.dumps(dsl).encode(), json.dumps(conf).encode())

    def example(self) -> Pipeline:
        """The example's pipeline."""
        files = [example_folder() / f"{EXAMPLE}{suffix}" for suffix in (DSL_SUFFIX, CONF_SUFFIX)]
        return Pipeline(self, EXAMPLE, *(file.read_bytes() for file in files))

    def job(self) -> tuple[str, float]:
        """Run the example; its id, and seconds from the trigger until all three Airflows say success."""
        pipeline = self.example()
        done = pipeline.job()
        pipeline.close()
        return done.job_id, done.took

    def tasks(self, name: str, job_id: str, dag: str = "") -> list[dict[str, Any]]:
        """Task instances of a party's run, by default of the example, each with its XCom's seconds per part."""
        dag = dag or dags_of(EXAMPLE)[name]
        with self.client(name) as client:
            run = f"/api/v2/dags/{dag}/dagRuns/{job_id}/taskInstances"
            found: list[dict[str, Any]] = client.get(run).json()["task_instances"]
            for task in found:
                entry = client.get(f"{run}/{task['task_id']}/xcomEntries/return_value", params={"deserialize": True})
                value = entry.json().get("value") if entry.is_success else None
                task["seconds"] = value.get("seconds", {}) if isinstance(value, dict) else {}
        return found

    @contextmanager
    def client(self, name: str) -> Iterator[httpx.Client]:
        """A session at a party's Airflow for what ``AirflowRest`` does not do."""
        home = self.homes[name]
        with httpx.Client(base_url=home.airflow_url, timeout=30.0, trust_env=False) as client:
            login = {"username": PEOPLE, "password": passwords(home)[PEOPLE]}
            client.headers["authorization"] = f"Bearer {client.post('/auth/token', json=login).json()['access_token']}"
            yield client

    def cpu(self) -> float:
        """CPU seconds so far of all processes that live now, and of their children that have ended."""
        total = 0.0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = psutil.Process(process.pid).cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def processes(self) -> list[proc.Process]:
        """All processes of all parties."""
        return [process for home in self.homes.values() for process in proc.of_home(home.root)]


@dataclass(frozen=True)
class Done:
    """A job that succeeded at all parties.

    Attributes:
        submitted: Unix time of the trigger.
        took: seconds until all three Airflows showed success.
        dags: party -> its DAG.
    """

    job_id: str
    submitted: float
    took: float
    dags: Mapping[str, str]


class Pipeline:
    """A pipeline at parties that run, with a session at each Airflow."""

    def __init__(self, parties: Three, name: str, dsl: bytes, conf: bytes) -> None:
        self.parties, self.name, self.dags = parties, name, dags_of(name)
        self._files = {DSL_SUFFIX: dsl, CONF_SUFFIX: conf}
        self.rests = {party: parties.rest(party) for party in PARTIES}

    def drop(self) -> float:
        """Save the files in the guest's folder; seconds until they are a DAG."""
        begun = time.perf_counter()
        for suffix, body in self._files.items():
            temporary = self.parties.homes["guest"].dropin / f".{self.name}.tmp"
            temporary.write_bytes(body)
            temporary.rename(temporary.with_name(f"{self.name}{suffix}"))
        self.rests["guest"].wait_for_dag(self.dags["guest"], self.name, 60.0)
        return time.perf_counter() - begun

    def submit(self) -> str:
        """Start a job; its id."""
        return self.rests["guest"].trigger(self.dags["guest"])

    def job(self) -> Done:
        """Run a job to success at all parties.

        Raises:
            RuntimeError: it ends in another way, or not at all.
        """
        submitted, begun = time.time(), time.perf_counter()
        job_id = self.submit()
        states = self.ends(job_id, PATIENCE)
        if set(states.values()) != {"success"}:
            raise RuntimeError(f"job {job_id}: {states}")
        return Done(job_id, submitted, time.perf_counter() - begun, self.dags)

    def ends(self, job_id: str, patience: float) -> Mapping[str, str]:
        """The state of the job's run at every party once it has ended; what has not after ``patience`` seconds, too.

        The gateway's record is read until it has a verdict: to ask an Airflow all the time would make it slower.
        """
        deadline = time.monotonic() + patience
        with timeline(self.parties.homes["guest"].gateway_db, job_id) as record:
            while not any(entry.event == "verdict" for entry in record.news()) and time.monotonic() < deadline:
                time.sleep(POLL)
        while set((states := self.states(job_id)).values()) - OVER and time.monotonic() < deadline:
            time.sleep(POLL)
        return states

    def states(self, job_id: str) -> Mapping[str, str]:
        """The state of the job's run at every party."""
        return {party: _state(self.rests[party], self.dags[party], job_id) for party in PARTIES}

    def pause(self, name: str, paused: bool) -> None:
        """Let a party's Airflow start no tasks of this pipeline, or let it go on."""
        with self.parties.client(name) as client:
            client.patch(f"/api/v2/dags/{self.dags[name]}", json={"is_paused": paused}).raise_for_status()

    def close(self) -> None:
        """End the sessions."""
        for rest in self.rests.values():
            rest.close()


def dags_of(pipeline: str) -> Mapping[str, str]:
    """Party -> its DAG of a pipeline that the guest initiates with one host and an arbiter."""
    found = {name: f"{pipeline}.{name}_{party}" for name, party in PARTIES.items()}
    return {name: dag if name == "guest" else f"{PARTIES['guest']}.{dag}" for name, dag in found.items()}


def moment(text: str) -> float:
    """Unix time of a date in Airflow's answers."""
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def bare(root: Path, base_port: int) -> Iterator[Three]:
    """Three parties below ``root`` with the example's tables; at the end nothing of them runs."""
    homes = make_homes(root, base_port)
    put_tables(homes, breast())
    begun = time.perf_counter()
    with running(homes, lambda *_: None):
        yield Three(homes, time.perf_counter() - begun, 0.0)


@contextmanager
def three(root: Path, base_port: int) -> Iterator[Three]:
    """Three parties below ``root``, with the example in the guest's folder; at the end nothing of them runs."""
    with bare(root, base_port) as parties:
        pipeline = parties.example()
        visible = pipeline.drop()
        pipeline.close()
        yield replace(parties, visible=visible)


def _state(rest: AirflowRest, dag: str, job_id: str) -> str:
    try:
        return str(rest.run(dag, job_id)["state"])
    except FedError:
        return "not there"  # the peer's run is yet to be made
