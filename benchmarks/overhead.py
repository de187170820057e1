"""What a component costs beside its algorithm, at three parties, part by part.

A component's time at a party runs from the end of the task before it to its own end. What its algorithm took is left
out; the parts are: Airflow (from the end of the task before to its own start), the rendezvous (the join of the member
that came last), loading, storing, commit, tracking, and the rest of the process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from airfed.demo_parties import PARTIES
from benchmarks.figure import Figure
from benchmarks.three import Three, three

RUNS = 5
PARTS = ("load", "algorithm", "store", "commit", "tracking")
ENDS = ("federate", "enrol", "conclude")


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Median over the components of several jobs at all parties."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks overhead")
    parser.add_argument("--base-port", type=int, default=9800)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder, three(Path(folder), options.base_port) as parties:
        parties.job()  # peers get the pipeline, processes load what they need
        found = [row for _ in range(RUNS) for row in _rows(parties, parties.job()[0])]
    note = f"median of {len(found)} tasks in {RUNS} jobs"
    yield Figure("a component, all but its algorithm", _median(found, "overhead"), "s", "limit 0.8", note)
    both = statistics.median(row["rendezvous"] + row["commit"] for row in found)
    yield Figure("of it rendezvous and commit", both, "s", "limit 0.15", note)
    yield Figure("of it tracking", _median(found, "tracking"), "s", "limit 0.2", note)
    for part in ("airflow", "load", "store", "process"):
        yield Figure(f"of it {part}", _median(found, part), "s", "", note)
    yield Figure("the algorithm", _median(found, "algorithm"), "s", "", note)


def _rows(parties: Three, job_id: str) -> list[Mapping[str, float]]:
    """Seconds per part of every component at every party."""
    runs = {name: {task["task_id"]: task for task in parties.tasks(name, job_id)} for name in PARTIES}
    joins: dict[str, float] = {}
    for tasks in runs.values():
        for component, task in tasks.items():
            if component not in ENDS:
                joins[component] = min(joins.get(component, 1e9), task["seconds"].get("join", 0.0))
    return [
        _row(tasks, component, joins[component])
        for tasks in runs.values()
        for component in tasks
        if component not in ENDS
    ]


def _row(tasks: Mapping[str, Mapping[str, Any]], component: str, rendezvous: float) -> Mapping[str, float]:
    task = tasks[component]
    start, end = _time(task["start_date"]), _time(task["end_date"])
    before = max(_time(other["end_date"]) for other in tasks.values() if _time(other["end_date"]) <= start)
    parts = {part: task["seconds"].get(part, 0.0) for part in PARTS}
    waited = task["seconds"].get("join", 0.0) - rendezvous  # for members that came later: their time, not ours
    process = end - start - sum(parts.values()) - task["seconds"].get("join", 0.0)
    overhead = end - before - parts["algorithm"] - waited
    return {**parts, "rendezvous": rendezvous, "airflow": start - before, "process": process, "overhead": overhead}


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _median(rows: Sequence[Mapping[str, float]], part: str) -> float:
    return statistics.median(row[part] for row in rows)
