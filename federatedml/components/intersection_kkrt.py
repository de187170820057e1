"""Method ``kkrt`` of ``Intersection``: oblivious transfer (``federatedml.crypto.psi``; Kolesnikov, Kumaresan, Rosulek,
Trieu 2016), for long lists: a microsecond of work per id where elliptic curves need a hundred.

Both parties first agree to a seed that neither chose, and to the keys of some 450 base transfers:

1. guest -> host: commitment to its half of the seed, its element of the base transfers;
2. host -> guest: its half of the seed, its elements of the base transfers;
3. guest -> host: its half of the seed.

Then bucket by bucket (the seed puts every id into one, and the bucket's size hides in a capacity):

4. guest -> host: the matrix U of its ids, which cuckoo hashing has put into bins, one each;
5. host -> guest: three values of each of its ids, one for each bin where the guest could have it, in random order. The
   guest compares them with its own.

When all is compared:

6. guest -> host: the rows of message 5 that match, bucket by bucket, if there are enough.

Sees: uniform matrices, pseudo-random values, sizes. Leaks: what the topics below say.

Assumes computational Diffie-Hellman on Curve25519, AES as a pseudo-random function, BLAKE2s as correlation robust, and
parties that follow the protocol:

- The guest knows which of its ids match as soon as it has the host's values. The host's minimum comes too late for
  that: it only guards the host's own result, and is checked against the lengths of both lists before anything is sent.
- The rows of message 6 are the guest's word, but there are no more of them than ids of either list.
- Either party may always add ids of its choice to its list, which budgets, not mathematics, bound; and it may name
  fewer than it puts in: the rows of message 4 and the entries of message 5 are for the capacity of all buckets, and
  nobody sees which are used. So budgets count all of them (``tests``): the guest's rows, each of which holds one id,
  and the host's entries, each of which gets one answer. An entry has values of one id; one with values of three, one
  of each hash function, gets the same one answer, and finds each only if the guest placed it by that function.
- A guest whose matrices are not made of code words learns the host's secret (``federatedml.crypto.psi.oprf``) and can
  then test any id: no budget bounds that. ``ecdh`` has no such gap.
- Seeds, keys and orders are new in every attempt and for every host, so messages of two runs cannot be linked.

Cost per id of equal lists: some 0.5 us of either party, 75 bytes to the host, 33 to 37 back, 4 per match; memory: 20
bytes per id at either side, and three buckets of some 2^16 ids.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.components.intersection_method import MAX_IDS, Method, Pair, Positions
from federatedml.crypto.id_column import Digests
from federatedml.crypto.psi import base_ot
from federatedml.crypto.psi.buckets import Buckets
from federatedml.crypto.psi.cuckoo import MAX_TURNS
from federatedml.crypto.psi.keyed import SEED_BYTES, Keyed
from federatedml.crypto.psi.matching import matches
from federatedml.crypto.psi.oprf import Guest, Host
from federatedml.crypto.psi.ristretto import ELEMENT_BYTES
from federatedml.crypto.psi.sizes import HASHES, Sizes
from federatedml.errors import ProtocolError
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Tensors, Vector

# Measured with ten million ids at either side: 65 bytes per id at both together besides the tables (the benchmark psi).
MOST_IDS = MAX_IDS  # 650 MiB a party
LEAD = 2  # buckets that the guest sends ahead of the host's answers, so that both work at once
COMMIT_BYTES = 32
U32 = NDArray[np.uint32]

START = Topic(
    "kkrt_start",
    (Role.GUEST,),
    (Role.HOST,),
    Tensors({"commitment": ("|u1", 1), "element": ("|u1", 1)}),  # (32,), (32,)
    Carries.PUBLIC_KEY,
    "nothing: random values",
    4096,
)
CHOICES = Topic(
    "kkrt_choices",
    (Role.HOST,),
    (Role.GUEST,),
    Tensors({"seed": ("|u1", 1), "elements": ("|u1", 2)}),  # (32,), (columns, 32)
    Carries.PUBLIC_KEY,
    "nothing: random values",
    2**15,
)
SEED = Topic("kkrt_seed", (Role.GUEST,), (Role.HOST,), Vector("|u1"), Carries.CONTROL, "nothing: a random value", 4096)
QUERY = Topic(
    "kkrt_query",
    (Role.GUEST,),
    (Role.HOST,),
    Tensors({"turn": ("<u4", 1), "matrix": ("<u8", 2)}),  # (1,), (rows, words); one message per bucket
    Carries.MASKED,
    "nothing but the number of the guest's ids",
    16 * MIB,
)
VALUES = Topic(
    "kkrt_values",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("|u1", 3),  # (capacity, 3, length); one message per bucket
    Carries.BLINDED_IDS,
    "which of its own ids this host has too, and the number of the host's ids",
    8 * MIB,
)
MATCHES = Topic(
    "kkrt_matches",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u4"),  # rows of VALUES, ascending; one message per bucket
    Carries.SHARED_IDS,
    "which of its own ids the guest has too",
    MIB,
)


def guest(pair: Pair) -> Positions:
    """Learn the matches bucket by bucket, then tell the host of its part."""
    buckets, found = _compared(pair, Sizes.of(len(pair.ids), pair.theirs))
    pair.enough(sum(len(rows) for rows, _ in found))
    for bucket, (rows, _) in enumerate(found):
        pair.box.send(MATCHES, rows, bucket, to=pair.peer)
    return np.concatenate([buckets[bucket][items] for bucket, (_, items) in enumerate(found)])


def host(pair: Pair) -> Positions:
    """Answer bucket by bucket, then learn which of the own ids match."""
    sizes = Sizes.of(pair.theirs, len(pair.ids))
    buckets, places = _answered(pair, sizes)
    told = [pair.box.recv(MATCHES, bucket, source=pair.peer) for bucket in range(sizes.buckets)]
    found = [buckets[b][_items(pair, rows, places[b], sizes.host_ids)] for b, rows in enumerate(told)]
    pair.enough(sum(len(items) for items in found))
    return np.concatenate(found)


def _compared(pair: Pair, sizes: Sizes) -> tuple[Buckets, list[tuple[U32, U32]]]:
    """The guest's ids in buckets, and per bucket which of the host's rows match with which of them."""
    digests, box = pair.ids.digests(), pair.box
    oprf, buckets = _guest_setup(pair, sizes, digests)
    found, waiting = [], []
    for bucket in range(sizes.buckets + LEAD):
        if bucket < sizes.buckets:
            query = oprf.query(bucket, digests[buckets[bucket]])
            box.send(QUERY, {"turn": np.array([query.turn], "<u4"), "matrix": query.matrix}, bucket, to=pair.peer)
            waiting.append((query.values, query.functions))
        if bucket >= LEAD:
            theirs = _shaped(pair, VALUES, (sizes.host_ids, HASHES, sizes.value_bytes), bucket - LEAD)
            rows, items = matches(*waiting.pop(0), theirs)
            if len(np.unique(items)) != len(items):
                raise ProtocolError("FED-733", f"{pair.peer} sent a value twice")
            found.append((rows.astype("<u4"), items.astype(np.uint32)))
            box.progress(0.9 * (bucket - LEAD + 1) / sizes.buckets, "comparing")
    return buckets, found


def _answered(pair: Pair, sizes: Sizes) -> tuple[Buckets, list[U32]]:
    """The host's ids in buckets, and per bucket in which row each was told."""
    digests = pair.ids.digests()
    oprf, buckets = _host_setup(pair, sizes, digests)
    places = []
    for bucket in range(sizes.buckets):
        turn, matrix = _query(pair, sizes, bucket)
        values, rows = oprf.values(bucket, digests[buckets[bucket]], turn, matrix)
        pair.box.send(VALUES, values, bucket, to=pair.peer)
        places.append(rows.astype(np.uint32))
        pair.box.progress(0.9 * (bucket + 1) / sizes.buckets, "answering")
    return buckets, places


