"""Secure sums in a role function: topics that a component declares, and what its roles call.

    TOPICS = (KEYS, ROSTER, COUNT := sum_topic("rows", ...), UPDATE := sum_topic("update", ...))

    contributor                                       aggregator
    client = join(box, p.least)
    send_sum(box, client, COUNT, rows, COUNTS)        total = take_sum(box, COUNT, 1, COUNTS)
    send_sum(box, client, UPDATE, x, fixed, round, w) mean = take_sum(box, UPDATE, n, fixed, round)

Contributors hand each other their keys over their own channels, which prove certificates; the aggregator sees none of
it. All of a box's guests and hosts contribute, its arbiter aggregates. A party that goes away ends the attempt.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.aggregator import Sum
from federatedml.crypto.secagg.client import MIN_CONTRIBUTORS, Client, Newcomer
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.roster import Keys
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Array, Tensors, Vector

CONTRIBUTORS, AGGREGATOR = (Role.GUEST, Role.HOST), (Role.ARBITER,)
KEYS = Topic(
    "secagg_keys",
    CONTRIBUTORS,
    CONTRIBUTORS,
    Tensors({"exchange": ("|u1", 1), "verify": ("|u1", 1)}),
    Carries.PUBLIC_KEY,
    "nothing: public keys of this attempt",
    max_bytes=1024,
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


def sum_topic(name: str, of: str, max_bytes: int = 64 * MIB) -> Topic[Array]:
    """Contributions to one kind of sum.

    Args:
        of: what is summed, as in "the sum of all contributors' ...".
    """
    learns = f"the sum of all contributors' {of}; one contribution is uniform without all others"
    return Topic(name, CONTRIBUTORS, AGGREGATOR, Vector("<u8"), Carries.MASKED, learns, max_bytes)


def contributors(box: Box) -> list[Member]:
    """Members whose values are summed."""
    return [member for member in box.members if member.role in CONTRIBUTORS]


def counts(box: Box) -> FixedPoint:
    """Scale of whole numbers below 2^40, such as rows; sums are exact."""
    return FixedPoint(0, MAX_ROWS, len(contributors(box)))


def join(box: Box, least: int = MIN_CONTRIBUTORS) -> Client:
    """Exchange keys with every other contributor, directly, and have everybody confirm them.

    Args:
        least: below how many contributors this party takes no part (``PolicyError``, ``FED-763``).

    Raises:
        ProtocolError: ``FED-762``, ``FED-764``, as ``crypto.secagg.roster`` and ``client`` say.
    """
    newcomer = Newcomer(box.me, contributors(box), box.attempt, least)
    box.send(KEYS, {"exchange": _array(newcomer.keys.exchange), "verify": _array(newcomer.keys.verify)})
    agreed = newcomer.agree({member: _keys(found) for member, found in box.gather(KEYS).items()})
    box.send(ROSTER, _array(agreed.digest))
    return agreed.confirm({member: found.tobytes() for member, found in box.gather(ROSTER).items()})


def send_sum(
    box: Box,
    client: Client,
    topic: Topic[Array],
    values: Floats,
    fixed: FixedPoint,
    round: int = 0,
    weight: float = 1.0,
) -> None:
    """Contribute ``values * weight`` to the sum of a topic and round; see ``Client.mask`` for errors."""
    box.send(topic, client.mask(np.atleast_1d(values), fixed, topic.name, round, weight, box.compute), round)


def take_sum(box: Box, topic: Topic[Array], length: int, fixed: FixedPoint, round: int = 0) -> Floats:
    """The sum of all contributions, (length,), at the aggregator; one of them is in memory at a time."""
    members = contributors(box)
    total = Sum(members, length)
    for member in members:
        total.add(member, box.recv(topic, round, member))
    return total.numbers(fixed)


def _array(body: bytes) -> Array:
    return np.frombuffer(body, np.uint8)


def _keys(found: dict[str, Any]) -> Keys:
    return Keys(found["exchange"].tobytes(), found["verify"].tobytes())
