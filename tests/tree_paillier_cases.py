"""Boosted trees under protocol ``paillier``: guest and hosts as a small component, without data preparation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.components.tree_grow import Grower, Round
from federatedml.components.tree_paillier_guest import PaillierHosts
from federatedml.components.tree_paillier_host import PaillierHost
from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.components.tree_paillier_topics import TOPICS
from federatedml.components.tree_splits import Rules
from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.candidates import BinTable, Split
from federatedml.federation.box import Box
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member, Role
from tests.members import GUEST, HOST, OTHER_HOST

Gradients = Callable[[np.ndarray], np.ndarray]


def logistic(y: np.ndarray) -> Gradients:
    """(n, 2) of scores (n, 1)."""

    def of(scores: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-scores[:, 0]))
        return np.stack([p - y, p * (1 - p)], axis=1)

    return of


@dataclass
class Training:
    """Some rounds of all parties.

    Attributes:
        tables: bins of the guest, then of the hosts.
        columns: of a host in a round; None: all.
    """

    tables: Sequence[BinTable]
    gradients: Gradients
    rules: Rules
    rounds: int = 2
    classes: int = 1
    sampled: bool = False
    columns: Callable[[int, BinTable], np.ndarray] = lambda number, table: np.arange(len(table.counts))
    found: list[Round] = field(default_factory=list)
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    splits: dict[Member, list[Split]] = field(default_factory=dict)

    @property
    def plan(self) -> PaillierPlan:
        rules = self.rules
        least = max(rules.min_split_rows, 2 * rules.min_leaf_rows)
        rows = self.tables[0].rows
        return PaillierPlan(rows, self.classes, rules.depth, least, rules.min_leaf_rows, self.sampled, 1024)

    @property
    def hosts(self) -> list[Member]:
        return [HOST, OTHER_HOST][: len(self.tables) - 1]

    def guest(self, p: Params, box: Box, inputs: Inputs) -> Outputs:
        grower = Grower(self.rules, self.tables[0], PaillierHosts(box, self.plan), box.compute)
        self.scores, own = np.zeros((self.tables[0].rows, self.classes)), 0
        for number in range(self.rounds):
            self.found.append(grower.grow(number, self.gradients(self.scores), own))
            own += len(self.found[-1].splits)
            self.scores = self.scores + self.found[-1].values
        return Outputs()

    def host(self, p: Params, box: Box, inputs: Inputs) -> Outputs:
        table = self.tables[1 + self.hosts.index(box.me)]
        side, found = PaillierHost(box, self.plan, table), self.splits.setdefault(box.me, [])
        for number in range(self.rounds):
            found += side.round(number, self.columns(number, table))
        return Outputs()

    def run(self, folder: Path, compute: Compute = SERIAL, **roles: Any) -> StepResult:
        """All parties in this process; ``roles`` replace role functions."""
        functions: Mapping[Role, Any] = {Role(name): run for name, run in roles.items()}
        component = Component(
            module="Trees",
            title="",
            params=Params,
            roles={Role.GUEST: self.guest, Role.HOST: self.host} | functions,
            topics=TOPICS,
        )
        members = [GUEST, *self.hosts]
        network = LocalNetwork(folder, compute=compute)
        return network.run(component, dict.fromkeys(members, Params()), dict.fromkeys(members, Inputs()))
