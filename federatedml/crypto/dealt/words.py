"""The rings of words modulo 2^32 and 2^64, and real vectors in them with one scale each.

A vector's scale is a power of two that its owner chooses and nobody else needs: 2^f with f the largest for which the
sum of any subset of the vector stays in the ring. Nothing can overflow, whatever the weights, and no bound is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.crypto.stream import Stream
from federatedml.errors import DataError, ProtocolError

RingWords = NDArray[np.unsignedinteger[Any]]
Floats = NDArray[np.float64]
SMALLEST = 1e-200  # sums of absolute values below are taken for this


@dataclass(frozen=True)
class WordRing:
    """Integers modulo 2^bits, as NumPy's unsigned words, which wrap.

    Attributes:
        bits: 32 or 64.
    """

    bits: int = 32

    def __post_init__(self) -> None:
        if self.bits not in (32, 64):
            raise ProtocolError("FED-711", f"a ring of {self.bits} bits, allowed are 32 and 64")

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """Type of a word, little endian."""
        return np.dtype(f"<u{self.word_bytes}")

    @property
    def word_bytes(self) -> int:
        """Bytes of a word."""
        return self.bits // 8

    def limit(self, signed: bool) -> int:
        """Largest sum of absolute words; with 64 bits a little less than could be, so that it is exact as ``int64``."""
        return 2**62 if self.bits == 64 else 2 ** (self.bits - signed) - 1

    def uniform(self, stream: Stream, purpose: str, index: int, count: int) -> RingWords:
        """``count`` uniform words (read-only) of a keyed stream."""
        words = stream.words(purpose, index, -(-count * self.word_bytes // 8))
        return words.view(self.dtype)[:count]

    def words(self, body: bytes, *shape: int) -> RingWords:
        """Words (read-only) of bytes whose length has been checked."""
        return np.frombuffer(body, self.dtype).reshape(shape)


@dataclass(frozen=True)
class Scale:
    """How a vector's words are read: as multiples of 2^-bits, signed or not."""

    bits: int
    signed: bool

    def decode(self, words: RingWords) -> Floats:
        """Real numbers of words."""
        numbers = words.view(f"<i{words.dtype.itemsize}") if self.signed else words
        return np.ldexp(numbers.astype(np.float64), -self.bits)


@dataclass(frozen=True)
class DealtShare:
    """One party's additive share of results.

    Attributes:
        words: (outputs, columns).
    """

    words: RingWords

    def __len__(self) -> int:
        return len(self.words)

    def combined(self, other: DealtShare, scale_bits: int) -> Floats:
        """(outputs, columns) the results, of both parties' shares of vectors that were sealed with one scale."""
        return Scale(scale_bits, signed=True).decode(self.words + other.words)


def encode(vector: Floats, ring: WordRing, spare_bits: int = 0) -> tuple[RingWords, Scale]:
    """Words of a real vector at its largest safe scale; with 32 bits one bit finer if nothing in it is negative.

    Args:
        vector: (n,).
        spare_bits: entries of the matrix are integers up to 2^spare_bits.

    Raises:
        DataError: a number or the sum of the absolute values is not finite, or there are too many numbers.
    """
    values = np.asarray(vector, np.float64)
    with np.errstate(over="ignore"):
        total, count = float(np.abs(values).sum()), np.count_nonzero(values)
    if not math.isfinite(total):
        raise DataError("FED-712", "a vector has numbers that are not finite, or whose sum is not")
    signed = ring.bits == 64 or spare_bits > 0 or bool((values < 0).any())
    limit = ring.limit(signed) >> spare_bits
    room = limit - count / 2  # rounding adds at most one half for each number that is not zero
    if room < 1:
        raise DataError("FED-712", f"{count} numbers are too many for words of {ring.bits} bits")
    # floor(log2(x)) is the exponent of frexp less one
    bits = min(math.frexp(room / max(total, SMALLEST))[1] - 1, ring.bits - 2) if count else 0
    words = _rounded(values, bits)
    if int(np.abs(words).sum()) > limit:  # the sum in floating point was too low
        bits -= 1
        words = _rounded(values, bits)
    return words.astype(ring.dtype), Scale(bits, signed)


def _rounded(values: Floats, bits: int) -> NDArray[np.int64]:
    return np.rint(np.ldexp(values, bits)).astype(np.int64)
