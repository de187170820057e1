"""How much a training under protocol ``shared`` may ask: fixed by public numbers before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from federatedml.components.tree_hosts import Start
from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.dealt.deal import STRIPE
from federatedml.errors import DataError

PASS_BYTES = 2**28  # of the words that the guest and the dealer keep for one pass over a host's masked table
WORD = 4
MOST_CUTS = 2**22
MOST_WORDS = 2**35  # of a masked table: host, guest and dealer draw each, at every pass
MOST_TRIPLE_BYTES = 2**30  # bits of the rows of all nodes of a round, which are one message
MOST_BYTES = 2**33  # of the same words, if a single round has more than a pass should
MESSAGE_CELLS = 2**22  # rows times nodes in one message


@dataclass(frozen=True)
class Plan:
    """Public numbers of a training; hosts refuse to tell more.

    Attributes:
        rows: of the table.
        classes: trees of a round.
        depth: levels of splits.
        width: vectors of a node: g, h and, with counts, ones.
        least: rows of a node that hosts are asked about.
        first, last: rounds that hosts take part in, from the first of this attempt to behind the last.
    """

    rows: int
    classes: int
    depth: int
    width: int
    least: int
    first: int
    last: int

    @staticmethod
    def of(p: SecureBoostParams, start: Start) -> Plan:
        """The plan of the rounds of an attempt."""
        width = 3 if p.tree_param.min_leaf_node > 1 else 2
        first = max(start.round, p.complete_secure)
        depth, least = p.tree_param.max_depth, 2 * p.min_cell_rows
        return Plan(start.rows, start.classes, depth, width, least, first, max(first, p.num_trees))

    @property
    def vectors(self) -> int:
        """Most vectors of a round: of two children one is asked about."""
        nodes = sum(min(max((1 << level) // 2, 1), self.rows // self.least) for level in range(self.depth))
        return self.classes * self.width * nodes

    @property
    def triples(self) -> int:
        """Most nodes that a host splits in a round."""
        return self.classes * sum(min(1 << level, self.rows // self.least) for level in range(self.depth))

    @property
    def rounds(self) -> int:
        """Rounds that hosts take part in."""
        return self.last - self.first

    def columns(self, round: int) -> range:
        """Vectors of a round, counted over the attempt."""
        start = (round - self.first) * self.vectors
        return range(start, start + self.vectors)

    def bits(self, round: int) -> range:
        """Triples of a round."""
        start = (round - self.first) * self.triples
        return range(start, start + self.triples)

    def check(self, cuts: int) -> None:
        """Whether the words of a round fit.

        Args:
            cuts: sums that a host's candidates are made of.

        Raises:
            DataError: FED-811.
        """
        if WORD * self.vectors * cuts > MOST_BYTES or cuts > MOST_CUTS:
            raise DataError(
                "FED-811",
                f"a host has {cuts} split candidates, for {self.vectors} vectors a round",
                f"at most {MOST_CUTS}, and {MOST_BYTES // WORD} of their products: fewer columns, bin_num or max_depth",
            )
        if self.rows * cuts > MOST_WORDS or (cuts and self.triples * self.rows > 8 * MOST_TRIPLE_BYTES):
            raise DataError(
                "FED-811",
                f"{self.rows} rows, {cuts} split candidates of a host, {self.triples} nodes a round",
                f"at most {MOST_WORDS} rows times candidates, and {8 * MOST_TRIPLE_BYTES} rows times nodes",
            )

    def pass_of(self, round: int, cuts: int) -> range | None:
        """Rounds that are dealt before this one, if any: a pass over the masked table costs time, one for all memory.

        Args:
            cuts: of the host whose table it is.
        """
        size = max(1, PASS_BYTES // (WORD * max(self.vectors, 1) * (cuts + STRIPE)))
        if (round - self.first) % size:
            return None
        return range(round, min(round + size, self.last))

    def column_range(self, rounds: range) -> range:
        """Vectors of some rounds."""
        return range(self.columns(rounds.start).start, self.columns(rounds.stop - 1).stop)

    def active(self, round: int) -> bool:
        """Whether hosts take part in a round."""
        return self.first <= round < self.last

    def level(self, round: int, level: int) -> int:
        """Number of a level among all, for messages."""
        return round * self.depth + level

    def levels(self, round: int) -> range:
        """Numbers of a round's levels."""
        return range(self.level(round, 0), self.level(round + 1, 0))

    @property
    def nodes(self) -> int:
        """Nodes of a level that are asked about in one message."""
        return max(1, MESSAGE_CELLS // self.rows)

    def part(self, level: int, part: int) -> int:
        """Number of a message about some nodes of a level."""
        return level * -(-self.vectors // (self.width * self.nodes)) + part
