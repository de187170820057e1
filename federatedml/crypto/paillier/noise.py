"""Noise of ciphertexts: random encryptions of zero, one per ciphertext that leaves a party.

Default: powers of a fixed base h = (-x^2)^n with x of one's own (Damgård, Jurik, Nielsen 2010, section 4.2), from a
table of windows. The exponent has twice as many bits as the security level where the receiver has no private key (short
exponents: an assumption besides the scheme's own), and half of the key's bits for the key's owner: it knows p and q,
may have chosen the inputs, and would see a short exponent on top of a longer known combination of its own noise.
Every encryptor makes its own base: one from a peer, of small order, would switch the noise off unseen.

``full``: r^n of a fresh r each time, no assumption but the scheme's, some 60 times slower.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from threading import Lock
from typing import Protocol

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from federatedml.compute.engine import Compute
from federatedml.compute.names import lock_free
from federatedml.crypto.paillier.keys import PublicKey
from federatedml.crypto.paillier.montgomery import Modulus, Numbers, fill_window, multiply_picked
from federatedml.crypto.paillier.parts import cut

SHORT_BITS = {1024: 160, 2048: 256, 3072: 256, 4096: 320}
NARROW_WINDOW, WINDOW, WIDE_WINDOW = 4, 8, 12
FEW = 250  # ciphertexts for the owner up to which rows of narrow windows, 8 times cheaper in sum, are enough
MANY = 8_000  # ciphertexts from which the 16 times longer rows of wide windows are worth their making


class NoiseKind(StrEnum):
    """How noise is made; each figure says which."""

    SHORT = "short"
    FULL = "full"


class Noise(Protocol):
    """Multiplies ciphertexts by random encryptions of zero; none of these is used twice."""

    def for_peers(self, elements: Sequence[mpz]) -> bytes:
        """Packed ciphertexts for receivers without the private key."""
        ...

    def for_owner(self, elements: Sequence[mpz]) -> bytes:
        """Packed ciphertexts for the owner of the key."""
        ...


def random_digits(count: int, exponent_bits: int, window: int) -> NDArray[np.uint16]:
    """Exponents of the operating system's randomness as (count, digits) of ``window`` bits, lowest first.

    Uniform below 2^exponent_bits, rounded up to whole windows.
    """
    width = -(-exponent_bits // window)
    words = np.frombuffer(os.urandom(2 * count * width), np.uint16).reshape(count, width)
    return words & np.uint16(2**window - 1)


class FixedBase:
    """Powers of one base: rows of base^(2^(window i) * 0 ... 2^window - 1), made as exponents need them."""

    def __init__(self, base: mpz, modulus: mpz, window: int) -> None:
        self.modulus, self._lock = Modulus(modulus), Lock()
        self._next = self.modulus.entered(self.modulus.plain([base]))[0]
        self._rows = np.zeros((0, 2**window, self.modulus.width), np.uint32)

    def times(self, plain: Numbers, exponents: NDArray[np.uint16]) -> Numbers:
        """Plain numbers (count, width) times base^e, for exponents in digits (count, digits)."""
        m, out = self.modulus, plain.copy()
        multiply_picked(self._first_rows(exponents.shape[1]), exponents, m.words, m.inverse, out)
        return out

    def _first_rows(self, count: int) -> Numbers:
        with self._lock:
            if len(self._rows) < count:
                m, old = self.modulus, self._rows
                rows = np.zeros((count, *old.shape[1:]), np.uint32)
                rows[: len(old)] = old
                for row in rows[len(old) :]:
                    row[0] = m.one
                    fill_window(self._next, m.words, m.inverse, row)
                    self._next = m.paired(row[-1:], self._next[None])[0]
                self._rows = rows
            return self._rows[:count]


@lru_cache(maxsize=32)
def _table(base: bytes, modulus: mpz, window: int) -> FixedBase:
    """A worker's table; rebuilt by every worker, never sent."""
    return FixedBase(mpz.from_bytes(base, "little"), modulus, window)


def unit(n: mpz) -> mpz:
    """Uniform in Z_n^*."""
    while True:
        r = mpz(secrets.randbelow(int(n)))
        if gmpy2.gcd(r, n) == 1:
            return r


def own_base(public: PublicKey) -> mpz:
    """h = (-x^2)^n modulo n^2 for a fresh x."""
    x = unit(public.n)
    return gmpy2.powmod(-x * x % public.n, public.n, public.n2)


BasePart = tuple[bytes, bytes, bytes, int, int]


@lock_free
def hide_by_base(part: BasePart) -> bytes:
    """Kernel: ciphertexts times random powers of a base.

    Args:
        part: packed ciphertexts, base, n (all little-endian), bits of an exponent, bits of a window.
    """
    body, base, n, exponent_bits, window = part
    table = _table(base, PublicKey(mpz.from_bytes(n, "little")).n2, window)
    elements = table.modulus.read(body)
    return table.modulus.written(table.times(elements, random_digits(len(elements), exponent_bits, window)))


@lock_free
def hide_by_units(part: tuple[bytes, bytes]) -> bytes:
    """Kernel: ciphertexts times r^n for fresh r; part is packed ciphertexts and n."""
    n = mpz.from_bytes(part[1], "little")
    modulus = Modulus(n * n)
    return modulus.written(_times_powers(modulus.read(part[0]), n, n, modulus))


def _times_powers(plain: Numbers, n: mpz, exponent: mpz, modulus: Modulus) -> Numbers:
    """Plain numbers times r^exponent for fresh units r modulo ``n``."""
    units = modulus.entered(modulus.plain([unit(n) for _ in plain]))
    return modulus.paired(plain, modulus.power(units, int(exponent)))


class BaseNoise:
    """Fixed base, made at the first use. For whoever has the public key.

    Args:
        public: the key.
        compute: where bulk work runs.
    """

    def __init__(self, public: PublicKey, compute: Compute) -> None:
        self._public, self._compute, self._made, self._answered = public, compute, 0, 0

    @cached_property
    def _base(self) -> bytes:
        return bytes(own_base(self._public).to_bytes(self._public.width, "little"))

    def for_peers(self, elements: Sequence[mpz]) -> bytes:
        """See ``Noise``."""
        self._made += len(elements)
        window = WIDE_WINDOW if self._made > MANY * self._compute.workers else WINDOW
        return self._hidden(elements, SHORT_BITS.get(self._public.bits, 256), window)

    def for_owner(self, elements: Sequence[mpz]) -> bytes:
        """See ``Noise``."""
        self._answered += len(elements)
        window = WINDOW if self._answered > FEW * self._compute.workers else NARROW_WINDOW
        return self._hidden(elements, self._public.bits // 2, window)

    def _hidden(self, elements: Sequence[mpz], exponent_bits: int, window: int) -> bytes:
        n, bodies = self._public.to_bytes(), cut(elements, self._public.width, self._compute.workers, 32)
        parts: list[BasePart] = [(body, self._base, n, exponent_bits, window) for body in bodies]
        return b"".join(self._compute.map(hide_by_base, parts))


@dataclass(frozen=True)
class FullNoise:
    """r^n, a fresh r for each. For whoever has the public key."""

    public: PublicKey
    compute: Compute

    def for_peers(self, elements: Sequence[mpz]) -> bytes:
        """See ``Noise``."""
        bodies, n = cut(elements, self.public.width, self.compute.workers, 1), self.public.to_bytes()
        return b"".join(self.compute.map(hide_by_units, [(body, n) for body in bodies]))

    for_owner = for_peers
