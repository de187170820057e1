"""Data, runs and the reference in clear for tests of HeteroLR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from airfed_proto.v1 import model_pb2
from federatedml.component import Inputs, Outputs
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.linear_model import binary_labels
from federatedml.components.lr_optimizers import Memory, stepped
from federatedml.components.lr_params import ADAPTIVE, LogisticParams
from federatedml.components.lr_plan import closed_batches
from federatedml.components.lr_result import PARAM
from federatedml.components.lr_row_weights import row_weights, without_weights
from federatedml.crypto.series import Series
from federatedml.crypto.shared_linear import batch_order, batch_sizes
from federatedml.data.table import Table
from federatedml.federation.local import StepResult
from federatedml.federation.party import Member, Role
from tests.conformance import Case
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

Floats = NDArray[np.float64]


def params(**given: Any) -> LogisticParams:
    """Parameters of a short training from zeros, changed by ``given``."""
    usual: dict[str, Any] = {"penalty": "NONE", "learning_rate": 0.15, "max_iter": 3, "eps": 1e-12}
    return LogisticParams.model_validate({**usual, "init_param": {"init_method": "zeros"}, **given})


def table(ids: NDArray[np.object_], features: Floats, prefix: str, labels: Any = None) -> Table:
    columns: dict[str, Any] = {} if labels is None else {"y": labels}
    columns |= {f"{prefix}{j}": features[:, j] for j in range(features.shape[1])}
    return Table(ids, columns, None if labels is None else "y")


@cache
def breast() -> tuple[Table, Table]:
    """569 rows: label and 10 columns at the guest, 20 at the host, standardised."""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    ids = np.array([f"patient{i}" for i in range(len(x))], dtype=object)
    return table(ids, x[:, :10], "x", data.target), table(ids, x[:, 10:], "x")


def small(rows: int = 50, guest: int = 2, host: int = 3, seed: int = 0) -> tuple[Table, Table]:
    """Noisy logistic data."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, guest + host))
    y = (x.sum(1) + random.standard_normal(rows) > 0).astype(np.int64)
    ids = np.array([f"row{i}" for i in range(rows)], dtype=object)
    return table(ids, x[:, :guest], "g", y), table(ids, x[:, guest:], "h")


def case(p: LogisticParams, tables: tuple[Table, Table], evaluated: tuple[Table, Table] | None = None) -> Case:
    guest: dict[str, Any] = {"train_data": [tables[0]]}
    host: dict[str, Any] = {"train_data": [tables[1]]}
    if evaluated is not None:
        guest["eval_data"], host["eval_data"] = [evaluated[0]], [evaluated[1]]
    inputs = {GUEST: Inputs(guest), HOST: Inputs(host), ARBITER: Inputs()}
    return Case(HETERO_LR, dict.fromkeys(inputs, p), inputs, "hetero_lr_0")


def param(outputs: Outputs) -> model_pb2.LRModelParam:
    assert outputs.model is not None
    return cast(model_pb2.LRModelParam, outputs.model[PARAM])


def weights(outputs: Mapping[Any, Outputs]) -> Floats:
    """Guest's weights and intercept, then the hosts'."""
    guest = param(outputs[GUEST])
    hosts = [param(outputs[member]) for member in sorted(outputs) if member.role is Role.HOST]
    own = [guest.weight[name] for name in guest.header]
    return np.array([*own, guest.intercept, *(host.weight[name] for host in hosts for name in host.header)])


@dataclass(frozen=True)
class Clear:
    """The same steps on pooled data with the exact sigmoid."""

    weights: Floats
    loss: float
    scores: Floats
    weighted_loss: float