def _guest_setup(pair: Pair, sizes: Sizes, digests: Digests) -> tuple[Guest, Buckets]:
    box, half = pair.box, secrets.token_bytes(SEED_BYTES)
    sender = base_ot.Sender(_context(pair))
    start = {"commitment": _commitment(pair, half), "element": sender.public}
    box.send(START, {name: np.frombuffer(value, np.uint8) for name, value in start.items()}, to=pair.peer)
    answer = box.recv(CHOICES, source=pair.peer)
    _expect(pair, CHOICES, answer, {"seed": (SEED_BYTES,), "elements": (64 * sizes.words, ELEMENT_BYTES)})
    box.send(SEED, np.frombuffer(half, np.uint8), to=pair.peer)
    keyed = Keyed(_joint(pair, half, answer["seed"].tobytes()))
    buckets = Buckets.of(keyed, digests, sizes.buckets, sizes.guest_ids)
    return Guest(sizes, keyed, sender.keys(answer["elements"])), buckets


def _host_setup(pair: Pair, sizes: Sizes, digests: Digests) -> tuple[Host, Buckets]:
    box, half = pair.box, secrets.token_bytes(SEED_BYTES)
    start = box.recv(START, source=pair.peer)
    _expect(pair, START, start, {"commitment": (COMMIT_BYTES,), "element": (ELEMENT_BYTES,)})
    choices = np.unpackbits(np.frombuffer(secrets.token_bytes(8 * sizes.words), np.uint8), bitorder="little") == 1
    elements, keys = base_ot.receive(_context(pair), start["element"].tobytes(), choices)
    box.send(CHOICES, {"seed": np.frombuffer(half, np.uint8), "elements": elements}, to=pair.peer)
    theirs = _shaped(pair, SEED, (SEED_BYTES,)).tobytes()
    if _commitment(pair, theirs) != start["commitment"].tobytes():
        raise ProtocolError("FED-734", f"{pair.peer} opened another half of the seed than it had fixed")
    keyed = Keyed(_joint(pair, theirs, half))
    return Host(sizes, keyed, choices, keys), Buckets.of(keyed, digests, sizes.buckets, sizes.host_ids)


