"""Signatures of a party, which its peers check whatever carried them.

The channel between gateways proves certificates hop by hop. Where a statement must hold end to end (public keys that
secrets are agreed on with), the party's own process signs it: who relays messages, and could replace both a key and its
confirmation, cannot sign for another party. ``federation.party_seal`` signs with the party's certificate.
"""

from __future__ import annotations

from typing import Protocol


class Seal(Protocol):
    """What a party signs with, and what it checks its peers' signatures with."""

    def sign(self, statement: bytes) -> bytes:
        """This party's proof that it states ``statement``."""
        ...

    def verify(self, party: str, statement: bytes, proof: bytes) -> None:
        """``PolicyError`` unless ``party`` states it."""
        ...


class Unsealed:
    """Proves nothing: all parties are in one process."""

    def sign(self, statement: bytes) -> bytes:
        """See ``Seal``."""
        return b""

    def verify(self, party: str, statement: bytes, proof: bytes) -> None:
        """See ``Seal``."""


UNSEALED = Unsealed()
