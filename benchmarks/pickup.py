"""From a file in the drop-in folder to a DAG: how long, how long with many files, and what one change costs.

One party, as its supervisor starts it. A sample is a pair of files, saved at a random moment of the processor's round.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from airfed import control, databases, state
from airfed.airflow_config import PEOPLE
from airfed.demo_score import example_folder
from airfed.party import init_party, party_config, passwords
from benchmarks.figure import Figure
from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX
from federatedml.federation.home import PartyHome

SAMPLES = 30
CHANGES = 20
MANY = 500
FEW = 10
POLL = 0.05
IDLE_SECONDS = 32.0  # a second change within 30 s is parsed twice: none of those that are counted is one
LIMIT = 300.0
SEED = 4


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """With an almost empty folder, 500 files at once, and with all of them there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pickup")
    parser.add_argument("--base-port", type=int, default=9600)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder, one(Path(folder), options.base_port) as folder_of:
        folder_of.drop_all("first", FEW)
        folder_of.until(lambda: folder_of.dags() == FEW)
        yield from _samples(folder_of, "few")
        few = yield from _cost(folder_of, 0.2)
        took = folder_of.drop_all("many", MANY) + folder_of.until(lambda: folder_of.dags() == FEW + SAMPLES + MANY, 0.5)
        yield Figure(f"{MANY} pipelines saved at once to all DAGs", took, "s", "limit 60")
        many = yield from _cost(folder_of, 0.3)  # within 300 s of the start: then Airflow parses everything again
        yield Figure("processor time of a change, many pipelines over few", many / few, "", "limit: does not grow")
        yield from _samples(folder_of, "more")


@dataclass
class DropIn:
    """The drop-in folder of a party that runs, and its Airflow as people see it."""

    home: PartyHome
    client: httpx.Client
    conf: dict[str, Any]
    dsl: bytes
    random: random.Random

    def save(self, name: str, rate: float = 0.1) -> None:
        """Save a pipeline, as an editor does: both files whole, the conf last."""
        conf = json.loads(json.dumps(self.conf))
        conf["algorithm_parameters"]["hetero_lr_0"]["learning_rate"] = rate
        for suffix, body in ((DSL_SUFFIX, self.dsl), (CONF_SUFFIX, json.dumps(conf).encode())):
            temporary = self.home.dropin / f".{name}.tmp"
            temporary.write_bytes(body)
            temporary.rename(self.home.dropin / f"{name}{suffix}")

    def drop_all(self, stem: str, count: int) -> float:
        """Save that many; seconds that it took."""
        begun = time.perf_counter()
        for number in range(count):
            self.save(f"{stem}{number}")
        return time.perf_counter() - begun

    def dags(self) -> int:
        """How many DAGs there are."""
        return int(self.client.get("/api/v2/dags", params={"limit": 1}).json()["total_entries"])

    def version(self, name: str) -> str:
        """The bundle version of a pipeline's DAG; empty if there is none."""
        answer = self.client.get(f"/api/v2/dags/{name}.guest_9999")
        return str(answer.json()["bundle_version"]) if answer.is_success else ""

    def visible(self, name: str, rate: float = 0.1) -> float:
        """Save a new or changed pipeline; seconds until Airflow shows its DAG as it is now."""
        before = self.version(name)
        time.sleep(self.random.uniform(0.5, 2.0))
        begun = time.perf_counter()
        self.save(name, rate)
        self.until(lambda: self.version(name) not in ("", before))
        return time.perf_counter() - begun

    def until(self, there: Callable[[], bool], pause: float = POLL) -> float:
        """Ask until it is so; seconds that it took."""
        begun = time.perf_counter()
        while not there():
            if time.perf_counter() - begun > LIMIT:
                raise RuntimeError(f"not so after {LIMIT:.0f} s")
            time.sleep(pause)
        return time.perf_counter() - begun

    def processor(self) -> float:
        """CPU seconds so far of the DAG processor and of all that it has started."""
        pid = next(r.pid for r in state.read(self.home).records if r.name == "dag-processor")
        total = 0.0
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total


@contextmanager
def one(root: Path, base_port: int) -> Iterator[DropIn]:
    """A party below ``root``, ready, with an empty drop-in folder; at the end nothing of it runs."""
    home = init_party(root / "guest", party_config("9999", "guest", base_port, False))
    databases.prepare_all()
    party = control.spawn(home, with_parent=True)
    try:
        control.wait_ready([party])
        with httpx.Client(base_url=home.airflow_url, timeout=30.0, trust_env=False) as client:
            login = {"username": PEOPLE, "password": passwords(home)[PEOPLE]}
            client.headers["authorization"] = f"Bearer {client.post('/auth/token', json=login).json()['access_token']}"
            example = example_folder()
            conf = json.loads((example / "hetero_lr_conf.json").read_bytes())
            yield DropIn(home, client, conf, (example / "hetero_lr_dsl.json").read_bytes(), random.Random(SEED))
    finally:
        control.stop(home)
        party.child.wait()


def _samples(folder: DropIn, stem: str) -> Iterator[Figure]:
    """New pipelines, one after the other."""
    there = folder.dags()
    took = sorted(folder.visible(f"{stem}{number}") for number in range(SAMPLES))
    note = f"{SAMPLES} new pipelines, {there} there before"
    yield Figure("saved file to DAG, median", statistics.median(took), "s", "limit 2", note)
    yield Figure("saved file to DAG, 95th percentile", took[int(0.95 * (len(took) - 1) + 0.5)], "s", "limit 4", note)


def _cost(folder: DropIn, rate: float) -> Generator[Figure, None, float]:
    """Processor time of one change beyond what the DAG processor uses when nothing changes; returned, too.

    The pipelines that change are drawn from all that are there: dropped in alone, or with many others.
    """
    names = sorted(path.name.removesuffix(CONF_SUFFIX) for path in folder.home.dropin.glob(f"*{CONF_SUFFIX}"))
    before, begun = folder.processor(), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    idle = (folder.processor() - before) / (time.perf_counter() - begun)
    before, begun = folder.processor(), time.perf_counter()
    took = [folder.visible(name, rate) for name in folder.random.sample(names, CHANGES)]
    cost = (folder.processor() - before - idle * (time.perf_counter() - begun)) / CHANGES
    note = f"{CHANGES} of {len(names)} pipelines"
    yield Figure("changed file to DAG, median", statistics.median(took), "s", "limit 2", note)
    yield Figure("processor time of a change", cost, "s", "", f"{note}; beyond {idle:.3f} cores when nothing changes")
    return cost
