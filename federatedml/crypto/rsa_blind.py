"""Blind RSA signatures (Chaum 1983) of sample ids, as a pseudo-random function that two parties compute together.

The signer has (n, d), the other party asks for the signature H(x)^d of an id without showing it: it sends H(x) r^e,
gets H(x)^d r and divides by r. H hashes to all of Z_n, so that no signature follows from others (one-more RSA
assumption; Bellare, Namprempre, Pointcheval, Semanko 2003), and r is uniform in Z_n*: the product is independent of x.

FATE takes r of 128 bit: the signer, who sees H(x)^d r, divides it by the signature of any candidate and gets a short
number exactly if the candidate is x.

Blinding hides x if r -> r^e is a bijection, that is if e has no factor in common with phi(n). A signer that makes such
a key on purpose sees one of e classes of every id: parties follow the protocol (semi-honest).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from cryptography.hazmat.primitives.asymmetric import rsa
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.compute.slices import slices
from federatedml.errors import ProtocolError

SIGNATURES_WORTH_A_WORKER = 64
EXPONENT = 65537
STATISTICAL = 16  # bytes of a random number beyond the modulus, so that its remainder has no visible bias
TAG_BYTES = 16  # of a set of 2^21 against one of 2^21 by chance equal: 2^-86
WORTH_A_WORKER = 20  # signatures of a millisecond
DOMAIN = b"airfed-V01-ids-with-RSA_SHAKE256_FDH_"

Numbers = NDArray[np.uint8]  # (n, bytes of the modulus), big-endian
Tags = NDArray[np.uint8]  # (n, TAG_BYTES)


@dataclass(frozen=True)
class PublicKey:
    """The signer's modulus, for one attempt."""

    n: int

    @classmethod
    def read(cls, body: bytes, bits: int) -> PublicKey:
        """A peer's modulus of exactly ``bits`` bits; ``ProtocolError`` for any other, and for an even one."""
        n = int.from_bytes(body, "big")
        if len(body) != bits // 8 or n.bit_length() != bits or n % 2 == 0:
            raise ProtocolError("FED-743", f"the RSA modulus is not an odd number of {bits} bit")
        return cls(n)

    @property
    def width(self) -> int:
        """Bytes of a number below the modulus."""
        return (self.n.bit_length() + 7) // 8

    def body(self) -> bytes:
        """What ``read`` reads."""
        return self.n.to_bytes(self.width, "big")


@dataclass(frozen=True, repr=False)
class Blinded:
    """What the asking party keeps of the ids that it had blinded: in the order of the ids."""

    key: PublicKey
    hashes: Sequence[int]
    factors: Sequence[int]
    numbers: Numbers  # what the signer gets


def blind(key: PublicKey, messages: Sequence[bytes], context: bytes, compute: Compute = SERIAL) -> Blinded:
    """Hash every message to Z_n and hide it by a factor of its own."""
    parts = [(key.n, context, messages[at]) for at in slices(len(messages), compute.workers)]
    found = [part for share in compute.map(_blind, parts) for part in share]
    return Blinded(key, [h for h, _, _ in found], [r for _, r, _ in found], _packed([v for *_, v in found], key.width))


def unblind(blinded: Blinded, signed: Numbers, compute: Compute = SERIAL) -> Tags:
    """Tags of the ids, of what the signer returned; ``ProtocolError`` if one is not the signature of its id."""
    if signed.shape != blinded.numbers.shape:
        raise ProtocolError("FED-743", f"signatures of shape {signed.shape}, expected {blinded.numbers.shape}")
    parts = [
        (blinded.key.n, blinded.hashes[at], blinded.factors[at], signed[at].tobytes())
        for at in slices(len(signed), compute.workers)
    ]
    return _tags(compute.map(_unblind, parts))


