"""Diffie-Hellman blinding of sample ids on Curve25519, for private set intersection.

An id is hashed to a point of the curve, and every party multiplies by its own secret scalar. Multiplications commute,
so two ids are equal exactly if their points are equal after both parties multiplied; one multiplication alone hides
the id from whoever lacks the scalar (Meadows 1986; Huberman, Franklin, Hogg 1999), if decisional Diffie-Hellman holds.

Points are u-coordinates (RFC 7748). Raw bytes are *not* taken as points: half of them lie on the twist, which the
product shows, so every id would leak a bit that links runs. Ids go through Elligator 2 as in RFC 9380, suite
``curve25519_XMD:SHA-512_ELL2_NU_``, whose values are uniform on half of the curve's points: a random point falls into
that half with probability 1/2 and membership is easy to test, so the proof in the random-oracle model stands.
The scalars of X25519 are multiples of the cofactor 8: what they return has prime order, or is refused as the neutral
element.

Cost: one X25519 to blind a point, some 27 us; a Jacobi symbol and some products to hash or to check it, 3 to 5 us.
X25519 holds the interpreter lock, so a party gains by processes (``Compute``), not by threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import gmpy2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.compute.slices import slices
from federatedml.errors import ProtocolError

PRIME = 2**255 - 19
MONTGOMERY_A = 486662
POINT_BYTES = 32
DOMAIN = b"airfed-V01-ids-with-curve25519_XMD:SHA-512_ELL2_NU_"
FIELD_BYTES = 48  # RFC 9380: ceil((255 + 128) / 8), so that the reduction modulo PRIME has no bias
SHA512_BLOCK = 128

Points = NDArray[np.uint8]  # (n, 32) u-coordinates, little-endian


def hash_to_curve(messages: Iterable[bytes], context: bytes = b"", domain: bytes = DOMAIN) -> Points:
    """A point of the curve per message; ``context`` (a job's attempt) and ``domain`` separate uses.

    Returns:
        (n, 32) points. Nobody knows the discrete logarithm between two of them.
    """
    prefix = len(context).to_bytes(4, "big") + context if context else b""
    return _points(_elligator2([_hash_to_field(prefix + message, domain) for message in messages]))


class Blinding:
    """A secret scalar for one attempt; it leaves memory with the object.

    Args:
        compute: where points are multiplied; its workers are this party's own, and see the scalar.
        secret: the 32 bytes of the scalar; by default from OS randomness.
    """

    def __init__(self, compute: Compute = SERIAL, secret: bytes = b"") -> None:
        self._secret = secret or X25519PrivateKey.generate().private_bytes_raw()
        self._compute = compute

    def hashed(self, messages: Sequence[bytes], context: bytes) -> Points:
        """``hash_to_curve`` of every message, times the scalar: (n, 32)."""
        parts = [(self._secret, context, messages[at]) for at in slices(len(messages), self._compute.workers)]
        return _joined(self._compute.map(_hash_and_multiply, parts))

    def apply(self, points: Points) -> Points:
        """Every point times the scalar, (n, 32); ``ProtocolError`` for one of small order, or not on the curve."""
        parts = [(self._secret, points[at].tobytes()) for at in slices(len(points), self._compute.workers)]
        return _joined(self._compute.map(_check_and_multiply, parts))


def checked(points: Points, count: int) -> Points:
    """A peer's ``count`` values of 32 bytes; what they hold is checked by ``Blinding.apply``."""
    if points.shape != (count, POINT_BYTES):
        raise ProtocolError("FED-370", f"blinded ids of shape {points.shape}, expected ({count}, {POINT_BYTES})")
    return points


def _hash_and_multiply(part: tuple[bytes, bytes, Sequence[bytes]]) -> bytes:
    secret, context, messages = part
    return _multiplied(secret, hash_to_curve(messages, context).tobytes())


def _check_and_multiply(part: tuple[bytes, bytes]) -> bytes:
    secret, body = part
    if not all(_on_curve(int.from_bytes(row, "little")) for row in _rows(body)):
        raise ProtocolError("FED-370", "a blinded id is not a point of the curve")
    return _multiplied(secret, body)


def _multiplied(secret: bytes, body: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(secret)
    try:
        return b"".join(key.exchange(X25519PublicKey.from_public_bytes(row)) for row in _rows(body))
    except ValueError:
        raise ProtocolError("FED-371", "a point of small order among the blinded ids") from None


def _rows(body: bytes) -> Iterable[bytes]:
    return (body[at : at + POINT_BYTES] for at in range(0, len(body), POINT_BYTES))


def _joined(bodies: Sequence[bytes]) -> Points:
    return np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, POINT_BYTES)


def _hash_to_field(message: bytes, domain: bytes) -> int:
    """RFC 9380, hash_to_field with one element and expand_message_xmd of one SHA-512 block."""
    suffix = domain + bytes([len(domain)])
    first = hashlib.sha512(bytes(SHA512_BLOCK) + message + FIELD_BYTES.to_bytes(2, "big") + b"\0" + suffix).digest()
    uniform = hashlib.sha512(first + b"\x01" + suffix).digest()
    return int.from_bytes(uniform[:FIELD_BYTES], "big") % PRIME


def _elligator2(elements: Sequence[int]) -> list[int]:
    """RFC 9380, section 6.7.1 with Z = 2: field elements to u-coordinates, one inversion for all.

    With d = 1 + 2 r^2 (never 0: -1/2 is not a square) the candidate is u = -A / d, and u^3 + A u^2 + u times d^4 is
    -A d (d^2 - A^2 d + A^2), so its Jacobi symbol needs no inversion. The other candidate is -u - A.
    """
    square_a = MONTGOMERY_A * MONTGOMERY_A
    denominators = [(1 + 2 * r * r) % PRIME for r in elements]
    found = []
    for d, inverse in zip(denominators, _inverses(denominators), strict=True):
        u = -MONTGOMERY_A * inverse % PRIME
        curve = -MONTGOMERY_A * d * ((d - square_a) * d + square_a)
        found.append(u if gmpy2.jacobi(curve, PRIME) == 1 else (-u - MONTGOMERY_A) % PRIME)
    return found


def _inverses(values: Sequence[int]) -> list[int]:
    """Inverses modulo PRIME of values that are not 0, by one exponentiation and three products each (Montgomery)."""
    products = [1]
    for value in values:
        products.append(products[-1] * value % PRIME)
    inverse = pow(products[-1], -1, PRIME)
    found = [0] * len(values)
    for at in range(len(values) - 1, -1, -1):
        found[at] = inverse * products[at] % PRIME
        inverse = inverse * values[at] % PRIME
    return found


def _on_curve(u: int) -> bool:
    """Whether ``u`` is canonical and u^3 + A u^2 + u is a square other than 0."""
    return u < PRIME and gmpy2.jacobi(u * ((u + MONTGOMERY_A) * u + 1), PRIME) == 1


def _points(coordinates: Iterable[int]) -> Points:
    body = b"".join(u.to_bytes(POINT_BYTES, "little") for u in coordinates)
    return np.frombuffer(body, np.uint8).reshape(-1, POINT_BYTES)
