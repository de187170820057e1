"""Data, runs and the reference in clear for tests of HomoLR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import model_pb2
from federatedml.component import Inputs, Outputs
from federatedml.components.homo_lr import HOMO_LR, PARAM
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.linear_model import initial_weights
from federatedml.components.lr_optimizers import Memory, penalty_loss, stepped
from federatedml.crypto.shared_linear import batch_order, batch_sizes
from federatedml.data.table import Table
from federatedml.federation.party import Member, Role
from tests.conformance import Case
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

Floats = NDArray[np.float64]
TWO, THREE = (GUEST, HOST), (GUEST, HOST, OTHER_HOST)


def params(**given: Any) -> HomoLogisticParams:
    """Parameters of a short training from zeros, changed by ``given``."""
    usual: dict[str, Any] = {"learning_rate": 0.15, "max_iter": 3, "eps": 1e-12, "min_contributors": 2}
    return HomoLogisticParams.model_validate({**usual, "init_param": {"init_method": "zeros"}, **given})


def rows(
    members: Sequence[Member] = THREE, sizes: Sequence[int] = (40, 25, 31), columns: int = 3
) -> dict[Member, Table]:
    """Noisy logistic data of each member."""
    tables = {}
    for number, (member, size) in enumerate(zip(members, sizes, strict=False)):
        random = np.random.default_rng(number)
        x = random.standard_normal((size, columns))
        y = (x.sum(1) + 0.3 * number + random.standard_normal(size) > 0).astype(np.int64)
        ids = np.array([f"{member}.{i}" for i in range(size)], dtype=object)
        tables[member] = table(ids, x, y)
    return tables


def table(ids: NDArray[np.object_], x: Floats, y: Any) -> Table:
    return Table(ids, {"y": y, **{f"x{j}": x[:, j] for j in range(x.shape[1])}}, "y")


def case(
    p: HomoLogisticParams | Mapping[Member, HomoLogisticParams],
    tables: Mapping[Member, Table],
    evaluated: Mapping[Member, Table] | None = None,
    **more: Any,
) -> Case:
    """A training of the members of ``tables``; ``more`` goes to every ``Inputs``."""
    inputs = {ARBITER: Inputs(**more)}
    for member, own in tables.items():
        data: dict[str, Sequence[Table]] = {"train_data": [own]}
        if evaluated is not None and member in evaluated:
            data["eval_data"] = [evaluated[member]]
        inputs[member] = Inputs(data, **more)
    given = dict(p) if isinstance(p, Mapping) else dict.fromkeys(inputs, p)
    return Case(HOMO_LR, given, inputs, "homo_lr_0")


def predicting(trained: Mapping[Member, Outputs], p: HomoLogisticParams, tables: Mapping[Member, Table]) -> Case:
    """A prediction by each member on its own rows."""
    models = {member: outputs.model for member, outputs in trained.items()}
    inputs = {
        member: Inputs({"data": [tables[member]]} if member in tables else {}, models[member]) for member in models
    }
    return Case(HOMO_LR, dict.fromkeys(inputs, p), inputs, "homo_lr_1")


def param(outputs: Outputs) -> model_pb2.LRModelParam:
    assert outputs.model is not None
    return cast(model_pb2.LRModelParam, outputs.model[PARAM])


def weights(outputs: Outputs) -> Floats:
    """Weights by name, the intercept last."""
    found = param(outputs)
    return np.array([*(found.weight[name] for name in sorted(found.header)), found.intercept])


@dataclass(frozen=True)
class Clear:
    """What federated averaging gives in clear: FATE's steps, written down once more."""

    weights: Floats
    losses: list[float]


def in_clear(p: HomoLogisticParams, tables: Mapping[Member, Table], shares: Mapping[Member, float]) -> Clear:
    """All steps of all parties, and their averages.

    Args:
        shares: each party's part of all rows.
    """
    w = initial_weights(p.init_param, len(next(iter(tables.values())).header) + 1, "homo")
    memories, losses = {member: Memory.blank(len(w)) for member in tables}, []
    for first in range(0, p.max_iter, p.aggregate_iters):
        total, loss = np.zeros_like(w), 0.0
        for member, own in tables.items():
            mine, last = w, 0.0
            for epoch in range(first, min(first + p.aggregate_iters, p.max_iter)):
                mine, last, memories[member] = _epoch(p, own, mine, epoch, memories[member])
            total, loss = total + shares[member] * mine, loss + shares[member] * last
        w = total
        losses.append(loss)
    return Clear(w, losses)


def _epoch(p: HomoLogisticParams, own: Table, w: Floats, epoch: int, memory: Memory) -> tuple[Floats, float, Memory]:
    order, loss = batch_order(own.ids), 0.0
    x, y = np.column_stack([own.features(), np.ones(len(own))])[order], np.asarray(own.labels(), float)[order]
    for at in np.split(np.arange(len(y)), np.cumsum(batch_sizes(len(y), p.batch_size))[:-1]):
        probability = 1 / (1 + np.exp(-x[at] @ w))
        found = -np.mean(y[at] * np.log(probability) + (1 - y[at]) * np.log(1 - probability))
        loss += len(at) / len(y) * (found + penalty_loss(p, w, True))
        w, memory = stepped(p, w, x[at].T @ (probability - y[at]) / len(at), epoch, memory, True)
    return w, float(loss), memory


def by_rows(tables: Mapping[Member, Table]) -> dict[Member, float]:
    """Each party's part of all rows."""
    total = sum(map(len, tables.values()))
    return {member: len(own) / total for member, own in tables.items()}


def without(own: Table, *names: str) -> Table:
    """Without some columns."""
    return replace(own, columns={name: column for name, column in own.columns.items() if name not in names})


def contributing(outputs: Mapping[Member, Outputs]) -> dict[Member, Outputs]:
    return {member: found for member, found in outputs.items() if member.role is not Role.ARBITER}
