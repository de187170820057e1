"""What a method of ``Intersection`` is: two functions that find the ids which one guest and one host both have.

``intersection`` does what all methods need: it normalises the ids, has the parties tell how many they have, chooses the
method, runs it once with every host, keeps what all hosts have, and cuts the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.id_column import IdColumn
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Topic

MAX_IDS = 20_000_000  # of a list, by the method that takes most
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """One guest and one host, as one of the two sees it.

    Attributes:
        box: messages go ``to=peer`` and come from ``source=peer``; hosts do not talk to each other.
        ids: (n,) this party's ids, all different, in the order of its table: an order
            that the peer must not learn.
        theirs: how many ids the peer says it has; lists of another length are refused (``expect``).
    """

    box: Box
    peer: Member
    params: IntersectParams
    ids: IdColumn
    theirs: int

    def enough(self, count: int) -> None:
        """Refuse fewer common ids than this party allows, *before* a message that tells of them; and more than there
        can be: of a peer that has compared, or had compared, more ids than it said it has.

        Args:
            count: of the common ids, or anything that bounds it.

        Raises:
            DataError: ``FED-241``, too few.
            ProtocolError: ``FED-742``, too many.
        """
        if count > min(self.theirs, len(self.ids)):
            raise ProtocolError("FED-742", f"{self.peer} has more ids in common than the {self.theirs} that it named")
        if count < self.params.min_intersection:
            raise DataError(
                "FED-241",
                f"no or too few ids are common: {self.box.me} allows at least {self.params.min_intersection}; "
                "nothing else is told",
                "check that the parties' tables hold the same kind of ids",
            )

    def expect(self, shape: tuple[int, ...], width: int, count: int | None = None) -> None:
        """Refuse a list of the peer that does not have ``count`` entries (default: all it said) of ``width`` bytes."""
        wanted = (self.theirs if count is None else count, width)
        if shape != wanted:
            raise ProtocolError("FED-740", f"{self.peer} sent a list of shape {shape}, expected {wanted}")


def as_said(guest: int, host: int) -> Mapping[Role, int]:
    """Of methods that answer an entry of a peer's list once, and no list of another length than it said."""
    return {Role.GUEST: guest, Role.HOST: host}


@dataclass(frozen=True)
class Method:
    """One way to find common ids.

    Attributes:
        name: the value of ``intersect_method``.
        topics: its messages; no other ones pass. Names start with the method's name.
        guest, host: run the method with one peer. Both return (m,) positions in ``Pair.ids`` of the common ids; the
            k-th of the guest and the k-th of the host are the same id, and their order tells nothing.
        learns: what each role learns besides what the topics say.
        most_ids: of one list; what a party then holds in memory besides its table stays below 2 GiB.
        tests: how many ids each role can test against the other's list, for the numbers of ids that guest and host
            say they have, whatever else they do: what budgets count.
    """

    name: str
    topics: Sequence[Topic[Any]]
    guest: Callable[[Pair], Positions]
    host: Callable[[Pair], Positions]
    learns: Mapping[Role, Sequence[str]]
    most_ids: int
    tests: Callable[[int, int], Mapping[Role, int]] = as_said


def distinct_positions(values: NDArray[Any], limit: int, count: int | None = None) -> Positions:
    """A peer's ``count`` positions in a list of ``limit`` entries; ``FED-372`` unless all are in it, none twice."""
    wrong_count = count is not None and count != len(values)
    if wrong_count or len(np.unique(values)) != len(values) or (values >= limit).any():
        raise ProtocolError(
            "FED-372", f"{len(values)} positions that are not {count or 'any number of'} different ones below {limit}"
        )
    return values.astype(np.int64)
