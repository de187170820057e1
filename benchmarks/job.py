"""The demo's job at three parties: start-up, submit to success, memory, idle load."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from airfed import proc
from benchmarks.figure import Figure
from benchmarks.three import Three, three

RUNS = 3
IDLE_SECONDS = 30.0


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """First with nothing prepared, then with prepared databases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks job")
    parser.add_argument("--base-port", type=int, default=9700)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder:
        root = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")  # where prepared databases are kept
        with three(root / "first", options.base_port) as parties:
            yield Figure("three parties ready, the first time", parties.ready, "s", "limit 90", "makes the databases")
        with three(root / "second", options.base_port) as parties:
            yield Figure("three parties ready", parties.ready, "s", "limit 75", "prepared databases")
            yield from _jobs(parties)


def _jobs(parties: Three) -> Iterator[Figure]:
    yield Figure("dropped file to DAG", parties.visible, "s", "limit 3")
    _, first = parties.job()
    yield Figure("submit to success at all three, first job", first, "s", "limit 30", "peers get the pipeline")
    later = statistics.median(parties.job()[1] for _ in range(RUNS))
    yield Figure(
        "submit to success at all three, later jobs",
        later,
        "s",
        "limit 30; FATE 2.2 on such a machine 146 for 5 epochs of it",
        f"median of {RUNS}, 30 epochs",
    )
    memory = proc.memory(parties.processes()) / 2**20
    yield Figure("memory of all processes", memory / 1024, "GiB", "limit 6", "proportional set size, after the jobs")
    before = parties.cpu()
    time.sleep(IDLE_SECONDS)
    yield Figure(
        "cores in use when idle", (parties.cpu() - before) / IDLE_SECONDS, "cores", "limit 0.7", f"{IDLE_SECONDS:.0f} s"
    )
