"""Which rows and columns a tree sees: seeded, so that a resumed training draws the same again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federatedml.crypto.codec import Integers
from federatedml.crypto.ring import Floats
from federatedml.federation.party import Member


@dataclass(frozen=True)
class Sample:
    """Rows of a round.

    Attributes:
        rows: (m,) ascending indices.
        factors: (m,) their derivatives are multiplied by these.
    """

    rows: Integers
    factors: Floats


def columns_of_tree(seed: int, member: Member, tree: int, columns: int, rate: float) -> Integers:
    """(m,) ascending indices of the columns of a party that a tree may use, at least one if it has any."""
    if rate >= 1 or not columns:
        return np.arange(columns)
    random = np.random.default_rng([seed, tree, *str(member).encode()])
    return np.sort(random.choice(columns, max(int(columns * rate), 1), replace=False))


def goss(gradients: Floats, top_rate: float, other_rate: float, seed: int, round_: int) -> Sample:
    """Gradient-based one-side sampling (Ke et al. 2017, LightGBM, algorithm 2).

    The rows with the largest gradients, and others by chance, weighted so that sums keep their expectation.

    Args:
        gradients: (n, k); a row counts by the sum of absolute values over classes. Ties: the first rows.
        top_rate, other_rate: shares of all rows; at least one row each.
        seed, round_: of the draw.
    """
    size = np.abs(gradients).sum(axis=1)
    order = np.argsort(-size, kind="stable")
    top = min(max(int(len(size) * top_rate), 1), len(size))
    rest = order[top:]
    others = min(max(int(len(size) * other_rate), 1), len(rest))
    drawn = np.random.default_rng([seed, round_]).choice(rest, others, replace=False)
    factors = np.ones(len(size))
    factors[drawn] = len(rest) / max(others, 1)
    rows = np.sort(np.concatenate([order[:top], drawn]))
    return Sample(rows, factors[rows])
