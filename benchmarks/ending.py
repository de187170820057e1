"""Kills: how long it takes until no process of a job is left at any party, by each of the ways that people have.

A training is killed at chance moments, and a job that waits for its host. All parties must agree about each end.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from airfed.demo_parties import PARTIES
from airfed.demo_score import example_folder
from benchmarks import chains
from benchmarks.faults.judge import judge
from benchmarks.faults.victims import tasks
from benchmarks.figure import Figure
from benchmarks.three import OVER, Pipeline, Three, bare
from benchmarks.timeline import timeline
from federatedml.federation.home import PartyHome

TRAINING = "hetero_lr"
EACH, IDLE = 4, 2  # trials of each way, while the job computes and while it waits
SEED = 4
PATIENCE = 60.0
DEFERRED = 12.0  # seconds after which a task that waits has no process any more
POLL = 0.02


@dataclass(frozen=True)
class Ended:
    """A job that was killed.

    Attributes:
        gone: seconds from the command until no task process was left at any party.
        shown: seconds until every Airflow showed the end.
        good: whether all parties agree that it was cancelled.
    """

    gone: float
    shown: float
    good: bool


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Every way at a job that computes, then at one that waits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ending")
    parser.add_argument("--base-port", type=int, default=9200)
    parser.add_argument("--each", type=int, default=EACH, help="trials of each way while the job computes")
    options = parser.parse_args(arguments)
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder, bare(Path(folder), options.base_port) as parties:
        computes, waits = _training(parties), parties.pipeline("waits", chains.dsl(4), chains.conf(4))
        waits.drop()
        waits.job()
        found: list[Ended] = []
        for name, way in WAYS.items():
            busy = [_trial(computes, way, _computing, chance) for _ in range(options.each)]
            idle = [_trial(waits, way, _waiting, chance) for _ in range(IDLE)]
            yield from _figures(name, busy, idle)
            found += busy + idle
        note = f"{len(found)} kills"
        yield Figure("until no process is left, all ways, median", _median(found, "gone"), "s", "limit 3", note)
        yield Figure("until no process is left, all ways, slowest", _worst(found, "gone"), "s", "limit 10", note)
        yield Figure("until every Airflow shows it, slowest", _worst(found, "shown"), "s", "limit 10", note)
        good = 100.0 * sum(each.good for each in found) / len(found)
        yield Figure("cancelled, and all parties agree", good, "%", "limit 100", note)
        for pipeline in (computes, waits):
            pipeline.close()


def _figures(name: str, busy: Sequence[Ended], idle: Sequence[Ended]) -> Iterator[Figure]:
    for state, trials in (("computes", busy), ("waits", idle)):
        note = f"median of {len(trials)}, slowest {_worst(trials, 'gone'):.1f}"
        yield Figure(f"{name}, the job {state}: until no process is left", _median(trials, "gone"), "s", "", note)


def _median(trials: Sequence[Ended], what: str) -> float:
    return statistics.median(getattr(each, what) for each in trials)


def _worst(trials: Sequence[Ended], what: str) -> float:
    return max(getattr(each, what) for each in trials)


def _training(parties: Three) -> Pipeline:
    """The example's pipeline, with more epochs than anybody waits for."""
    folder = example_folder()
    dsl, conf = (json.loads((folder / f"{TRAINING}_{part}.json").read_text()) for part in ("dsl", "conf"))
    conf["algorithm_parameters"]["hetero_lr_0"] |= {"max_iter": 10_000, "eps": 1e-300, "protocol": "shared"}
    pipeline = parties.pipeline("long", dsl, conf)
    pipeline.drop()
    return pipeline


def _computing(pipeline: Pipeline, chance: random.Random) -> str:
    """A job somewhere in its training."""
    job_id = pipeline.submit()
    with timeline(pipeline.parties.homes["guest"].gateway_db, job_id) as record:
        _until(lambda: any((e.event, e.component) == ("start", "hetero_lr_0") for e in record.news()))
    time.sleep(chance.uniform(0.0, 3.0))
    return job_id


def _waiting(pipeline: Pipeline, chance: random.Random) -> str:
    """A job whose host's tasks are not started, for so long that nobody waits with a process."""
    job_id = pipeline.submit()
    _until(lambda: pipeline.states(job_id)["host"] != "not there")
    pipeline.pause("host", True)
    time.sleep(DEFERRED + chance.uniform(0.0, 1.0))
    return job_id


Start = Callable[[Pipeline, random.Random], str]
Way = Callable[[Pipeline, str], None]


def _trial(pipeline: Pipeline, way: Way, start: Start, chance: random.Random) -> Ended:
    job_id = start(pipeline, chance)
    homes = list(pipeline.parties.homes.values())
    begun = time.monotonic()
    way(pipeline, job_id)
    gone = _until(lambda: not any(tasks(home) for home in homes), begun)
    shown = _until(lambda: set(pipeline.states(job_id).values()) <= OVER, begun)
    pipeline.pause("host", False)
    judged = judge(pipeline, job_id, pipeline.states(job_id), exact=False)
    return Ended(gone, shown, judged.verdict == "cancelled" and not judged.findings)


def _until(reached: Callable[[], bool], begun: float | None = None) -> float:
    """Seconds from ``begun`` until it is reached; ``RuntimeError`` if it is not."""
    begun = time.monotonic() if begun is None else begun
    while not reached():
        if time.monotonic() - begun > PATIENCE:
            raise RuntimeError(f"not reached within {PATIENCE:g} s")
        time.sleep(POLL)
    return time.monotonic() - begun


def _command(party: str) -> Way:
    def kill(pipeline: Pipeline, job_id: str) -> None:
        home: PartyHome = pipeline.parties.homes[party]
        command = [sys.executable, "-m", "airfed", "job", "kill", job_id, "--reason", "measured", "--home", home.root]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return kill


def _mark_failed(party: str) -> Way:
    def mark(pipeline: Pipeline, job_id: str) -> None:
        """What the button of Airflow's page of the run sends."""
        with pipeline.parties.client(party) as client:
            run = f"/api/v2/dags/{pipeline.dags[party]}/dagRuns/{job_id}"
            client.patch(run, json={"state": "failed"}).raise_for_status()

    return mark


WAYS: Mapping[str, Way] = {
    **{f"airfed job kill at the {party}": _command(party) for party in ("guest", "host")},
    **{f"mark failed at the {party}": _mark_failed(party) for party in PARTIES},
}
