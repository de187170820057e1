"""Fixed-point numbers and additive shares in the integers modulo 2^64.

A real number x is the word rint(x * 2^bits); a shared x is a pair of words, one per party, whose sum is x. Products of
fixed-point words carry the sum of their bits; two ways to drop bits of a shared value are here. NumPy's ``uint64``
arrays wrap silently, which is the arithmetic we want (scalars would warn: sums are kept as arrays of one).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]
Floats = NDArray[np.float64]
OFFSET = 2**62  # ``truncate`` takes values in [-2^62, 2^62)


def encode(x: ArrayLike, bits: int) -> Words:
    """Words of real numbers; the caller has checked that they are finite and below 2^(63 - bits)."""
    return np.rint(np.asarray(x, np.float64) * 2.0**bits).astype(np.int64).view(np.uint64)


def decode(words: Words, bits: int) -> Floats:
    """Real numbers of words, read as signed."""
    numbers: Floats = words.view(np.int64) / 2.0**bits
    return numbers


def low(words: Words, bits: int) -> Words:
    """The words modulo 2^bits."""
    return words & np.uint64(2**bits - 1)


def truncate(opened: Words, bits: int, high: Words, sign: Words, first: bool) -> Words:
    """One party's share of x / 2^bits, rounded up or down at random without bias, exact for multiples of 2^bits.

    The dealer shares a uniform word r, ``high`` = r >> bits and ``sign`` = r >> 63. The parties open x + r, which is
    uniform. ``x + 2^62 + r`` wrapped exactly if r has its top bit and the sum has not.

    Args:
        opened: x + r, for x in [-2^62, 2^62).
        bits: 1 to 62.
        high, sign: this party's shares.
        first: whether this party adds the public terms (exactly one does).
    """
    c = opened + OFFSET
    wrapped = (1 - (c >> 63)) << (64 - bits)
    share = sign * wrapped - high
    return share + (c >> bits) - 2 ** (62 - bits) if first else share


def drop_bits(masked: Words, bits: int) -> Words:
    """The receiver's share of x / 2^bits modulo 2^(64 - bits), of ``masked`` = x + r; the sender's is -(r >> bits).

    Needs no dealer and no bound on x: the sender adds a uniform r to its share of x, the receiver adds its own share.
    """
    return np.right_shift(masked, np.uint64(bits))


def split(words: Words, layout: Mapping[str, tuple[int, ...]]) -> dict[str, Words]:
    """Named arrays on consecutive pieces of ``words`` (no copy)."""
    pieces: dict[str, Words] = {}
    start = 0
    for name, shape in layout.items():
        end = start + math.prod(shape)
        pieces[name] = words[start:end].reshape(shape)
        start = end
    return pieces


def size(layout: Mapping[str, tuple[int, ...]]) -> int:
    """Words of a layout."""
    return sum(math.prod(shape) for shape in layout.values())


def joined(arrays: Mapping[str, NDArray[Any]], layout: Mapping[str, tuple[int, ...]]) -> Words:
    """The inverse of ``split``."""
    return np.concatenate([arrays[name].ravel() for name in layout])
