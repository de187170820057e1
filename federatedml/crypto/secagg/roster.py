"""Who contributes with which keys: agreed on directly between the contributors, never through the aggregator.

Every contributor makes an X25519 key (RFC 7748) for masks and an Ed25519 key (RFC 8032) for rosters, fresh for each
attempt, and hands both public halves to every other contributor, signed with its party's certificate. Each then tells
every other one the digest of all keys it has: an aggregator in the middle, or a contributor that shows different keys
to different peers, is found before anything is masked.

A pair's secret is HKDF-SHA256 (RFC 5869) over the shared point, salted with the digest, so that masks of contributors
who do not agree on all keys, all ids and the attempt cannot even cancel.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from federatedml.crypto.secagg.masks import KEY_BYTES
from federatedml.errors import ProtocolError
from federatedml.federation.box import AttemptKey
from federatedml.federation.party import Member

PUBLIC_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """Public keys of a contributor: X25519 and Ed25519, 32 bytes each."""

    exchange: bytes
    verify: bytes

    def statement(self, attempt: AttemptKey, owner: Member) -> bytes:
        """What the owner's party signs: these keys are this member's, in this attempt."""
        return packed(b"secagg keys", attempt.context(), str(owner).encode(), self.exchange, self.verify)


@dataclass(frozen=True)
class Roster:
    """All contributors of an attempt, sorted, and their keys.

    Raises:
        ProtocolError: ``FED-762``, a key has another length, or two contributors have the same one.
    """

    attempt: AttemptKey
    keys: Mapping[Member, Keys]

    def __post_init__(self) -> None:
        for member, keys in self.keys.items():
            if len(keys.exchange) != PUBLIC_BYTES or len(keys.verify) != PUBLIC_BYTES:
                raise ProtocolError("FED-762", f"a public key of {member} does not have {PUBLIC_BYTES} bytes")
        if len({key for keys in self.keys.values() for key in (keys.exchange, keys.verify)}) < 2 * len(self.keys):
            raise ProtocolError("FED-762", "two contributors have the same public key")

    @property
    def members(self) -> tuple[Member, ...]:
        """In the order that indices and signs follow."""
        return tuple(sorted(self.keys))

    def digest(self) -> bytes:
        """SHA-256 over attempt, ids and keys, unambiguous."""
        fields = [self.attempt.context()]
        for member in self.members:
            fields += [str(member).encode(), self.keys[member].exchange, self.keys[member].verify]
        return hashlib.sha256(packed(*fields)).digest()


class Secrets:
    """Private halves of one contributor's keys."""

    def __init__(self) -> None:
        self.exchange, self.sign = X25519PrivateKey.generate(), Ed25519PrivateKey.generate()

    def public(self) -> Keys:
        """What every other contributor is told."""
        return Keys(self.exchange.public_key().public_bytes_raw(), self.sign.public_key().public_bytes_raw())


def pair_secret(private: X25519PrivateKey, peer: Member, public: bytes, salt: bytes) -> bytes:
    """HKDF-Extract of the shared point, 32 bytes. ``ProtocolError`` (``FED-762``) for a key of small order."""
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise ProtocolError("FED-762", f"the public key of {peer} is of small order, or no key") from None
    return hmac.digest(salt, shared, "sha256")


def mask_key(secret: bytes, *purpose: bytes) -> bytes:
    """HKDF-Expand to the key of one mask."""
    return HKDFExpand(SHA256(), KEY_BYTES, packed(*purpose)).derive(secret)


def packed(*fields: bytes) -> bytes:
    """Fields behind their lengths: no two lists give the same bytes."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)
