"""``Intersection`` with ``run_cache``: a host with many ids keeps them blinded, for a guest with few that comes often.

F is a pseudo-random function with the host's key b (``federatedml.crypto.ecdh_prf``). Key, order and F of all its ids
are an *epoch*, which the host makes once per guest and list of ids, and keeps for ``cache_days``:

1. host -> guest: the epoch's name and end; guest -> host: whether it lacks the epoch's list, and a H(x) of its ids;
2. host -> guest: F(y) of all its ids, shuffled, if the guest lacks them; b a H(x). The guest takes a off, and knows
   which of its ids are common;
3. guest -> host: where in the host's list these stand. The host checks its minimum only then.

Within an epoch runs can be linked, both ways: the host's list and the places in it stay the same, and the guest can
compare an id of today with one of yesterday. It still needs the host for every id that it tries, which budgets bound.

Cost: once per epoch a hash, a multiplication and 16 bytes per id of the host; per run and id of the guest two
multiplications at the guest, one at the host, 64 bytes.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federatedml.components.intersection_method import Method, Pair, Positions, distinct_positions
from federatedml.compute.slices import chunks
from federatedml.crypto.byte_rows import all_different, equal_pairs, shuffled
from federatedml.crypto.ecdh import POINT_BYTES, Blinding
from federatedml.crypto.ecdh_prf import SCALAR_BYTES, TAG_BYTES, Asking, Tags, tags
from federatedml.errors import ProtocolError
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors, Vector

# Per id at the host, when it makes an epoch: 80 of the ids as bytes here, as many at its workers, 64 of points, 64 of
# tags one by one, 16 of them as an array, 24 of what is stored: 330 bytes. 2 GiB would be 6.5 million ids.
MOST_IDS = 6_000_000
CHUNK_IDS = 2**15
NAME_BYTES = 16
DAY_S = 86400

EPOCH = Topic(
    "cached_epoch",
    (Role.HOST,),
    (Role.GUEST,),
    Tensors({"name": ("|u1", 1), "expires": ("<u8", 1)}),  # (16,), (1,) seconds since 1970
    Carries.CONTROL,
    "whether the host's ids are those of an earlier run, and how long the host keeps them blinded",
    4096,
)
WANTED = Topic(
    "cached_wanted",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1"),  # (1,) 1: the guest lacks the list of the epoch
    Carries.CONTROL,
    "whether the guest has kept the list of an earlier run",
    4096,
)
TAGS = Topic(
    "cached_tags",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1", 2),  # (ids of a chunk, 16), one message per chunk: the round is its number
    Carries.BLINDED_IDS,
    "with the answers: which of its own ids this host has too; the same list as long as the epoch lasts",
    CHUNK_IDS * TAG_BYTES + 4096,
)
ASKED = Topic(
    "cached_asked",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1", 2),  # (ids of a chunk, 32)
    Carries.BLINDED_IDS,
    "nothing but their number",
    CHUNK_IDS * POINT_BYTES + 4096,
)
ANSWERED = Topic(
    "cached_answered",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1", 2),
    Carries.BLINDED_IDS,
    "with the list: which of its own ids this host has too",
    CHUNK_IDS * POINT_BYTES + 4096,
)
MATCHES = Topic(
    "cached_matches",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u4"),  # positions in TAGS
    Carries.SHARED_IDS,
    "which of its own ids the guest has too",
    4 * MOST_IDS + 4096,
)


@dataclass(frozen=True, repr=False)
class _Epoch:
    """What a host keeps for one guest and one list of ids."""

    name: bytes
    expires: int
    secret: bytes
    rows: NDArray[np.int64]  # (n,) position in the ids, in the order in which they are told
    tags: Tags  # (n, 16)

    @classmethod
    def of(cls, pair: Pair) -> _Epoch:
        """The epoch that is kept, or a new one."""
        key = _digest(b"host", str(pair.box.me).encode(), str(pair.peer).encode(), pair.ids.digests().tobytes())
        kept = pair.box.vault.get(key)
        if kept is not None:
            return cls._read(kept, len(pair.ids))
        made = cls._new(pair)
        pair.box.vault.put(key, made._body(), made.expires)
        return made

    @classmethod
    def _new(cls, pair: Pair) -> _Epoch:
        name, secret, rows = os.urandom(NAME_BYTES), os.urandom(SCALAR_BYTES), shuffled(len(pair.ids))
        points = Blinding(pair.box.compute, secret).hashed([pair.ids[row] for row in rows], name)
        expires = int(time.time()) + pair.params.cache_days * DAY_S
        return cls(name, expires, secret, rows, tags(points))

    def _body(self) -> bytes:
        head = self.name + self.expires.to_bytes(8, "big") + self.secret
        return head + self.rows.astype("<i8").tobytes() + self.tags.tobytes()

    @classmethod
    def _read(cls, body: bytes, count: int) -> _Epoch:
        name, rest = body[:NAME_BYTES], body[NAME_BYTES:]
        expires, secret, rest = int.from_bytes(rest[:8], "big"), rest[8 : 8 + SCALAR_BYTES], rest[8 + SCALAR_BYTES :]
        rows = np.frombuffer(rest[: 8 * count], "<i8").astype(np.int64)
        return cls(name, expires, secret, rows, np.frombuffer(rest[8 * count :], np.uint8).reshape(count, TAG_BYTES))


def guest(pair: Pair) -> Positions:
    """Ask for F of the own ids, compare it with the host's list, tell which of that are met."""
    box = pair.box
    epoch = box.recv(EPOCH, source=pair.peer)
    if epoch["name"].shape != (NAME_BYTES,) or epoch["expires"].shape != (1,):
        raise ProtocolError("FED-748", f"{pair.peer} did not name an epoch of its blinded ids")
    name, rows, asking = epoch["name"].tobytes(), shuffled(len(pair.ids)), Asking(box.compute)
    key = _digest(b"guest", str(box.me).encode(), str(pair.peer).encode(), name)
    kept = box.vault.get(key)
    box.send(WANTED, np.array([kept is None], np.uint8), to=pair.peer)
    for number, at in enumerate(chunks(len(rows), CHUNK_IDS)):
        box.send(ASKED, asking.blinded([pair.ids[row] for row in rows[at]], name), number, to=pair.peer)
    box.progress(0.3, "own ids are blinded")
    listed = _list(pair, kept)
    if kept is None:
        most = int(time.time()) + pair.params.cache_days * DAY_S
        box.vault.put(key, listed.tobytes(), min(int(epoch["expires"][0]), most))
    mine = all_different(np.concatenate([asking.tags(chunk) for chunk in _answers(pair)]))
    ours, met = equal_pairs(mine, listed)
    pair.enough(len(ours))
    box.send(MATCHES, met.astype("<u4"), to=pair.peer)
    return rows[ours]


