"""Method ``ecdh`` of ``Intersection``: elliptic-curve Diffie-Hellman (``federatedml.crypto.ecdh``).

a is the guest's secret scalar, b the host's, H the hash to the curve:

1. guest -> host: a H(x) of its ids, shuffled;
2. host -> guest: b H(y) of its ids, and b a H(x) of the guest's, both shuffled: the guest multiplies the first by a and
   sees how many are equal, but not yet which of its own ids they are;
3. guest -> host: the equal pairs, as positions. The host checks its own minimum before it goes on;
4. host -> guest: where in the guest's list the matches stand.

Sees: blinded points, sizes. Leaks: what the topics below say.

Assumes decisional Diffie-Hellman on the curve, SHA-512 as a random oracle, and parties that follow the protocol:

- A guest may always add ids of its choice to its list, which budgets, not mathematics, bound. The number of matches of
  a list below the minimum would tell of few ids, so such lists get no answer; one filled up with made-up ids does.
- The pairs of message 3 are the guest's word: one that adds false pairs passes the host's minimum.
- It is not fair: the guest learns the number of matches, and the host which of its ids match, before the other side
  learns its part; whoever stops there keeps what it knows.
- Scalars and shuffles are new in every attempt and for every host, so messages of two runs cannot be linked.

Cost per id and pair of parties: 2 hashes to the curve, 4 multiplications, 96 bytes and 12 per match.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.components.intersection_method import MAX_IDS, Method, Pair, Positions, distinct_positions
from federatedml.crypto.ecdh import POINT_BYTES, Blinding, Points, checked, hash_to_curve, shuffled
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Tensors, Vector

LIST_BYTES = MAX_IDS * POINT_BYTES + 4096

GUEST_IDS = Topic(
    "ecdh_guest_ids",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1", 2),  # (ids of the guest, 32)
    Carries.BLINDED_IDS,
    "the number of the guest's ids",
    LIST_BYTES,
)
HOST_IDS = Topic(
    "ecdh_host_ids",
    (Role.HOST,),
    (Role.GUEST,),
    Tensors({"host": ("|u1", 2), "guest": ("|u1", 2)}),  # (ids of the host, 32), (ids of the guest, 32)
    Carries.BLINDED_IDS,
    "the number of the host's ids, and how many ids both have",
    2 * LIST_BYTES,
)
MATCHES = Topic(
    "ecdh_matches",
    (Role.GUEST,),
    (Role.HOST,),
    Tensors({"host": ("<u4", 1), "guest": ("<u4", 1)}),  # positions in the two lists of HOST_IDS, pair by pair
    Carries.SHARED_IDS,
    "which of its own ids the guest has too",
    LIST_BYTES,
)
POSITIONS = Topic(
    "ecdh_positions",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("<u4"),  # position in GUEST_IDS of every match
    Carries.SHARED_IDS,
    "which of its own ids this host has too",
    LIST_BYTES,
)


@dataclass(frozen=True)
class _Own:
    """A party's own ids in the shuffled order in which it tells of them."""

    rows: NDArray[np.int64]  # (n,) position in the pair's ids
    points: Points  # (n, 32) blinded once
    blinding: Blinding

    @classmethod
    def of(cls, pair: Pair) -> _Own:
        rows, blinding = shuffled(len(pair.ids)), Blinding()
        points = hash_to_curve((pair.ids[row] for row in rows), pair.box.attempt.context())
        return cls(rows, blinding.apply(points), blinding)


def guest(pair: Pair) -> Positions:
    """Find the matches, and learn from the host which they are."""
    own, box = _Own.of(pair), pair.box
    box.send(GUEST_IDS, own.points, to=pair.peer)
    box.progress(0.3, "own ids are blinded")
    lists = box.recv(HOST_IDS, source=pair.peer)
    pair.expect(len(lists["host"]))
    matches = _matches(own, lists["host"], lists["guest"])
    pair.enough(len(matches["host"]))
    box.send(MATCHES, matches, to=pair.peer)
    box.progress(0.9, f"matches with {pair.peer} are counted")
    positions = box.recv(POSITIONS, source=pair.peer)
    return own.rows[distinct_positions(positions, len(own.rows), len(matches["host"]))]


def host(pair: Pair) -> Positions:
    """Blind the guest's ids and the own ones, agree to the number of matches, learn which they are."""
    own, box = _Own.of(pair), pair.box
    received = checked(box.recv(GUEST_IDS), pair.theirs)
    box.progress(0.3, "own ids are blinded")
    order = shuffled(len(received))
    box.send(HOST_IDS, {"host": own.points, "guest": own.blinding.apply(received[order])})
    box.progress(0.9, "the guest's ids are blinded")
    matches = box.recv(MATCHES)
    mine = distinct_positions(matches["host"], len(own.rows))
    theirs = distinct_positions(matches["guest"], len(received), len(mine))
    pair.enough(len(mine))
    box.send(POSITIONS, order[theirs].astype("<u4"))
    return own.rows[mine]


def _matches(own: _Own, theirs: Points, mine: Points) -> dict[str, NDArray[np.uint32]]:
    """Positions of equal points: the host's list times a against the guest's own list as the host returned it."""
    mine = checked(mine, len(own.rows))
    at = {point.tobytes(): position for position, point in enumerate(own.blinding.apply(checked(theirs)))}
    pairs = [(at[key], i) for i, key in enumerate(point.tobytes() for point in mine) if key in at]
    return dict(zip(("host", "guest"), np.array(pairs, "<u4").reshape(-1, 2).T, strict=True))


ECDH = Method(
    "ecdh",
    (GUEST_IDS, HOST_IDS, MATCHES, POSITIONS),
    guest,
    host,
    {Role.GUEST: ["how many ids both have, before the host agrees to that number"], Role.HOST: []},
)
