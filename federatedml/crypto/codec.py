"""Fixed-point numbers for encrypted vectors: one public exponent for the whole vector, never one per value.

A real number x is the integer rint(x * 2^scale_bits). Adding needs no alignment, and a ciphertext does not tell the
size of its own value. ``scale_bits`` is a multiple of 4, so that python-paillier's exponents to the base 16 are met.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from federatedml.errors import ProtocolError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
MAX_BITS = 62  # of an encoded integer: NumPy's int64 with room for a sign and one addition


@dataclass(frozen=True)
class Codec:
    """How the values of one vector become integers.

    Attributes:
        scale_bits: bits after the point, a multiple of 4 from 0 to 60.
        magnitude: declared bound of |x|, public: part of the plan, never taken from data without saying so.
    """

    scale_bits: int
    magnitude: float

    def __post_init__(self) -> None:
        if self.scale_bits not in range(0, 61, 4):
            raise ProtocolError("FED-700", f"scale_bits is {self.scale_bits}, allowed are 0, 4, ... 60")
        if not 0 < self.magnitude < 2.0**MAX_BITS:
            raise ProtocolError(
                "FED-700", f"the declared magnitude {self.magnitude:g} is not between 0 and 2^{MAX_BITS}"
            )
        if self.limit.bit_length() > MAX_BITS:
            raise ProtocolError(
                "FED-700",
                f"magnitude times 2^scale_bits needs {self.limit.bit_length()} bits, at most {MAX_BITS} are allowed",
            )

    @property
    def limit(self) -> int:
        """Largest absolute encoded integer."""
        return math.ceil(math.ldexp(self.magnitude, self.scale_bits))

    def encode(self, values: ArrayLike) -> Integers:
        """Integers of real numbers, same shape.

        Raises:
            ProtocolError: a value is not finite or beyond the declared magnitude; nothing has been sent by then.
        """
        x = np.asarray(values, np.float64)
        if not np.isfinite(x).all():
            raise ProtocolError("FED-701", "a vector to be encrypted holds values that are not finite")
        if np.abs(x).max(initial=0.0) > self.magnitude:
            raise ProtocolError("FED-701", f"a vector to be encrypted passes the declared magnitude {self.magnitude:g}")
        return np.rint(x * 2.0**self.scale_bits).astype(np.int64)

    def decode(self, integers: Sequence[int] | Integers) -> Floats:
        """Real numbers of integers of any size (correctly rounded), shape (n,)."""
        return descale(integers, self.scale_bits)


def descale(integers: Sequence[int] | Integers, scale_bits: int) -> Floats:
    """``integers`` / 2^scale_bits, correctly rounded whatever their size; negative bits multiply.

    Raises:
        ProtocolError: a result is too large for a float.
    """
    if isinstance(integers, np.ndarray):
        return np.ldexp(integers.astype(np.float64), -scale_bits)
    up, down = 2 ** max(-scale_bits, 0), 2 ** max(scale_bits, 0)
    try:
        return np.array([int(i) * up / down for i in integers], np.float64)
    except OverflowError as error:
        raise ProtocolError("FED-701", "a decrypted value is too large for a number") from error
