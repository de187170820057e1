"""Looks at validation rows during a boosted training: hosts tell on which side of their new splits these rows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from federatedml.components.common_rows import same_rows
from federatedml.components.lr_release import count_rows
from federatedml.components.lr_validation import RANKS, Patience, Watch
from federatedml.components.tree_columns import Gaps, Threshold, bits_of
from federatedml.components.tree_nodes import Forest
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_predict import add_trees, recv_bits, send_bits
from federatedml.components.tree_state import Best, GuestState
from federatedml.components.tree_target import Target
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role


def check_held_out(p: SecureBoostParams, box: Box, table: Table | None) -> None:
    """Before training: both hold the same validation rows, and some if they are to be looked at."""
    if p.validates and (table is None or not len(table)):
        raise DataError("FED-722", "validation_freqs or early_stopping_rounds is set, but eval_data has no rows")
    if table is not None:
        same_rows(box, table)
        if box.me.role is Role.HOST:
            count_rows(box, len(table))


def due(p: SecureBoostParams, rounds: int) -> bool:
    """Whether the rows are looked at after so many rounds."""
    return bool(p.validates) and rounds % p.validates == 0


def last_look(p: SecureBoostParams) -> int:
    """Number of the message after the training, behind those of all rounds."""
    return p.num_trees + 1


def _watch(p: SecureBoostParams, target: Target, labels: Floats | None) -> Watch:
    """What is looked at; without a word of the conf, what rows with these labels have."""
    watch = Watch(target.metrics(p), p.early_stopping_rounds, p.use_first_metric_only)
    if labels is None or target.kind != "binary":
        return watch
    if p.metrics is None and len(np.unique(labels)) < 2:
        watch = replace(watch, metrics=[name for name in watch.metrics if name not in RANKS])
    return watch.on(labels > 0)


class Looks:
    """At the guest.

    Args:
        members: hosts in their order.
        table: rows to look at, if there are any.
    """

    def __init__(
        self, p: SecureBoostParams, box: Box, target: Target, members: Sequence[Member], table: Table | None
    ) -> None:
        self.p, self.box, self.target, self.members, self.table = p, box, target, members, table
        self._labels = target.labels(table) if p.validates and table is not None else None
        self.patience = Patience(_watch(p, target, self._labels))

    def after(self, state: GuestState, header: Sequence[str]) -> None:
        """After a round: measure, and end the training if that is due."""
        if not due(self.p, state.rounds) or self.table is None or self._labels is None:
            return
        self.add(state, header, state.rounds)
        found = self.target.measured(self._labels, state.held_out, self.patience.p.metrics)
        for name, value in found.items():
            self.box.metric("validate", name, state.rounds, value, round=state.rounds)
        if self.patience.better(found) and self.p.early_stopping_rounds is not None:
            state.best = Best(state.rounds, state.scores.copy(), state.held_out.copy())
        state.stopped |= self.patience.ended

    def add(self, state: GuestState, header: Sequence[str], message: int) -> None:
        """Bring the scores of the rows up to the newest tree."""
        if self.table is None:
            return
        rounds, own, *theirs = state.looked
        gaps = Gaps(self.p.use_missing, self.p.zero_as_missing)
        bits = [bits_of(gaps, self.table, header, state.splits[own:])]
        new = [made - seen for made, seen in zip(state.made, theirs, strict=True)]
        bits += [
            recv_bits(self.box, message, len(self.table), member, least)
            for member, least in zip(self.members, new, strict=True)
        ]
        forest = Forest.of(state.trees[rounds * state.scores.shape[1] :])
        add_trees(state.held_out, forest, bits, [own, *theirs])
        state.looked = [state.base + state.rounds, len(state.splits), *state.made]


class HostLooks:
    """At a host.

    Attributes:
        told: splits whose bits have been told.
    """

    def __init__(self, p: SecureBoostParams, box: Box, table: Table | None, header: Sequence[str], told: int) -> None:
        self.p, self.box, self.table, self.header, self.told = p, box, table, header, told

    def tell(self, splits: Sequence[Threshold], message: int) -> None:
        """Bits of the splits since the last look."""
        if self.table is not None:
            gaps = Gaps(self.p.use_missing, self.p.zero_as_missing)
            send_bits(self.box, message, bits_of(gaps, self.table, self.header, splits[self.told :]))
            self.told = len(splits)
