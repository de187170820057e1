"""Real numbers as whole ones that add up without ever wrapping: one scale for all contributors, fixed beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from federatedml.crypto.ring import Floats, Words, decode
from federatedml.errors import DataError, ProtocolError

MAX_BITS = 62


@dataclass(frozen=True)
class FixedPoint:
    """x becomes rint(x * 2^bits), in two's complement modulo 2^64. Sums of ``contributors`` such numbers are exact.

    Attributes:
        bits: of the fraction, 0 to 62; 0 for counts.
        bound: largest absolute value of one contribution (value * weight), the same at all contributors.
        contributors: how many are summed, at most.

    Raises:
        ProtocolError: ``FED-760``, a sum could reach 2^63.
    """

    bits: int
    bound: float
    contributors: int

    def __post_init__(self) -> None:
        fits = 0 <= self.bits <= MAX_BITS and 0 < self.bound < math.inf and self.contributors > 0
        if not fits or self.contributors * (self.bound * 2.0**self.bits + 1) >= 2.0**63:
            text = f"{self.contributors} contributions up to {self.bound:g} with {self.bits} bits of fraction"
            raise ProtocolError("FED-760", f"{text} do not fit into words of 64 bits")

    @classmethod
    def finest(cls, bound: float, contributors: int) -> FixedPoint:
        """With as many bits as fit."""
        if not (0 < bound < math.inf and contributors > 0):
            raise ProtocolError("FED-760", f"{contributors} contributions up to {bound:g} cannot be summed")
        bits = math.floor(62 - math.log2(bound * contributors))
        return cls(min(max(bits, 0), MAX_BITS), bound, contributors)

    def encode(self, values: Floats, weight: float, out: Words) -> None:
        """Write the words of ``values * weight`` to ``out``, of the same length; a block that fits the cache is best.

        Raises:
            DataError: ``FED-761``, a value is not finite, or beyond the bound.
        """
        with np.errstate(over="ignore"):  # infinite is refused below
            scaled = np.multiply(values, weight * 2.0**self.bits)
        np.rint(scaled, out=scaled)
        largest = max(scaled.max(initial=0.0), -scaled.min(initial=0.0))
        if not largest <= self.bound * 2.0**self.bits + 0.5:  # nan compares as false
            text = f"a contribution to a secure sum is not finite, or larger than {self.bound:g}"
            raise DataError("FED-761", text, "lower the learning rate, clip, or raise the bound at all parties")
        out.view(np.int64)[:] = scaled

    def nearest(self, value: float) -> float:
        """What a number becomes; never 0, the smallest step instead."""
        return max(float(np.rint(value * 2.0**self.bits)), 1.0) / 2.0**self.bits

    def decode(self, words: Words) -> Floats:
        """The numbers that a sum of words stands for."""
        return decode(words, self.bits)
