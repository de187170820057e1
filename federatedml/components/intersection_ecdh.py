"""Method ``ecdh`` of ``Intersection``: elliptic-curve Diffie-Hellman (``federatedml.crypto.ecdh``).

a is the guest's secret scalar, b the host's, H the hash to the curve. Lists travel in chunks: both work at once.

1. guest -> host: a H(x) of its ids, shuffled; host -> guest: b H(y) of its ids, shuffled;
2. host -> guest: b a H(x), shuffled again over the whole list. The guest multiplies the host's list by a and sees how
   many points are equal, but not yet which of its own ids they are;
3. guest -> host: the equal pairs, as positions. The host checks its own minimum before it goes on;
4. host -> guest: where in the guest's list the matches stand.

To count only, the guest sends the number instead of 3, and there is no 4.

Sees: blinded points, sizes. Leaks: what the topics below say.

Assumes decisional Diffie-Hellman on the curve, SHA-512 as a random oracle, and parties that follow the protocol:

- A guest may always add ids of its choice to its list, which budgets, not mathematics, bound. The number of matches of
  a list below the minimum would tell of few ids, so such lists get no answer; one filled up with made-up ids does.
- The pairs of message 3 are the guest's word: one that adds false pairs passes the host's minimum.
- It is not fair: the guest learns the number of matches, and the host which of its ids match, before the other side
  learns its part; whoever stops there keeps what it knows.
- Scalars and shuffles are new in every attempt and for every host, so messages of two runs cannot be linked.

Cost per id and pair of parties: one hash to the curve, two multiplications, 96 bytes for an id of the guest and 32 for
one of the host, 12 bytes per match. Memory: the points of both lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.components.intersection_method import Method, Pair, Positions, distinct_positions
from federatedml.compute.slices import chunks
from federatedml.crypto.byte_rows import all_different, equal_pairs, shuffled
from federatedml.crypto.ecdh import POINT_BYTES, Blinding, Points, checked
from federatedml.errors import ProtocolError
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors, Vector

# Per id of lists of one length, at the guest: 8 of the order, 64 of both lists' points, 144 while these are compared,
# 64 of chunks on their way: 280 bytes. 2 GiB would be 7.6 million ids.
MOST_IDS = 6_000_000
CHUNK_IDS = 2**15  # 1 MiB of points
CHUNK_BYTES = CHUNK_IDS * POINT_BYTES + 4096
MATCH_BYTES = 8 * MOST_IDS + 4096

GUEST_IDS = Topic(
    "ecdh_guest_ids",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1", 2),  # (ids of a chunk, 32), one message per chunk: the round is its number
    Carries.BLINDED_IDS,
    "nothing but their number",
    CHUNK_BYTES,
)
HOST_IDS = Topic(
    "ecdh_host_ids",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1", 2),
    Carries.BLINDED_IDS,
    "nothing but their number without the list that follows",
    CHUNK_BYTES,
)
BLINDED_TWICE = Topic(
    "ecdh_blinded_twice",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1", 2),  # the guest's ids, in an order of the host
    Carries.BLINDED_IDS,
    "how many ids both have",
    CHUNK_BYTES,
)
MATCHES = Topic(
    "ecdh_matches",
    (Role.GUEST,),
    (Role.HOST,),
    Tensors({"host": ("<u4", 1), "guest": ("<u4", 1)}),  # positions in HOST_IDS and BLINDED_TWICE, pair by pair
    Carries.SHARED_IDS,
    "which of its own ids the guest has too",
    MATCH_BYTES,
)
POSITIONS = Topic(
    "ecdh_positions",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("<u4"),  # position in GUEST_IDS of every match
    Carries.SHARED_IDS,
    "which of its own ids this host has too",
    MATCH_BYTES,
)
COUNT = Topic(
    "ecdh_count",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u8"),  # (1,)
    Carries.AGGREGATE,
    "how many ids both have",
    4096,
)


@dataclass(frozen=True)
class _Own:
    """A party's own ids in the shuffled order in which it tells of them."""

    pair: Pair
    rows: NDArray[np.int64]  # (n,) position in the pair's ids
    blinding: Blinding

    @classmethod
    def of(cls, pair: Pair) -> _Own:
        return cls(pair, shuffled(len(pair.ids)), Blinding(pair.box.compute))

    def tell(self, topic: Topic[Array]) -> None:
        """Blind the ids and send them, chunk by chunk."""
        box, context = self.pair.box, self.pair.box.attempt.context()
        for number, at in enumerate(chunks(len(self.rows), CHUNK_IDS)):
            ids = [self.pair.ids[row] for row in self.rows[at]]
            box.send(topic, self.blinding.hashed(ids, context), number, to=self.pair.peer)
            box.progress(0.4 * at.stop / len(self.rows), "own ids are blinded")

    def answer(self, topic: Topic[Array]) -> Points:
        """The peer's points times the own scalar, in the peer's order: different ones, not only before (two points
        that a point of small order tells apart become equal)."""
        count, found = self.pair.theirs, []
        for chunk, at in _received(self.pair, topic, count):
            found.append(self.blinding.apply(chunk))
            self.pair.box.progress(0.4 + 0.4 * at.stop / count, "the peer's ids are blinded")
        return all_different(np.concatenate(found))


