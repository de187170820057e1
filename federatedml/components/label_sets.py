"""Whether parties that told each other the values of their labels have come to the same classes.

A party that told others different values would have them number classes differently and average models of different
classes, although each counts as many of them. So all compare a digest of what they came to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector

LABEL_SET = Topic(
    "label_set",
    (Role.GUEST, Role.HOST),
    (Role.GUEST, Role.HOST),
    Vector("|u1"),
    Carries.CONTROL,
    "a digest of the label values of all, which the receiver has heard from all: nothing new",
    max_bytes=128,
)


def compare(box: Box, classes: Sequence[float], round: int = 0) -> None:
    """Compare ``classes``, the values of all parties' labels, with all other parties.

    Raises:
        ProtocolError: ``FED-898``, a party came to other values; which, the error does not say.
    """
    mine = digest_of(classes)
    box.send(LABEL_SET, mine, round)
    for member, told in sorted(box.gather(LABEL_SET, round).items()):
        if not np.array_equal(told, mine):
            text = f"{member} has heard of other label values than {box.me}"
            raise ProtocolError("FED-898", text, "a party tells others different values of its label")


def digest_of(classes: Sequence[float]) -> Array:
    """(32,) SHA-256 of the values; zero has one sign only."""
    values = np.unique(np.asarray(classes, "<f8") + 0.0)
    return np.frombuffer(hashlib.sha256(values.tobytes()).digest(), "|u1")
