"""Looks at held-out rows during a training under protocol ``paillier``: each host hands its part of their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from federatedml.components.common_rows import expect, same_rows
from federatedml.components.linear_model import checked_columns
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_predict import PARTIAL
from federatedml.components.lr_release import count_rows
from federatedml.components.lr_validation import Patience, Watch, measured
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.wire import Array

FIRST = 2  # round of ``PARTIAL`` and ``SAME_ROWS``: those before are of the finished model


@dataclass
class Looks:
    """One party's part in the looks; without ``validation_freqs`` and ``early_stopping_rounds`` there are none.

    Attributes:
        features: (rows, k) of the held-out rows, with the guest's intercept.
        watch: with the labels of the rows at the guest.
        best: (k,) own weights when the rows looked best, if that is what is kept.
    """

    p: LogisticParams
    box: Box
    features: Floats
    watch: Watch
    patience: Patience
    best: Floats = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(
        cls, p: LogisticParams, box: Box, table: Table | None, header: list[str], classes: Sequence[float] = ()
    ) -> Looks:
        """After all have compared the rows.

        Args:
            classes: the two label values of the training, at the guest.

        Raises:
            DataError: there are no rows to look at, they are not what is trained on, or lack what is looked at.
        """
        if not p.validates:
            return cls(p, box, np.zeros((0, 0)), Watch.of(p, None, ()), Patience(p))
        if table is None or not len(table):
            raise DataError("FED-722", "validation_freqs or early_stopping_rounds is set, but eval_data has no rows")
        features = checked_columns(table, header, box.me.role is Role.GUEST and p.init_param.fit_intercept)
        watch = Watch.of(p, table, classes)
        same_rows(box, table, FIRST)
        looks = cls(p, box, features, watch, Patience(watch))
        looks._restore()
        return looks

    def take(self, epoch: int, weights: Floats) -> bool:
        """After an epoch, counted from 0; at the guest, whether the rows never looked better."""
        if not self.p.validates or (epoch + 1) % self.p.validates:
            return False
        z: Floats = self.features @ weights
        if self.box.me.role is Role.HOST:
            count_rows(self.box, len(z))
            self.box.send(PARTIAL, z, FIRST + epoch)
            return False
        for _, part in sorted(self.box.gather(PARTIAL, FIRST + epoch).items()):
            z += expect(part, len(z))
        found = measured(self.watch.metrics, self.watch.positive, z)
        for name, value in found.items():
            self.box.metric("validate", name, epoch + 1, value, round=epoch + 1)
        return self.patience.better(found)

    def keep(self, better: bool, weights: Floats) -> bool:
        """Remember the weights if they are the best ones, and the best ones are what is kept; whether that is so."""
        kept = better and self.p.early_stopping_rounds is not None
        if kept:
            self.best = weights
        return kept

    def state(self) -> dict[str, Array | list[float]]:
        """For a checkpoint."""
        return {"looks": self.patience.state(), "best_weights": self.best}

    def _restore(self) -> None:
        if self.box.resume is None:
            return
        state = self.box.resume.state
        self.patience.restore(np.atleast_1d(np.asarray(state["looks"], np.float64)).tolist())
        self.best = np.asarray(state["best_weights"], np.float64)
        if self.box.me.role is Role.HOST:  # an attempt counts for itself
            count_rows(self.box, len(self.features) * (self.box.resume.round // self.p.validates))