class Signer:
    """A secret key from OS randomness, for one attempt; it leaves memory with the object.

    Args:
        compute: where numbers are signed; its workers are this party's own, and see the key.
    """

    def __init__(self, bits: int, compute: Compute = SERIAL) -> None:
        numbers = rsa.generate_private_key(public_exponent=EXPONENT, key_size=bits).private_numbers()
        self.public = PublicKey(numbers.public_numbers.n)
        self._secret = (numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
        self._compute = compute

    def sign(self, numbers: Numbers) -> Numbers:
        """The d-th powers of a peer's numbers; ``ProtocolError`` unless all are units of Z_n in canonical form."""
        if numbers.shape[1] != self.public.width:
            raise ProtocolError("FED-743", f"blinded ids of {numbers.shape[1]} bytes, expected {self.public.width}")
        pieces = slices(len(numbers), self._compute.workers, SIGNATURES_WORTH_A_WORKER)
        parts = [(self._secret, self.public.n, numbers[at].tobytes()) for at in pieces]
        return _joined(self._compute.map(_sign, parts), self.public.width)

    def tags(self, messages: Sequence[bytes], context: bytes) -> Tags:
        """Tags of the signer's own ids."""
        pieces = slices(len(messages), self._compute.workers, SIGNATURES_WORTH_A_WORKER)
        parts = [(self._secret, self.public.n, context, messages[at]) for at in pieces]
        return _tags(self._compute.map(_own_tags, parts))


_Secret = tuple[int, int, int, int, int]


def _hash(message: bytes, context: bytes, n: int) -> int:
    """A full-domain hash: 128 bit more than the modulus, reduced."""
    prefix = DOMAIN + len(context).to_bytes(4, "big") + context
    width = (n.bit_length() + 7) // 8 + STATISTICAL
    return int.from_bytes(hashlib.shake_256(prefix + message).digest(width), "big") % n


def _factor(n: int) -> int:
    """Uniform in Z_n*."""
    while True:
        r = int.from_bytes(os.urandom((n.bit_length() + 7) // 8 + STATISTICAL), "big") % n
        if gmpy2.gcd(r, n) == 1:
            return r


def _blind(part: tuple[int, bytes, Sequence[bytes]]) -> list[tuple[int, int, int]]:
    n, context, messages = part
    found = []
    for message in messages:
        hashed, r = _hash(message, context, n), _factor(n)
        found.append((hashed, r, int(hashed * gmpy2.powmod(r, EXPONENT, n) % n)))
    return found


def _unblind(part: tuple[int, Sequence[int], Sequence[int], bytes]) -> list[bytes]:
    n, hashes, factors, body = part
    found = []
    for hashed, r, number in zip(hashes, factors, _numbers(body, (n.bit_length() + 7) // 8), strict=True):
        signature = int(number * gmpy2.invert(r, n) % n)
        if gmpy2.powmod(signature, EXPONENT, n) != hashed:
            raise ProtocolError("FED-744", "an answer is not the signature of the blinded id")
        found.append(_tag(signature, n))
    return found


def _sign(part: tuple[_Secret, int, bytes]) -> bytes:
    secret, n, body = part
    width = (n.bit_length() + 7) // 8
    signed = []
    for number in _numbers(body, width):
        if not 0 < number < n or gmpy2.gcd(number, n) != 1:
            raise ProtocolError("FED-743", "a blinded id is not a unit of Z_n")
        signed.append(_power(number, secret).to_bytes(width, "big"))
    return b"".join(signed)


def _own_tags(part: tuple[_Secret, int, bytes, Sequence[bytes]]) -> list[bytes]:
    secret, n, context, messages = part
    return [_tag(_power(_hash(message, context, n), secret), n) for message in messages]


def _power(number: int, secret: _Secret) -> int:
    """number^d modulo p q, by the Chinese remainder theorem."""
    p, q, d_p, d_q, q_inverse = secret
    at_p, at_q = gmpy2.powmod_sec(number, d_p, p), gmpy2.powmod_sec(number, d_q, q)
    return int(at_q + q * ((at_p - at_q) * q_inverse % p))


def _tag(signature: int, n: int) -> bytes:
    body = signature.to_bytes((n.bit_length() + 7) // 8, "big")
    return hashlib.sha256(DOMAIN + b"tag" + body).digest()[:TAG_BYTES]


def _numbers(body: bytes, width: int) -> list[int]:
    return [int.from_bytes(body[at : at + width], "big") for at in range(0, len(body), width)]


def _packed(numbers: Sequence[int], width: int) -> Numbers:
    return _joined([number.to_bytes(width, "big") for number in numbers], width)


def _joined(bodies: Sequence[bytes], width: int) -> Numbers:
    return np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, width)


def _tags(shares: Sequence[Sequence[bytes]]) -> Tags:
    return _joined([tag for share in shares for tag in share], TAG_BYTES)