def guest(pair: Pair) -> Positions:
    """Find the matches, and learn from the host which they are."""
    own = _Own.of(pair)
    at_host, at_guest = _met(own)
    pair.enough(len(at_host))
    pair.box.send(MATCHES, {"host": at_host.astype("<u4"), "guest": at_guest.astype("<u4")}, to=pair.peer)
    pair.box.progress(0.9, f"matches with {pair.peer} are counted")
    positions = pair.box.recv(POSITIONS, source=pair.peer)
    return own.rows[distinct_positions(positions, len(own.rows), len(at_host))]


def host(pair: Pair) -> Positions:
    """Blind the guest's ids and the own ones, agree to the number of matches, learn which they are."""
    own = _Own.of(pair)
    order = _blinded_twice(own)
    matches = pair.box.recv(MATCHES)
    mine = distinct_positions(matches["host"], len(own.rows))
    theirs = distinct_positions(matches["guest"], len(order), len(mine))
    pair.enough(len(mine))
    pair.box.send(POSITIONS, order[theirs].astype("<u4"))
    return own.rows[mine]


def count_as_guest(pair: Pair) -> int:
    """How many ids both have; the host is told that number only."""
    at_host, _ = _met(_Own.of(pair))
    pair.enough(len(at_host))
    pair.box.send(COUNT, np.array([len(at_host)], "<u8"), to=pair.peer)
    return len(at_host)


def count_as_host(pair: Pair) -> int:
    """How many ids both have, as the guest says."""
    _blinded_twice(_Own.of(pair))
    told = pair.box.recv(COUNT)
    if told.shape != (1,):
        raise ProtocolError("FED-742", f"{pair.peer} did not say one number of common ids")
    pair.enough(int(told[0]))
    return int(told[0])


def _met(own: _Own) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At the guest: positions of the matches in HOST_IDS and in BLINDED_TWICE."""
    own.tell(GUEST_IDS)
    theirs = own.answer(HOST_IDS)
    mine = np.concatenate([chunk for chunk, _ in _received(own.pair, BLINDED_TWICE, len(own.rows))])
    return equal_pairs(theirs, all_different(mine))


def _blinded_twice(own: _Own) -> NDArray[np.int64]:
    """At the host: both lists are blinded; the order in which the guest's went back."""
    own.tell(HOST_IDS)
    twice = own.answer(GUEST_IDS)
    order = shuffled(len(twice))
    for number, at in enumerate(chunks(len(twice), CHUNK_IDS)):
        own.pair.box.send(BLINDED_TWICE, twice[order[at]], number)
    return order


def _received(pair: Pair, topic: Topic[Array], count: int) -> Iterator[tuple[Points, slice]]:
    """The chunks of a list of ``count`` points, as they come."""
    for number, at in enumerate(chunks(count, CHUNK_IDS)):
        yield checked(pair.box.recv(topic, number, source=pair.peer), at.stop - at.start), at


ECDH = Method(
    "ecdh",
    (GUEST_IDS, HOST_IDS, BLINDED_TWICE, MATCHES, POSITIONS),
    guest,
    host,
    {
        Role.GUEST: ["how many ids each host shares with it, before that host has agreed to the number"],
        Role.HOST: ["which of its ids the guest has too, before the guest learns it"],
    },
    MOST_IDS,
)
COUNTING = (GUEST_IDS, HOST_IDS, BLINDED_TWICE, COUNT)
