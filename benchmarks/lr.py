"""HeteroLR, protocol ``shared``: quality against central models, cost against the same steps in clear."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airfed.demo_data import breast, joined
from airfed.demo_score import central, in_clear, quality
from benchmarks.figure import HERE, Figure
from federatedml.component import Inputs, component
from federatedml.components.lr_params import InitParam, LogisticParams
from federatedml.crypto.shared_linear import batch_order, batch_sizes
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Table
from federatedml.federation.local import LocalNetwork, Sent
from federatedml.federation.party import Member, Role

GUEST, HOST, ARBITER = Member(Role.GUEST, "9999"), Member(Role.HOST, "10000"), Member(Role.ARBITER, "10001")
EXAMPLE = HERE.parent / "examples" / "hetero_lr"
RUNS = 5


@dataclass(frozen=True)
class Trained:
    """One training of all parties in this process."""

    cpu: float
    wall: float
    score: Table
    sent: Sequence[Sent]

    def megabytes(self, *between: Role) -> float:
        """Bytes of messages between these roles."""
        sizes = (s.size for s in self.sent if {s.key.source.role, s.key.destination.role} == set(between))
        return sum(sizes) / 1e6


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures of breast, and of default_credit where its two CSV files are given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lr")
    parser.add_argument("--data", type=Path, help="folder with default_credit_hetero_{guest,host}.csv")
    options = parser.parse_args(arguments)
    yield from _breast()
    yield _simulate()
    if options.data:
        yield from _credit(options.data)


def _breast() -> Iterator[Figure]:
    data = breast()
    x, y, ids = joined(data)
    p = _params(30)
    runs = [_train(_halves(ids, x[:, :10], x[:, 10:], y), p) for _ in range(RUNS)]
    ours = quality("", y, _scores(runs[-1], ids))
    clear, pooled = in_clear(data, ids, p), central(data)
    yield Figure(
        "breast, 30 epochs: AUC",
        ours.auc,
        "",
        f"same steps in clear {clear.auc:.4f}, scikit-learn C=1 {pooled.auc:.4f}",
    )
    yield Figure("breast, 30 epochs: AUC less scikit-learn's", ours.auc - pooled.auc, "", "limit 0.005 either way")
    yield Figure(
        "breast, 30 epochs: AUC less the same steps in clear", ours.auc - clear.auc, "", "limit 0.001 either way"
    )
    yield from _cost("breast, 30 epochs", runs, "0.11 in a prototype on such a machine")


def _credit(folder: Path) -> Iterator[Figure]:
    import pandas as pd

    both = pd.read_csv(folder / "default_credit_hetero_guest.csv").merge(
        pd.read_csv(folder / "default_credit_hetero_host.csv"), on="id", suffixes=("", "_host")
    )
    y = both.pop("y").to_numpy()
    ids = [str(i) for i in both.pop("id")]
    x = both.to_numpy(float)
    p = _params(3)
    runs = [_train(_halves(ids, x[:, :13], x[:, 13:], y), p) for _ in range(3)]
    auc = quality("", y, _scores(runs[-1], ids)).auc
    clear = quality("", y, _clear(x, y, ids, p)).auc
    beside = f"same steps in clear {clear:.4f}; converged and pooled .7242"
    yield Figure("default_credit, 3 epochs: AUC", auc, "", beside)
    yield from _cost("default_credit, 3 epochs", runs, "0.35 in a prototype; FATE 2.2 whole job with PSI 416")


def _cost(name: str, runs: Sequence[Trained], beside: str) -> Iterator[Figure]:
    yield Figure(
        f"{name}: CPU of all parties", statistics.median(r.cpu for r in runs), "s", beside, f"median of {len(runs)}"
    )
    yield Figure(
        f"{name}: wall, one process", statistics.median(r.wall for r in runs), "s", "", f"median of {len(runs)}"
    )
    last = runs[-1]
    yield Figure(f"{name}: guest-host", last.megabytes(Role.GUEST, Role.HOST), "MB", "")
    yield Figure(
        f"{name}: dealer", last.megabytes(Role.ARBITER, Role.HOST) + last.megabytes(Role.ARBITER, Role.GUEST), "MB", ""
    )


def _simulate() -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        data = breast()
        for party, name, table in ((GUEST.party, "guest", data.guest), (HOST.party, "host", data.host)):
            Catalogue(Path(folder) / party).write(TableName("breast", name), table)
        command = [str(Path(sys.executable).parent / "airfed"), "simulate", "--data", folder]
        walls = []
        for _ in range(RUNS):
            start = time.perf_counter()
            pair = [str(EXAMPLE / f"hetero_lr_{part}.json") for part in ("dsl", "conf")]
            subprocess.run([*command, *pair], check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - start)
    return Figure(
        "airfed simulate of the demo's job, whole command",
        statistics.median(walls),
        "s",
        "limit 5",
        f"median of {RUNS}",
    )


def _clear(x: np.ndarray, y: np.ndarray, ids: Sequence[str], p: LogisticParams) -> np.ndarray:
    """z of the same steps in clear with the exact sigmoid, in the protocol's order of rows."""
    x, weights = np.c_[x, np.ones(len(y))], np.zeros(x.shape[1] + 1)
    batches = np.split(batch_order(np.array(ids, dtype=object)), np.cumsum(batch_sizes(len(y), p.batch_size))[:-1])
    for _ in range(p.max_iter):
        for at in batches:
            weights -= p.learning_rate * x[at].T @ (1 / (1 + np.exp(-x[at] @ weights)) - y[at]) / len(at)
    return x @ weights


def _params(epochs: int) -> LogisticParams:
    zeros = InitParam(init_method="zeros")
    return LogisticParams(
        penalty="NONE", learning_rate=0.15, batch_size=320, max_iter=epochs, eps=1e-12, init_param=zeros
    )


def _halves(ids: Sequence[str], guest: np.ndarray, host: np.ndarray, y: np.ndarray) -> Mapping[Member, Table]:
    names = np.array(ids, dtype=object)
    own = {"y": y.astype(float), **{f"x{i}": column for i, column in enumerate(guest.T)}}
    return {
        GUEST: Table(names, own, label="y"),
        HOST: Table(names, {f"x{i}": column for i, column in enumerate(host.T)}),
    }


def _train(tables: Mapping[Member, Table], p: LogisticParams) -> Trained:
    module = component("HeteroLR")
    settled = module.settle(dict.fromkeys((GUEST, HOST, ARBITER), p)) if module.settle else {}
    inputs = {member: Inputs({"train_data": [table]}) for member, table in tables.items()} | {ARBITER: Inputs()}
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        step = LocalNetwork(Path(folder)).run(module, settled, inputs)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    score = step.outputs[GUEST].data
    assert score is not None
    return Trained(cpu, wall, score, step.sent)


def _scores(trained: Trained, ids: Sequence[str]) -> np.ndarray:
    at = dict(zip(trained.score.ids, trained.score.columns["predict_score"], strict=True))
    return np.array([at[i] for i in ids])
