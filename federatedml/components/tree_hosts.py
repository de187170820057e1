"""The hosts as the guest sees them while trees grow: the same few calls under every protocol.

Per boosting round, whose k trees (one a class) grow level by level together::

    hosts.begin(round, gradients)
    for each level:
        sums = hosts.sums(nodes)     left sums of every candidate that a host tells, for some nodes
        taken = hosts.split(cuts)    which rows of a node go left at the candidate that was chosen
    hosts.end()

A told candidate is a number that means nothing to the guest: each host keeps the order, and may change it every round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.candidates import BinTable, Split
from federatedml.crypto.ring import Floats
from federatedml.federation.box import Box
from federatedml.federation.party import Member

MOST_COLUMNS = 2**20  # of a host; candidates may be fewer, as columns of one value have none
Rows = NDArray[np.int64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Node:
    """Rows that are together in one tree.

    Attributes:
        tree: which of the round's k trees; its gradients are columns 2 tree and 2 tree + 1.
        rows: ascending positions.
    """

    tree: int
    rows: Rows


@dataclass(frozen=True, eq=False)
class Cut:
    """A node that a host is to split.

    Attributes:
        host: position in ``Hosts.members``.
        tied: numbers of the told candidates that are equally good; the host takes one (``tree_splits.preferred``).
    """

    node: Node
    host: int
    tied: Rows


@dataclass(frozen=True, eq=False)
class Taken:
    """What a host says of a node that it has split.

    Attributes:
        left: (rows of the node,) whether they go left.
        number: of the split among all of this host's, in the order in which they were made, from 0.
        column: number of the host's column; it stays without a name at the guest.
    """

    left: Bits
    number: int
    column: int


@dataclass(frozen=True)
class Start:
    """What both sides of a protocol know when an attempt begins.

    Attributes:
        rows: of the table.
        classes: trees of a round.
        round: the first one of this attempt.
        copies: rows that may be of one sample; 1 at the dealer, who does not know.
        made: at the guest the splits that each host has in the model so far.
    """

    rows: int
    classes: int
    round: int
    copies: int = 1
    made: Sequence[int] = ()


class Hosts(Protocol):
    """All hosts of a training."""

    @property
    def members(self) -> Sequence[Member]:
        """In the order of parties, which decides between candidates of two hosts that are equally good."""
        ...

    def go(self, follows: bool, round: int) -> None:
        """Whether round ``round`` follows: told before each round, and if a training ends before the planned ones."""
        ...

    def begin(self, round: int, gradients: Floats) -> None:
        """The trees of a round start; not called in the first ``complete_secure`` rounds.

        Args:
            gradients: (n, 2 k) g and h of each row for each of the k trees; zeros for rows that are not drawn. With
                counts, see ``sums``, (n, 3 k): g, h and 1, or 0 for rows that are not drawn.
        """
        ...

    def sums(self, nodes: Sequence[Node]) -> Sequence[Floats]:
        """For each host (nodes, told candidates, 2) the sums of g and h over the rows that go left.

        If ``begin`` got three columns a tree, so many come back: the last one counts rows. A candidate with NaN cannot
        be chosen (a column that is not drawn for this tree). At most one of two children is asked for: the other one's
        sums are differences. Nodes are disjoint within a tree; there is at least one.
        """
        ...

    def split(self, cuts: Sequence[Cut]) -> Sequence[Taken]:
        """For each cut which rows of its node go left; called once after each ``sums``, also with nothing to split."""
        ...

    def end(self) -> None:
        """The round's trees are done: after as many levels as the plan has, or fewer."""
        ...


class Answers(Protocol):
    """A host's side of a training."""

    def round(self, number: int) -> Sequence[Split]:
        """Answer the guest until the trees of a round are done; the splits that were made, in their order."""
        ...


class NoHosts:
    """For trees of the guest alone: nothing is sent."""

    members: Sequence[Member] = ()

    def go(self, follows: bool, round: int) -> None:
        """See ``Hosts``."""

    def begin(self, round: int, gradients: Floats) -> None:
        """See ``Hosts``."""

    def sums(self, nodes: Sequence[Node]) -> Sequence[Floats]:
        """See ``Hosts``."""
        return ()

    def split(self, cuts: Sequence[Cut]) -> Sequence[Taken]:
        """See ``Hosts``."""
        return ()

    def end(self) -> None:
        """See ``Hosts``."""


OpenHosts = Callable[[SecureBoostParams, Box, Start], Hosts]
OpenAnswers = Callable[[SecureBoostParams, Box, Start, BinTable], Answers]
