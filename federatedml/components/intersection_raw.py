"""Method ``raw`` of ``Intersection``: one side tells salted hashes of its ids, the other compares. Not private.

Whoever gets the hashes knows the salt, too, and can hash every id that there may be: a list of all phone numbers takes
minutes. It is here because FATE has it, runs only where the policy of every party allows it (``raw_ids``), and tells
hashes even where FATE would send the ids themselves.

1. sender -> joiner: hash(salt + id) of its ids, shuffled (the joiner is the one that ``join_role`` names);
2. joiner -> sender: positions of the matches in that list.

Cost: one hash and its bytes per id.
"""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
from numpy.typing import NDArray

from federatedml.components.intersection_method import Method, Pair, Positions, distinct_positions
from federatedml.crypto.byte_rows import all_different, equal_pairs, shuffled
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector

# Per id of lists of one length, at the joining side, with SHA-512: 64 of each list, as many of the message that brought
# one, 272 while they are compared: 464 bytes. 2 GiB would be 4.6 million ids.
MOST_IDS = 4_000_000
ANY_ID = "which ids the other side has, of all that it can think of: hashes can be tried, which no budget bounds"


def _hashes(source: Role, to: Role) -> Topic[Array]:
    return Topic(
        f"raw_{source}_hashes",
        (source,),
        (to,),
        Vector("|u1", 2),  # (ids, bytes of a digest)
        Carries.HASHED_IDS,
        ANY_ID,
        64 * MOST_IDS + 4096,
    )


def _met(source: Role, to: Role) -> Topic[Array]:
    return Topic(
        f"raw_at_{to}",
        (source,),
        (to,),
        Vector("<u4"),  # positions in the hashes
        Carries.SHARED_IDS,
        f"which of its own ids the {source} has too",
        4 * MOST_IDS + 4096,
    )


def _send(pair: Pair, hashes: Topic[Array], met: Topic[Array]) -> Positions:
    rows = shuffled(len(pair.ids))
    pair.box.send(hashes, _digests(pair)[rows], to=pair.peer)
    found = distinct_positions(pair.box.recv(met, source=pair.peer), len(rows))
    pair.enough(len(found))
    return rows[found]


def _join(pair: Pair, hashes: Topic[Array], met: Topic[Array]) -> Positions:
    own, theirs = _digests(pair), pair.box.recv(hashes, source=pair.peer)
    pair.expect(theirs.shape, own.shape[1])
    mine, yours = equal_pairs(own, all_different(theirs))
    pair.enough(len(mine))
    order = shuffled(len(mine))
    pair.box.send(met, yours[order].astype("<u4"), to=pair.peer)
    return mine[order]


def _digests(pair: Pair) -> NDArray[np.uint8]:
    method, salt = pair.params.raw_hash
    found = [hashlib.new(method, salt.encode() + each, usedforsecurity=False).digest() for each in pair.ids]
    return np.frombuffer(b"".join(found), np.uint8).reshape(len(found), -1)


def _method(sender: Role, joiner: Role) -> Method:
    hashes, met = _hashes(sender, joiner), _met(joiner, sender)
    sides = {sender: partial(_send, hashes=hashes, met=met), joiner: partial(_join, hashes=hashes, met=met)}
    learns = {joiner: [ANY_ID], sender: ["which of its ids the other side has too"]}
    return Method("raw", (hashes, met), sides[Role.GUEST], sides[Role.HOST], learns, MOST_IDS)


AT_GUEST = _method(Role.HOST, Role.GUEST)
AT_HOST = _method(Role.GUEST, Role.HOST)
