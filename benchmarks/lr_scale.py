"""How HeteroLR grows with the rows: 23 columns, batches of 320, one epoch, all parties together.

Each size runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.figure import Figure
from benchmarks.growth import exponents
from benchmarks.lr_runs import halves, train
from federatedml.components.lr_params import InitParam, LogisticParams
from federatedml.compute.choice import compute_engine

SIZES = {"shared": (30_000, 300_000, 3_000_000), "paillier": (30_000, 300_000)}
GROWS = {"CPU": "cpu", "wall": "wall", "peak memory": "peak", "bytes sent": "sent"}
GUEST_COLUMNS, HOST_COLUMNS = 13, 10


@dataclass(frozen=True)
class Grown:
    """What a training took: seconds, MiB of the process and its workers at their peaks, MB that were sent."""

    cpu: float
    wall: float
    peak: float
    sent: float


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Per protocol: time, memory and bytes per size, and the exponents of all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lr_scale", description=__doc__)
    parser.add_argument("--most", default="3e6", help="rows; larger sizes are left out")
    most = float(parser.parse_args(arguments).most)
    for protocol, sizes in SIZES.items():
        found = {rows: _measured(protocol, rows) for rows in sizes if rows <= most}
        for rows, grown in found.items():
            name, data = f"{protocol}, {rows:,} rows, 1 epoch", rows * (GUEST_COLUMNS + HOST_COLUMNS) * 8 / 2**20
            yield Figure(f"{name}: CPU of all parties", grown.cpu, "s", "")
            yield Figure(f"{name}: wall", grown.wall, "s", "")
            yield Figure(f"{name}: peak memory of all parties", grown.peak, "MiB", f"the tables are {data:.0f}")
            yield Figure(f"{name}: sent by all parties", grown.sent, "MB", "")
        for what, kind in GROWS.items():
            yield from exponents(f"{protocol}, {what}", {rows: getattr(grown, kind) for rows, grown in found.items()})


def _measured(protocol: str, rows: int) -> Grown:
    command = [sys.executable, "-m", "benchmarks.lr_scale", protocol, str(rows)]
    return Grown(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _train(protocol: str, rows: int) -> Grown:
    random = np.random.default_rng(1)
    ids = [f"row{i}" for i in range(rows)]
    guest, host = (random.standard_normal((rows, columns)) for columns in (GUEST_COLUMNS - 1, HOST_COLUMNS))
    labels = (guest[:, 0] + host[:, 0] + random.standard_normal(rows) > 0).astype(np.int64)
    p = LogisticParams(
        protocol=protocol,  # type: ignore[arg-type]
        penalty="NONE",
        learning_rate=0.05,
        max_iter=1,
        eps=1e-12,
        init_param=InitParam(init_method="zeros"),
    )
    with compute_engine() as engine:
        found = train(halves(ids, guest, host, labels), p, engine)
        return Grown(found.cpu, found.wall, found.peak / 2**20, sum(message.size for message in found.sent) / 1e6)


if __name__ == "__main__":
    _train(sys.argv[1], 1000)  # imports and compiled code are not what grows
    json.dump(asdict(_train(sys.argv[1], int(sys.argv[2]))), sys.stdout)
