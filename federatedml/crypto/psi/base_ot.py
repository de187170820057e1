"""Base oblivious transfers: per transfer two random keys for the sender, one of them, of its choice, for the receiver.

Naor and Pinkas 2001 (section 3.1, after Bellare and Micali 1989) over ristretto255, one sender's element for all
transfers, with random keys instead of messages. G generates the group, C is hashed from the context, so that nobody
knows its logarithm; a is the sender's secret scalar, b_i the receiver's, c_i its choice:

1. sender -> receiver: A = a G;
2. receiver -> sender: P_i = b_i G if c_i is 0, else C - b_i G: uniform in both cases, so the sender learns nothing
   of c_i, whatever it can compute;
3. keys H(A, P_i, i, 0, a P_i) and H(A, P_i, i, 1, a (C - P_i)), of which the receiver has H(A, P_i, i, c_i, b_i A).

The sender's products are X25519's (RFC 7748): u-coordinates, and a is a multiple of 8, so that they do not depend on
which point stands for an element. The receiver takes 8 (b_i / 8 mod the group's order) for b_i to the same end.

A receiver with both keys of a transfer has a C, from C and A: computational Diffie-Hellman, H a random oracle. The
group has no cofactor, elements that are not canonical are refused, so are products that are neutral. Context (a job's
attempt and its two parties) and transcript are hashed into every key: keys of two runs or of two transfers have nothing
in common.

Cost per transfer: sender two multiplications, receiver two of a fixed base; 32 bytes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from numpy.typing import NDArray

from federatedml.crypto.psi.ristretto import (
    ELEMENT_BYTES,
    GENERATOR,
    NEUTRAL,
    ORDER,
    UNIFORM_BYTES,
    Element,
    Multiples,
    decode,
    hashed,
)
from federatedml.errors import ProtocolError

KEY_BYTES = 16
DOMAIN = b"airfed-V01-base-ot"
NEUTRAL_FOUND = "the neutral element among the base transfers' elements"
Bytes = NDArray[np.uint8]


class Sender:
    """Has both keys of every transfer.

    Attributes:
        public: A, 32 bytes for the receiver.
    """

    def __init__(self, context: bytes) -> None:
        self._context, self._secret = context, X25519PrivateKey.generate()
        scalar = bytearray(self._secret.private_bytes_raw())
        scalar[0], scalar[31] = scalar[0] & 248, scalar[31] & 127 | 64  # as X25519 reads it
        self.public = GENERATOR.times(int.from_bytes(scalar, "little")).encode()

    def keys(self, points: Bytes) -> Bytes:
        """(w, 2, 16) keys for the receiver's (w, 32) elements.

        Raises:
            ProtocolError: ``FED-730``, something is not an element, or is the neutral one.
        """
        unknown, keys = _unknown(self._context), []
        for i, point in enumerate(points):
            element = decode(point.tobytes())
            for choice, other in enumerate((element, unknown - element)):
                keys.append(_key(self._context, self.public, point.tobytes(), i, choice, self._product(other)))
        return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 2, KEY_BYTES)

    def _product(self, element: Element) -> bytes:
        try:
            return self._secret.exchange(X25519PublicKey.from_public_bytes(element.montgomery()))
        except (ValueError, ZeroDivisionError):
            raise ProtocolError("FED-730", NEUTRAL_FOUND) from None


def receive(context: bytes, public: bytes, choices: NDArray[np.bool_]) -> tuple[Bytes, Bytes]:
    """The receiver's side.

    Args:
        context: as the sender's.
        public: the sender's 32 bytes.
        choices: (w,) which key of each transfer.

    Returns:
        (w, 32) elements for the sender, and the (w, 16) chosen keys.

    Raises:
        ProtocolError: ``FED-730``, ``public`` is not an element, or the neutral one.
    """
    generator, theirs, unknown = Multiples(GENERATOR), Multiples(decode(public)), _unknown(context)
    if public == NEUTRAL.encode():
        raise ProtocolError("FED-730", NEUTRAL_FOUND)
    points, keys = [], []
    for i, choice in enumerate(choices.tolist()):
        secret = _scalar()
        mine = generator.times(secret)
        points.append((unknown - mine if choice else mine).encode())
        keys.append(_key(context, public, points[-1], i, int(choice), theirs.times(_eightfold(secret)).montgomery()))
    return _rows(points, ELEMENT_BYTES), _rows(keys, KEY_BYTES)


def _rows(parts: Sequence[bytes], width: int) -> Bytes:
    return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, width)


def _scalar() -> int:
    return 1 + secrets.randbelow(int(ORDER) - 1)


def _unknown(context: bytes) -> Element:
    """C of this context."""
    return hashed(hashlib.sha512(DOMAIN + b"-element" + context).digest()[:UNIFORM_BYTES])


def _eightfold(scalar: int) -> int:
    """The multiple of 8 that is ``scalar`` modulo the group's order."""
    return 8 * (scalar * pow(8, -1, int(ORDER)) % int(ORDER))


def _key(context: bytes, public: bytes, point: bytes, index: int, choice: int, shared: bytes) -> bytes:
    """H: SHA-256 of fields of fixed length after the context, whose length is told."""
    head = DOMAIN + b"-key" + len(context).to_bytes(4, "big") + context
    body = public + point + index.to_bytes(4, "big") + bytes([choice]) + shared
    return hashlib.sha256(head + body).digest()[:KEY_BYTES]
