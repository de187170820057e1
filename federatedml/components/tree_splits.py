"""Which split of a node is best, as XGBoost's ``hist`` sees it.

For the sums G, H of gradients and second derivatives over the rows of a node and of its two sides, with lambda and
alpha: score(G, H) = max(|G| - alpha, 0)^2 / (H + lambda), gain = score(left) + score(right) - score(node), without the
factor 1/2 and without gamma (Chen, Guestrin: XGBoost, KDD 2016, eq. 7; FATE counts gain in the same way). A leaf's
weight is -sign(G) max(|G| - alpha, 0) / (H + lambda).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.candidates import Candidates
from federatedml.crypto.ring import Floats

LEAST_GAIN = 1e-6  # XGBoost splits for no less, whatever gamma is
TIE = 1e-6  # relative; sums of hosts have about 30 bits
ROUNDING = 2.0**-30  # of a host's sum of second derivatives, of all rows' and per root of rows: 7 standard deviations


@dataclass(frozen=True)
class Rules:
    """What a split and a leaf must be.

    Attributes:
        depth: levels of splits.
        reg_lambda, reg_alpha: L2 and L1 penalty of a leaf's weight.
        min_gain: a split has more (XGBoost's gamma, FATE's min_impurity_split).
        min_child_weight: least sum of second derivatives of each side.
        min_leaf_rows, min_split_rows: least rows of each side, and of a node that is split.
        floor: hosts are asked about nodes of at least twice as many rows only, by their weights; sums of fewer name
            rows.
        rate: the weight of a leaf is multiplied by it.
        sampled: rows without derivatives are not drawn, and not counted; else they have no weight, and are.
    """

    depth: int
    reg_lambda: float = 1.0
    reg_alpha: float = 0.0
    min_gain: float = 0.0
    min_child_weight: float = 1.0
    min_leaf_rows: int = 1
    min_split_rows: int = 2
    floor: int = 1
    rate: float = 0.3
    sampled: bool = False

    @property
    def least_weight(self) -> float:
        """``min_child_weight`` less what sums are off by: sides that have it exactly, as 4 rows of 1/4, pass."""
        return self.min_child_weight * (1 - TIE)

    @property
    def counts(self) -> bool:
        """Whether candidates need the number of rows on each side."""
        return self.min_leaf_rows > 1


@dataclass(frozen=True)
class Choice:
    """The best split of a node.

    Attributes:
        party: 0 for the guest, then hosts in their order.
        tied: candidates of that party that are equally good; ``preferred`` takes one.
        gain: of the best.
    """

    party: int
    tied: NDArray[np.int64]
    gain: float


def score(rules: Rules, g: Floats, h: Floats) -> Floats:
    """G^2 / (H + lambda), elementwise, after the L1 penalty; 0 where there is nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.square(_shrunk(rules, g)) / (h + rules.reg_lambda)
    return np.where(h > 0, found, 0.0)


def weight(rules: Rules, g: float, h: float) -> float:
    """Weight of a leaf before the learning rate, as XGBoost: 0 if nothing, or too little, is in it."""
    if h <= 0 or h < rules.least_weight:
        return 0.0
    return float(-_shrunk(rules, np.asarray(g)) / (h + rules.reg_lambda))


def gains(rules: Rules, left: Floats, total: Floats, noise: float = 0.0) -> Floats:
    """(candidates,) gain of each, minus infinity where a side is too small or the candidate is not to be chosen.

    Args:
        left: (candidates, 2 or 3) sums of g, h (and rows) on the left.
        total: (2 or 3,) of the node.
        noise: second derivatives below are none.
    """
    right = total - left
    least = max(rules.least_weight, noise, np.finfo(np.float64).tiny)
    with np.errstate(invalid="ignore"):
        fits = (left[:, 1] >= least) & (right[:, 1] >= least)
        if left.shape[1] > 2:
            fits &= (np.rint(left[:, 2]) >= rules.min_leaf_rows) & (np.rint(right[:, 2]) >= rules.min_leaf_rows)
    found = score(rules, left[:, 0], left[:, 1]) + score(rules, right[:, 0], right[:, 1])
    return np.where(fits, found - score(rules, total[0], total[1]), -np.inf)


def best(rules: Rules, parties: Sequence[Floats], total: Floats, noise: float = 0.0) -> Choice | None:
    """The best split of a node, if there is one that is worth it.

    Candidates within ``TIE`` of the best are equally good; then the first party has it.

    Args:
        parties: (candidates, 2 or 3) left sums of each party, the guest's first.
        noise: what the hosts' sums of no rows may be.
    """
    found = [gains(rules, left, total, noise if party else 0.0) for party, left in enumerate(parties)]
    most = max((float(part.max()) for part in found if len(part)), default=-np.inf)
    if not most > max(LEAST_GAIN, rules.min_gain):
        return None
    party = next(i for i, part in enumerate(found) if (part >= most * (1 - TIE)).any())
    return Choice(party, np.flatnonzero(found[party] >= most * (1 - TIE)), most)


def preferred(candidates: Candidates, tied: NDArray[np.int64]) -> int:
    """Which of a party's own candidates that are equally good is taken: the one that XGBoost meets first.

    The lowest column; rows without a value to the right before to the left; to the right the lowest bin, to the left
    the highest.
    """
    splits = candidates.splits

    def met(candidate: int) -> tuple[int, bool, int]:
        split = splits[candidate]
        return split.feature, split.missing_left, -split.k if split.missing_left else split.k

    return min((int(candidate) for candidate in tied), key=met)


def _shrunk(rules: Rules, g: Floats) -> Floats:
    return np.sign(g) * np.maximum(np.abs(g) - rules.reg_alpha, 0.0) if rules.reg_alpha else g
