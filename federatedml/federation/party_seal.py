"""Statements signed with a party's certificate, and checked against the CAs that a party has pinned."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federatedml.errors import PolicyError
from federatedml.federation.home import PartyHome
from federatedml.federation.identity import verify_leaf

PURPOSE = b"airfed seal 1\0"  # no other use of the key, TLS least of all, signs bytes that start like this
LENGTH_BYTES = 4
ALGORITHM = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class PartySeal:
    """By the party's certificate: its PEM behind its length, then an ECDSA signature (P-256, SHA-256).

    Files are read when they are needed: most steps sign nothing.
    """

    home: PartyHome

    def sign(self, statement: bytes) -> bytes:
        """See ``Seal``."""
        identity = self.home.identity
        key = serialization.load_pem_private_key(identity.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise PolicyError("FED-894", "this party's key is not an elliptic-curve key")
        signature = key.sign(PURPOSE + statement, ALGORITHM)
        return len(identity.certificate).to_bytes(LENGTH_BYTES, "big") + identity.certificate + signature

    def verify(self, party: str, statement: bytes, proof: bytes) -> None:
        """See ``Seal``.

        Raises:
            PolicyError: ``FED-503`` to ``FED-506``, the certificate is not one of a peer; ``FED-895``, it is another
                party's, or its key did not sign this.
        """
        end = LENGTH_BYTES + int.from_bytes(proof[:LENGTH_BYTES], "big")
        certificate, signature = proof[LENGTH_BYTES:end], proof[end:]
        signer = verify_leaf(certificate, self.home.pinned())
        if signer != party:
            raise PolicyError("FED-895", f"party {signer} signed for party {party}")
        try:
            key = x509.load_pem_x509_certificate(certificate).public_key()
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise InvalidSignature
            key.verify(signature, PURPOSE + statement, ALGORITHM)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            text = f"the signature of party {party} does not belong to what it came with"
            raise PolicyError("FED-895", text, "somebody between the parties replaces what they say") from None
