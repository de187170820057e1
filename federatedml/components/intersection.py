"""Intersection: the sample ids that all parties have.

The guest finds with every host which ids both have, by one of the methods (``intersection_method``), keeps the ids that
all hosts have and tells each host which of its own these are. Every party then takes its rows of these ids, sorted by
id: the same order everywhere.

Parties: guest, hosts. Leaks: what the topics say; in any method a party may add ids of its choice to its list, which
budgets, not mathematics, bound, and results of two runs on changed tables tell which ids came or went. Budgets count
what a peer can test for the numbers that both sides have named (``Method.tests``), not what it says it tests: one that
puts in more gets no more than it is charged for. What they do not bound is said where it is so: ``raw``, a guest of
``kkrt`` that departs from the protocol, and attempts that are broken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import cast

import numpy as np
from numpy.typing import NDArray

from federatedml.component import Component, Inputs, MemberParams, Outputs
from federatedml.components.intersection_cached import CACHED
from federatedml.components.intersection_ecdh import COUNTING, ECDH, count_as_guest, count_as_host
from federatedml.components.intersection_kkrt import KKRT
from federatedml.components.intersection_method import MAX_IDS, Method, Pair, Positions, distinct_positions
from federatedml.components.intersection_notes import notes
from federatedml.components.intersection_params import IntersectParams
from federatedml.components.intersection_raw import AT_GUEST, AT_HOST
from federatedml.components.intersection_rsa import RSA
from federatedml.crypto.id_column import IdColumn
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.budget import accounts
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector
from federatedml.views import Grid

AGAIN = (
    "from several runs on changed tables: which ids came or went; each party's budget psi_ids bounds the ids that can "
    "be tested in all runs, but for attempts: up to ten of a run count once, and each could test other ids"
)
SPENT = "psi_ids"
UNKNOWN = ""  # table of all data of which it is not known: were it the ids, every sample would be a new account
LARGE = 10_000  # ids of both parties from which the fixed cost of kkrt is worth while
SPARE = 2  # times the ids that a party names may be the ids that it can test, for ``auto`` to take kkrt

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
    pairs = {host: own.pair(host, _told(box, (GUEST_SIZE, HOST_SIZE), len(own.ids), host)) for host in hosts}
    method = chosen(p, [(len(own.ids), pair.theirs) for pair in pairs.values()])
    for pair in pairs.values():
        _admit(pair, method)
    if p.cardinality_only:
        return _counts(own, {host: count_as_guest(pair) for host, pair in pairs.items()})
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
    pair = own.pair(guest, _told(box, (HOST_SIZE, GUEST_SIZE), len(own.ids), guest))
    hosts = sum(member.role == Role.HOST for member in box.members)
    method = chosen(p, [(pair.theirs, len(own.ids))] * hosts)
    _admit(pair, method)
    if p.cardinality_only:
        return _counts(own, {guest: count_as_host(pair)})
    found = method.host(pair)
    if hosts == 1:
        return _result(own, found)
    common = found[distinct_positions(box.recv(COMMON), len(found))]
    pair.enough(len(common))
    return _result(own, common)


def chosen(p: IntersectParams, sizes: Sequence[tuple[int, int]]) -> Method:
    """The method for these numbers of ids (guest, host), one pair for each host: what all members compute alike.

    Where one list is much shorter than the other, its owner could test by kkrt many times the ids that it names, and
    would be charged for them: then ``auto`` takes the method that answers no more than was named.
    """
    candidates = _candidates(p)
    few, many = candidates[0], candidates[-1]
    return many if len(sizes) == 1 and sum(sizes[0]) >= LARGE and _proportionate(many, *sizes[0]) else few


def _proportionate(method: Method, guest: int, host: int) -> bool:
    """Whether neither party can test many more ids than it names."""
    tests = method.tests(guest, host)
    return tests[Role.GUEST] <= SPARE * guest and tests[Role.HOST] <= SPARE * host


def _candidates(p: IntersectParams) -> Sequence[Method]:
    """The methods that ``p`` leaves open: for few ids, for many ids. To count, there is one."""
    if p.cardinality_only:
        return [ECDH]
    if p.run_cache:
        return [CACHED]
    if p.intersect_method == "raw":
        return [AT_GUEST if p.joins_at_guest else AT_HOST]
    return {"auto": [ECDH, KKRT], "kkrt": [KKRT], "ecdh": [ECDH], "dh": [ECDH], "rsa": [RSA]}[p.intersect_method]


def settle(submitted: MemberParams) -> MemberParams:
    """Have all members use one method, and decide ``auto`` as far as the members alone decide it."""
    given = cast(Mapping[Member, IntersectParams], submitted)
    if len({_agreed(p) for p in given.values()}) > 1:
        problem = "intersect_method, cardinality_only, run_cache, or what rsa and raw need, differ between parties"
        raise DslError("FED-746", problem, "give them under algorithm_parameters")
    several = sum(member.role == Role.HOST for member in given) > 1
    return {
        m: p.model_copy(update={"intersect_method": "ecdh"}) if several and p.intersect_method == "auto" else p
        for m, p in given.items()
    }


def _agreed(p: IntersectParams) -> tuple[object, ...]:
    own = {"raw": (p.raw_hash, p.joins_at_guest), "rsa": (p.rsa_params.key_length,)}
    return p.intersect_method, p.cardinality_only, p.run_cache, own.get(p.intersect_method)


def variant(declared: Component, p: IntersectParams) -> Component:
    """Messages and lessons of the methods that ``p`` leaves open."""
    if p.cardinality_only:
        learns = {role: ["how many of its ids the other party has", AGAIN] for role in declared.roles}
        return replace(declared, topics=(GUEST_SIZE, HOST_SIZE, *COUNTING), learns=learns)
    open_methods = _candidates(p)
    topics = (GUEST_SIZE, HOST_SIZE, *(topic for method in open_methods for topic in method.topics), COMMON)
    learns = {
        role: [*LEARNS[role], *dict.fromkeys(text for method in open_methods for text in method.learns[role]), AGAIN]
        for role in declared.roles
    }
    return replace(declared, topics=topics, learns=learns)


@dataclass(frozen=True)
class _Own:
    """This party's table and its ids."""

    p: IntersectParams
    box: Box
    table: Table
    ids: IdColumn

    @classmethod
    def of(cls, table: Table, p: IntersectParams, box: Box) -> _Own:
        _check_size(p, box.me, len(table), max(_candidates(p), key=lambda method: method.most_ids))
        ids = IdColumn(table.ids)
        if repeated := ids.repeated():
            raise DataError("FED-240", f"{box.me}: {repeated} ids are equal in Unicode's form NFC")
        return cls(p, box, table, ids)

    def pair(self, peer: Member, theirs: int) -> Pair:
        """The step with one peer, if both lists are long enough."""
        pair = Pair(self.box, peer, self.p, self.ids, theirs)
        pair.enough(min(theirs, len(self.ids)))
        return pair


