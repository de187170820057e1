"""Contributors and an aggregator of secure sums, wired by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.secagg.client import Client, Newcomer
from federatedml.crypto.secagg.double import DoubleRound
from federatedml.crypto.secagg.double_sum import DoubleSum
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.federation.box import AttemptKey
from federatedml.federation.party import Member, Role
from tests.members import GUEST

ATTEMPT = AttemptKey("9999", "202601010000000000001", "homo_lr_0", 1, 1)


def parties(number: int) -> list[Member]:
    return [GUEST, *(Member(Role.HOST, str(10_000 + index)) for index in range(number - 1))]


def clients(members: Sequence[Member], attempt: AttemptKey = ATTEMPT, least: int = 2) -> dict[Member, Client]:
    """Contributors that exchanged and confirmed their keys."""
    newcomers = {member: Newcomer(member, members, attempt, least) for member in members}
    agreed = {
        me: mine.agree({m: other.keys for m, other in newcomers.items() if m != me}) for me, mine in newcomers.items()
    }
    return {me: mine.confirm({m: a.digest for m, a in agreed.items() if m != me}) for me, mine in agreed.items()}


@dataclass
class Rounds:
    """One double round of all contributors, up to their words."""

    clients: Mapping[Member, Client]
    values: Mapping[Member, Floats]
    fixed: FixedPoint
    threshold: int
    topic: str = "update"
    rounds: dict[Member, DoubleRound] = field(init=False)
    words: dict[Member, Words] = field(init=False)

    def __post_init__(self) -> None:
        self.rounds = {m: DoubleRound(client, self.topic, 1, self.threshold) for m, client in self.clients.items()}
        self.words = {
            me: mine.mask(
                self.values[me], self.fixed, {m: other.offer(me) for m, other in self.rounds.items() if m != me}
            )
            for me, mine in self.rounds.items()
        }

    def sum(self) -> DoubleSum:
        notices = {member: mine.notice for member, mine in self.rounds.items()}
        length = len(next(iter(self.values.values())))
        return DoubleSum(ATTEMPT, notices, self.topic, 1, self.threshold, length)

    def opened(self, left: Collection[Member], revealing: Collection[Member]) -> Floats:
        """The sum of who is left, when ``revealing`` of them stay to the end."""
        total = self.sum()
        for member in left:
            total.add(member, self.words[member])
        survivors = total.survivors()
        signatures = {member: self.rounds[member].agree(survivors) for member in survivors}
        return total.numbers({m: self.rounds[m].reveal(signatures) for m in revealing}, self.fixed)


def rounds(number: int, threshold: int, length: int = 3, seed: int = 0) -> Rounds:
    members, rng = parties(number), np.random.default_rng(seed)
    values = {member: rng.integers(-1000, 1000, length) / 8 for member in members}
    return Rounds(clients(members), values, FixedPoint(3, 1000.0, number), threshold)
