"""Jobs of trivial components at three parties, from submit to success at all of them, and where the time goes."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from airfed.demo_parties import PARTIES
from benchmarks import chains
from benchmarks.figure import Figure
from benchmarks.three import Done, Pipeline, Three, bare, moment
from benchmarks.timeline import Entry, entries

RUNS = 5
FATE = "; FATE 2.2 on such a machine, two parties: 120-193"
FATE_PARALLEL = "; FATE 2.2 on such a machine, two parties: 141"
Parts = Mapping[str, float]


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Jobs one after the other, at parties that are otherwise idle."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chain")
    parser.add_argument("--base-port", type=int, default=9500)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder, bare(Path(folder), options.base_port) as parties:
        _known(parties, "warm", 4).close()
        yield from _first(parties)
        for name, length, parallel, beside in (
            ("chain of 4", 4, False, f"limit 5{FATE}"),
            ("chain of 12", 12, False, "limit 12"),
            ("4 in parallel", 4, True, f"limit 5{FATE_PARALLEL}"),
        ):
            yield from _later(parties, name, length, parallel, beside)


def _known(parties: Three, name: str, length: int, parallel: bool = False) -> Pipeline:
    """A pipeline that all parties have run once."""
    pipeline = parties.pipeline(name, chains.dsl(length, parallel), chains.conf(length))
    pipeline.drop()
    pipeline.job()
    return pipeline


def _first(parties: Three) -> Iterator[Figure]:
    """Pipelines that no party knows: with and without the time from the files to the initiator's own DAG."""
    visible, took, parts = [], [], []
    for number in range(RUNS):
        pipeline = parties.pipeline(f"new_{number}", chains.dsl(4), chains.conf(4))
        visible.append(pipeline.drop())
        done = pipeline.job()
        took.append(done.took)
        parts.append(_parts(parties, done))
        pipeline.close()
    note = f"median of {RUNS}, slowest {{:.1f}}"
    both = [before + after for before, after in zip(visible, took, strict=True)]
    name = "chain of 4, first submit"
    yield Figure(name, statistics.median(took), "s", f"limit 8{FATE}", note.format(max(took)))
    yield Figure(f"{name}, from the saved files", statistics.median(both), "s", "", note.format(max(both)))
    yield from _where(name, parts)


def _later(parties: Three, name: str, length: int, parallel: bool, beside: str) -> Iterator[Figure]:
    pipeline = _known(parties, name.replace(" ", "_").replace("4_in", "four_in"), length, parallel)
    before = parties.cpu()
    done = [pipeline.job() for _ in range(RUNS)]
    cpu = (parties.cpu() - before) / RUNS
    pipeline.close()
    took = [each.took for each in done]
    note = f"median of {RUNS}, slowest {max(took):.1f}"
    yield Figure(f"{name}, peers know the pipeline", statistics.median(took), "s", beside, note)
    yield Figure(f"{name}: CPU of all parties", cpu, "s", "", f"mean of {RUNS}")
    if not parallel:
        yield from _where(name, [_parts(parties, each) for each in done])


def _where(name: str, found: Sequence[Parts]) -> Iterator[Figure]:
    for part in found[0]:
        yield Figure(f"{name}: {part}", statistics.median(parts[part] for parts in found), "s", "", f"median of {RUNS}")


def _parts(parties: Three, done: Done) -> Parts:
    """Seconds per part of a job; they add up to the whole of it."""
    record = entries(parties.homes["guest"].gateway_db, done.job_id)
    starts = _task_starts(parties, done)
    at = {event: _last(record, event) for event in ("proposed", "accepted", "enrolled", "running", "verdict")}
    parts = {
        "trigger to federate's process": starts["federate"] - done.submitted,
        "its start to the proposal": at["proposed"] - starts["federate"],
        "proposal to acceptance by all": at["accepted"] - at["proposed"],
        "acceptance to enrolment by all": at["enrolled"] - at["accepted"],
    }
    steps: dict[str, float] = defaultdict(float)
    before = at["enrolled"]
    for component in _steps(record):
        own = [entry for entry in record if entry.component == component]
        marks = [_last(own, event) for event in ("present", "start", "prepared", "commit")]
        kind = "conclude" if component == "conclude" else "components"
        steps[f"{kind}: commit before to the last task's start"] += starts[component] - before
        steps[f"{kind}: its start to its join"] += marks[0] - starts[component]
        steps[f"{kind}: join to START"] += marks[1] - marks[0]
        steps[f"{kind}: START to the last outputs"] += marks[2] - marks[1]
        steps[f"{kind}: outputs to commit"] += marks[3] - marks[2]
        before = marks[3]
    return {**parts, **steps, "verdict to success in all Airflows": done.submitted + done.took - before}


def _steps(record: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.component for entry in record if entry.event == "commit"))


def _last(record: Sequence[Entry], event: str) -> float:
    return max(entry.wall for entry in record if entry.event == event)


def _task_starts(parties: Three, done: Done) -> Mapping[str, float]:
    """Unix time at which the last member's task of each component began."""
    found: dict[str, float] = {}
    for name in PARTIES:
        for task in parties.tasks(name, done.job_id, done.dags[name]):
            found[task["task_id"]] = max(found.get(task["task_id"], 0.0), moment(task["start_date"]))
    return found