def _admit(pair: Pair, method: Method) -> None:
    """Before anything of the ids is told: both lists fit the method, and the peer may test as many more ids as it can
    by this method, whatever it does."""
    counts = {pair.box.me: len(pair.ids), pair.peer: pair.theirs}
    for member, count in counts.items():
        _check_size(pair.params, member, count, method)
    of_role = {member.role: count for member, count in counts.items()}
    tests = method.tests(of_role[Role.GUEST], of_role[Role.HOST])[pair.peer.role]
    for subject in accounts(pair.box.tables or [UNKNOWN]):
        pair.box.budget.spend(SPENT, pair.peer.party, subject, tests)


def _check_size(p: IntersectParams, member: Member, count: int, method: Method) -> None:
    """``FED-242`` for a list that would take more memory than a party should need (``Method.most_ids``)."""
    if count <= method.most_ids:
        return
    name = "cardinality_only" if p.cardinality_only else "run_cache" if p.run_cache else f"method {method.name!r}"
    other = f"intersect_method 'kkrt', without run_cache and cardinality_only, takes up to {KKRT.most_ids}"
    hint = other if count <= KKRT.most_ids else "intersect parts of the tables"
    raise DataError("FED-242", f"{member}: {count} ids, {name} takes at most {method.most_ids}", hint)


def _told(box: Box, topics: tuple[Topic[Array], Topic[Array]], count: int, peer: Member) -> int:
    """The number of the peer's ids, for the number of mine, by the two topics."""
    mine, theirs = topics
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
    ordered = positions[IdColumn(own.table.ids, positions).ordered()]
    found = own.table.take(ordered)
    found = replace(found, ids=IdColumn(found.ids).text(), origin=own.box.attempt.component)
    if own.p.only_output_key:
        found = replace(found, columns={}, label=None, weight=None)
    summary = {"intersect_count": float(len(found)), "intersect_rate": len(found) / len(own.table)}
    if own.p.intersect_method == "rsa":
        summary["blinding_bits"] = float(own.p.rsa_params.key_length)
    return Outputs(found, views=[_shown(own, summary)], summary=summary)


def _counts(own: _Own, counts: Mapping[Member, int]) -> Outputs:
    """The number of common ids with every peer; no data."""
    summary = {}
    for peer, count in counts.items():
        of = "" if len(counts) == 1 else f"_{peer}"
        summary[f"intersect_count{of}"] = float(count)
        summary[f"intersect_rate{of}"] = count / len(own.table)
    return Outputs(views=[_shown(own, summary)], summary=summary)


def _shown(own: _Own, summary: Mapping[str, float]) -> Grid:
    for name, value in summary.items():
        own.box.metric("train", name, 0, value)
    return Grid("intersection", "Intersection", list(summary), [list(summary.values())], metric_type="INTERSECTION")


LEARNS: Mapping[Role, Sequence[str]] = {
    Role.GUEST: ["which of its ids every host has, and with several hosts which of them each single host has"],
    Role.HOST: ["which of its ids all parties have"],
}
_EVERY = [ECDH, KKRT, CACHED, RSA, AT_GUEST, AT_HOST]
INTERSECTION = Component(
    module="Intersection",
    title="Find the sample ids that all parties have, without telling the others",
    params=IntersectParams,
    roles={Role.GUEST: guest, Role.HOST: host},
    topics=(GUEST_SIZE, HOST_SIZE, *(topic for method in _EVERY for topic in method.topics), COUNTING[-1], COMMON),
    learns={role: [*texts, "what its method tells besides", AGAIN] for role, texts in LEARNS.items()},
    inputs=("data", "train_data", "eval_data"),
    spends=(SPENT,),
    chooser="intersect_method",
    cost=(
        "Per id of a pair: 'ecdh' two multiplications on the curve, 'rsa' one signature of the host, 'kkrt' hashes.",
        "Bytes grow with the ids of both sides; memory too, but that 'kkrt' works in buckets.",
    ),
    settle=settle,
    variant=variant,
    notes=notes,
)