def _query(pair: Pair, sizes: Sizes, bucket: int) -> tuple[int, NDArray[np.uint64]]:
    """A peer's bucket, of the shape that the sizes say."""
    message = pair.box.recv(QUERY, bucket, source=pair.peer)
    _expect(pair, QUERY, message, {"turn": (1,), "matrix": (sizes.rows, sizes.words)})
    turn = int(message["turn"][0])
    if turn >= MAX_TURNS:
        raise ProtocolError("FED-733", f"{pair.peer} took hash functions {turn}, there are {MAX_TURNS}")
    return turn, message["matrix"]


def _items(pair: Pair, rows: U32, places: U32, capacity: int) -> NDArray[np.int64]:
    """Own ids of the rows that the peer says match."""
    item = np.full(capacity, -1, np.int64)
    item[places] = np.arange(len(places))
    ascending = bool((rows[1:] > rows[:-1]).all())
    if not ascending or (rows >= capacity).any() or (item[rows] < 0).any():
        raise ProtocolError("FED-733", f"{pair.peer} names matches that are not different ids of one bucket")
    return item[rows]


def _shaped(pair: Pair, topic: Topic[NDArray[Any]], shape: tuple[int, ...], bucket: int = 0) -> NDArray[Any]:
    found = pair.box.recv(topic, bucket, source=pair.peer)
    _expect(pair, topic, {"x": found}, {"x": shape})
    return found


def _expect(
    pair: Pair, topic: Topic[Any], found: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse arrays of another shape than the sizes of the two lists say."""
    for name, shape in shapes.items():
        if found[name].shape != shape:
            raise ProtocolError(
                "FED-733", f"{topic.name!r} of {pair.peer}: {name!r} has shape {found[name].shape}, expected {shape}"
            )


def _context(pair: Pair) -> bytes:
    """Names the attempt and its two parties, the same at both."""
    return pair.box.attempt.context() + b"".join(_named(member) for member in sorted((pair.box.me, pair.peer)))


def _named(member: Member) -> bytes:
    name = str(member).encode()
    return len(name).to_bytes(4, "big") + name


def _commitment(pair: Pair, half: bytes) -> bytes:
    """Hides a half of 256 uniform bits, and binds to it."""
    return hashlib.sha256(b"airfed-V01-psi commitment" + _context(pair) + half).digest()


def _joint(pair: Pair, guest: bytes, host: bytes) -> bytes:
    return hashlib.sha256(b"airfed-V01-psi seed" + _context(pair) + guest + host).digest()


def tests(guest: int, host: int) -> Mapping[Role, int]:
    """Ids that each role can test: more than it says it has, as the peer sees rows of fixed number, not what is in
    them."""
    sizes = Sizes.of(guest, host)
    return {Role.GUEST: sizes.guest_tests, Role.HOST: sizes.host_tests}


KKRT = Method(
    "kkrt",
    (START, CHOICES, SEED, QUERY, VALUES, MATCHES),
    guest,
    host,
    {
        Role.GUEST: [
            "which of its ids match, before the host agrees to their number",
            "if it puts in more ids than it names: which of them match, one id for each row of its matrices; the host "
            "counts all rows against psi_ids: 1.3 times the ids of lists of one length, more of a shorter one",
            "if it does not make its matrices as the protocol says, and knows some ids of the host: the host's secret, "
            "and by that any id of the host that it can think of; no budget bounds this, method ecdh prevents it",
        ],
        Role.HOST: [
            "if it puts in more ids than it names: one answer, yes or no, for each entry of its buckets, which up to "
            "three ids can share; the guest counts all entries against psi_ids, 1.05 times the ids or, of a short "
            "list, more; and it says nothing if more ids match than the host named",
        ],
    },
    MOST_IDS,
    tests,
)
