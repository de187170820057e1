"""Topics: every message between parties, declared once by the component that sends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from federatedml.federation.party import Role
from federatedml.federation.wire import Codec

T = TypeVar("T")
MIB = 2**20


class Carries(StrEnum):
    """What kind of content crosses the border; the disclosure report and policies speak of these."""

    CONTROL = "control values"
    PUBLIC_KEY = "public key"
    CIPHERTEXT = "ciphertexts"
    BLINDED_IDS = "blinded ids"
    HASHED_IDS = "hashed ids, open to whoever tries ids"
    SHARED_IDS = "sample ids of the intersection"
    RANDOMNESS = "correlated randomness"
    MASKED = "uniformly masked values"
    SHARES = "shares of a result for its owner"
    AGGREGATE = "plain aggregate"
    ROW_VALUES = "plain value per row"


@dataclass(frozen=True)
class Topic(Generic[T]):
    """One kind of message.

    Attributes:
        name: unique within the component.
        source: roles that may send it.
        to: roles that may receive it.
        codec: payload type; mypy checks ``send`` and ``recv`` by it, the channel checks every byte.
        carries: kind of content.
        learns: what the receiver can learn from it, in one sentence for people.
        max_bytes: bound of one encoded message, enforced by both sides.
    """

    name: str
    source: tuple[Role, ...]
    to: tuple[Role, ...]
    codec: Codec[T]
    carries: Carries
    learns: str
    max_bytes: int = 64 * MIB

    def disclosure(self) -> dict[str, Any]:
        """This message in the disclosure report, as plain JSON."""
        return {
            "topic": self.name,
            "from": [str(r) for r in self.source],
            "to": [str(r) for r in self.to],
            "carries": str(self.carries),
            "learns": self.learns,
        }
