"""Noise of the key's owner: the same random encryptions of zero as others make, for half of the work.

A power is taken modulo p^2 and modulo q^2 (numbers of half the length, a quarter of the work each) and joined:
x = a A + b B modulo n^2, where A is 1 modulo p^2 and 0 modulo q^2, and B the other way round. All of it in compiled
loops, in threads of this process: the private key is not given to workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import gmpy2
import numpy as np
from gmpy2 import mpz

from federatedml.crypto.paillier.keys import PrivateKey
from federatedml.crypto.paillier.montgomery import Modulus, Numbers, add_rows
from federatedml.crypto.paillier.noise import (
    MANY,
    SHORT_BITS,
    WIDE_WINDOW,
    WINDOW,
    FixedBase,
    NoiseKind,
    own_base,
    random_digits,
    unit,
)
from federatedml.crypto.paillier.parts import cut

LEAST = 32  # ciphertexts that are worth a thread


class OwnerNoise:
    """A ``Noise``. Stays in this process, as the key does.

    Args:
        threads: in which it works.
    """

    def __init__(self, private: PrivateKey, kind: NoiseKind = NoiseKind.SHORT, threads: int = 1) -> None:
        self._private, self._kind, self._threads, self._made = private, kind, threads, 0
        self._n2 = Modulus(private.public.n2)
        self._primes = (private.p, private.q)
        self._squares = Modulus(private.p2), Modulus(private.q2)

    def for_peers(self, elements: Sequence[mpz]) -> bytes:
        """See ``Noise``."""
        self._made += len(elements)
        bodies = cut(elements, self._private.public.width, self._threads, LEAST)
        if len(bodies) == 1:
            return self._hidden(bodies[0])
        with ThreadPoolExecutor(len(bodies)) as pool:
            return b"".join(pool.map(self._hidden, bodies))

    def for_owner(self, elements: Sequence[mpz]) -> bytes:
        """To itself: its own noise has nothing to hide from it."""
        return self.for_peers(elements)

    def _hidden(self, body: bytes) -> bytes:
        """Packed ciphertexts times random encryptions of zero."""
        n2 = self._n2
        elements = n2.read(body)
        powers = self._full(len(elements)) if self._kind is NoiseKind.FULL else self._short(len(elements))
        a, b = (n2.scaled(_widened(p, m, n2), c) for p, m, c in zip(powers, self._squares, self._joints, strict=True))
        add_rows(a, b)
        return n2.written(n2.paired(elements, a))

    def _short(self, count: int) -> list[Numbers]:
        """Powers of the base, modulo p^2 and q^2."""
        window = WIDE_WINDOW if self._made > MANY else WINDOW
        digits = random_digits(count, SHORT_BITS.get(self._private.public.bits, 256), window)
        bases = self._wide if window == WIDE_WINDOW else self._narrow
        return [base.times(np.repeat(_one(base.modulus), count, axis=0), digits) for base in bases]

    def _full(self, count: int) -> list[Numbers]:
        """y^p modulo p^2 for uniform y in Z_p^* is distributed as r^n modulo p^2: q is prime to the group's order."""
        found = []
        for m, prime in zip(self._squares, self._primes, strict=True):
            units = m.entered(m.plain([unit(prime) for _ in range(count)]))
            found.append(m.scaled(m.power(units, int(prime)), _one(m)[0]))
        return found

    @cached_property
    def _narrow(self) -> tuple[FixedBase, FixedBase]:
        return self._tables(WINDOW)

    @cached_property
    def _wide(self) -> tuple[FixedBase, FixedBase]:
        return self._tables(WIDE_WINDOW)

    @cached_property
    def _base(self) -> mpz:
        return own_base(self._private.public)

    def _tables(self, window: int) -> tuple[FixedBase, FixedBase]:
        p, q = (FixedBase(self._base % m.value, m.value, window) for m in self._squares)
        return p, q

    @cached_property
    def _joints(self) -> tuple[Numbers, Numbers]:
        """A and B: with one more factor R than Montgomery form, so that plain numbers times these are in that form."""
        p2, q2, n2 = self._private.p2, self._private.q2, self._n2
        joints = [q2 * gmpy2.invert(q2, p2), p2 * gmpy2.invert(p2, q2)]
        both = n2.entered(n2.entered(n2.plain(joints)))
        return both[0], both[1]


def _one(m: Modulus) -> Numbers:
    """(1, width) the plain number 1."""
    return m.plain([mpz(1)])


def _widened(numbers: Numbers, m: Modulus, to: Modulus) -> Numbers:
    """The same numbers in rows of a larger modulus."""
    wide = np.zeros((len(numbers), to.width), np.uint32)
    wide[:, : m.limbs + 1] = numbers[:, : m.limbs + 1]
    return wide
