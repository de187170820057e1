"""Scores of boosted trees in one round, the same in predict jobs and online: every party gives the bits of its splits.

A bit says whether a row goes left at a split. The guest walks all trees by them; the hosts hear nothing of the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from federatedml.component import ModelBuffers
from federatedml.components.common_rows import expect, same_rows
from federatedml.components.lr_release import count_rows
from federatedml.components.tree_columns import bits_of
from federatedml.components.tree_hosts import Bits
from federatedml.components.tree_model import MOST_SPLITS, Read, own_splits, read
from federatedml.components.tree_nodes import LEAF, Forest
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import ModelError, ProtocolError
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
    1024 * MIB,
)


def predict_guest(box: Box, model: ModelBuffers, table: Table) -> Table:
    """Predictions of all rows."""
    same_rows(box, table)
    hosts = [member for member in box.members if member.role is Role.HOST]
    parts = [recv_bits(box, 0, len(table), member).astype(np.float64) for member in sorted(hosts)]
    found = WHOLE.of(model).read
    predicted = merge(model, partial_of(model, table), parts)
    return found.target.table(table, predicted, found.threshold, "predict", box.attempt.component)


def predict_host(box: Box, model: ModelBuffers, table: Table) -> None:
    """Tell on which side of each own split every row is."""
    same_rows(box, table)
    count_rows(box, len(table))
    send_bits(box, 0, partial_of(model, table) > 0)


def send_bits(box: Box, round: int, bits: Bits) -> None:
    """At a host: (n, splits)."""
    message: dict[str, Array] = {"shape": np.array(bits.shape, np.int64), "bits": np.packbits(bits)}
    box.send(SPLIT_BITS, message, round)


def recv_bits(box: Box, round: int, rows: int, source: Member, least: int = 0) -> Bits:
    """At the guest: (rows, splits) of a host.

    Args:
        least: splits that are needed.

    Raises:
        ProtocolError: FED-381 for other rows or sizes, FED-802 for fewer splits.
    """
    told = box.recv(SPLIT_BITS, round, source)
    shape = expect(told["shape"], 2)
    splits = int(shape[1])
    expect(told["bits"], -(-rows * splits // 8) if shape[0] == rows and 0 <= splits < MOST_SPLITS else -1)
    if splits < least:
        raise ProtocolError("FED-802", f"{source} tells the bits of {splits} splits, the trees use {least}")
    return np.unpackbits(told["bits"], count=rows * splits).astype(bool).reshape(rows, splits)


def partial_of(model: ModelBuffers, table: Table) -> Array:
    """(n, splits) ones where a row goes left at the party's own splits; one column of zeros if it has none."""
    header, splits, gaps = OWN.of(model)
    bits = bits_of(gaps, table, header, splits)
    return bits.astype(np.float64) if splits else np.zeros((len(table), 1))


def used(model: ModelBuffers) -> Sequence[int]:
    """How many splits of each host the guest's trees use."""
    return WHOLE.of(model).needed[1:]


def merge(model: ModelBuffers, own: Floats, others: Sequence[Floats]) -> Floats:
    """(n,) or (n, k) predictions of all parties' bits, the hosts' in their order.

    Raises:
        ModelError: FED-803, a host gives fewer bits than its part of the model has splits, or there are fewer hosts.
    """
    whole, parts = WHOLE.of(model), [own, *others]
    needed = whole.needed
    if len(parts) != len(needed) or any(part.shape[1] < n for part, n in zip(parts, needed, strict=True)):
        raise ModelError("FED-803", "the hosts' parts of the model have fewer splits than the guest's trees use")
    scores = np.tile(whole.read.start, (len(own), 1))
    add_trees(scores, whole.forest, [part > 0.5 for part in parts])
    return whole.read.target.objective.predict(scores)


def add_trees(scores: Floats, forest: Forest, bits: Sequence[Bits], first: Sequence[int] = ()) -> None:
    """Add what trees say to (n, k) scores, round by round; see ``Forest.weights``."""
    weights = forest.weights(bits, first)
    for tree in range(weights.shape[1]):
        scores[:, tree % scores.shape[1]] += weights[:, tree]


@dataclass(frozen=True)
class Whole:
    """A guest's model, ready to score.

    Attributes:
        needed: how many splits of each party the trees use, the guest's first.
    """

    read: Read
    forest: Forest
    needed: Sequence[int]

    @staticmethod
    def of(model: ModelBuffers) -> Whole:
        """Of the stored messages."""
        found = read(model)
        needed = [0] * (1 + found.hosts)
        for node in (node for tree in found.trees for node in tree if node.party != LEAF):
            needed[node.party] = max(needed[node.party], 1 + node.split)
        return Whole(found, Forest.of(found.trees), needed)


T = TypeVar("T")


class Recent(Generic[T]):
    """What was made of the models that were used last: a server scores a row at a time with one model.

    Args:
        make: from messages, which nobody changes after that.
    """

    def __init__(self, make: Callable[[ModelBuffers], T], most: int = 8) -> None:
        self._make, self._most = make, most
        self._kept: dict[tuple[int, ...], tuple[Sequence[object], T]] = {}
        self._turn = Lock()

    def of(self, model: ModelBuffers) -> T:
        """Made of a model, now or before."""
        messages = [message for _, message in sorted(model.items())]
        key = tuple(map(id, messages))  # kept messages live: their ids are nobody else's
        with self._turn:
            found = self._kept.pop(key, None) or (messages, self._make(model))
            self._kept[key] = found
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return found[1]


OWN = Recent(own_splits)
WHOLE = Recent(Whole.of)
