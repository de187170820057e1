"""To and from python-paillier's numbers: a ciphertext and an exponent to the base 16 each.

Its keys are moduli n, as ours; it reads plaintexts up to n / 3 around zero, as we do. Its numbers carry an exponent
each, which tells the size of the value; ours carry one for the whole vector. An import aligns once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import gmpy2
from gmpy2 import mpz

from federatedml.crypto.paillier.checks import checked
from federatedml.crypto.paillier.evaluator import Evaluator
from federatedml.crypto.paillier.parts import unpacked
from federatedml.crypto.paillier.vectors import Encrypted
from federatedml.crypto.vector import MAX_SCALE, Sealed
from federatedml.errors import ProtocolError

BASE_BITS = 4


def to_numbers(sealed: Sealed) -> list[tuple[int, int]]:
    """(ciphertext, exponent) of each element, as ``phe.EncryptedNumber`` takes them."""
    return [(int(c), -sealed.scale_bits // BASE_BITS) for c in unpacked(sealed.body, sealed.width)]


def from_numbers(own: Evaluator, numbers: Sequence[tuple[int, int]], magnitude: float) -> Encrypted:
    """A vector of python-paillier's numbers, with the finest exponent among them.

    Args:
        own: this party's use of the key.
        numbers: (ciphertext, exponent), hostile.
        magnitude: declared bound of the values.

    Raises:
        ProtocolError: not ciphertexts under the key, an exponent that no number up to the
            magnitude has, or exponents further apart than the key has room for.
    """
    exponents = [exponent for _, exponent in numbers]
    finest, coarsest = min(exponents, default=0), max(exponents, default=0)
    if abs(finest) * BASE_BITS > MAX_SCALE or 16.0 ** min(coarsest, 200) > max(magnitude, 1.0):
        raise ProtocolError("FED-705", f"exponents from {finest} to {coarsest} to the base 16 are not allowed")
    scale = -finest * BASE_BITS
    bound = math.ceil(Fraction(magnitude) * Fraction(2) ** scale)
    vector = Encrypted(own.public, own.noise, checked(own.public, [mpz(c) for c, _ in numbers]), scale, bound)
    shifts = [mpz(1) << (BASE_BITS * (exponent - finest)) for exponent in exponents]
    elements = [
        c if s == 1 else gmpy2.powmod(c, s, own.public.n2) for c, s in zip(vector.elements, shifts, strict=True)
    ]
    return replace(vector, elements=elements)
