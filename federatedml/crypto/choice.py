"""Which protocol ``auto`` means: a pure function of what is declared, so that every party's plan says the same.

    linear models   ``paillier`` exactly if the submitted conf itself sets ``encrypt_param.method``, else ``shared``.
                    No sizes: ``shared`` is faster at all of them, and its gradient is the exact one.
    trees           the same, and ``paillier`` too if the job has no dealer, or if the trees are so few that they do not
                    earn what the masked table costs to send.

For n rows, F host columns with m split candidates, trees of depth D, on ``cores`` at the host and a line of B bits/s:

    paillier   per tree: a n F (1 + (D - 1) / 2) / cores + 4096 n / B      additions; one ciphertext of 4096 bits a row
    shared     once: 32 n m / B      per tree: 64 q n / B                  masked table; q = 2^(D-1) pairs of vectors

a = 2.5 us is an addition of ciphertexts under 2048 bits, a constant: a measured one would differ between the parties.
The first level costs one addition per row and column, each further one half of it (the smaller child of each node).
The dense products of ``shared`` are done while the table arrives and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from federatedml.errors import ProtocolError

ADDITION = 2.5e-6
CIPHERTEXT_BITS = 4096
WORD_BITS = 32


class ProtocolName(StrEnum):
    """Values of ``protocol`` beside ``auto``."""

    SHARED = "shared"
    PAILLIER = "paillier"


@dataclass(frozen=True)
class Boosting:
    """Declared sizes of a boosting job; all at least 1.

    Attributes:
        rows: of the table that all parties share.
        columns, candidates: of the host with most of them.
        depth: levels of splits.
    """

    rows: int
    columns: int
    candidates: int
    depth: int
    trees: int

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, self.candidates, self.depth, self.trees) < 1:
            raise ProtocolError("FED-710", "rows, columns, candidates, depth and trees must be at least 1")


@dataclass(frozen=True)
class Place:
    """Where a job is taken to run.

    Attributes:
        dealer: whether a third party deals randomness.
        cores: at the host.
        bits_per_second: between guest and host.
    """

    dealer: bool
    cores: int
    bits_per_second: float

    def __post_init__(self) -> None:
        if self.cores < 1 or not self.bits_per_second > 0:
            raise ProtocolError("FED-710", "cores must be at least 1, bits per second above 0")


# What a plan takes the unknown to be, for every job: it is made before anybody has looked at a table, and a conf says
# nothing of cores and lines. Rows fall out of the comparison.
PLANNED_COLUMNS = 20
PLANNED_PLACE = Place(dealer=True, cores=2, bits_per_second=1e9)


def for_linear(method_is_set: bool) -> ProtocolName:
    """``auto`` of linear models.

    Args:
        method_is_set: whether the submitted conf itself has ``encrypt_param.method``.
    """
    return ProtocolName.PAILLIER if method_is_set else ProtocolName.SHARED


def for_boosting(sizes: Boosting, place: Place, method_is_set: bool = False) -> ProtocolName:
    """``auto`` of trees; ``shared`` where both take as long."""
    if method_is_set or not place.dealer or paillier_seconds(sizes, place) < shared_seconds(sizes, place):
        return ProtocolName.PAILLIER
    return ProtocolName.SHARED


def paillier_seconds(sizes: Boosting, place: Place) -> float:
    """Seconds of all trees: additions at the host, ciphertexts on the line."""
    additions = sizes.rows * sizes.columns * (1 + (sizes.depth - 1) / 2)
    line = CIPHERTEXT_BITS * sizes.rows / place.bits_per_second
    return sizes.trees * (ADDITION * additions / place.cores + line)


def shared_seconds(sizes: Boosting, place: Place) -> float:
    """Seconds on the line: the masked table once, masked gradients and second derivatives of all trees."""
    table = WORD_BITS * sizes.rows * sizes.candidates
    vectors = 2 * WORD_BITS * (1 << (sizes.depth - 1)) * sizes.rows * sizes.trees
    return (table + vectors) / place.bits_per_second
