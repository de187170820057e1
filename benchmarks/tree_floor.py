"""What a training of HeteroSecureBoost cannot do without: its operations, each alone on a core, times their number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from airfed_proto.v1 import trees_pb2 as pb
from benchmarks.lr_runs import GUEST, HOST
from benchmarks.unit_cost import cost
from federatedml.component import Outputs
from federatedml.components.tree_hosts import Start
from federatedml.components.tree_model import GUEST_PARAM
from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_plan import Plan
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.kernels import product
from federatedml.crypto.dealt.words import WordRing
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.histogram import groups
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.montgomery import Modulus
from federatedml.crypto.stream import Stream
from federatedml.federation.party import Member

FEW = 256


def floor(p: SecureBoostParams, bins: Mapping[Member, BinTable], outputs: Mapping[Member, Outputs]) -> float:
    """CPU seconds of all parties."""
    if p.protocol == "shared":
        return _products(p, bins[HOST])
    model = outputs[GUEST].model
    assert model is not None
    param = cast(pb.BoostingTreeModelParam, model[GUEST_PARAM])
    nodes = [size for tree in param.trees_ for size in asked(tree.tree_, tree.leaf_count, p.tree_param.max_depth)]
    return _ciphertexts(p, bins[HOST], nodes)


def asked(nodes: Sequence[pb.NodeParam], leaves: Mapping[int, int], depth: int) -> Iterator[int]:
    """Rows of each node of a tree that hosts told sums of: the root and, of two children, the smaller one."""
    by_number = {node.id: node for node in nodes}

    def rows(number: int) -> int:
        node = by_number[number]
        return leaves[number] if node.is_leaf else rows(node.left_nodeid) + rows(node.right_nodeid)

    def below(number: int, level: int) -> Iterator[int]:
        node = by_number[number]
        if node.is_leaf or level + 1 >= depth:
            return
        children = node.left_nodeid, node.right_nodeid
        yield min(rows(child) for child in children)
        for child in children:
            yield from below(child, level + 1)

    yield rows(nodes[0].id)
    yield from below(nodes[0].id, 0)


def _ciphertexts(p: SecureBoostParams, host: BinTable, nodes: Sequence[int]) -> float:
    """Rows are sealed and checked, multiplied into tables of bins; sums are shifted together, sealed and opened."""
    key = generate(p.encrypt_param.key_length)
    packing = PaillierPlan.of(p, Start(host.rows, 1, 0)).packing(key.public, host.rows)
    own, other = owner_evaluator(key), evaluator(key.public)
    few = packing.encrypt(own, np.random.default_rng(0).uniform(-1, 1, (FEW, 2)))
    sealed = few.seal()
    modulus = Modulus(key.public.n2)
    numbers = modulus.entered(modulus.plain(few.elements))
    multiplication = cost(lambda: modulus.paired(numbers, numbers)) / FEW
    row = (cost(few.seal) + cost(lambda: packing.receive(other, sealed))) / FEW
    additions = sum(rows * len(groups(host.counts, rows)) for rows in nodes)
    sums = len(host.candidates) * len(nodes)
    shift = packing.bits * (1 - 1 / packing.each) * multiplication
    opened = cost(lambda: other.noise.for_owner(few.elements[:64])) + cost(lambda: key.decrypt(few.elements[:64]))
    trees = p.num_trees - p.complete_secure
    return trees * host.rows * row + additions * multiplication + sums * (shift + opened / 64 / packing.each)


def _products(p: SecureBoostParams, host: BinTable) -> float:
    """Host and dealer draw the mask of the candidates, guest and dealer multiply it, the host adds up its bins."""
    plan = Plan.of(p, Start(host.rows, 1, 0))
    rows, vectors = min(host.rows, 2**12), plan.vectors
    words = np.ones((rows, host.candidates.cuts), "<u4")
    several = np.ones((rows, vectors * min(plan.rounds, 10)), "<u4")
    dense = cost(lambda: product(words, several)) / several.shape[1] / rows
    few = BinTable(np.ascontiguousarray(host.bins[:, :rows]), host.candidates)
    added = cost(lambda: few.sums(several[:, :vectors])) / vectors / rows
    deal, stream = Deal.new(rows, host.candidates.cuts, WordRing(), 0), Stream(bytes(32), b"floor")
    drawn = cost(lambda: [deal.matrix_mask(stream, block) for block in range(deal.blocks)]) / rows
    passes = sum(plan.pass_of(round, host.candidates.cuts) is not None for round in range(plan.first, plan.last))
    return host.rows * (plan.rounds * vectors * (2 * dense + added) + 2 * passes * drawn)
