"""A pseudo-random function of ids that two parties compute together, on Curve25519: F(x) = G(b H(x)).

One party has the key b. The other sends a H(x), gets b a H(x) and multiplies by the inverse of a modulo the order of
the group (Jarecki, Liu 2010; RFC 9497 calls the mode OPRF). Unlike the exchange of ``crypto.ecdh``, the owner of b may
keep F of its own ids and use it again, without work, as long as it keeps b.

X25519 multiplies by multiples of 8 between 2^254 and 2^255 only, which are half of the residues modulo the order; a is
drawn among those whose inverse is one of them, too: a quarter of all residues, two bits less than uniform.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.ecdh import Blinding, Points

ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 7748, section 4.1
COFACTOR = 8
SCALAR_BYTES = 32
TAG_BYTES = 16  # of 2^25 ids against 2^25, two different ones are equal with probability 2^-78
DOMAIN = b"airfed-V01-ids-with-curve25519-prf"

Tags = NDArray[np.uint8]  # (n, TAG_BYTES)


def tags(points: Points) -> Tags:
    """G of points that are multiplied by the key."""
    found = b"".join(hashlib.sha256(DOMAIN + point.tobytes()).digest()[:TAG_BYTES] for point in points)
    return np.frombuffer(found, np.uint8).reshape(-1, TAG_BYTES)


class Asking:
    """The side without the key, for one attempt: blinds its ids and takes the blinding off the answers."""

    def __init__(self, compute: Compute = SERIAL) -> None:
        scalar, inverse = _invertible()
        self._blind = Blinding(compute, scalar)
        self._unblind = Blinding(compute, inverse)

    def blinded(self, messages: Sequence[bytes], context: bytes) -> Points:
        """What the owner of the key gets: (n, 32)."""
        return self._blind.hashed(messages, context)

    def tags(self, answers: Points) -> Tags:
        """F of the ids, of what the owner returned; ``ProtocolError`` for points that are none."""
        return tags(self._unblind.apply(answers))


def _invertible() -> tuple[bytes, bytes]:
    """A scalar as X25519 takes it, and its inverse as X25519 takes it."""
    while True:
        scalar = int.from_bytes(os.urandom(SCALAR_BYTES), "little") % 2**254 // COFACTOR * COFACTOR + 2**254
        inverse = _representative(pow(scalar, -1, ORDER))
        if inverse is not None:
            return scalar.to_bytes(SCALAR_BYTES, "little"), inverse.to_bytes(SCALAR_BYTES, "little")


def _representative(residue: int) -> int | None:
    """The multiple of 8 between 2^254 and 2^255 that has this residue modulo the order, if there is one."""
    return next((c for c in range(residue, 2**255, ORDER) if c >= 2**254 and c % COFACTOR == 0), None)
