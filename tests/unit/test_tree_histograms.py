"""A small tree of two parties on each back-end: the same splits and sums as from plain histograms of all columns.

Not the product's boosting: what its guest and host will do per level, as few calls as that takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pytest

from federatedml.crypto.candidates import BinTable
from federatedml.crypto.dealt.bits import BitHolder, BitOwner, deal_bits
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.dealer import MapDealer
from federatedml.crypto.dealt.holder import DealtHolder
from federatedml.crypto.dealt.owner import DealtOwner
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.paillier.packing import Packing
from federatedml.crypto.stream import Stream

ROWS, DEPTH, BINS = 400, 3, 6
Masks = Sequence[np.ndarray]


def tables() -> tuple[BinTable, BinTable, np.ndarray]:
    """Bins of guest and host, and (g, h) of a first step of logistic loss with weights."""
    rng = np.random.default_rng(11)
    guest, host = (rng.integers(0, BINS, (columns, ROWS)).astype(np.uint8) for columns in (2, 3))
    signal = guest[0] * 1.0 + host[0] * host[1] - 0.5 * host[2] + rng.normal(size=ROWS)
    weight = np.round(rng.lognormal(0, 1, ROWS), 3)
    g = weight * (0.5 - (signal > np.median(signal)))
    counts = [BINS] * 3
    missing = [False, True, True]
    return BinTable.of(guest, counts[:2]), BinTable.of(host, counts, missing), np.stack([g, weight / 4], axis=1)


class Peer(Protocol):
    """The host as the guest sees it, through one back-end."""

    def sums(self, nodes: Masks) -> np.ndarray:
        """(nodes, candidates, 2) in an order that the guest cannot read."""
        ...

    def split(self, chosen: Sequence[int], nodes: Masks) -> np.ndarray:
        """(rows,) which rows of the nodes go left at the host's chosen candidates."""
        ...


@dataclass
class Plain:
    host: BinTable
    gh: np.ndarray

    def sums(self, nodes: Masks) -> np.ndarray:
        return np.stack([self.host.candidate_sums(self.gh * mask[:, None]) for mask in nodes])

    def split(self, chosen: Sequence[int], nodes: Masks) -> np.ndarray:
        left = [self.host.goes_left(c) & mask for c, mask in zip(chosen, nodes, strict=True)]
        return np.logical_or.reduce(left)


class OnADealer:
    """Shares: the host sees neither nodes nor sums, the guest no bit outside its nodes."""

    def __init__(self, host: BinTable, gh: np.ndarray) -> None:
        to_host, to_guest = Stream(b"h" * 32, b"tree"), Stream(b"g" * 32, b"tree")
        vectors = 2 * 2 ** (DEPTH - 1)
        self.gh, self.host = gh, host
        self.plan = DealtHolder(to_host, vectors).plan_splits(host)
        setup = self.plan.setup_message()
        self.guest = DealtOwner(to_guest).attach(host.rows, host.candidates.cuts, vectors, setup)
        self.dealer = MapDealer(Deal.from_bytes(setup, host.rows, host.candidates.cuts), to_host, to_guest)
        for block in self.plan.blocks():
            self.guest.pads.absorb(block)
        for correction in self.dealer.corrections(range(vectors)):
            self.guest.pads.correct(correction)
        columns = range(vectors)
        self.shuffle = self.plan.shuffle(self.dealer.shuffle(host.candidates, columns, index=0), columns, index=0)
        self.asker = BitOwner(to_guest, self.plan.deal, Columns(2**DEPTH))
        self.teller = BitHolder(to_host, self.plan.deal, Columns(2**DEPTH))
        self.triples = 0
        self.deal_bits = lambda triples: deal_bits(self.plan.deal, to_host, to_guest, triples)

    def sums(self, nodes: Masks) -> np.ndarray:
        sealed = self.guest.seal(np.concatenate([self.gh * mask[:, None] for mask in nodes], axis=1))
        lifted = self.guest.lift(len(self.host.candidates))
        result = self.plan.apply(sealed)
        found = self.guest.open(self.shuffle.reveal(result, lifted))
        return found.reshape(-1, len(nodes), 2).swapaxes(0, 1)

    def split(self, chosen: Sequence[int], nodes: Masks) -> np.ndarray:
        order = self.shuffle.order
        answer = self.teller.answer(
            self.asker.ask(np.stack(nodes)), np.stack([self.host.goes_left(int(order[c])) for c in chosen])
        )
        triples = range(self.triples, self.triples + len(nodes))
        self.triples = triples.stop
        return self.asker.learn(answer, self.deal_bits(triples))


