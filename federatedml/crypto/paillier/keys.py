"""Keys of Paillier's cryptosystem (Paillier 1999, section 4), decryption by Chinese remainders (section 7).

Primes are 3 modulo 4 with gcd(p - 1, q - 1) = 2, as the proof for short noise exponents asks (Damgård, Jurik, Nielsen
2010, section 4.2). A key lives for one attempt of one job; the private half stays in the process that made it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import gmpy2
from gmpy2 import mpz

from federatedml.crypto.paillier.montgomery import Modulus
from federatedml.errors import ProtocolError

DEFAULT_BITS = 2048
KEY_BITS = (1024, 2048, 3072, 4096)
PRIME_ROUNDS = 40
SMALL_PRIMES = gmpy2.primorial(2**12)


@dataclass(frozen=True)
class PublicKey:
    """A modulus n. Equal moduli are equal keys."""

    n: mpz

    @cached_property
    def n2(self) -> mpz:
        """Modulus of ciphertexts."""
        return self.n * self.n

    @cached_property
    def bits(self) -> int:
        """Length of n."""
        return int(self.n.bit_length())

    @property
    def plain_width(self) -> int:
        """Bytes of a plaintext."""
        return (self.bits + 7) // 8

    @property
    def width(self) -> int:
        """Bytes of a ciphertext."""
        return 2 * self.plain_width

    @cached_property
    def key_id(self) -> bytes:
        """16 bytes that name the key."""
        return hashlib.sha256(self.to_bytes()).digest()[:16]

    @cached_property
    def limit(self) -> int:
        """Largest absolute plaintext: a third of n, so that an overflow is seen (python-paillier's choice)."""
        return int(self.n) // 3

    def to_bytes(self) -> bytes:
        """n, little-endian."""
        return bytes(self.n.to_bytes(self.plain_width, "little"))

    def signed(self, m: mpz) -> int:
        """The plaintext that stands for ``m`` in [0, n), read around zero."""
        return int(m if 2 * m < self.n else m - self.n)


@dataclass(frozen=True)
class PublicKeyCodec:
    """Codec of the topic that carries a public key of the length that the plan declares."""

    bits: int = DEFAULT_BITS

    def encode(self, value: PublicKey) -> bytes:
        """n, little-endian."""
        if value.bits != self.bits:
            raise ProtocolError("FED-704", f"the key has {value.bits} bits, the plan declares {self.bits}")
        return value.to_bytes()

    def decode(self, body: bytes) -> PublicKey:
        """The key of hostile bytes: odd, of the declared length, without small factors, neither prime nor a power.

        What this cannot see (an n that its owner can factor by design) only harms what the owner may decrypt anyway.
        """
        n = mpz.from_bytes(body, "little") if len(body) == self.bits // 8 else mpz(0)
        if n.bit_length() != self.bits:
            raise ProtocolError("FED-704", f"not a public key of {self.bits} bits")
        if gmpy2.gcd(n, SMALL_PRIMES) != 1 or gmpy2.is_prime(n) or gmpy2.is_power(n):
            raise ProtocolError("FED-704", "the public key's modulus is not a product of two large primes")
        return PublicKey(n)


@dataclass(frozen=True)
class PrivateKey:
    """Two primes. Has no bytes, no pickle and no readable form."""

    p: mpz = field(repr=False)
    q: mpz = field(repr=False)

    def __post_init__(self) -> None:
        if self.p == self.q or gmpy2.gcd(self.p * self.q, (self.p - 1) * (self.q - 1)) != 1:
            raise ProtocolError("FED-704", "the primes of a key must be distinct and fit each other")

    def __reduce__(self) -> str:
        raise TypeError("a private key stays in the process that made it")

    @cached_property
    def public(self) -> PublicKey:
        """The half that everybody may know."""
        return PublicKey(self.p * self.q)

    @cached_property
    def p2(self) -> mpz:
        """p squared."""
        return self.p * self.p

    @cached_property
    def q2(self) -> mpz:
        """q squared."""
        return self.q * self.q

    @cached_property
    def _inverses(self) -> tuple[mpz, mpz, mpz, mpz]:
        """Of L((1 + n)^(p-1)) mod p, of the same for q, of p mod q, of p^2 mod q^2."""
        n = self.public.n
        hp = gmpy2.invert((gmpy2.powmod(1 + n, self.p - 1, self.p2) - 1) // self.p, self.p)
        hq = gmpy2.invert((gmpy2.powmod(1 + n, self.q - 1, self.q2) - 1) // self.q, self.q)
        return hp, hq, gmpy2.invert(self.p, self.q), gmpy2.invert(self.p2, self.q2)

    def decrypt(self, ciphertexts: Sequence[mpz], threads: int = 1) -> list[mpz]:
        """Plaintexts in [0, n) of valid ciphertexts, in threads of this process: the key goes nowhere else."""
        if threads == 1 or len(ciphertexts) < 2 * threads:
            return self._decrypted(ciphertexts)
        parts = [ciphertexts[first::threads] for first in range(threads)]
        plain = [mpz(0)] * len(ciphertexts)
        with ThreadPoolExecutor(threads) as pool:
            for first, part in enumerate(pool.map(self._decrypted, parts)):
                plain[first::threads] = part
        return plain

    def _decrypted(self, ciphertexts: Sequence[mpz]) -> list[mpz]:
        hp, hq, p_inverse, _ = self._inverses
        p, q, plain = self.p, self.q, []
        for a, b in zip(_powers(ciphertexts, p), _powers(ciphertexts, q), strict=True):
            mp, mq = (a - 1) // p * hp % p, (b - 1) // q * hq % q
            plain.append(mp + p * ((mq - mp) * p_inverse % q))
        return plain

    def joined(self, mod_p2: mpz, mod_q2: mpz) -> mpz:
        """The number modulo n^2 with these remainders."""
        return mod_p2 + self.p2 * ((mod_q2 - mod_p2) * self._inverses[3] % self.q2)


def _powers(ciphertexts: Sequence[mpz], prime: mpz) -> list[mpz]:
    """c^(prime - 1) modulo the square of the prime."""
    modulus = Modulus(prime * prime)
    numbers = modulus.entered(modulus.plain([c % modulus.value for c in ciphertexts]))
    return modulus.left(modulus.power(numbers, int(prime) - 1))


def generate(bits: int = DEFAULT_BITS) -> PrivateKey:
    """A fresh key from the operating system's randomness."""
    if bits not in KEY_BITS:
        raise ProtocolError("FED-704", f"a key of {bits} bits was asked for, allowed are {KEY_BITS}")
    while True:
        p, q = _prime(bits // 2), _prime(bits // 2)
        if p != q and gmpy2.gcd(p - 1, q - 1) == 2:
            return PrivateKey(p, q)


def _prime(bits: int) -> mpz:
    """Uniform among the primes that are 3 modulo 4 and have their two top bits set (so a product has 2 * bits)."""
    while True:
        candidate = mpz(secrets.randbits(bits - 2) | 3 | 3 << (bits - 2))
        if gmpy2.is_prime(candidate, PRIME_ROUNDS):
            return candidate
