"""Several signed numbers side by side in one plaintext, decoded from the low slot with carry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gmpy2 import mpz

from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.montgomery import Modulus, Numbers, square


def slots(public: PublicKey, bits: int) -> int:
    """How many slots of ``bits`` bits fit below n / 4."""
    return (public.bits - 2) // bits


def side_by_side(public: PublicKey, ciphertexts: Sequence[mpz], bits: int) -> list[mpz]:
    """Ciphertexts of sum m_i 2^(i bits), as many m_i in each as fit: ``bits`` squarings per slot."""
    each, m = slots(public, bits), Modulus(public.n2)
    numbers = m.entered(m.plain(ciphertexts))
    joined = [_joined(m, numbers[at : at + each], bits) for at in range(0, len(ciphertexts), each)]
    return m.left(np.stack(joined)) if joined else []


def _joined(m: Modulus, numbers: Numbers, bits: int) -> Numbers:
    product: Numbers = numbers[-1].copy()
    for number in numbers[-2::-1]:
        square(product, bits, m.words, m.inverse)
        product = m.paired(product[None], number[None])[0]
    return product


def apart(plaintext: int, bits: int, count: int) -> list[int]:
    """The ``count`` signed numbers of a signed plaintext."""
    numbers, half, mask = [], 1 << (bits - 1), (1 << bits) - 1
    for _ in range(count):
        number = ((plaintext + half) & mask) - half
        numbers.append(number)
        plaintext = (plaintext - number) >> bits
    return numbers