def host(pair: Pair) -> Positions:
    """Answer with the key of the epoch, learn which of the own ids are met."""
    box, epoch = pair.box, _Epoch.of(pair)
    key, name = Blinding(box.compute, epoch.secret), np.frombuffer(epoch.name, np.uint8)
    box.send(EPOCH, {"name": name, "expires": np.array([epoch.expires], "<u8")})
    box.progress(0.5, "own ids are blinded")
    if box.recv(WANTED).tolist() != [0]:
        for number, at in enumerate(chunks(len(pair.ids), CHUNK_IDS)):
            box.send(TAGS, epoch.tags[at], number)
    for number, at in enumerate(chunks(pair.theirs, CHUNK_IDS)):
        asked = box.recv(ASKED, number)
        pair.expect(asked.shape, POINT_BYTES, at.stop - at.start)
        box.send(ANSWERED, key.apply(asked), number)
    box.progress(0.9, "the guest's ids are answered")
    met = distinct_positions(box.recv(MATCHES), len(epoch.rows))
    pair.enough(len(met))
    return epoch.rows[met]


def _list(pair: Pair, kept: bytes | None) -> Tags:
    """The host's list: what the guest has kept of it, or what the host sends now."""
    if kept is not None and len(kept) != pair.theirs * TAG_BYTES:
        raise ProtocolError("FED-748", f"{pair.peer} names an epoch of another number of ids than it has")
    if kept is not None:
        return np.frombuffer(kept, np.uint8).reshape(-1, TAG_BYTES)
    listed = []
    for number, at in enumerate(chunks(pair.theirs, CHUNK_IDS)):
        listed.append(pair.box.recv(TAGS, number, source=pair.peer))
        pair.expect(listed[-1].shape, TAG_BYTES, at.stop - at.start)
    return all_different(np.concatenate(listed))


def _answers(pair: Pair) -> Iterator[Array]:
    for number, at in enumerate(chunks(len(pair.ids), CHUNK_IDS)):
        answer = pair.box.recv(ANSWERED, number, source=pair.peer)
        pair.expect(answer.shape, POINT_BYTES, at.stop - at.start)
        yield answer


def _digest(*parts: bytes) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(4, "big") + part)
    return sha.hexdigest()


CACHED = Method(
    "cached",
    (EPOCH, WANTED, TAGS, ASKED, ANSWERED, MATCHES),
    guest,
    host,
    {
        Role.GUEST: [
            "which of its ids a host has, before that host has agreed to their number",
            "for cache_days: which of a host's list its ids of several runs have in common, as runs can be linked",
        ],
        Role.HOST: [
            "which of its ids the guest has too",
            "for cache_days: which of them in several runs, and that it is the same guest with the list it has kept",
        ],
    },
    MOST_IDS,
)