def in_clear(
    p: LogisticParams, guest: Table, host: Table, start: Floats | None = None, sines: Series | None = None
) -> Clear:
    """With the exact sigmoid, or the sum of sines that the protocol computes."""
    intercept = p.init_param.fit_intercept
    labels = binary_labels(guest)[0]
    scales = row_weights(p, guest, labels)
    guest = without_weights(guest, p.sample_weight_name)
    ones = np.ones((len(guest), int(intercept)))
    pooled = np.column_stack([guest.features(), ones, host.features()])
    order = batch_order(guest.ids)
    x, y, s = pooled[order], labels[order], scales[order]
    w = np.zeros(x.shape[1]) if start is None else start.copy()
    own = len(guest.header) + int(intercept)
    memories = Memory.blank(own), Memory.blank(x.shape[1] - own)
    sizes = batch_sizes(len(y), p.batch_size)
    if p.optimizer not in ADAPTIVE:
        sizes = closed_batches(p, len(y), {GUEST: own, HOST: x.shape[1] - own})
    cuts = np.cumsum(sizes)[:-1]
    for epoch in range(p.max_iter):
        for at in np.split(np.arange(len(y)), cuts):
            gradient = x[at].T @ ((_sigmoid(x[at] @ w, sines) - y[at]) * s[at]) / len(at)
            (one, first), (two, second) = (
                stepped(p, part, g, epoch, memory, fits)
                for part, g, memory, fits in zip(
                    np.split(w, [own]), np.split(gradient, [own]), memories, (intercept, False), strict=True
                )
            )
            w, memories = np.concatenate([one, two]), (first, second)
    z = pooled @ w
    losses = np.logaddexp(0, z) - labels * z
    return Clear(w, float(losses.mean()), 1 / (1 + np.exp(-z)), float((scales * losses).mean()))


def _sigmoid(z: Floats, sines: Series | None) -> Floats:
    if sines is None:
        return 1 / (1 + np.exp(-z))
    odd = np.arange(1, 2 * sines.terms, 2)[:, None]
    return 0.5 + (sines.sigmoid * np.sin(odd * np.pi * z / sines.half)).sum(0)


HOSTS = (HOST, OTHER_HOST, Member(Role.HOST, "10003"))


def spread(
    p: LogisticParams, guest: Table, host: Table, hosts: int, held_out: tuple[Table, Table] | None = None
) -> Case:
    """A training with the host's columns spread over several hosts, unevenly."""
    cuts = [0, *range(1, hosts), len(host.header)]
    given: dict[Member, dict[str, Any]] = {GUEST: {"train_data": [guest]}}
    for number, member in enumerate(HOSTS[:hosts]):
        names = host.header[cuts[number] : cuts[number + 1]]
        given[member] = {"train_data": [_with(host, names)]}
        if held_out is not None:
            given[member]["eval_data"] = [_with(held_out[1], names)]
    if held_out is not None:
        given[GUEST]["eval_data"] = [held_out[0]]
    inputs = {member: Inputs(data) for member, data in given.items()} | {ARBITER: Inputs()}
    return Case(HETERO_LR, dict.fromkeys(inputs, p), inputs, "hetero_lr_0")


def _with(table: Table, names: Sequence[str]) -> Table:
    return replace(table, columns={name: table.columns[name] for name in names})


def same_model(expected: Outputs, found: Outputs) -> None:
    """Equal within the declared tolerance of the weights."""
    tolerance = float(HETERO_LR.reproducible)
    one, other = param(expected), param(found)
    assert (one.header, one.iters, one.is_converged) == (other.header, other.iters, other.is_converged)
    assert one.intercept == float_near(other.intercept, tolerance)
    assert all(one.weight[name] == float_near(other.weight[name], tolerance) for name in one.header)
    assert np.allclose(one.loss_history, other.loss_history, atol=tolerance)
    assert (expected.data is None) == (found.data is None)
    if expected.data is not None and found.data is not None:
        assert list(expected.data.ids) == list(found.data.ids)
        pairs = (t.columns["predict_score"] for t in (expected.data, found.data))
        assert np.allclose(*pairs, atol=2 * tolerance)


def float_near(value: float, tolerance: float) -> Any:
    """Compares equal to what is within ``tolerance``."""
    return pytest.approx(value, abs=tolerance)


def bodies(result: StepResult, topic: str) -> list[bytes]:
    """Messages of a topic in the order in which they were sent."""
    return [m.body for m in result.sent if m.key.topic == topic]


def looks_uniform(words: NDArray[np.uint64], places: int = 8) -> bool:
    """Chi-squared of the bytes at each of the lower places of a word, nine standard deviations wide.

    Each place is uniform by a mask from OS randomness: with 255 degrees of freedom it is outside once in 10^13, and all
    the thousands of places that tests look at are inside but for one run in 10^9.
    """
    columns = words.reshape(-1, 1).view(np.uint8)[:, :places]
    counts = np.array([np.bincount(column, minlength=256) for column in columns.T])
    expected = len(words) / 256
    assert expected > 3, "too few words to tell"
    chi2 = ((counts - expected) ** 2 / expected).sum(1)
    return bool((np.abs(chi2 - 255) < 9 * np.sqrt(2 * 255)).all())
