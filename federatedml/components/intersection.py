"""Intersection: the sample ids that all parties have, by elliptic-curve Diffie-Hellman (``federatedml.crypto.ecdh``).

The guest runs the same five messages with every host; a is the guest's secret scalar, b that host's, H the hash to the
curve:

1. guest -> host: a H(x) of its ids, shuffled;
2. host -> guest: b H(y) of its ids, and b a H(x) of the guest's, both shuffled: the guest multiplies the first by a and
   sees how many are equal, but not yet which of its own ids they are;
3. guest -> host: the equal pairs, as positions. The host checks its own minimum before it goes on;
4. host -> guest: where in the guest's list the matches stand. The guest keeps the ids that all hosts have;
5. guest -> host: which of the matches those are.

Every party then takes its rows of these ids, sorted by id: the same order everywhere.

Parties: guest, hosts. Sees: blinded points, sizes. Leaks: what the topics below say.

Assumes decisional Diffie-Hellman on the curve, SHA-512 as a random oracle, and parties that follow the protocol:

- A guest may always add ids of its choice to its list, which budgets, not mathematics, bound. The number of matches of
  a list below the minimum would tell of few ids, so such lists get no answer; one filled up with made-up ids does.
- The pairs of message 3 are the guest's word: one that adds false pairs passes the host's minimum.
- It is not fair: the guest learns the number of matches, and the host which of its ids match, before the other side
  learns its part; whoever stops there keeps what it knows.
- Keys and shuffles are new in every attempt, so messages of two runs cannot be linked. Their results can: two runs on
  changed tables tell which ids came or went.

Cost per id and pair of parties: 2 hashes to the curve, 4 multiplications, 96 bytes and 12 per match.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.crypto.ecdh import POINT_BYTES, Blinding, Points, checked, hash_to_curve, normalised, shuffled
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Tensors, Vector
from federatedml.views import Grid

MAX_IDS = 2_000_000
LIST_BYTES = MAX_IDS * POINT_BYTES + 4096
Positions = NDArray[np.uint32]
AGAIN = "from several runs on changed tables: which ids came or went; the number of runs is not limited"


class EncodeParams(BaseModel):
    """How FATE's ``raw`` method hashes ids before it sends them."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    salt: str = ""
    encode_method: Literal["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "none"
    base64: bool = False


class IntersectParams(Params):
    """FATE's parameters and ``min_intersection``. What only FATE's other methods use is accepted without effect."""

    intersect_method: Literal["auto", "ecdh"] = Field(
        "auto", description="auto: ecdh. FATE's rsa and raw are refused: rsa's blinding is broken, raw tells ids"
    )
    min_intersection: int = Field(
        10, ge=1, description="with fewer common ids nothing is told", json_schema_extra={"unit": "rows"}
    )
    only_output_key: bool = Field(False, description="output the common ids without columns")
    is_send_intersect_ids: bool = Field(True, description="hosts learn which of their ids are common")
    is_get_intersect_ids: bool = Field(True, description="this party gets the common ids")
    random_bit: int = Field(128, ge=1, description="of FATE's rsa; no effect")
    join_role: Literal["guest", "host"] = Field("guest", description="of FATE's raw; no effect")
    with_encode: bool = Field(False, description="of FATE's raw; no effect, ids never leave in clear")
    encode_params: EncodeParams = Field(EncodeParams(), description="of FATE's raw; no effect")

    @field_validator("intersect_method", mode="before")
    @classmethod
    def _supported(cls, value: Any) -> Any:
        if value in ("rsa", "raw"):
            raise ValueError(f"{value!r} is not offered yet: auto or ecdh finds the same ids and tells less")
        return value

    @field_validator("is_send_intersect_ids", "is_get_intersect_ids")
    @classmethod
    def _told(cls, value: bool) -> bool:
        if not value:
            raise ValueError("false is not offered: guest and hosts need the common ids to align their rows")
        return value


GUEST_IDS = Topic(
    "guest_ids",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1", 2),  # (ids of the guest, 32)
    Carries.BLINDED_IDS,
    "the number of the guest's ids",
    LIST_BYTES,
)
HOST_IDS = Topic(
    "host_ids",
    (Role.HOST,),
    (Role.GUEST,),
    Tensors({"host": ("|u1", 2), "guest": ("|u1", 2)}),  # (ids of the host, 32), (ids of the guest, 32)
    Carries.BLINDED_IDS,
    "the number of the host's ids, and how many ids both have",
    2 * LIST_BYTES,
)
MATCHES = Topic(
    "matches",
    (Role.GUEST,),
    (Role.HOST,),
    Tensors({"host": ("<u4", 1), "guest": ("<u4", 1)}),  # positions in the two lists of HOST_IDS, pair by pair
    Carries.SHARED_IDS,
    "which of its own ids the guest has too",
    LIST_BYTES,
)
POSITIONS = Topic(
    "positions",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("<u4"),  # position in GUEST_IDS of every match
    Carries.SHARED_IDS,
    "which of its own ids this host has too",
    LIST_BYTES,
)
COMMON = Topic(
    "common",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u4"),  # positions in MATCHES
    Carries.SHARED_IDS,
    "which of the matches all other hosts have too",
    LIST_BYTES,
)


@dataclass(frozen=True)
class _Own:
    """A party's own ids in the shuffled order in which it tells of them."""

    rows: NDArray[np.int64]  # (n,) position in the table
    ids: NDArray[np.object_]  # (n,) normalised
    points: Points  # (n, 32) blinded once
    blinding: Blinding

    @classmethod
    def of(cls, table: Table, box: Box) -> _Own:
        names = [normalised(sample_id) for sample_id in table.ids]
        if len(set(names)) != len(names):
            raise DataError("FED-240", f"{box.me}: {len(names) - len(set(names))} ids are equal in Unicode's form NFC")
        if len(names) > MAX_IDS:
            raise DataError("FED-242", f"{box.me}: {len(names)} ids, at most {MAX_IDS} can be intersected at once")
        rows, blinding = shuffled(len(names)), Blinding()
        ids = np.array(names, dtype=object)[rows]
        points = hash_to_curve((sample_id.encode() for sample_id in ids), box.attempt.context())
        return cls(rows, ids, blinding.apply(points), blinding)


def guest(p: IntersectParams, box: Box, inputs: Inputs) -> Outputs:
    """Find the matches with every host, keep what all have, tell each host."""
    table = inputs.one("data", "train_data", "eval_data")
    _enough(len(table), p, box)
    own = _Own.of(table, box)
    box.send(GUEST_IDS, own.points)
    box.progress(0.3, "own ids are blinded")
    hosts, counts = box.peers(HOST_IDS), {}
    for host in hosts:
        lists = box.recv(HOST_IDS, source=host)
        matches = _matches(own, lists["host"], lists["guest"])
        _enough(len(matches["host"]), p, box)
        counts[host] = len(matches["host"])
        box.send(MATCHES, matches, to=host)
        box.progress(0.9, f"matches with {host} are counted")
    found = {}
    for host in hosts:
        found[host] = _positions(box.recv(POSITIONS, source=host), len(own.ids), counts[host])
    common = reduce(np.intersect1d, found.values())  # positions in the own list
    _enough(len(common), p, box)
    for host in hosts:
        box.send(COMMON, _places(common, found[host]), to=host)
    return _result(p, box, table, own, common)


def host(p: IntersectParams, box: Box, inputs: Inputs) -> Outputs:
    """Blind the guest's ids and the own ones, agree to the number of matches, learn which are common."""
    table = inputs.one("data", "train_data", "eval_data")
    _enough(len(table), p, box)
    own = _Own.of(table, box)
    received = checked(box.recv(GUEST_IDS))
    _enough(len(received), p, box)
    box.progress(0.3, "own ids are blinded")
    order = shuffled(len(received))
    box.send(HOST_IDS, {"host": own.points, "guest": own.blinding.apply(received[order])})
    box.progress(0.9, "the guest's ids are blinded")
    matches = box.recv(MATCHES)
    mine = _positions(matches["host"], len(own.ids))
    theirs = _positions(matches["guest"], len(received), len(mine))
    _enough(len(mine), p, box)
    box.send(POSITIONS, order[theirs].astype("<u4"))
    common = _positions(box.recv(COMMON), len(mine))
    _enough(len(common), p, box)
    return _result(p, box, table, own, mine[common])


def _matches(own: _Own, theirs: Points, mine: Points) -> dict[str, Positions]:
    """Positions of equal points: the host's list times a against the guest's own list as the host returned it."""
    mine = checked(mine, len(own.ids))
    at = {point.tobytes(): position for position, point in enumerate(own.blinding.apply(checked(theirs)))}
    pairs = [(at[key], i) for i, key in enumerate(point.tobytes() for point in mine) if key in at]
    return dict(zip(("host", "guest"), np.array(pairs, "<u4").reshape(-1, 2).T, strict=True))


def _positions(values: Positions, limit: int, count: int | None = None) -> Positions:
    """A peer's ``count`` positions in a list of ``limit`` entries, none twice."""
    wrong_count = count is not None and count != len(values)
    if wrong_count or len(np.unique(values)) != len(values) or (values >= limit).any():
        raise ProtocolError(
            "FED-372", f"{len(values)} positions that are not {count or 'any number of'} different ones below {limit}"
        )
    return values


def _places(wanted: Positions, positions: Positions) -> Positions:
    """Where in ``positions`` each of ``wanted`` stands."""
    order = np.argsort(positions)
    return order[np.searchsorted(positions, wanted, sorter=order)].astype("<u4")


def _enough(count: int, p: IntersectParams, box: Box) -> None:
    """Refuse fewer common ids than this party allows; ``count`` may be the length of a list, which bounds them."""
    if count < p.min_intersection:
        raise DataError(
            "FED-241",
            f"fewer ids are common than {box.me} allows ({p.min_intersection}); nothing else is told",
            "check that the parties' tables hold the same kind of ids",
        )


def _result(p: IntersectParams, box: Box, table: Table, own: _Own, positions: Positions) -> Outputs:
    """The party's rows at ``positions`` of its shuffled list, sorted by id."""
    ordered = positions[np.argsort(own.ids[positions])]
    found = replace(table.take(own.rows[ordered]), ids=own.ids[ordered], origin=box.attempt.component)
    if p.only_output_key:
        found = replace(found, columns={}, label=None)
    summary = {"intersect_count": float(len(found)), "intersect_rate": len(found) / len(table)}
    for name, value in summary.items():
        box.metric("train", name, 0, value)
    view = Grid("intersection", "Intersection", list(summary), [list(summary.values())], metric_type="INTERSECTION")
    return Outputs(found, views=[view], summary=summary)


INTERSECTION = Component(
    module="Intersection",
    title="Find the sample ids that all parties have, without telling the others",
    params=IntersectParams,
    roles={Role.GUEST: guest, Role.HOST: host},
    topics=(GUEST_IDS, HOST_IDS, MATCHES, POSITIONS, COMMON),
    learns={
        Role.GUEST: [
            "which of its ids every host has, and with several hosts which of them each single host has",
            AGAIN,
        ],
        Role.HOST: ["which of its ids all parties have", AGAIN],
    },
    inputs=("data", "train_data", "eval_data"),
    settle=lambda submitted: {m: p.model_copy(update={"intersect_method": "ecdh"}) for m, p in submitted.items()},
)
