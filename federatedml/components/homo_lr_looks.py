"""Looks at held-out rows during a HomoLR: each contributor at its own; together they may end the training.

With ``early_stopping_rounds`` the metrics of all contributors are averaged by a secure sum, each weighted by the rows
that it was measured on; the arbiter sees averages only, and says whether they end the training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federatedml.components.common_rows import expect
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.homo_lr_steps import HeldOut
from federatedml.components.lr_validation import LOSS, Patience, measured
from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.client import Client
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.steps import (
    AGGREGATOR,
    CONTRIBUTORS,
    MAX_ROWS,
    contributors,
    send_sum,
    sum_topic,
    take_sum,
)
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector

LOOKS = sum_topic("looks", "metrics on held-out rows, each times its number of rows, and these numbers", max_bytes=1024)
LOOKED = Topic(
    "looked",
    AGGREGATOR,
    CONTRIBUTORS,
    Vector("|u1"),
    Carries.CONTROL,
    "whether the model is the best so far on the held-out rows of all contributors, and whether that ends the training",
    max_bytes=1024,
)


def followed(before: bytes, weights: Floats) -> bytes:
    """What masks depend on: that all contributors were told the same weights, now and in each round before.

    An earlier round counts, too: what an optimiser remembers of it moves the weights of this one.
    """
    return hashlib.sha256(before + weights.astype("<f8").tobytes()).digest()


def look(p: HomoLogisticParams, held_out: HeldOut | None, weights: Floats) -> Mapping[str, float]:
    """A contributor's own metrics: none without rows; of rows of one class the loss only."""
    if held_out is None:
        return {}
    one_class = len(np.unique(held_out.positive)) < 2
    names = [name for name in p.metrics if name == LOSS or not one_class]
    with np.errstate(over="ignore", invalid="ignore"):
        z = held_out.features @ weights
    return measured(names, held_out.positive > 0, z)


@dataclass(frozen=True)
class Verdict:
    """What the averages of all contributors' metrics say."""

    better: bool
    ended: bool

    def words(self) -> Array:
        """For the message."""
        return np.array([self.better, self.ended], np.uint8)


def judged(
    p: HomoLogisticParams, box: Box, client: Client, found: Mapping[str, float], rows: int, path: bytes, round: int
) -> Verdict:
    """Hand in the own metrics, hear what all of them say.

    Args:
        rows: that the metrics were measured on.
        path: of averages, up to the one that was looked at.
    """
    counts = np.array([rows * (name in found) for name in p.metrics], float)
    sums = counts * [found.get(name, 0.0) for name in p.metrics]
    send_sum(box, client, LOOKS, np.concatenate([sums, counts]), _scale(box), round, alike=path)
    return Verdict(*expect(box.recv(LOOKED, round), 2).astype(bool).tolist())


def judge(p: HomoLogisticParams, box: Box, patience: Patience, epoch: int, round: int) -> Verdict:
    """At the arbiter: average, report, decide, tell.

    Raises:
        DataError: ``FED-897``, nobody could measure one of the metrics.
    """
    sums, counts = np.split(take_sum(box, LOOKS, 2 * len(p.metrics), _scale(box), round), 2)
    if not (counts > 0).all():
        missing = [name for name, count in zip(p.metrics, counts, strict=True) if count <= 0]
        text = f"no guest or host has held-out rows to measure {', '.join(missing)} on"
        raise DataError("FED-897", text, "eval_data, for auc and ks with rows of both classes at one party at least")
    found = dict(zip(p.metrics, (sums / counts).tolist(), strict=True))
    for name, value in found.items():
        box.metric("validate", name, epoch, value, round=round)
    verdict = Verdict(patience.better(found), patience.ended)
    box.send(LOOKED, verdict.words(), round)
    return verdict


def _scale(box: Box) -> FixedPoint:
    return FixedPoint.finest(MAX_ROWS, len(contributors(box)))
