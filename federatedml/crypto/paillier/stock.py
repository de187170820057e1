"""Noise that is made while a party waits for another one: a ciphertext costs one multiplication when it is due."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gmpy2 import mpz

from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.montgomery import Modulus
from federatedml.crypto.paillier.noise import Noise


class Stock:
    """A source of noise with a stock for peers. What is taken from the stock is gone: nothing is used twice.

    Args:
        source: what makes the noise; its kind is kept.
    """

    def __init__(self, public: PublicKey, source: Noise) -> None:
        self._modulus, self._source = Modulus(public.n2), source
        self._ready = self._modulus.plain([])  # in Montgomery form

    def prepare(self, count: int) -> None:
        """Random encryptions of zero for the next ``count`` ciphertexts for peers."""
        made = self._modulus.entered(self._modulus.read(self._source.for_peers([mpz(1)] * count)))
        self._ready = np.concatenate([self._ready, made])

    def for_peers(self, elements: Sequence[mpz]) -> bytes:
        """See ``Noise``; from the stock as far as it goes."""
        noise, self._ready = self._ready[: len(elements)], self._ready[len(elements) :]
        first, rest = elements[: len(noise)], elements[len(noise) :]
        hidden = self._modulus.written(self._modulus.paired(self._modulus.plain(first), noise))
        return hidden + self._source.for_peers(rest) if rest else hidden

    def for_owner(self, elements: Sequence[mpz]) -> bytes:
        """See ``Noise``."""
        return self._source.for_owner(elements)
