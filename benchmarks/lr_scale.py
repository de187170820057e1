"""How HeteroLR, protocol ``shared``, grows with the rows: 23 columns, batches of 320, one epoch, all parties together.

Each size runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from benchmarks.lr_runs import ARBITER, GUEST, HOST
from federatedml.component import Inputs, component
from federatedml.components.lr_params import InitParam, LogisticParams
from federatedml.data.table import Table
from federatedml.federation.local import LocalNetwork

SIZES = (30_000, 300_000, 3_000_000)
GUEST_COLUMNS, HOST_COLUMNS = 13, 10


def figures() -> Iterator[Figure]:
    """CPU and peak memory per size, and the exponent between the smallest and the largest."""
    found = {rows: _measured(rows) for rows in SIZES}
    for rows, (cpu, peak) in found.items():
        yield Figure(f"{rows:,} rows, 1 epoch: CPU of all parties", cpu, "s", "")
        data = rows * (GUEST_COLUMNS + HOST_COLUMNS) * 8 / 2**20
        yield Figure(f"{rows:,} rows, 1 epoch: peak memory of all parties", peak, "MiB", f"the tables are {data:.0f}")
    first, last = SIZES[0], SIZES[-1]
    exponent = math.log(found[last][0] / found[first][0]) / math.log(last / first)
    yield Figure(f"exponent of CPU over rows, {first:,} to {last:,}", exponent, "", "limit 1.05")


def _measured(rows: int) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.lr_scale", str(rows)], check=True, capture_output=True, text=True
    )
    cpu, peak = json.loads(done.stdout)
    return cpu, peak


def _train(rows: int) -> tuple[float, float]:
    """CPU seconds of a training, and MiB of the process at its peak."""
    random = np.random.default_rng(1)
    ids = np.array([f"row{i}" for i in range(rows)], dtype=object)
    guest = {f"x{i}": random.standard_normal(rows) for i in range(GUEST_COLUMNS - 1)}
    host = {f"x{i}": random.standard_normal(rows) for i in range(HOST_COLUMNS)}
    labels = (guest["x0"] + host["x0"] + random.standard_normal(rows) > 0).astype(np.float64)
    tables = {GUEST: Table(ids, {"y": labels, **guest}, "y"), HOST: Table(ids, host)}
    p = LogisticParams(penalty="NONE", learning_rate=0.15, max_iter=1, init_param=InitParam(init_method="zeros"))
    inputs = {member: Inputs({"train_data": [table]}) for member, table in tables.items()} | {ARBITER: Inputs()}
    with tempfile.TemporaryDirectory() as folder:
        network = LocalNetwork(Path(folder), timeout=300.0, bodies=False)
        start = time.process_time()
        network.run(component("HeteroLR"), dict.fromkeys(inputs, p), inputs)
        cpu = time.process_time() - start
    return cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    _train(1000)  # imports and compiled code are not what grows
    json.dump(_train(int(sys.argv[1])), sys.stdout)
