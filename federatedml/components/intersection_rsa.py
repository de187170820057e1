"""Method ``rsa`` of ``Intersection``: blind RSA signatures (de Cristofaro, Tsudik 2010; ``crypto.rsa_blind``).

H is a hash onto Z_n, G a hash to 16 bytes; the host has d:

1. host -> guest: n; guest -> host: H(x) r^e of its ids, each with its own r;
2. host -> guest: (H(x) r^e)^d, and G(H(y)^d) of its own ids, shuffled. The guest divides by r, compares G(H(x)^d) and
   knows which of its ids are common;
3. guest -> host: which entries of the host's list that were. The host checks its minimum only then.

Sees: blinded numbers, tags, sizes. Leaks: what the topics below say. Assumes the one-more RSA problem, random oracles
and parties that follow the protocol. It is here because FATE has it: ``ecdh`` does the same in a twentieth of the time,
and lets the host refuse before the guest knows the ids.

Cost per id: of the guest one signature, 2 x the key's bytes; of the host one signature, 16 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federatedml.components.intersection_method import Method, Pair, Positions, distinct_positions
from federatedml.compute.slices import chunks
from federatedml.crypto.byte_rows import all_different, equal_pairs, shuffled
from federatedml.crypto.rsa_blind import TAG_BYTES, PublicKey, Signer, blind, unblind
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector

# Per id at the guest, with a key of 4096 bit: two Python integers of 575 bytes (hash, blinding), 512 of the number that
# the host gets, as many while it waits there, 40 of lists, 16 of the tag: 2.2 kB. 2 GiB would be 970,000 ids.
MOST_IDS = 900_000
CHUNK_IDS = 2**12  # 1 MiB of numbers of 2048 bit
CHUNK_BYTES = CHUNK_IDS * 512 + 4096

KEY = Topic(
    "rsa_key",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1"),  # the modulus
    Carries.PUBLIC_KEY,
    "the public key of this attempt",
    4096,
)
BLINDED = Topic(
    "rsa_blinded",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1", 2),  # (ids of a chunk, bytes of the modulus), one message per chunk: the round is its number
    Carries.BLINDED_IDS,
    "nothing but their number",
    CHUNK_BYTES,
)
SIGNED = Topic(
    "rsa_signed",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1", 2),
    Carries.BLINDED_IDS,
    "nothing without the host's tags",
    CHUNK_BYTES,
)
TAGS = Topic(
    "rsa_tags",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1", 2),  # (ids of the host, 16)
    Carries.BLINDED_IDS,
    "which of its own ids this host has too",
    MOST_IDS * TAG_BYTES + 4096,
)
MATCHES = Topic(
    "rsa_matches",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u4"),  # positions in TAGS
    Carries.SHARED_IDS,
    "which of its own ids the guest has too",
    4 * MOST_IDS + 4096,
)


def guest(pair: Pair) -> Positions:
    """Have the own ids signed, compare them with the host's tags, tell which of these are met."""
    box, context = pair.box, pair.box.attempt.context()
    key = PublicKey.read(box.recv(KEY, source=pair.peer).tobytes(), pair.params.rsa_params.key_length)
    rows = shuffled(len(pair.ids))
    waiting = []
    for number, at in enumerate(chunks(len(rows), CHUNK_IDS)):
        waiting.append(blind(key, _picked(pair, rows[at]), context, box.compute))
        box.send(BLINDED, waiting[-1].numbers, number, to=pair.peer)
    box.progress(0.2, "own ids are blinded")
    tags = [
        unblind(blinded, box.recv(SIGNED, number, source=pair.peer), box.compute)
        for number, blinded in enumerate(waiting)
    ]
    theirs = box.recv(TAGS, source=pair.peer)
    pair.expect(theirs.shape, TAG_BYTES)
    ours, met = equal_pairs(np.concatenate(tags), all_different(theirs))
    pair.enough(len(ours))
    box.send(MATCHES, met.astype("<u4"), to=pair.peer)
    return rows[ours]


def host(pair: Pair) -> Positions:
    """Sign the guest's blinded ids and the own ones, learn which are met."""
    box, rows = pair.box, shuffled(len(pair.ids))
    signer = Signer(pair.params.rsa_params.key_length, box.compute)
    box.send(KEY, np.frombuffer(signer.public.body(), np.uint8))
    tags = signer.tags(_picked(pair, rows), box.attempt.context())
    box.progress(0.5, "own ids are signed")
    for number, at in enumerate(chunks(pair.theirs, CHUNK_IDS)):
        blinded = box.recv(BLINDED, number)
        pair.expect(blinded.shape, signer.public.width, at.stop - at.start)
        box.send(SIGNED, signer.sign(blinded), number)
    box.progress(0.9, "the guest's ids are signed")
    box.send(TAGS, tags)
    met = distinct_positions(box.recv(MATCHES), len(rows))
    pair.enough(len(met))
    return rows[met]


def _picked(pair: Pair, rows: NDArray[np.int64]) -> Sequence[bytes]:
    return [pair.ids[row] for row in rows]


RSA = Method(
    "rsa",
    (KEY, BLINDED, SIGNED, TAGS, MATCHES),
    guest,
    host,
    {
        Role.GUEST: ["which of its ids a host has, before that host has agreed to their number"],
        Role.HOST: ["which of its ids the guest has too"],
    },
    MOST_IDS,
)
