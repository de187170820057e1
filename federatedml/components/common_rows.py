"""Guest and hosts compare their rows before they compute on them: each tells a digest of its ids in their order."""

from __future__ import annotations

import numpy as np

from federatedml.crypto.shared_linear import ids_digest
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector

BETWEEN = (Role.GUEST, Role.HOST)
GUESSED = "a digest of the sender's ids: a guess of all of them, in their order, can be tested"
BYTES = 4096

SAME_ROWS = Topic(
    "same_rows",
    BETWEEN,
    BETWEEN,
    Vector("|u1"),
    Carries.CONTROL,
    f"whether both hold the same samples in the same order, and {GUESSED}",
    BYTES,
)


def same_rows(box: Box, table: Table, round: int = 0, topic: Topic[Array] = SAME_ROWS) -> None:
    """Check that the guest and each host hold the same samples in the same order. Hosts tell each other nothing.

    Raises:
        DataError: ``FED-251``, they do not.
    """
    mine = digest_of(table)
    others = [member for member in box.peers(topic) if member.role is not box.me.role]
    for member in others:
        box.send(topic, mine, round, member)
    for member in others:
        check_same(mine, box.recv(topic, round, member))


def digest_of(table: Table) -> Array:
    """(32,) bytes: SHA-256 of the ids in their order."""
    return np.frombuffer(ids_digest(table.ids.tolist()), "|u1")


def check_same(mine: Array, theirs: Array) -> None:
    """``DataError`` unless two digests are equal."""
    if not np.array_equal(mine, theirs):
        raise DataError(
            "FED-251", "guest and host do not hold the same samples in the same order", "run Intersection before"
        )


def expect(array: Array, *shape: int) -> Array:
    """The array, if it has that shape; ``ProtocolError`` otherwise."""
    if array.shape != shape:
        raise ProtocolError("FED-381", f"an array of shape {array.shape} came, the plan says {shape}")
    return array
