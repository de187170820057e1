"""Data and runs that the benchmarks of HeteroLR's two protocols share."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba  # noqa: F401  # where it is loaded no twin of a kernel runs: figures are of algorithms, not of loading it
import numpy as np
import psutil
from numpy.typing import NDArray

from federatedml.component import Inputs, ModelBuffers, component
from federatedml.components.lr_params import LogisticTraining
from federatedml.compute.engine import SERIAL, Compute
from federatedml.data.table import Table
from federatedml.federation.local import LocalNetwork, Sent
from federatedml.federation.party import Member, Role

GUEST, HOST, ARBITER = Member(Role.GUEST, "9999"), Member(Role.HOST, "10000"), Member(Role.ARBITER, "10001")
Floats = NDArray[np.float64]
POOLED_CREDIT = 0.7242  # AUC of default_credit's pooled model at its optimum


@dataclass(frozen=True)
class Trained:
    """One training of all parties in this process and its workers.

    Attributes:
        cpu, wall: seconds.
        peak: largest resident memory of each process, summed, in bytes.
    """

    cpu: float
    wall: float
    peak: float
    score: Table
    summary: Mapping[str, float]
    model: ModelBuffers
    sent: Sequence[Sent]

    def megabytes(self, *between: Role) -> float:
        """Bytes of messages between these roles."""
        sizes = (s.size for s in self.sent if {s.key.source.role, s.key.destination.role} == set(between))
        return sum(sizes) / 1e6

    def scores(self, ids: Sequence[str]) -> Floats:
        """In the order of the ids."""
        at = dict(zip(self.score.ids, self.score.columns["predict_score"], strict=True))
        return np.array([at[i] for i in ids])


def train(
    tables: Mapping[Member, Table],
    p: LogisticTraining,
    compute: Compute = SERIAL,
    name: str = "HeteroLR",
) -> Trained:
    """One training, all parties in this process; of messages only the sizes are kept."""
    module = component(name)
    settled = module.settle(dict.fromkeys((*tables, ARBITER), p))
    inputs = {member: Inputs({"train_data": [table]}) for member, table in tables.items()} | {ARBITER: Inputs()}
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = cpu_seconds(), time.perf_counter()
        step = LocalNetwork(Path(folder), timeout=300.0, compute=compute, bodies=False).run(module, settled, inputs)
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    outputs = step.outputs[GUEST]
    score = outputs.data
    assert score is not None
    return Trained(cpu, wall, peak_bytes(), score, outputs.summary, outputs.model or {}, step.sent)


def _processes() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def cpu_seconds() -> float:
    """Seconds of this process and its workers, who live on."""
    return sum(sum(process.cpu_times()[:2]) for process in _processes())


def peak_bytes() -> float:
    """Largest resident memory of this process and its workers so far, summed."""
    lines = [line for p in _processes() for line in Path(f"/proc/{p.pid}/status").read_text().splitlines()]
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def halves(ids: Sequence[str], guest: Floats, host: Floats, y: NDArray[np.int64]) -> Mapping[Member, Table]:
    """Label and columns of the guest, columns of the host."""
    names = np.array(ids, dtype=object)
    own = {"y": y.astype(float), **{f"x{i}": column for i, column in enumerate(guest.T)}}
    return {
        GUEST: Table(names, own, label="y"),
        HOST: Table(names, {f"x{i}": column for i, column in enumerate(host.T)}),
    }


def credit(folder: Path) -> tuple[Floats, NDArray[np.int64], list[str]]:
    """default_credit: 13 columns of the guest and 10 of the host, labels, ids."""
    return csv_pair(folder, "default_credit")


def csv_pair(folder: Path, data: str) -> tuple[Floats, NDArray[np.int64], list[str]]:
    """The rows that the guest's and the host's file of a data set both have: columns, labels, ids."""
    import pandas as pd

    guest, host = (pd.read_csv(folder / f"{data}_hetero_{side}.csv") for side in ("guest", "host"))
    both = guest.merge(host, on="id", suffixes=("", "_host"))
    y = both.pop("y").to_numpy()
    ids = [str(i) for i in both.pop("id")]
    return both.to_numpy(float), y, ids
