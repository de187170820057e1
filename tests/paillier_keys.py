"""Small keys for fast tests; the product refuses their length."""

from __future__ import annotations

import gmpy2

from federatedml.crypto.paillier.keys import PrivateKey


def small_key(start: int = 3, bits: int = 512) -> PrivateKey:
    """The same key for the same arguments, with primes as the product makes them."""
    p = _prime((3 << (bits // 2 - 2)) + start)
    q = _prime(p + (1 << (bits // 4)))
    while gmpy2.gcd(p - 1, q - 1) != 2:
        q = _prime(q)
    return PrivateKey(p, q)


def _prime(above: int) -> gmpy2.mpz:
    prime = gmpy2.next_prime(above)
    while prime % 4 != 3:
        prime = gmpy2.next_prime(prime)
    return prime
