"""Bits of the rows of some nodes, told to the party that knows the nodes, which the other party does not learn.

The owner has masks m_1, m_2, ... of disjoint sets of rows (the nodes of a level that split at the holder's
candidates), the holder for each a vector l of bits (which rows its candidate sends left). The owner learns the bits
m & l, the holder nothing:

    seed of owner and dealer:   beta per set          dealer to owner:  gamma ^ (alpha & beta) per set
    seed of holder and dealer:  alpha, gamma per set
    owner to holder:            m ^ beta per set
    holder to owner:            l ^ alpha per set, and the xor over sets of ((m ^ beta) & l) ^ gamma

because ((m ^ beta) & l) ^ (beta & (l ^ alpha)) ^ (alpha & beta) = m & l (Beaver, CRYPTO 1991, over bits). Triples
belong to one map and are numbered over the whole job; each is for one set (``columns.Columns`` counts them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.stream import Stream
from federatedml.errors import ProtocolError

Bits = NDArray[np.bool_]
PackedBits = NDArray[np.uint8]


class BitOwner:
    """Knows the sets.

    Args:
        deal: of the map whose candidates the holder splits by.
        triples: counts those that are used up.
    """

    def __init__(self, stream: Stream, deal: Deal, triples: Columns) -> None:
        self._stream, self._deal, self._triples = stream, deal, triples
        self._asked: tuple[range, PackedBits] = (range(0), np.zeros((0, 0), np.uint8))

    def ask(self, sets: Bits) -> PackedBits:
        """Masked sets (sets, rows / 8) for the holder.

        Args:
            sets: (sets, rows), no row in two of them.

        Raises:
            ProtocolError: FED-718 if a row is in two sets, FED-714 if the plan has no triples left.
        """
        if sets.ndim != 2 or sets.shape[1] != self._deal.inputs or (sets.sum(axis=0) > 1).any():
            raise ProtocolError(
                "FED-718", f"sets of rows of shape {sets.shape} are not disjoint sets of {self._deal.inputs}"
            )
        triples = self._triples.take(len(sets))
        self._asked = triples, _masks(self._stream, self._deal, "beta", triples)
        return np.packbits(sets, axis=1) ^ self._asked[1]

    def learn(self, answer: PackedBits, dealt: PackedBits) -> Bits:
        """(rows,) bits of the rows in a set; others are False.

        Args:
            answer: (sets + 1, rows / 8) of the holder, hostile.
            dealt: (sets, rows / 8) of the dealer.
        """
        triples, beta = self._asked
        _check(answer, len(triples) + 1, self._deal.inputs)
        _check(dealt, len(triples), self._deal.inputs)
        self._asked = range(0), beta[:0]
        found = answer[-1] ^ np.bitwise_xor.reduce((beta & answer[:-1]) ^ dealt, axis=0)
        return np.unpackbits(found, count=self._deal.inputs).astype(bool)


class BitHolder:
    """Knows the bits."""

    def __init__(self, stream: Stream, deal: Deal, triples: Columns) -> None:
        self._stream, self._deal, self._triples = stream, deal, triples

    def answer(self, masked: PackedBits, bits: Bits) -> PackedBits:
        """(sets + 1, rows / 8) for the owner.

        Args:
            masked: (sets, rows / 8), hostile.
            bits: (sets, rows).
        """
        _check(masked, len(bits), self._deal.inputs)
        triples = self._triples.take(len(bits))
        own = np.packbits(bits, axis=1)
        alpha, gamma = (_masks(self._stream, self._deal, purpose, triples) for purpose in ("alpha", "gamma"))
        return np.concatenate([own ^ alpha, np.bitwise_xor.reduce((masked & own) ^ gamma, axis=0)[None]])


def deal_bits(deal: Deal, holder: Stream, owner: Stream, triples: range) -> PackedBits:
    """(sets, rows / 8) of the dealer, for the owner."""
    alpha, gamma = (_masks(holder, deal, purpose, triples) for purpose in ("alpha", "gamma"))
    return gamma ^ (alpha & _masks(owner, deal, "beta", triples))


def _masks(stream: Stream, deal: Deal, purpose: str, triples: range) -> PackedBits:
    return np.stack([deal.bit_mask(stream, purpose, triple) for triple in triples])


def _check(bits: PackedBits, sets: int, rows: int) -> None:
    if bits.dtype != np.uint8 or bits.shape != (sets, -(-rows // 8)):
        raise ProtocolError(
            "FED-718", f"bits of {bits.dtype} {bits.shape} came, it must be uint8 {(sets, -(-rows // 8))}"
        )
