"""What guest, host and dealer of a map tell each other: packed words, bound to the map and to their place in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.words import RingWords
from federatedml.crypto.vector import Packed, Scheme
from federatedml.errors import ProtocolError


@dataclass(frozen=True)
class Block(Packed):
    """Some rows of E, holder to owner: uniform without the holder's seed."""

    kind: ClassVar[int] = 4


@dataclass(frozen=True)
class Correction(Packed):
    """What makes uniform words fit each other, from the dealer; uniform without the other party's seed."""

    kind: ClassVar[int] = 5


@dataclass(frozen=True)
class Lifted(Packed):
    """The owner's share under a fresh mask, to the holder, who shuffles: uniform without the owner's seed."""

    kind: ClassVar[int] = 6


P = TypeVar("P", bound=Packed)


def pack(kind: type[P], deal: Deal, place: range, words: RingWords) -> P:
    """Words of a message of one map.

    Args:
        place: which columns (of a block: which rows) it is about.
    """
    return kind(
        Scheme.DEALT,
        _key(deal, kind, place),
        words.size,
        deal.ring.word_bytes,
        0,
        np.ascontiguousarray(words).tobytes(),
    )


def unpack(message: Packed, deal: Deal, place: range, outer: int) -> RingWords:
    """Words (outer, len(place)) (of a block: (len(place), outer)) of a hostile message.

    Raises:
        ProtocolError: FED-715, it is of another map, about something else, or of another length.
    """
    expected = (Scheme.DEALT, _key(deal, type(message), place), len(place) * outer, deal.ring.word_bytes, 0, 0)
    found = (message.scheme, message.key, message.count, message.width, message.scale_bits, message.slot_bits)
    if found != expected:
        raise ProtocolError(
            "FED-715",
            f"a {type(message).__name__} of {message.count} words of {message.width} bytes is not the one for "
            f"{place.start} to {place.stop} of this map: {expected[2]} words of {expected[3]} bytes",
        )
    shape = (len(place), outer) if isinstance(message, Block) else (outer, len(place))
    return deal.ring.words(message.body, *shape)


def _key(deal: Deal, kind: type[Packed], place: range) -> bytes:
    text = f"{kind.kind} {place.start} {place.stop} {deal.name.hex()}"
    return hashlib.sha256(text.encode()).digest()[:16]
