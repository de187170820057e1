"""Bits of the rows of some nodes: right, and nobody sees more."""

from __future__ import annotations

import numpy as np
import pytest

from federatedml.crypto.dealt.bits import BitHolder, BitOwner, deal_bits
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.words import WordRing
from federatedml.crypto.stream import Stream
from federatedml.errors import ProtocolError

HOLDER, OWNER = Stream(b"h" * 32, b"test"), Stream(b"o" * 32, b"test")
ROWS = 1001
DEAL = Deal.new(ROWS, 1, WordRing(), 0)


def parties(triples: int) -> tuple[BitOwner, BitHolder]:
    return BitOwner(OWNER, DEAL, Columns(triples)), BitHolder(HOLDER, DEAL, Columns(triples))


def nodes(count: int) -> np.ndarray:
    which = np.random.default_rng(1).integers(0, count + 1, ROWS)  # some rows are in no node
    return np.stack([which == q for q in range(count)])


def test_the_owner_learns_the_bits_of_the_rows_of_each_node() -> None:
    owner, holder = parties(5)
    for first, count in ((0, 2), (2, 3)):
        sets, bits = nodes(count), np.random.default_rng(2).random((count, ROWS)) < 0.5
        answer = holder.answer(owner.ask(sets), bits)
        found = owner.learn(answer, deal_bits(DEAL, HOLDER, OWNER, range(first, first + count)))
        np.testing.assert_array_equal(found, (sets & bits).any(axis=0))


def test_the_holder_sees_the_same_whatever_the_nodes_are() -> None:
    """Two different choices of nodes under two different masks could be swapped: the message is m ^ beta."""
    owner, _ = parties(1)
    masked = owner.ask(nodes(1))
    share = np.unpackbits(masked).mean()
    assert abs(share - 0.5) < 0.1
    again, _ = parties(1)
    assert (masked ^ again.ask(~nodes(1)))[0, :-1].tobytes() == b"\xff" * (ROWS // 8)  # one beta twice tells all


def test_bits_outside_the_nodes_stay_with_the_holder() -> None:
    """The answer does not depend on them but for what alpha and gamma hide."""
    sets = nodes(1)
    bits = np.random.default_rng(2).random((1, ROWS)) < 0.5
    answers = []
    for outside in (bits | ~sets, bits & sets):
        owner, holder = parties(1)
        answer = holder.answer(owner.ask(sets), outside)
        found = owner.learn(answer, deal_bits(DEAL, HOLDER, OWNER, range(1)))
        answers.append(found)
    np.testing.assert_array_equal(*answers)
    assert not answers[0][~sets[0]].any()


def test_overlapping_nodes_are_refused() -> None:
    owner, _ = parties(2)
    with pytest.raises(ProtocolError, match="FED-718"):
        owner.ask(np.ones((2, ROWS), bool))


def test_no_more_triples_than_planned() -> None:
    owner, holder = parties(1)
    with pytest.raises(ProtocolError, match="FED-714"):
        owner.ask(nodes(2))
    masked = owner.ask(nodes(1))
    holder.answer(masked, nodes(1))
    with pytest.raises(ProtocolError, match="FED-714"):
        holder.answer(masked, nodes(1))


@pytest.mark.parametrize("shape", [(1, 2), (2, ROWS // 8), (0, 126)])
def test_messages_of_another_shape(shape: tuple[int, int]) -> None:
    owner, holder = parties(1)
    owner.ask(nodes(1))
    with pytest.raises(ProtocolError, match="FED-718"):
        holder.answer(np.zeros(shape, np.uint8), nodes(1))
    with pytest.raises(ProtocolError, match="FED-718"):
        owner.learn(np.zeros(shape, np.uint8), np.zeros((1, 126), np.uint8))
