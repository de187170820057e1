"""Trainings under protocol ``paillier`` for tests: short keys, and the same steps in clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.component import Inputs
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.lr_batches import batches
from federatedml.components.lr_params import LogisticParams
from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.stock import Stock
from federatedml.crypto.shared_linear import batch_order
from federatedml.data.table import Table
from federatedml.federation.party import Member, Role
from tests.conformance import Case
from tests.lr_cases import params, table
from tests.members import ARBITER, GUEST, HOST

Floats = NDArray[np.float64]
TOLERANCE = 2e-4  # of weights: features have 16 bits
SHORT_KEY = {"method": "Paillier", "key_length": 1024}


def encrypted(**given: Any) -> LogisticParams:
    """Parameters of a short training from zeros, changed by ``given``."""
    return params(**{"encrypt_param": SHORT_KEY, "max_iter": 2, "batch_size": 30, **given})


def tables(columns: Mapping[Member, int], rows: int = 60, seed: int = 0) -> dict[Member, Table]:
    """Noisy logistic data; the guest has the label."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, sum(columns.values())))
    y = (x.sum(1) + random.standard_normal(rows) > 0).astype(np.int64)
    ids = np.array([f"row{i}" for i in range(rows)], dtype=object)
    cuts = np.cumsum(list(columns.values()))[:-1]
    parts = zip(columns, np.split(x, cuts, axis=1), strict=True)
    return {m: table(ids, part, f"{m.role[0]}{m.party}_", y if m.role is Role.GUEST else None) for m, part in parts}


PAIR = {GUEST: 2, HOST: 2}


@cache
def compile_kernels() -> None:
    """The first use on a machine takes seconds, which a member that waits for a message should not spend."""
    party, codec = evaluator(generate(1024).public), Codec(8, 4.0)
    received = party.receive(party.encrypt(np.ones(40), codec).seal(), codec)
    products = party.plan_matvec(np.random.default_rng(0).standard_normal((40, 2))).apply(received)
    products.mask()
    Stock(party.public, party.noise).prepare(2)


def training(p: LogisticParams, data: Mapping[Member, Table] | None = None) -> Case:
    """A step of guest, hosts and arbiter."""
    compile_kernels()
    inputs = {member: Inputs({"train_data": [part]}) for member, part in (data or tables(PAIR)).items()}
    inputs[ARBITER] = Inputs()
    return Case(HETERO_LR, dict.fromkeys(inputs, p), inputs, "hetero_lr_0")


@dataclass(frozen=True)
class Clear:
    """The same steps on pooled data: weights by party (the guest's intercept last), and the losses of the epochs."""

    weights: Mapping[Member, Floats]
    losses: Sequence[float]
    gradients: Sequence[Mapping[Member, Floats]]


def in_clear(p: LogisticParams, data: Mapping[Member, Table], row_weights: Floats | None = None) -> Clear:
    """FATE's first-order steps, written out for all columns at once, from zeros."""
    guest = data[GUEST]
    y = np.where(guest.labels() == guest.labels().max(), 1.0, -1.0)
    blocks = {m: t.features() if m != GUEST else np.c_[t.features(), np.ones(len(t))] for m, t in data.items()}
    x, order = np.column_stack(list(blocks.values())), batch_order(guest.ids)
    owner = np.repeat(np.arange(len(blocks)), [b.shape[1] for b in blocks.values()])
    free = np.flatnonzero(owner == list(blocks).index(GUEST))[-1]  # the intercept
    w, m, v = np.zeros((3, x.shape[1]))
    sizes = batches(p, len(y), {member: b.shape[1] for member, b in blocks.items()})
    of_rows = np.ones(len(y)) if row_weights is None else row_weights
    t, losses, gradients = 0, [], []
    for epoch in range(p.max_iter):
        rate = p.learning_rate / np.sqrt(1 + p.decay * epoch) ** (1 if p.decay_sqrt else 2)
        total = 0.0
        for rows in np.split(order, np.cumsum(sizes)[:-1]):
            z = x[rows] @ w
            total += float(np.sum(np.log(2) - y[rows] * z / 2 + z * z / 8))
            g = x[rows].T @ (of_rows[rows] * (z / 4 - y[rows] / 2)) / len(rows)
            t += 1
            move, m, v = _move(p.optimizer, rate, g, m, v, t)
            shrink = np.full(len(w), rate * p.alpha)
            shrink[free] = 0
            if p.penalty == "L1":
                w = np.sign(w - move) * np.maximum(np.abs(w - move) - shrink, 0)
            else:
                w = w - move - (shrink * w if p.penalty == "L2" else 0)
            gradients.append({member: g[owner == i] for i, member in enumerate(blocks)})
        rest = np.delete(w, free)
        extra = {"L1": np.abs(rest).sum(), "L2": rest @ rest / 2, "NONE": 0.0}[p.penalty]
        losses.append(total / len(y) + p.alpha * extra)
    return Clear({member: w[owner == i] for i, member in enumerate(blocks)}, losses, gradients)


def _move(optimizer: str, rate: float, g: Floats, m: Floats, v: Floats, t: int) -> tuple[Floats, Floats, Floats]:
    if optimizer == "rmsprop":
        v = 0.99 * v + 0.01 * g**2
        return rate * g / np.sqrt(v + 1e-6), m, v
    if optimizer == "adagrad":
        v = v + g**2
        return rate * g / (np.sqrt(v) + 1e-7), m, v
    if optimizer == "adam":
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        return rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v
    if optimizer == "nesterov_momentum_sgd":
        u = 0.9 * m - rate * g
        return 0.9 * m - 1.9 * u, u, v
    return rate * g, m, v
