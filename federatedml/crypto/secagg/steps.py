"""Secure sums in a role function: topics that a component declares, and what its roles call.

    min_contributors: MinContributors = MIN_CONTRIBUTORS   # a parameter of this name; floors.contributors looks at it
    TOPICS = (*SECURE_SUM, UPDATE := sum_topic("update", "weighted updates"))

    contributor                                                 aggregator
    client = join(box, p.min_contributors)
    share = weigh(box, client, rows)                            take_weights(box)
    send_sum(box, client, UPDATE, x, fixed, round, share)       mean = take_sum(box, UPDATE, n, fixed, round)

Contributors hand each other their keys directly, signed with their parties' certificates: the aggregator sees none of
it, and whoever relays them cannot replace them. All of a box's guests and hosts contribute, its arbiter aggregates. A
party that goes away ends the attempt.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.aggregator import Sum
from federatedml.crypto.secagg.client import MIN_CONTRIBUTORS, Client, Newcomer
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.roster import Keys
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Array, Tensors, Vector

CONTRIBUTORS, AGGREGATOR = (Role.GUEST, Role.HOST), (Role.ARBITER,)
KEYS = Topic(
    "secagg_keys",
    CONTRIBUTORS,
    CONTRIBUTORS,
    Tensors({"exchange": ("|u1", 1), "verify": ("|u1", 1), "proof": ("|u1", 1)}),
    Carries.PUBLIC_KEY,
    "nothing: public keys of this attempt, signed with the sender's certificate",
    max_bytes=16384,
)
ROSTER = Topic(
    "secagg_roster",
    CONTRIBUTORS,
    CONTRIBUTORS,
    Vector("|u1"),
    Carries.CONTROL,
    "nothing: digest of all contributors' public keys",
    max_bytes=1024,
)
MAX_ROWS = 2.0**40
LEARNS_OF_TWO = "with two contributors, each learns the other's values from the sum"
MinContributors = Annotated[
    int,
    Field(
        ge=2,
        description="contributors of a secure sum, at least: of two, each learns the other's values from the sum",
        json_schema_extra={"unit": "parties", "fate": "absent"},
    ),
]


def sum_topic(name: str, of: str, max_bytes: int = 64 * MIB) -> Topic[Array]:
    """Contributions to one kind of sum.

    Args:
        of: what is summed, as in "the sum of all contributors' ...".
    """
    learns = f"the sum of all contributors' {of}; one contribution is uniform without all others"
    return Topic(name, CONTRIBUTORS, AGGREGATOR, Vector("<u8"), Carries.MASKED, learns, max_bytes)


ROWS = sum_topic("secagg_rows", "weights of all rows (without weights their numbers)", max_bytes=1024)
TOTAL = Topic(
    "secagg_total",
    AGGREGATOR,
    CONTRIBUTORS,
    Vector("<f8"),
    Carries.AGGREGATE,
    "the weight of all contributors' rows together (without weights their number); of two, each learns the other's",
    max_bytes=1024,
)
TOLD = Topic(
    "secagg_told",
    CONTRIBUTORS,
    CONTRIBUTORS,
    Vector("<f8"),
    Carries.AGGREGATE,
    "nothing: the weight of all rows, as the aggregator told it",
    max_bytes=1024,
)
SECURE_SUM = (KEYS, ROSTER, ROWS, TOTAL, TOLD)


def contributors(box: Box) -> list[Member]:
    """Members whose values are summed."""
    return [member for member in box.members if member.role in CONTRIBUTORS]


def join(box: Box, least: int = MIN_CONTRIBUTORS) -> Client:
    """Exchange keys with every other contributor, directly, and have everybody confirm them.

    Args:
        least: below how many parties this one takes no part (``PolicyError``, ``FED-763``).

    Raises:
        ProtocolError: ``FED-762``, ``FED-764``, as ``crypto.secagg.roster`` and ``client`` say.
        PolicyError: a contributor's party did not sign its keys, as ``federation.party_seal`` says.
    """
    newcomer = Newcomer(box.me, contributors(box), box.attempt, least)
    mine = newcomer.keys
    proof = box.seal.sign(mine.statement(box.attempt, box.me))
    box.send(KEYS, {"exchange": _array(mine.exchange), "verify": _array(mine.verify), "proof": _array(proof)})
    agreed = newcomer.agree({member: _keys(box, member, found) for member, found in box.gather(KEYS).items()})
    box.send(ROSTER, _array(agreed.digest))
    return agreed.confirm({member: found.tobytes() for member, found in box.gather(ROSTER).items()})


def weigh(box: Box, client: Client, rows: float) -> float:
    """This contributor's part of all rows, its weight in a mean.

    Args:
        rows: their number, or the sum of their weights; above 0, at most 2^40.

    Contributors tell each other which total they were told: an aggregator that gives all but one a huge total makes
    their weights vanish, and the sum is that one's values.

    Raises:
        ProtocolError: ``FED-757``, the total is no number of rows, or another contributor was told another one.
    """
    fixed = _totals(box)
    send_sum(box, client, ROWS, np.array([float(rows)]), fixed)
    total = box.recv(TOTAL)
    if total.shape != (1,) or not fixed.nearest(rows) <= total[0] <= MAX_ROWS * len(contributors(box)):
        raise ProtocolError("FED-757", f"{TOTAL.name!r} is no sum of weights of rows, or less than this party's own")
    box.send(TOLD, total)
    differing = sorted(str(member) for member, told in box.gather(TOLD).items() if told.tolist() != total.tolist())
    if differing:
        raise ProtocolError("FED-757", f"{', '.join(differing)} was told another weight of all rows")
    return min(float(rows / total[0]), 1.0)


def take_weights(box: Box) -> float:
    """The weight of all rows, at the aggregator, which tells the contributors."""
    total = take_sum(box, ROWS, 1, _totals(box))
    box.send(TOTAL, total)
    return float(total[0])


def send_sum(
    box: Box,
    client: Client,
    topic: Topic[Array],
    values: Floats,
    fixed: FixedPoint,
    round: int = 0,
    weight: float = 1.0,
    alike: bytes = b"",
) -> None:
    """Contribute ``values * weight`` to the sum of a topic and round; see ``Client.mask`` for ``alike`` and errors."""
    box.send(topic, client.mask(np.atleast_1d(values), fixed, topic.name, round, weight, box.compute, alike), round)


def take_sum(box: Box, topic: Topic[Array], length: int, fixed: FixedPoint, round: int = 0) -> Floats:
    """The sum of all contributions, (length,), at the aggregator; one of them is in memory at a time."""
    members = contributors(box)
    total = Sum(members, length)
    for member in members:
        total.add(member, box.recv(topic, round, member))
    return total.numbers(fixed)


def _totals(box: Box) -> FixedPoint:
    """Up to 2^40; sums of whole numbers are exact."""
    return FixedPoint.finest(MAX_ROWS, len(contributors(box)))


def _array(body: bytes) -> Array:
    return np.frombuffer(body, np.uint8)


def _keys(box: Box, member: Member, found: dict[str, Any]) -> Keys:
    keys = Keys(found["exchange"].tobytes(), found["verify"].tobytes())
    box.seal.verify(member.party, keys.statement(box.attempt, member), found["proof"].tobytes())
    return keys
