"""Engines: what it costs to start one, to hand out a part, to move its bytes."""

from __future__ import annotations

import math
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np
from distributed import LocalCluster

from benchmarks.figure import Figure
from federatedml.compute.choice import EngineName, compute_engine
from federatedml.compute.engine import Compute

PARTS, RUNS, MEGABYTES = 1000, 5, 80
BESIDE = {
    EngineName.THREADS: ("", ""),
    EngineName.PROCESSES: ("ProcessPoolExecutor, forkserver 0.13", "the same 0.28"),
    EngineName.DASK: ("import and cluster not counted", "Dask on another machine 3.1"),
}


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Threads, processes, and Dask on a cluster of this machine, two workers each."""
    for name, (started, handed) in BESIDE.items():
        starts, parts, moves, cpus = zip(*(_once(name) for _ in range(RUNS)), strict=True)
        note = f"median of {RUNS}, two workers"
        yield Figure(f"{name}: wall to the first result", statistics.median(starts), "s", started, note)
        yield Figure(f"{name}: wall of a part that does nothing", statistics.median(parts) * 1e3, "ms", handed, note)
        yield Figure(f"{name}: CPU of such a part, this process", statistics.median(cpus) * 1e3, "ms", "", note)
        yield Figure(f"{name}: bytes to a worker and back", statistics.median(moves), "GB/s", "", note)


def _once(name: EngineName) -> tuple[float, float, float, float]:
    """Seconds to the first result, seconds per part, gigabytes per second, CPU seconds per part."""
    with ExitStack() as stack:
        address = ""
        if name is EngineName.DASK:
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")
            address = stack.enter_context(cluster).scheduler_address
        engine = stack.enter_context(compute_engine(name, 2, address))
        start = _wall(lambda: engine.map(math.sqrt, [1.0]))
        cpu = _cpu()
        parts = _wall(lambda: engine.map(math.sqrt, [1.0] * PARTS)) / PARTS
        cpu = (_cpu() - cpu) / PARTS
        return start, parts, _moved(engine), cpu


def _moved(engine: Compute) -> float:
    body = np.ones(MEGABYTES * 125_000)
    return 2 * MEGABYTES / 1e3 / _wall(lambda: engine.map(np.negative, [body]))


def _wall(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
