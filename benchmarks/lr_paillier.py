"""HeteroLR, protocol ``paillier``: cost beside that of its operations in a row, quality beside the steps in clear."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from airfed.demo_data import breast, joined
from airfed.demo_score import central, quality
from benchmarks import simulated
from benchmarks.figure import Figure
from benchmarks.lr_runs import GUEST, HOST, POOLED_CREDIT, Floats, Trained, credit, halves, train
from federatedml.components.lr_batches import batches, cut
from federatedml.components.lr_encrypted import CipherPlan, Side
from federatedml.components.lr_optimizers import Memory, stepped
from federatedml.components.lr_params import InitParam, LogisticParams
from federatedml.compute.choice import compute_engine
from federatedml.crypto.paillier.evaluator import evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.shared_linear import batch_order
from federatedml.federation.party import Role

COLUMNS = {"breast": 10, "default_credit": 13}  # of the guest


@dataclass(frozen=True)
class Data:
    """Pooled columns, the guest's first, labels, ids."""

    name: str
    x: Floats
    y: NDArray[np.int64]
    ids: Sequence[str]

    def split(self) -> tuple[Floats, Floats]:
        """Columns of guest and host."""
        at = COLUMNS[self.name]
        return self.x[:, :at], self.x[:, at:]


def figures(folder: Path | None) -> Iterator[Figure]:
    """Breast, and default_credit where its folder is given."""
    p = _params("rmsprop", 0.15, 5)
    small, (x, y, ids) = breast(), joined(breast())
    data = Data("breast", x, y, ids)
    command = f"{_name(data, p)}: airfed simulate of the example, whole command"
    yield simulated.of_example(command, "hetero_lr_paillier", "limit 3", 3)
    yield from _rows(data, p, 3, central(small).auc)
    if folder is not None:
        data, p = Data("default_credit", *credit(folder)), _params("sgd", 0.05, 3)
        yield from _rows(data, p, 1, POOLED_CREDIT, "limit 0.010 either way")
        tables = halves(data.ids, *data.split(), data.y)
        wall = simulated.of_model("HeteroLR", p.model_dump(mode="json", exclude_unset=True), tables, 1)
        yield Figure(f"{_name(data, p)}: airfed simulate, whole command", wall, "s", "limit 45; FATE 2.2 330")


def _name(data: Data, p: LogisticParams) -> str:
    name = f"paillier {p.encrypt_param.key_length} bit, {data.name}, {p.optimizer} {p.learning_rate:g}"
    return f"{name}, batch {p.batch_size}, {p.max_iter} epochs"


def _rows(data: Data, p: LogisticParams, runs: int, pooled: float, limit: str = "") -> Iterator[Figure]:
    guest, host = data.split()
    with compute_engine() as engine:
        found = [train(halves(data.ids, guest, host, data.y), p, engine) for _ in range(runs)]
        workers = engine.workers
    last, floor, note = found[-1], _floor(data, p), f"median of {runs}; noise with short exponents"
    name, auc = _name(data, p), quality("", data.y, last.scores(data.ids)).auc
    clear = quality("", data.y, _clear(data, p)).auc
    yield Figure(f"{name}: AUC", auc, "", f"same steps in clear {clear:.4f}; pooled {pooled:.4f}")
    yield Figure(f"{name}: AUC less the pooled model's", auc - pooled, "", limit)
    cpu, wall = (statistics.median(getattr(run, kind) for run in found) for kind in ("cpu", "wall"))
    yield Figure(f"{name}: CPU of all parties", cpu, "s", f"floor {floor:.3g}", note)
    yield Figure(f"{name}: wall", wall, "s", f"floor on these cores {floor / workers:.3g}", note)
    yield from _sizes(name, last)


def _sizes(name: str, last: Trained) -> Iterator[Figure]:
    yield Figure(f"{name}: peak memory of all processes", last.peak / 2**20, "MiB", "")
    yield Figure(f"{name}: guest-host", last.megabytes(Role.GUEST, Role.HOST), "MB", "")
    arbiters = sum(last.megabytes(Role.ARBITER, role) for role in (Role.GUEST, Role.HOST))
    yield Figure(f"{name}: to and from the arbiter", arbiters, "MB", "")


def _params(optimizer: str, rate: float, epochs: int) -> LogisticParams:
    given = {"optimizer": optimizer, "learning_rate": rate, "max_iter": epochs, "penalty": "NONE", "eps": 1e-12}
    return LogisticParams.model_validate(
        {**given, "init_param": InitParam(init_method="zeros"), "encrypt_param": {"method": "Paillier"}}
    )


def _sizes_of(data: Data, p: LogisticParams) -> Sequence[int]:
    guest, host = data.split()
    return batches(p, len(data.y), {GUEST: guest.shape[1] + 1, HOST: host.shape[1]})


def _clear(data: Data, p: LogisticParams) -> Floats:
    """z of the same steps in clear."""
    sizes, order = _sizes_of(data, p), batch_order(np.array(data.ids, dtype=object))
    x, signs = np.c_[data.x, np.ones(len(data.y))], 2.0 * data.y - 1
    w, memory = np.zeros(x.shape[1]), Memory.blank(x.shape[1])
    for epoch in range(p.max_iter):
        for rows, y in zip(cut(x[order], sizes), cut(signs[order], sizes), strict=True):
            gradient = rows.T @ (rows @ w / 4 - y / 2) / len(y)
            w, memory = stepped(p, w, gradient, epoch, memory, intercept=True)
    return np.asarray(x @ w)


def _floor(data: Data, p: LogisticParams) -> float:
    """CPU seconds of the operations of one batch, each alone in one process, times the number of batches."""
    guest, host = data.split()
    sizes, order = _sizes_of(data, p), batch_order(np.array(data.ids, dtype=object))
    private = generate(p.encrypt_param.key_length)
    party = evaluator(private.public)
    columns = {GUEST: np.c_[guest, np.ones(len(guest))], HOST: host}
    plan = CipherPlan(p, sizes, {member: part.shape[1] for member, part in columns.items()})
    sides = [Side(plan, party, part[order], np.zeros(part.shape[1])) for part in columns.values()]
    d = party.receive(party.encrypt(np.zeros(sizes[0]), plan.residual).seal(), plan.residual)
    seconds = 2 * _least(d.seal)
    for side in sides:
        reply, _ = side.masked_gradient(0, d)
        seconds += _least(partial(side.masked_gradient, 0, d))
        seconds += reply.count * _least(lambda: private.decrypt(d.elements[:1]))
    return seconds / sizes[0] * len(data.y) * p.max_iter


def _least(work: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)
