"""Scores of boosted trees in one round, the same in predict jobs and online: every party gives the bits of its splits.

A bit says whether a row goes left at a split. The guest walks all trees by them; the hosts hear nothing of the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federatedml.component import ModelBuffers
from federatedml.components.lr_release import count_rows
from federatedml.components.tree_agreement import expect, same_rows
from federatedml.components.tree_columns import bits_of
from federatedml.components.tree_hosts import Bits
from federatedml.components.tree_model import Read, own_splits, read
from federatedml.components.tree_nodes import LEAF, Forest, Tree
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import ModelError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import MIB, Carries, Topic
from federatedml.federation.wire import Array, Tensors

SPLIT_BITS = Topic(
    "split_bits",
    (Role.HOST,),
    (Role.GUEST,),
    Tensors({"shape": ("<i8", 1), "bits": ("|u1", 1)}),
    Carries.ROW_VALUES,
    "of every row that is scored on which side of each of the host's splits it is: as many bits of the host's columns, "
    "which stay without names and thresholds",
    2048 * MIB,
)


def predict_guest(box: Box, model: ModelBuffers, table: Table) -> Table:
    """Predictions of all rows."""
    same_rows(box, table, 0)
    hosts = [member for member in box.members if member.role is Role.HOST]
    parts = [recv_bits(box, 0, len(table), member).astype(np.float64) for member in sorted(hosts)]
    found = read(model)
    predicted = merge(model, partial_of(model, table), parts)
    return found.target.table(table, predicted, found.threshold, "predict", box.attempt.component)


def predict_host(box: Box, model: ModelBuffers, table: Table) -> None:
    """Tell on which side of each own split every row is."""
    same_rows(box, table, 0)
    count_rows(box, len(table))
    send_bits(box, 0, partial_of(model, table) > 0)


def send_bits(box: Box, round: int, bits: Bits) -> None:
    """At a host: (n, splits)."""
    message: dict[str, Array] = {"shape": np.array(bits.shape, np.int64), "bits": np.packbits(bits)}
    box.send(SPLIT_BITS, message, round)


def recv_bits(box: Box, round: int, rows: int, source: Member) -> Bits:
    """At the guest: (rows, splits) of a host."""
    told = box.recv(SPLIT_BITS, round, source)
    shape = expect(told["shape"], 2)
    splits = int(shape[1])
    expect(told["bits"], -(-rows * splits // 8) if shape[0] == rows and splits >= 0 else -1)
    return np.unpackbits(told["bits"], count=rows * splits).astype(bool).reshape(rows, splits)


def partial_of(model: ModelBuffers, table: Table) -> Array:
    """(n, splits) ones where a row goes left at the party's own splits; one column of zeros if it has none."""
    header, splits, gaps = own_splits(model)
    bits = bits_of(gaps, table, header, splits)
    return bits.astype(np.float64) if splits else np.zeros((len(table), 1))


def merge(model: ModelBuffers, own: Floats, others: Sequence[Floats]) -> Floats:
    """(n,) or (n, k) predictions of all parties' bits, the hosts' in their order.

    Raises:
        ModelError: FED-803, a host gives fewer bits than its part of the model has splits, or there are fewer hosts.
    """
    found = read(model)
    parts = [own, *others]
    if len(others) != found.hosts or any(part.shape[1] < n for part, n in zip(parts, _needed(found), strict=True)):
        raise ModelError("FED-803", "the hosts' parts of the model have fewer splits than the guest's trees use")
    bits = np.concatenate([part > 0.5 for part in parts], axis=1)
    scores = np.tile(found.start, (len(own), 1))
    add_trees(scores, found.trees, [part.shape[1] for part in parts], bits)
    return found.target.objective.predict(scores)


def _needed(found: Read) -> list[int]:
    """How many splits of each party the trees use."""
    needed = [0] * (1 + found.hosts)
    for node in (node for tree in found.trees for node in tree if node.party != LEAF):
        needed[node.party] = max(needed[node.party], 1 + node.split)
    return needed


def add_trees(scores: Floats, trees: Sequence[Tree], splits: Sequence[int], bits: Bits) -> None:
    """Add what trees say to (n, k) scores, round by round.

    Args:
        splits: bits of each party, the guest's first.
        bits: (n, all splits).
    """
    weights = Forest.of(trees, splits).weights(bits)
    for tree in range(len(trees)):
        scores[:, tree % scores.shape[1]] += weights[:, tree]
