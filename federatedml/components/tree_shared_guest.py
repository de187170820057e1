"""Protocol ``shared`` at the guest: sums of the hosts' candidates, and bits of the rows of its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from federatedml.components.common_rows import expect
from federatedml.components.tree_agreement import params_digest
from federatedml.components.tree_hosts import MOST_COLUMNS, Bits, Cut, Node, Start, Taken
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_plan import Plan
from federatedml.components.tree_shared_topics import (
    BITS,
    BLOCK,
    CHOSEN,
    CORRECTION,
    CREDIT,
    DEAL,
    LEVEL,
    SEED,
    SETUP,
    SHAPE,
    SUMS,
    TRIPLES,
)
from federatedml.crypto.dealt.bits import BitOwner
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.owner import DealtAsker, DealtOwner
from federatedml.crypto.ring import Floats
from federatedml.crypto.stream import Stream
from federatedml.crypto.vector import Reply
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.wire import Array

WINDOW = 4  # blocks of a masked table on their way at once
NONE = np.zeros(0, np.uint8)


def octets(body: bytes) -> Array:
    """Bytes as an array of a message."""
    return np.frombuffer(body, "|u1")


@dataclass
class Link:
    """A host that has candidates.

    Attributes:
        told: number of candidates.
        triples: counts those of ``bits``, one owner a class: the nodes of one tree are disjoint.
    """

    member: Member
    asker: DealtAsker
    told: int
    triples: Columns
    bits: Sequence[BitOwner]
    dealt: Array = field(default_factory=lambda: np.zeros((0, 0), np.uint8))


class SharedHosts:
    """See ``tree_hosts.Hosts``."""

    def __init__(self, p: SecureBoostParams, box: Box, start: Start) -> None:
        self.box, self.plan = box, Plan.of(p, start)
        plan = self.plan
        self.members = tuple(sorted(member for member in box.members if member.role is Role.HOST))
        self.made = list(start.made)
        box.send(SHAPE, {"params": params_digest(p), "shape": np.array([plan.rows, plan.classes], np.int64)})
        self._links = [self._link(number, member) for number, member in enumerate(self.members)]
        self._gradients: Floats = np.zeros((0, 0))
        self._level = 0
        self._round = 0

    def _link(self, number: int, member: Member) -> Link | None:
        """``None`` for a host without candidates."""
        box, plan = self.box, self.plan
        told = box.recv(SETUP, source=member)
        cuts, candidates = (int(length) for length in expect(told["shape"], 2))
        seed = box.recv(SEED, number)
        if not cuts:
            return None
        plan.check(cuts)
        if not 1 <= candidates <= 2 * cuts:
            raise ProtocolError("FED-802", f"{member} names {candidates} candidates of {cuts} sums")
        stream = Stream(seed.tobytes(), box.attempt.context())
        owner = DealtOwner(stream, box.compute)
        asker = owner.attach(plan.rows, cuts, plan.rounds * plan.vectors, told["setup"].tobytes())
        triples = Columns(plan.rounds * plan.triples)
        bits = [BitOwner(stream, asker.deal, triples) for _ in range(plan.classes)]
        return Link(member, asker, candidates, triples, bits)

    def go(self, follows: bool, round: int) -> None:
        """Tell the dealer whether a round follows."""
        self.box.send(DEAL, np.array([follows], np.uint8), round)

    def begin(self, round: int, gradients: Floats) -> None:
        """See ``tree_hosts.Hosts``."""
        self._gradients, self._round, self._level = gradients, round, self.plan.level(round, 0)
        for link in self._open():
            number = round * len(self.members) + self.members.index(link.member)
            link.asker.start(self.plan.columns(round).start)
            deal_pass(self.box, self.plan, link, round)
            link.triples.start(self.plan.bits(round).start)
            link.dealt = expect(self.box.recv(TRIPLES, number), self.plan.triples, -(-self.plan.rows // 8))

    def sums(self, nodes: Sequence[Node]) -> Sequence[Floats]:
        """See ``tree_hosts.Hosts``."""
        parts = [nodes[at : at + self.plan.nodes] for at in range(0, len(nodes), self.plan.nodes)]
        for number, part in enumerate(parts):
            vectors, last = self._vectors(part), np.array([number == len(parts) - 1], np.uint8)
            for link in self._open():
                sealed, lifted = link.asker.seal(vectors), link.asker.lift(link.told)
                message = {"sealed": octets(sealed.to_bytes()), "lifted": octets(lifted.to_bytes()), "last": last}
                self.box.send(LEVEL, message, self.plan.part(self._level, number), link.member)
        told = [[self._told(link, len(part), number) for number, part in enumerate(parts)] for link in self._links]
        return [np.concatenate(found) for found in told]

    def split(self, cuts: Sequence[Cut]) -> Sequence[Taken]:
        """See ``tree_hosts.Hosts``."""
        of_host = [[cut for cut in cuts if cut.host == number] for number in range(len(self._links))]
        for link, mine in zip(self._links, of_host, strict=True):
            if link:
                self._choose(link, mine)
        found: dict[int, Taken] = {}
        for number, (link, mine) in enumerate(zip(self._links, of_host, strict=True)):
            if link and mine:
                found |= {id(cut): taken for cut, taken in self._answered(number, link, mine)}
        self._level += 1
        return [found[id(cut)] for cut in cuts]

    def end(self) -> None:
        """See ``tree_hosts.Hosts``: hosts that wait for another level hear that there is none."""
        if self._level < self.plan.level(self._round + 1, 0):
            for link in self._open():
                nothing = {"sealed": NONE, "lifted": NONE, "last": NONE}
                self.box.send(LEVEL, nothing, self.plan.part(self._level, 0), link.member)

    def _open(self) -> list[Link]:
        return [link for link in self._links if link is not None]

    def _vectors(self, nodes: Sequence[Node]) -> Floats:
        """(n, nodes * width) gradients of each node's rows, zeros elsewhere."""
        width = self.plan.width
        found = np.zeros((self.plan.rows, len(nodes) * width), order="F")
        for q, node in enumerate(nodes):
            for c in range(width):
                found[node.rows, q * width + c] = self._gradients[node.rows, node.tree * width + c]
        return found

    def _told(self, link: Link | None, nodes: int, part: int) -> Floats:
        """(nodes, candidates, width)."""
        if link is None:
            return np.zeros((nodes, 0, self.plan.width))
        message = self.box.recv(SUMS, self.plan.part(self._level, part), link.member)
        closed = message["closed"]
        found = link.asker.open(Reply.from_bytes(message["reply"].tobytes()))
        found = found.reshape(link.told, nodes, self.plan.width).swapaxes(0, 1)
        if len(closed):
            found[:, expect(closed, link.told).astype(bool)] = np.nan
        return found

    def _choose(self, link: Link, cuts: Sequence[Cut]) -> None:
        """Tell a host what it is to split, tree by tree."""
        cuts = sorted(cuts, key=lambda cut: cut.node.tree)
        counts = np.bincount([cut.node.tree for cut in cuts], minlength=self.plan.classes).astype(np.int64)
        masked = [np.zeros((0, -(-self.plan.rows // 8)), np.uint8)]
        for tree in np.flatnonzero(counts).tolist():
            sets = np.zeros((counts[tree], self.plan.rows), bool)
            for at, cut in enumerate(cut for cut in cuts if cut.node.tree == tree):
                sets[at, cut.node.rows] = True
            masked.append(link.bits[tree].ask(sets))
        message = {
            "tied": np.concatenate([np.zeros(0, np.int64), *(cut.tied for cut in cuts)]),
            "ends": np.cumsum([len(cut.tied) for cut in cuts]).astype(np.int64),
            "trees": counts,
            "masked": np.concatenate(masked),
        }
        self.box.send(CHOSEN, message, self._level, link.member)

    def _answered(self, number: int, link: Link, cuts: Sequence[Cut]) -> list[tuple[Cut, Taken]]:
        cuts = sorted(cuts, key=lambda cut: cut.node.tree)
        message = self.box.recv(BITS, self._level, link.member)
        columns = expect(message["columns"], len(cuts))
        if (columns < 0).any() or (columns >= MOST_COLUMNS).any():
            raise ProtocolError("FED-802", f"{link.member} names a column that it cannot have")
        left = self._left(link, [cut.node.tree for cut in cuts], message["answer"])
        found = []
        for cut, column in zip(cuts, columns.tolist(), strict=True):
            found.append((cut, Taken(left[cut.node.tree][cut.node.rows], self.made[number], column)))
            self.made[number] += 1
        return found

    def _left(self, link: Link, trees: Sequence[int], answer: Array) -> dict[int, Bits]:
        """Of each tree (n,) whether rows go left; False outside its nodes."""
        used = link.triples.used - self.plan.bits(self._round).start - len(trees)
        found, row = {}, 0
        for tree in sorted(set(trees)):
            sets = trees.count(tree)
            dealt = link.dealt[used : used + sets]
            found[tree] = link.bits[tree].learn(answer[row : row + sets + 1], dealt)
            used, row = used + sets, row + sets + 1
        expect(answer, row, -(-self.plan.rows // 8))
        return found


def deal_pass(box: Box, plan: Plan, link: Link, round: int) -> None:
    """The long part, if it is due: the host's masked table block by block, then the dealer's corrections."""
    deal = link.asker.deal
    rounds = plan.pass_of(round, deal.outputs)
    if rounds is None:
        return
    columns = plan.column_range(rounds)
    pads, first = link.asker.deal_next(len(columns)), (round - plan.first) * deal.blocks
    for block in range(deal.blocks):
        pads.absorb(box.recv(BLOCK, first + block, link.member))
        if block + WINDOW < deal.blocks:
            box.send(CREDIT, NONE, first + block, link.member)
    hosts = sorted(member for member in box.members if member.role is Role.HOST)
    at = columns.start
    while at < columns.stop:
        correction = box.recv(CORRECTION, at * len(hosts) + hosts.index(link.member))
        pads.correct(correction)
        at += max(1, correction.count // deal.outputs)
