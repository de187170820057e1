"""Faults at three real parties: every job ends consistently, with the results of an undisturbed one.

One line per trial goes to ``results/chaos-SEED.jsonl`` as soon as it is over; ``--resume`` goes on after the last one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airfed.demo_data import breast
from airfed.demo_parties import make_homes, put_tables, running
from benchmarks import chains
from benchmarks.faults.doors import Network, network
from benchmarks.faults.run import TOLERANCE, Reference, as_json, attempt, reference
from benchmarks.faults.trial import KINDS, Trial, trials
from benchmarks.faults.victims import wait_ready
from benchmarks.figure import RESULTS, Figure
from benchmarks.three import Pipeline, Three

DOORS = 40  # the first door's port above the parties' base port
SEED = 4
LIMITS = {"task": 10, "worker": 80, "scheduler": 60}
Line = Mapping[str, Any]


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Run the trials that are not yet there, then say what all of them show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos")
    parser.add_argument("--base-port", type=int, default=9400)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--resume", action="store_true", help="keep the trials that are there, and go on")
    parser.add_argument("--only", choices=list(KINDS), help="trials of this kind alone")
    parser.add_argument("--count", type=int, help="at most so many trials of each kind")
    parser.add_argument("--results", type=Path, help="file of the trials")
    parser.add_argument("--homes", type=Path, help="folder for the parties' homes, kept for looking at them")
    options = parser.parse_args(arguments)
    path = options.results or RESULTS / f"chaos-{options.seed}.jsonl"
    if not options.resume:
        path.unlink(missing_ok=True)
    done = {line["trial"] for line in _lines(path)}
    counts = {kind: _count(kind, options) for kind in KINDS}
    todo = [trial for trial in trials(options.seed, counts) if trial.name not in done]
    if todo:
        with _folder(options.homes) as root, _parties(root, options.base_port) as (parties, net):
            _run_all(todo, parties, net, path)
    yield from figures(_lines(path))


def figures(lines: Sequence[Line]) -> Iterator[Figure]:
    """What the trials show, kind by kind."""
    for kind in KINDS:
        own = [line for line in lines if line["kind"] == kind]
        if not own:
            continue
        hit = [line for line in own if not line["missed"]]
        note = f"{len(own)} trials, {len(hit)} hit"
        yield Figure(f"{kind}: consistent at all parties", _share(own, "consistent"), "%", "limit 100", note)
        yield Figure(f"{kind}: with the undisturbed job's results", _share(own, "equal"), "%", "limit 100", note)
        for what, name, limit in (("noticed", "noticed", 3), ("again", "running again", LIMITS.get(kind))):
            seconds = sorted(line[what] for line in hit if line[what] is not None)
            if seconds:
                middle = seconds[len(seconds) // 2]
                beside = f"limit {limit}" if limit and kind != "cut" else ""
                yield Figure(f"{kind}: {name}, median", middle, "s", beside, f"{len(seconds)} trials")
                yield Figure(f"{kind}: {name}, slowest", seconds[-1], "s", beside, f"{len(seconds)} trials")


def _share(lines: Sequence[Line], what: str) -> float:
    return 100.0 * sum(bool(line[what]) for line in lines) / len(lines)


def _count(kind: str, options: argparse.Namespace) -> int:
    if options.only and kind != options.only:
        return 0
    return KINDS[kind] if options.count is None else min(KINDS[kind], options.count)


def _lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen:
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder:
        yield Path(folder)


@contextmanager
def _parties(root: Path, base_port: int) -> Iterator[tuple[Three, Network]]:
    """Three parties that know each other by doors that can be closed."""
    homes = make_homes(root, base_port)
    put_tables(homes, breast())
    net = network(homes, base_port + DOORS)
    net.start()
    try:
        with running(homes, lambda *_: None):
            yield Three(homes, 0.0, 0.0), net
    finally:
        net.stop()


def _run_all(todo: Sequence[Trial], parties: Three, net: Network, path: Path) -> None:
    pipelines = {"chain": parties.pipeline("chain", chains.dsl(4), chains.conf(4)), "lr": parties.example()}
    expected = {name: _reference(pipeline, TOLERANCE[name]) for name, pipeline in pipelines.items()}
    for trial in todo:
        outcome = attempt(trial, pipelines[trial.job], net, expected[trial.job])
        line = as_json(outcome)
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(_shown(line), file=sys.stderr, flush=True)
        if not wait_ready(list(parties.homes.values())):
            raise RuntimeError(f"after {trial.name} a party does not become ready again")
    for pipeline in pipelines.values():
        pipeline.close()


def _reference(pipeline: Pipeline, tolerance: float) -> Reference:
    pipeline.drop()
    pipeline.job()  # peers get the pipeline
    return reference(pipeline, tolerance)


def _shown(line: Line) -> str:
    good = "good" if line["equal"] else "BAD"
    what = ", ".join(line["killed"]) or line["missed"]
    times = f"noticed {line['noticed']} again {line['again']} took {line['took']}"
    problems = "; ".join([*line["findings"], *line["differences"]])[:400]
    states = "" if line["equal"] else line["states"]
    return f"{good} {line['trial']} ({line['job']}): {what} {line['point']}: {times} {states} {problems}"
