"""Intersection: the sample ids that all parties have.

The guest finds with every host which ids both have, by one of the methods (``intersection_method``), keeps the ids that
all hosts have and tells each host which of its own these are. Every party then takes its rows of these ids, sorted by
id: the same order everywhere.

Parties: guest, hosts. Leaks: what the topics say; in any method a party may add ids of its choice to its list, which
budgets, not mathematics, bound, and results of two runs on changed tables tell which ids came or went.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from federatedml.component import Component, Inputs, Outputs
from federatedml.components.intersection_ecdh import ECDH
from federatedml.components.intersection_method import MAX_IDS, Method, Pair, Positions, distinct_positions
from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.ecdh import normalised
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector
from federatedml.views import Grid

AGAIN = "from several runs on changed tables: which ids came or went; the number of runs is not limited"
METHODS: Mapping[str, Method] = {method.name: method for method in (ECDH,)}

GUEST_SIZE = Topic(
    "guest_size",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u8"),  # (1,)
    Carries.CONTROL,
    "the number of the guest's ids",
    4096,
)
HOST_SIZE = Topic(
    "host_size",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("<u8"),  # (1,)
    Carries.CONTROL,
    "the number of the host's ids",
    4096,
)
COMMON = Topic(
    "common",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<u4"),  # positions among the ids that guest and host both have
    Carries.SHARED_IDS,
    "which of its own ids that the guest has all other hosts have too",
    4 * MAX_IDS + 4096,
)


def guest(p: IntersectParams, box: Box, inputs: Inputs) -> Outputs:
    """Find the matches with every host, keep what all have, tell each host."""
    own = _Own.of(inputs.one("data", "train_data", "eval_data"), p, box)
    hosts = box.peers(HOST_SIZE)
    pairs = {host: own.pair(host, _told(box, GUEST_SIZE, HOST_SIZE, len(own.ids), host)) for host in hosts}
    method = chosen(p, [(len(own.ids), pair.theirs) for pair in pairs.values()])
    found = {host: method.guest(pair) for host, pair in pairs.items()}
    if len(hosts) == 1:
        return _result(own, found[hosts[0]])
    common = reduce(np.intersect1d, found.values())
    pairs[hosts[0]].enough(len(common))
    for host in hosts:
        box.send(COMMON, _places(common, found[host]), to=host)
    return _result(own, common)


def host(p: IntersectParams, box: Box, inputs: Inputs) -> Outputs:
    """Find the matches with the guest, learn which of them all hosts have."""
    own = _Own.of(inputs.one("data", "train_data", "eval_data"), p, box)
    (guest,) = box.peers(GUEST_SIZE)
    pair = own.pair(guest, _told(box, HOST_SIZE, GUEST_SIZE, len(own.ids), guest))
    hosts = sum(member.role == Role.HOST for member in box.members)
    found = chosen(p, [(pair.theirs, len(own.ids))] * hosts).host(pair)
    if hosts == 1:
        return _result(own, found)
    common = found[distinct_positions(box.recv(COMMON), len(found))]
    pair.enough(len(common))
    return _result(own, common)


def chosen(p: IntersectParams, sizes: list[tuple[int, int]]) -> Method:
    """The method for these numbers of ids (guest, host), one pair per host: what both sides can compute."""
    return METHODS["ecdh" if p.intersect_method == "auto" else p.intersect_method]


@dataclass(frozen=True)
class _Own:
    """This party's table and its ids."""

    p: IntersectParams
    box: Box
    table: Table
    ids: NDArray[np.object_]  # (n,) text, normalised

    @classmethod
    def of(cls, table: Table, p: IntersectParams, box: Box) -> _Own:
        names = [normalised(sample_id) for sample_id in table.ids]
        if len(set(names)) != len(names):
            raise DataError("FED-240", f"{box.me}: {len(names) - len(set(names))} ids are equal in Unicode's form NFC")
        if len(names) > MAX_IDS:
            raise DataError("FED-242", f"{box.me}: {len(names)} ids, at most {MAX_IDS} can be intersected at once")
        return cls(p, box, table, np.array(names, dtype=object))

    def pair(self, peer: Member, theirs: int) -> Pair:
        """The step with one peer, if either list is long enough to tell anything of it."""
        pair = Pair(self.box, peer, self.p, [sample_id.encode() for sample_id in self.ids], theirs)
        pair.enough(min(theirs, len(self.ids)))
        return pair


def _told(
    box: Box, mine: Topic[NDArray[np.uint64]], theirs: Topic[NDArray[np.uint64]], count: int, peer: Member
) -> int:
    """The number of the peer's ids, for the number of mine."""
    box.send(mine, np.array([count], "<u8"), to=peer)
    told = box.recv(theirs, source=peer)
    if told.shape != (1,) or told[0] > MAX_IDS:
        raise ProtocolError("FED-741", f"{peer} did not say one number of ids up to {MAX_IDS}")
    return int(told[0])


def _places(wanted: Positions, positions: Positions) -> NDArray[np.uint32]:
    """Where in ``positions`` each of ``wanted`` stands."""
    order = np.argsort(positions)
    return order[np.searchsorted(positions, wanted, sorter=order)].astype("<u4")


def _result(own: _Own, positions: Positions) -> Outputs:
    """The party's rows at ``positions``, sorted by id."""
    ordered = positions[np.argsort(own.ids[positions])]
    found = replace(own.table.take(ordered), ids=own.ids[ordered], origin=own.box.attempt.component)
    if own.p.only_output_key:
        found = replace(found, columns={}, label=None)
    summary = {"intersect_count": float(len(found)), "intersect_rate": len(found) / len(own.table)}
    for name, value in summary.items():
        own.box.metric("train", name, 0, value)
    view = Grid("intersection", "Intersection", list(summary), [list(summary.values())], metric_type="INTERSECTION")
    return Outputs(found, views=[view], summary=summary)


INTERSECTION = Component(
    module="Intersection",
    title="Find the sample ids that all parties have, without telling the others",
    params=IntersectParams,
    roles={Role.GUEST: guest, Role.HOST: host},
    topics=(GUEST_SIZE, HOST_SIZE, *(topic for method in METHODS.values() for topic in method.topics), COMMON),
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
