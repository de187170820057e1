"""Looks at held-out rows during a training under protocol ``shared``, and when they stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from federatedml.components.common_rows import expect, same_rows
from federatedml.components.linear_model import checked_columns
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_release import count_rows
from federatedml.components.lr_shared_moves import Exchange, Moves, total
from federatedml.components.lr_shared_topics import (
    HELD_OUT,
    HELD_OUT_CORRECTION,
    HELD_OUT_FEATURES,
    HELD_OUT_SCORES,
    HELD_OUT_SHAPE,
    HELD_OUT_WEIGHTS,
)
from federatedml.components.prediction_table import positive
from federatedml.crypto.dealer import CLOSER
from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.shared_linear import HeldOut, Side
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.wire import Array
from federatedml.metrics.binary import Counts

LOSS = "loss"
RANKS = ("auc", "ks")  # they need rows of both classes
LESS_IS_BETTER = (LOSS, "root_mean_squared_error", "mean_absolute_error")


def agree_held_out(box: Box, table: Table) -> int:
    """Check that all hold the same validation rows, tell the arbiter how many."""
    same_rows(box, table, topic=HELD_OUT)
    box.send(HELD_OUT_SHAPE, np.array([len(table)], np.int64))
    return len(table)


def told_held_out(box: Box) -> int:
    """At the arbiter: the number of validation rows."""
    told = {int(expect(rows, 1)[0]) for rows in box.gather(HELD_OUT_SHAPE).values()}
    if len(told) > 1:
        raise ProtocolError("FED-382", f"guest and host name {' and '.join(map(str, sorted(told)))} validation rows")
    return told.pop()


class Validation:
    """One party's part in the looks at held-out rows.

    Args:
        watch: with the labels of the rows at the guest.
        header: the columns that are trained on.
    """

    def __init__(
        self, p: LogisticParams, run: tuple[Exchange, Side, Moves], table: Table, watch: Watch, header: Sequence[str]
    ) -> None:
        self.p, self.watch = p, watch
        self.exchange, self.side, self.moves = run
        exchange, side = self.exchange, self.side
        self.guest = exchange.party == 0
        features = checked_columns(table, header, self.guest and side.plan.intercept)
        self.rows = HeldOut(side, features)
        self.opened = side.plan.motion.opened
        resume = exchange.box.resume
        if resume is not None and p.validates and not self.guest:  # an attempt counts for itself
            count_rows(exchange.box, side.plan.validation * (resume.round // p.validates))

    def exchange_features(self) -> None:
        """Tell all others the rows less their mask, once an attempt (if weights are shared)."""
        if self.opened:
            return
        box, plan = self.exchange.box, self.side.plan
        box.send(HELD_OUT_FEATURES, self.rows.hidden_features())
        got = box.gather(HELD_OUT_FEATURES)
        self.rows.masked = np.concatenate(
            [expect(got[member], plan.validation, plan.columns[number]) for number, member in self.exchange.others], 1
        )

    def due(self, epoch: int) -> bool:
        """Whether the rows are looked at after this epoch, counted from 0."""
        return self.p.validates > 0 and (epoch + 1) % self.p.validates == 0

    def look(self, epoch: int) -> Mapping[str, float]:
        """At the guest the metrics; at a host nothing."""
        z = self.predictors(epoch, self.moves.shares)
        return {} if z is None else measured(self.watch.metrics, self.watch.positive, z)

    def predictors(self, round: int, shares: Words) -> Floats | None:
        """At the guest (rows,) z of the rows, by these shares of all weights; at a host nothing."""
        z, plan = self._predictor(round, shares), self.side.plan
        if not self.guest:
            count_rows(self.exchange.box, plan.validation)
            self.exchange.box.send(HELD_OUT_SCORES, z, round)
            return None
        z = z + total(self.exchange.gathered(HELD_OUT_SCORES, round, plan.validation))
        return self.rows.opened(z)

    def _predictor(self, round: int, shares: Words) -> Words:
        own = shares[self.side.block]
        if self.opened:
            return self.rows.predictor(round, own, None)
        hidden = self.rows.hidden_weights(shares, round)
        masked = total(self.exchange.dealt_out(HELD_OUT_WEIGHTS, hidden, self.side, round))
        box, closer = self.exchange.box, self.exchange.party == CLOSER
        correction = expect(box.recv(HELD_OUT_CORRECTION, round), self.side.plan.validation) if closer else None
        return self.rows.predictor(round, own + masked, correction)


def measured(metrics: Sequence[str], positive: Array, z: Floats) -> dict[str, float]:
    """The metrics of linear predictors, in the order in which they are named."""
    known = {LOSS: float(np.mean(np.logaddexp(0, z) - positive * z))}
    if set(metrics) - {LOSS}:
        counts = Counts.of(positive, z)
        known |= {"auc": counts.auc(), "ks": counts.ks()}
    return {name: known[name] for name in metrics}


class Watched(Protocol):
    """What is looked at, and for how long it may get no better."""

    @property
    def metrics(self) -> Sequence[str]: ...  # noqa: D102 - FATE's parameters
    @property
    def early_stopping_rounds(self) -> int | None: ...  # noqa: D102
    @property
    def use_first_metric_only(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Watch:
    """What is looked at on held-out rows, see ``Watched``.

    Attributes:
        positive: (rows,) which of them are of the positive class, where that is known and counts.
    """

    metrics: Sequence[str]
    early_stopping_rounds: int | None
    use_first_metric_only: bool
    positive: Array = field(default_factory=lambda: np.zeros(0, bool), compare=False)

    @classmethod
    def of(cls, p: LogisticParams, table: Table | None, classes: Sequence[float]) -> Watch:
        """What parameters say; at the guest, who alone knows the training's ``classes``, on these rows.

        Raises:
            DataError: ``FED-257``, a label has a value that the training does not have; as ``on``.
        """
        whole = cls(p.metrics, p.early_stopping_rounds, p.use_first_metric_only)
        return whole if not p.validates or table is None or not classes else whole.on(positive(table, classes) > 0)

    def on(self, positive: Array) -> Watch:
        """Likewise on rows with these labels: if all are of one class, there is a loss only.

        Raises:
            DataError: ``FED-897``, nothing is left, or a metric that may stop the training cannot be measured.
        """
        missing = [name for name in self.metrics if name in RANKS] if len(np.unique(positive)) < 2 else []
        left = [name for name in self.metrics if name not in missing]
        stops = self.metrics[:1] if self.use_first_metric_only else self.metrics
        if not left or (self.early_stopping_rounds is not None and set(stops) & set(missing)):
            text = f"all held-out rows are of one class: there is no {' or '.join(missing)} to look at"
            raise DataError("FED-897", text, 'eval_data with rows of both classes, or metrics ["loss"]')
        return replace(self, metrics=left, positive=positive)


@dataclass
class Patience:
    """When looks at held-out rows stop a training, as in FATE: no metric got better for so many looks.

    Attributes:
        best: of each metric so far.
        since: looks since each was best.
    """

    p: Watched
    best: dict[str, float] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)

    def better(self, found: Mapping[str, float]) -> bool:
        """Take a look; whether the first metric that counts is better than ever."""
        for name, value in found.items():
            less = name in LESS_IS_BETTER
            gain = self.best.get(name, np.inf) - value if less else value - self.best.get(name, -np.inf)
            self.since[name] = 0 if gain > 0 else self.since.get(name, 0) + 1
            if gain > 0:
                self.best[name] = value
        return bool(found) and self.since[self.p.metrics[0]] == 0

    @property
    def ended(self) -> bool:
        """Whether any metric (or the first only) has not got better for too long."""
        looked_at = self.p.metrics[:1] if self.p.use_first_metric_only else self.p.metrics
        rounds = self.p.early_stopping_rounds
        return rounds is not None and any(self.since.get(name, 0) >= rounds for name in looked_at)

    def state(self) -> list[float]:
        """For a checkpoint: best and since of each metric, in their order."""
        return [number for name in self.best for number in (self.best[name], float(self.since[name]))]

    def restore(self, numbers: list[float]) -> None:
        """From a checkpoint."""
        for name, best, since in zip(self.p.metrics, numbers[::2], numbers[1::2], strict=False):
            self.best[name], self.since[name] = best, int(since)