class UnderPaillier:
    """Ciphertexts: the host knows the rows of each node, the guest reads sums in an order of the host's."""

    def __init__(self, host: BinTable, gh: np.ndarray) -> None:
        key = generate(1024)
        self.packing = Packing.of(key.public, float(np.abs(gh).max()), host.rows)
        self.opener = Opener(key, {"sums": Allowance(2**DEPTH, self.packing.ciphertexts(len(host.candidates)))})
        self.host, self.round = host, 0
        at_host = evaluator(key.public)
        sealed = self.packing.encrypt(owner_evaluator(key), gh).seal()
        self.rows = at_host.plan_splits(host).rows(self.packing.receive(at_host, sealed), self.packing)
        self.order = np.random.default_rng(1).permutation(len(host.candidates))

    def sums(self, nodes: Masks) -> np.ndarray:
        return np.stack([self._opened(np.flatnonzero(mask)) for mask in nodes])

    def _opened(self, rows: np.ndarray) -> np.ndarray:
        reply = self.rows.sums(rows).candidates().take(self.order).reveal()
        self.round += 1
        return self.packing.open(self.opener, "sums", self.round - 1, reply, len(self.host.candidates))

    def split(self, chosen: Sequence[int], nodes: Masks) -> np.ndarray:
        left = [self.host.goes_left(int(self.order[c])) & mask for c, mask in zip(chosen, nodes, strict=True)]
        return np.logical_or.reduce(left)


def gain(left: np.ndarray, total: np.ndarray) -> np.ndarray:
    """XGBoost's, with lambda 1 and at least 1 of second derivatives on each side."""
    right = total - left
    enough = (left[:, 1] >= 1) & (right[:, 1] >= 1)
    score = [side[..., 0] ** 2 / (side[..., 1] + 1) for side in (left, right, total)]
    return np.where(enough, score[0] + score[1] - score[2], -np.inf)


def grown(guest: BinTable, peer: Peer, gh: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """(rows,) leaf of each row, and the gains of all splits."""
    node, gains = np.zeros(ROWS, np.int64), list[float]()
    parents: dict[int, np.ndarray] = {}
    for level in range(DEPTH):
        nodes = [q for q in range(2**level) if (node == q).any()]
        fresh = [q for q in nodes if q % 2 == 0 or q - 1 not in nodes]  # the other child is a difference
        sums = dict(zip(fresh, peer.sums([node == q for q in fresh]), strict=True))
        sums |= {q: parents[q // 2] - sums[q - 1] for q in nodes if q not in sums}
        parents, best = sums, {}
        for q in nodes:
            total = gh[node == q].sum(axis=0)
            own = gain(guest.candidate_sums(gh * (node == q)[:, None]), total)
            theirs = gain(sums[q], total)
            best[q] = (own.max() >= theirs.max(), int(own.argmax() if own.max() >= theirs.max() else theirs.argmax()))
            gains.append(float(max(own.max(), theirs.max())))
        asked = [q for q in nodes if not best[q][0]]
        left = peer.split([best[q][1] for q in asked], [node == q for q in asked]) if asked else np.zeros(ROWS, bool)
        for q in nodes:
            if best[q][0]:
                left = np.where(node == q, guest.goes_left(best[q][1]), left)
        node = 2 * node + ~left
    return node, gains


@pytest.mark.parametrize("back_end", [OnADealer, UnderPaillier])
def test_a_tree_is_the_same_as_from_plain_histograms(back_end: type[OnADealer] | type[UnderPaillier]) -> None:
    guest, host, gh = tables()
    expected, gains = grown(guest, Plain(host, gh), gh)
    leaves, found = grown(guest, back_end(host, gh), gh)
    assert len(set(expected.tolist())) == 2**DEPTH
    np.testing.assert_array_equal(leaves, expected)
    np.testing.assert_allclose(found, gains, rtol=1e-4)
