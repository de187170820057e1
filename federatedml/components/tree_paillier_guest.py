"""HeteroSecureBoost, protocol ``paillier``, at the guest: the hosts behind ciphertexts of its own key.

[x] is a fresh encryption under the guest's key, which it makes for each attempt. Per round, of n rows, k classes:

    1. guest:    v = (g, h of all classes), each scaled by a power of two to at most 1       [v] -> hosts
    2. host:     number of candidates, in an order from its own randomness                  m -> guest
    and per level, for nodes of which one of each two children is named:
    3. guest:    bits of the nodes' rows                                                    rows -> hosts
    4. host:     sums of [v] per column and bin, then per candidate                         [sums] -> guest
    5. guest:    opens; sums of the other children are differences; the best of all parties' candidates
                 the host's best candidate of a node, if it is the host's                   number, rows -> host
    6. host:     which rows go left                                                         bits -> guest

In 4 several sums stand side by side in one ciphertext, whose noise is fresh, and what stands above them is flooded.
Scales and sums stay at the guest; so do leaf values: nothing in 3, 5 depends on them but which rows are together.

Parties: guest, hosts; no arbiter. Semi-honest. Leaks: ``tree_paillier_topics``.
Cost at 2048 bits per round: n encryptions (some 40 us) and 512 n bytes to each host; at each host 2 us for each row and
column of the named nodes (less where columns have few bins: they are added up together); 0.25 ms for each sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federatedml.components.tree_hosts import MOST_COLUMNS, Bits, Cut, Node, Start, Taken
from federatedml.components.tree_paillier_nodes import packed
from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.components.tree_paillier_topics import (
    BITS,
    COUNTS,
    CUTS,
    DRAWN,
    GRADIENTS,
    KEY,
    NODES,
    SUMS,
    TOLD,
)
from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.paillier.evaluator import owner_evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.ring import Floats
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member
from federatedml.federation.wire import Array

MOST_CANDIDATES = 2**24


class PaillierHosts:
    """See ``tree_hosts.Hosts``. Makes a key and sends it."""

    def __init__(self, p: SecureBoostParams, box: Box, start: Start) -> None:
        self.members: Sequence[Member] = sorted(box.peers(SUMS))
        self._box, self._plan = box, PaillierPlan.of(p, start)
        plan = self._plan
        self._private = generate(plan.key_bits)
        self._owner = owner_evaluator(self._private, box.compute)
        self._packing = plan.packing(self._private.public, plan.rows)
        self._round, self._level, self._told = 0, 0, list[int]()
        self._scales = np.ones(2 * plan.classes)
        self._splits = list(start.made)
        box.send(KEY, np.frombuffer(self._private.public.to_bytes(), "|u1"))

    def go(self, follows: bool, round: int) -> None:
        """See ``Hosts``: nobody else needs to hear of it."""

    def begin(self, round: int, gradients: Floats) -> None:
        """See ``Hosts``."""
        plan = self._plan
        values = gradients.reshape(plan.rows, plan.classes, -1)[:, :, :2].reshape(plan.rows, 2 * plan.classes)
        if plan.sampled:
            drawn: Bits = np.abs(values).max(axis=1) > 0
            self._box.send(DRAWN, packed(drawn), round)
            values = values[drawn]
        self._round, self._level = round, 0
        self._packing = plan.packing(self._private.public, len(values))
        self._scales = np.exp2(np.ceil(np.log2(np.abs(values).max(axis=0, initial=np.finfo(float).tiny))))
        sealed = self._packing.encrypt(self._owner, values / self._scales).seal()
        self._box.send(GRADIENTS, sealed, round)
        self._told = [self._counted(self._box.recv(TOLD, round, host)) for host in self.members]

    def _counted(self, told: Array) -> int:
        if told.shape != (1,) or not 0 <= told[0] <= MOST_CANDIDATES:
            raise ProtocolError("FED-822", "a host tells no possible number of split candidates")
        return int(told[0])

    def sums(self, nodes: Sequence[Node]) -> Sequence[Floats]:
        """See ``Hosts``. Nodes of several trees that have the same rows are asked about once."""
        asked = np.stack([self._bits(node) for node in nodes])
        distinct, at = np.unique(asked, axis=0, return_inverse=True)
        exchange = self._plan.exchange(self._round, self._level)
        self._box.send(NODES, distinct, exchange)
        trees = np.array([node.tree for node in nodes])
        return [
            self._opened(host, told, exchange, len(distinct))[at.reshape(-1), :, trees]
            for host, told in zip(self.members, self._told, strict=True)
        ]

    def _opened(self, host: Member, told: int, exchange: int, nodes: int) -> Floats:
        """(nodes, told, classes, 2 or 3) sums that a host sends."""
        shape, packing = (nodes, told, self._plan.classes, 2), self._packing
        reply = self._box.recv(SUMS, exchange, host)
        plan = {SUMS.name: Allowance(1, packing.ciphertexts(nodes * told))}
        opener = Opener(self._private, plan, self._box.compute.workers)
        found = (packing.open(opener, SUMS.name, 0, reply, nodes * told) * self._scales).reshape(shape)
        if not self._plan.counted:
            return found
        counts = self._box.recv(COUNTS, exchange, host)
        if counts.shape != (nodes, told):
            raise ProtocolError("FED-822", f"{counts.shape} counts of rows came for {nodes} nodes")
        widened = np.broadcast_to(counts[:, :, None, None].astype(np.float64), (*shape[:3], 1))
        return np.concatenate([found, widened], axis=3)

    def split(self, cuts: Sequence[Cut]) -> Sequence[Taken]:
        """See ``Hosts``."""
        exchange = self._plan.exchange(self._round, self._level)
        self._level += 1
        for number, host in enumerate(self.members):
            own = [cut for cut in cuts if cut.host == number]
            rows = np.stack([self._bits(cut.node) for cut in own]) if own else np.zeros((0, 0), np.uint8)
            tied = np.concatenate([cut.tied for cut in own]) if own else np.zeros(0)
            ends = np.cumsum([len(cut.tied) for cut in own])
            self._box.send(CUTS, {"rows": rows, "tied": tied.astype("<u4"), "ends": ends.astype("<u4")}, exchange, host)
        answers = [iter(self._taken(number, cuts, exchange)) for number in range(len(self.members))]
        return [next(answers[cut.host]) for cut in cuts]

    def _taken(self, number: int, cuts: Sequence[Cut], exchange: int) -> Sequence[Taken]:
        """What a host answers, cut by cut."""
        own = [cut for cut in cuts if cut.host == number]
        answer = self._box.recv(BITS, exchange, self.members[number])
        ends = np.cumsum([0, *(-(-len(cut.node.rows) // 8) for cut in own)])
        if answer["columns"].shape != (len(own),) or answer["left"].shape != (ends[-1],):
            raise ProtocolError("FED-822", f"{self.members[number]} does not answer to {len(own)} cuts")
        if (answer["columns"] >= MOST_COLUMNS).any():
            raise ProtocolError("FED-822", f"{self.members[number]} names a column that it cannot have")
        found = []
        for q, (cut, column) in enumerate(zip(own, answer["columns"].tolist(), strict=True)):
            body = answer["left"][ends[q] : ends[q + 1]]
            left = np.unpackbits(body, count=len(cut.node.rows)).astype(bool)
            found.append(Taken(left, self._splits[number] + q, int(column)))
        self._splits[number] += len(own)
        return found

    def end(self) -> None:
        """See ``Hosts``."""
        if self._level < self._plan.depth:
            exchange = self._plan.exchange(self._round, self._level)
            self._box.send(NODES, np.zeros((0, 0), np.uint8), exchange)

    def _bits(self, node: Node) -> Array:
        rows = np.zeros(self._plan.rows, bool)
        rows[node.rows] = True
        return packed(rows)
