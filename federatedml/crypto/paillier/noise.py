"""Noise of ciphertexts: random encryptions of zero.

Default: powers of a fixed base h = (-x^2)^n with x of one's own (Damgård, Jurik, Nielsen 2010, section 4.2), from a
table of windows of one byte. The exponent has twice as many bits as the security level where the receiver has no key
(short exponents: an assumption besides the scheme's own), and half of the key's bits for the key's owner: it knows p
and q, may have chosen the inputs, and would see a short exponent on top of a longer known combination of its own noise.
Every encryptor makes its own base: one from a peer, of small order, would switch the noise off unseen.

``full``: r^n of a fresh r each time, no assumption but the scheme's, some 60 times slower.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Protocol

import gmpy2
from gmpy2 import mpz

from federatedml.compute.engine import Compute
from federatedml.crypto.paillier.keys import PrivateKey, PublicKey
from federatedml.crypto.paillier.parts import packed, sizes, unpacked

SHORT_BYTES = {1024: 20, 2048: 32, 3072: 32, 4096: 40}


class NoiseKind(StrEnum):
    """How noise is made; each figure says which."""

    SHORT = "short"
    FULL = "full"


class Noise(Protocol):
    """A source of random encryptions of zero; nothing that it gives is given twice."""

    def for_peers(self, count: int) -> list[mpz]:
        """For receivers without the private key."""
        ...

    def for_owner(self, count: int) -> list[mpz]:
        """For the owner of the key."""
        ...


def short_bytes(public: PublicKey) -> int:
    """Bytes of an exponent for receivers without the private key."""
    return SHORT_BYTES.get(public.bits, 32)


def long_bytes(public: PublicKey) -> int:
    """Bytes of an exponent for the owner of the key."""
    return (public.bits // 2 + 7) // 8


class FixedBase:
    """Powers of one base: rows of base^(256^i * 0 ... 255), made as exponents need them."""

    def __init__(self, base: mpz, modulus: mpz) -> None:
        self._next, self._modulus, self._rows = base, modulus, list[list[mpz]]()

    def power(self, exponent: bytes) -> mpz:
        """base^exponent, the exponent little-endian."""
        while len(self._rows) < len(exponent):
            self._add_row()
        modulus, product = self._modulus, mpz(1)
        for row, digit in zip(self._rows, exponent, strict=False):
            product = product * row[digit] % modulus
        return product

    def _add_row(self) -> None:
        row = [mpz(1)]
        for _ in range(255):
            row.append(row[-1] * self._next % self._modulus)
        self._next = row[-1] * self._next % self._modulus
        self._rows.append(row)


@lru_cache(maxsize=4)
def _table(base: mpz, modulus: mpz) -> FixedBase:
    """A worker's table; rebuilt by every worker, never sent."""
    return FixedBase(base, modulus)


def powers(part: tuple[bytes, bytes, int, int]) -> bytes:
    """Kernel: random powers of a base.

    Args:
        part: base and modulus little-endian, bytes of an exponent, how many.
    """
    base, modulus, exponent_bytes, count = part
    table = _table(mpz.from_bytes(base, "little"), mpz.from_bytes(modulus, "little"))
    return packed((table.power(os.urandom(exponent_bytes)) for _ in range(count)), len(modulus))


def full_powers(part: tuple[bytes, int]) -> bytes:
    """Kernel: r^n for fresh r; part is n little-endian and how many."""
    n = mpz.from_bytes(part[0], "little")
    return packed((gmpy2.powmod(unit(n), n, n * n) for _ in range(part[1])), 2 * len(part[0]))


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


@dataclass(frozen=True)
class BaseNoise:
    """Fixed base, made at the first use."""

    public: PublicKey
    compute: Compute

    @cached_property
    def _base(self) -> bytes:
        return bytes(own_base(self.public).to_bytes(self.public.width, "little"))

    def for_peers(self, count: int) -> list[mpz]:
        """See ``Noise``."""
        return self._powers(short_bytes(self.public), count)

    def for_owner(self, count: int) -> list[mpz]:
        """See ``Noise``."""
        return self._powers(long_bytes(self.public), count)

    def _powers(self, exponent_bytes: int, count: int) -> list[mpz]:
        modulus = bytes(self.public.n2.to_bytes(self.public.width, "little"))
        parts = [(self._base, modulus, exponent_bytes, size) for size in sizes(count, self.compute.workers, 32)]
        return _joined(self.compute.map(powers, parts), self.public.width)


@dataclass(frozen=True)
class FullNoise:
    """r^n, a fresh r for each."""

    public: PublicKey
    compute: Compute

    def for_peers(self, count: int) -> list[mpz]:
        """See ``Noise``."""
        n = self.public.to_bytes()
        parts = [(n, size) for size in sizes(count, self.compute.workers, 1)]
        return _joined(self.compute.map(full_powers, parts), self.public.width)

    for_owner = for_peers


@dataclass(frozen=True)
class OwnerNoise:
    """The key's owner: the same distributions, computed modulo p^2 and q^2. Stays in this process, as the key does."""

    private: PrivateKey
    kind: NoiseKind = NoiseKind.SHORT

    @cached_property
    def _bases(self) -> tuple[FixedBase, FixedBase]:
        base = own_base(self.private.public)
        return FixedBase(base % self.private.p2, self.private.p2), FixedBase(base % self.private.q2, self.private.q2)

    def for_peers(self, count: int) -> list[mpz]:
        """See ``Noise``."""
        make = self._full if self.kind == NoiseKind.FULL else self._short
        return list(make(count))

    for_owner = for_peers
    """To itself: nothing has to be hidden from the owner by its own noise."""

    def _short(self, count: int) -> Iterator[mpz]:
        mod_p2, mod_q2 = self._bases
        for _ in range(count):
            exponent = os.urandom(short_bytes(self.private.public))
            yield self.private.joined(mod_p2.power(exponent), mod_q2.power(exponent))

    def _full(self, count: int) -> Iterator[mpz]:
        """y^p modulo p^2 for uniform y in Z_p^* is distributed as r^n modulo p^2: q is prime to the group's order."""
        p, q, p2, q2 = self.private.p, self.private.q, self.private.p2, self.private.q2
        for _ in range(count):
            yield self.private.joined(gmpy2.powmod(unit(p), p, p2), gmpy2.powmod(unit(q), q, q2))


def _joined(buffers: list[bytes], width: int) -> list[mpz]:
    return [c for buffer in buffers for c in unpacked(buffer, width)]
