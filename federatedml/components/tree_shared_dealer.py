"""Protocol ``shared`` at the arbiter, who deals: shapes and the number of rounds are all that it hears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federatedml.components.common_rows import expect
from federatedml.components.tree_agreement import MOST_CLASSES, keeps, params_digest
from federatedml.components.tree_hosts import Start
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_plan import Plan
from federatedml.components.tree_shared_topics import CORRECTION, DEAL, SEED, SHAPE, SHUFFLE, TABLE, TRIPLES
from federatedml.crypto.candidates import Candidates
from federatedml.crypto.dealt.bits import deal_bits
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.dealer import MapDealer
from federatedml.crypto.stream import Stream, new_seed
from federatedml.errors import DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role


@dataclass(frozen=True)
class _Pair:
    """Guest and one of the hosts.

    Attributes:
        number: of the host, among all.
    """

    number: int
    host: Member
    deal: Deal
    candidates: Candidates
    to_host: Stream
    to_guest: Stream


def deal(p: SecureBoostParams, box: Box, start: int) -> int:
    """Deal for all rounds until the guest says that none follows; how many there were in all."""
    told = box.recv(SHAPE)
    if not np.array_equal(told["params"], params_digest(p)):
        raise DslError("FED-180", "parameters of HeteroSecureBoost differ between the arbiter and the others")
    rows, classes = (int(number) for number in expect(told["shape"], 2))
    if rows < 1 or not 1 <= classes <= MOST_CLASSES:
        raise ProtocolError("FED-801", f"the guest names {rows} rows and {classes} trees a round")
    plan = Plan.of(p, Start(rows, classes, start))
    hosts = sorted(member for member in box.members if member.role is Role.HOST)
    pairs = [_pair(box, plan, number, host) for number, host in enumerate(hosts)]
    for round in range(start, p.num_trees):
        if not box.recv(DEAL, round).any():
            return round
        for pair in pairs if plan.active(round) else ():
            if pair is not None:
                _deal_round(box, plan, pair, len(hosts), round)
        if keeps(p, rows, classes, round + 1):
            box.checkpoint(round + 1, {})
        box.progress((round + 1) / p.num_trees, f"round {round + 1} dealt")
    return p.num_trees


def _pair(box: Box, plan: Plan, number: int, host: Member) -> _Pair | None:
    """``None`` for a host without candidates."""
    seeds = new_seed(), new_seed()
    guest = next(member for member in box.members if member.role is Role.GUEST)
    box.send(SEED, np.frombuffer(seeds[0], "|u1"), to=host)
    box.send(SEED, np.frombuffer(seeds[1], "|u1"), number, guest)
    told = box.recv(TABLE, source=host)
    candidates = Candidates.of(told["counts"].tolist(), told["missing"].tolist())
    plan.check(candidates.cuts)
    if not candidates.cuts:
        return None
    found = Deal.from_bytes(told["setup"].tobytes(), plan.rows, candidates.cuts)
    streams = (Stream(seed, box.attempt.context()) for seed in seeds)
    return _Pair(number, host, found, candidates, *streams)


def _deal_round(box: Box, plan: Plan, pair: _Pair, hosts: int, round: int) -> None:
    dealer = MapDealer(pair.deal, pair.to_host, pair.to_guest, box.compute)
    rounds = plan.pass_of(round, pair.deal.outputs)
    if rounds is not None:
        at = plan.column_range(rounds).start
        for correction in dealer.corrections(plan.column_range(rounds)):
            box.send(CORRECTION, correction, at * hosts + pair.number)
            at += correction.count // pair.deal.outputs
    box.send(SHUFFLE, dealer.shuffle(pair.candidates, plan.columns(round), round), round, pair.host)
    triples = deal_bits(pair.deal, pair.to_host, pair.to_guest, plan.bits(round))
    box.send(TRIPLES, triples, round * hosts + pair.number)
