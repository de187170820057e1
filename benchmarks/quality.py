"""Quality of every data set: the federated model beside the central one, and what it costs.

Each job runs in a process of its own, so that memory is its own. The metric is of the rows that were trained on, as in
FATE's examples. Trees beside XGBoost on the same bins, with as many rounds, depth, rate and lambda: in clear these are
the same steps, but for nodes of so few rows that no host is asked about them. Logistic regression
beside scikit-learn's (C=1), several classes beside its multinomial model.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.quality_runs import JOBS, Job, Measured, measured
from federatedml.component import registry

WORSE = 0.01  # of the pooled model's metric, at most


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures of all jobs whose component is installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks quality")
    parser.add_argument("--data", type=Path, help="folder with FATE's example data; without it data are made up")
    parser.add_argument("--only", default="", help="jobs whose name has this in it")
    options = parser.parse_args(arguments)
    for job in JOBS:
        if job.module in registry() and options.only in job.name:
            yield from _figures(job, _apart(job, options.data))


def _apart(job: Job, folder: Path | None) -> Measured:
    """Measured in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (job, folder))


def _figures(job: Job, found: Measured) -> Iterator[Figure]:
    worse = (found.ours - found.pooled if found.metric == "rmse" else found.pooled - found.ours) / found.pooled
    peer = "XGBoost" if job.module == "HeteroSecureBoost" else "scikit-learn"
    clear = f"same steps in clear {found.clear:.4f}; " if found.clear is not None else ""
    yield Figure(f"{job.name}: {found.metric}", found.ours, "", f"{clear}pooled {peer} {found.pooled:.4f}")
    yield Figure(f"{job.name}: worse than pooled by", 100 * worse, "%", f"limit {100 * WORSE:g}")
    yield Figure(f"{job.name}: wall, one process", found.wall, "s", "")
    yield Figure(f"{job.name}: CPU of all parties", found.cpu, "s", "")
    yield Figure(f"{job.name}: peak memory of all parties", found.peak / 2**20, "MiB", "")
    for role, size in sorted(found.sent.items()):
        yield Figure(f"{job.name}: sent by {role}", size / 1e6, "MB", "")
