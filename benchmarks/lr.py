"""HeteroLR: quality against central models, cost against the same steps in clear; ``paillier`` in ``lr_paillier``."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from airfed.demo_data import breast, joined
from airfed.demo_score import central, in_clear, quality
from benchmarks import lr_paillier, simulated
from benchmarks.figure import Figure
from benchmarks.lr_floor import floor
from benchmarks.lr_runs import GUEST, HOST, POOLED_CREDIT, Trained, credit, halves, train
from federatedml.components.lr_params import InitParam, LogisticParams
from federatedml.crypto.shared_linear import batch_order, batch_sizes
from federatedml.federation.party import Role

RUNS = 5

OPTIONS = (
    ("penalty", "L2"),
    ("optimizer", "nesterov_momentum_sgd"),
    ("optimizer", "adam"),
    ("class_weight", "balanced"),
)


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures of breast, and of default_credit where its two CSV files are given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lr")
    parser.add_argument("--data", type=Path, help="folder with default_credit_hetero_{guest,host}.csv")
    options = parser.parse_args(arguments)
    yield from _breast()
    demo = _name("breast", _params(30))
    yield simulated.of_example(
        f"{demo}: airfed simulate of the demo's job, whole command", "hetero_lr", "limit 5", RUNS
    )
    if options.data:
        yield from _credit(options.data)
    yield from lr_paillier.figures(options.data)


def _breast() -> Iterator[Figure]:
    data = breast()
    x, y, ids = joined(data)
    p = _params(30)
    name = _name("breast", p)
    runs = [train(halves(ids, x[:, :10], x[:, 10:], y), p) for _ in range(RUNS)]
    ours = quality("", y, runs[-1].scores(ids)).auc
    yield from _aucs(name, ours, in_clear(data, ids, p).auc, central(data).auc, "scikit-learn C=1")
    yield from _cost(name, runs, "0.11 in a prototype on such a machine")


def _credit(folder: Path) -> Iterator[Figure]:
    x, y, ids = credit(folder)
    p = _params(3)
    name, tables = _name("default_credit", p), halves(ids, x[:, :13], x[:, 13:], y)
    runs = [train(tables, p) for _ in range(3)]
    auc = quality("", y, runs[-1].scores(ids)).auc
    yield from _aucs(name, auc, quality("", y, _clear(x, y, ids, p)).auc, POOLED_CREDIT, "converged and pooled")
    least = floor(p, len(y), {GUEST: 14, HOST: x.shape[1] - 13})
    beside = f"limit 0.6; floor {least:.2f} of unit operations; 0.35 in a prototype; FATE 2.2 whole job with PSI 416"
    yield from _cost(name, runs, beside)
    wall = simulated.of_model("HeteroLR", p.model_dump(mode="json", exclude_unset=True), tables, 3)
    yield Figure(f"{name}: airfed simulate, whole command", wall, "s", "limit 3; FATE 2.2 330", "median of 3")
    for option, value in OPTIONS:
        cpu = statistics.median(train(tables, p.model_copy(update={option: value})).cpu for _ in range(3))
        yield Figure(f"{name}, but {option} {value}: CPU of all parties", cpu, "s", "", "median of 3")


def _name(data: str, p: LogisticParams) -> str:
    return f"{data}, {p.optimizer} {p.learning_rate:g}, batch {p.batch_size}, {p.max_iter} epochs"


def _aucs(name: str, auc: float, clear: float, pooled: float, what: str) -> Iterator[Figure]:
    """Beside the same steps in clear with the exact sigmoid, and the pooled model."""
    yield Figure(f"{name}: AUC", auc, "", f"same steps in clear {clear:.4f}, {what} {pooled:.4f}")
    yield Figure(f"{name}: AUC less the pooled model's", auc - pooled, "", "limit 0.005 either way")
    yield Figure(f"{name}: AUC less the same steps in clear", auc - clear, "", "limit 0.001 either way")


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
        penalty="NONE",
        optimizer="sgd",
        learning_rate=0.15,
        batch_size=320,
        max_iter=epochs,
        eps=1e-12,
        init_param=zeros,
    )
