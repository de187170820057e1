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

Cost: a Jacobi symbol to hash or to check a point and one X25519 to blind it, some 20 to 30 us each.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from numpy.typing import NDArray

from federatedml.errors import ProtocolError

PRIME = 2**255 - 19
MONTGOMERY_A = 486662
POINT_BYTES = 32
DOMAIN = b"airfed-V01-ids-with-curve25519_XMD:SHA-512_ELL2_NU_"
FIELD_BYTES = 48  # RFC 9380: ceil((255 + 128) / 8), so that the reduction modulo PRIME has no bias
SHA512_BLOCK = 128

Points = NDArray[np.uint8]  # (n, 32) u-coordinates, little-endian


def normalised(sample_id: str) -> str:
    """The one spelling under which both parties know an id: Unicode NFC."""
    return unicodedata.normalize("NFC", sample_id)


def hash_to_curve(messages: Iterable[bytes], context: bytes = b"", domain: bytes = DOMAIN) -> Points:
    """A point of the curve per message; ``context`` (a job's attempt) and ``domain`` separate uses.

    Returns:
        (n, 32) points. Nobody knows the discrete logarithm between two of them.
    """
    prefix = len(context).to_bytes(4, "big") + context if context else b""
    return _points(_elligator2([_hash_to_field(prefix + message, domain) for message in messages]))


class Blinding:
    """A secret scalar from OS randomness, for one attempt; it leaves memory with the object."""

    def __init__(self) -> None:
        self._secret = X25519PrivateKey.generate()

    def apply(self, points: Points) -> Points:
        """Every point times the scalar, (n, 32); ``ProtocolError`` for a point of small order."""
        body = points.tobytes()
        rows = (body[at : at + POINT_BYTES] for at in range(0, len(body), POINT_BYTES))
        try:
            blinded = b"".join(self._secret.exchange(X25519PublicKey.from_public_bytes(row)) for row in rows)
        except ValueError:
            raise ProtocolError("FED-371", "a point of small order among the blinded ids") from None
        return np.frombuffer(blinded, np.uint8).reshape(-1, POINT_BYTES)


def checked(points: Points, count: int | None = None) -> Points:
    """A peer's points, if each is a canonical u-coordinate on the curve (not its twist) and none comes twice.

    Args:
        points: (n, 32) of hostile content.
        count: the number of points that there must be.

    Raises:
        ProtocolError: says what is wrong, never which value.
    """
    if points.shape[1] != POINT_BYTES or count not in (None, len(points)):
        raise ProtocolError(
            "FED-370", f"blinded ids of shape {points.shape}, expected ({'n' if count is None else count}, 32)"
        )
    body = points.tobytes()
    rows = {body[at : at + POINT_BYTES] for at in range(0, len(body), POINT_BYTES)}
    if len(rows) != len(points):
        raise ProtocolError("FED-370", "a blinded id came twice")
    if not all(_on_curve(int.from_bytes(row, "little")) for row in rows):
        raise ProtocolError("FED-370", "a blinded id is not a point of the curve")
    return points


def shuffled(count: int) -> NDArray[np.int64]:
    """A permutation of ``range(count)`` from OS randomness: the ranks of 64-bit random keys."""
    return np.argsort(np.frombuffer(os.urandom(8 * count), np.uint64), kind="stable")


def jacobi(value: int, modulus: int) -> int:
    """The Jacobi symbol (value / modulus) for odd ``modulus``: for a prime, 1 for squares, -1 for others, 0 for 0."""
    symbol, value = 1, value % modulus
    while value:
        twos = (value & -value).bit_length() - 1
        value >>= twos
        if twos & 1 and modulus & 7 in (3, 5):
            symbol = -symbol
        if value & modulus & 2:
            symbol = -symbol
        value, modulus = modulus % value, value
    return symbol if modulus == 1 else 0


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
        found.append(u if jacobi(curve, PRIME) == 1 else (-u - MONTGOMERY_A) % PRIME)
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
    return u < PRIME and jacobi(u * ((u + MONTGOMERY_A) * u + 1), PRIME) == 1


def _points(coordinates: Iterable[int]) -> Points:
    body = b"".join(u.to_bytes(POINT_BYTES, "little") for u in coordinates)
    return np.frombuffer(body, np.uint8).reshape(-1, POINT_BYTES)
