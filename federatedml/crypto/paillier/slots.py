"""Several signed numbers side by side in one plaintext, decoded from the low slot with carry."""

from __future__ import annotations

from collections.abc import Sequence

import gmpy2
from gmpy2 import mpz

from federatedml.crypto.paillier.keys import PublicKey


def slots(public: PublicKey, bits: int) -> int:
    """How many slots of ``bits`` bits fit below n / 4."""
    return (public.bits - 2) // bits


def side_by_side(public: PublicKey, ciphertexts: Sequence[mpz], bits: int) -> list[mpz]:
    """Ciphertexts of sum m_i 2^(i bits), as many m_i in each as fit: ``bits`` squarings per slot."""
    each, n2, shift = slots(public, bits), public.n2, mpz(1) << bits
    joined = []
    for at in range(0, len(ciphertexts), each):
        *rest, product = ciphertexts[at : at + each]
        for c in reversed(rest):
            product = gmpy2.powmod(product, shift, n2) * c % n2
        joined.append(product)
    return joined


def apart(plaintext: int, bits: int, count: int) -> list[int]:
    """The ``count`` signed numbers of a signed plaintext."""
    numbers, half, mask = [], 1 << (bits - 1), (1 << bits) - 1
    for _ in range(count):
        number = ((plaintext + half) & mask) - half
        numbers.append(number)
        plaintext = (plaintext - number) >> bits
    return numbers
