"""Identity of a party: its own CA, certificates with the party id in the SAN, and leaves checked against pinned CAs.

A certificate proves a party only if it is issued by *that party's* pinned CA: with all CAs in one bundle, TLS alone
would accept a certificate for party A that was minted by party B. Both doors of a party (gateway, serving) call
``verify_leaf`` on every call.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federatedml.errors import PolicyError
from federatedml.federation.party import PARTY_ID

URI_PREFIX = "spiffe://airfed/party/"
UNREADABLE = (  # what a certificate with other bytes than its issuer's may end in
    ValueError,
    UserWarning,  # where warnings are errors: of a serial number below one
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)
CLOCK_TOLERANCE = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def dns_name(party_id: str) -> str:
    """The name that a client expects in the certificate of a party, whatever its address."""
    return f"party-{party_id.lower().replace('_', '-').replace('.', '-')}.airfed"


def create_ca(party_id: str, days: int = 730) -> KeyPair:
    """A party's own certificate authority (P-256)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"airfed CA of party {party_id}")])
    builder = _builder(name, name, key, days).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(ca: KeyPair, party_id: str, days: int = 90, hosts: Sequence[str] = ("127.0.0.1",)) -> KeyPair:
    """A certificate for ``party_id``, signed by ``ca``, good as server and as client."""
    if not PARTY_ID.fullmatch(party_id):
        raise PolicyError("FED-501", f"{party_id!r} is not a party id")
    issuer = x509.load_pem_x509_certificate(ca.certificate)
    ca_key = serialization.load_pem_private_key(ca.key, None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise PolicyError("FED-502", "the CA key is not an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"party {party_id}")])
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(URI_PREFIX + party_id),
        x509.DNSName(dns_name(party_id)),
    ]
    names += [_host_name(host) for host in hosts]
    builder = (
        _builder(name, issuer.subject, key, days)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    )
    return _pair(builder.sign(ca_key, hashes.SHA256()), key)


def verify_leaf(leaf: bytes, pinned: Mapping[str, bytes], now: datetime.datetime | None = None) -> str:
    """The party id of a peer's leaf certificate (PEM).

    Args:
        leaf: what the peer presented in TLS.
        pinned: party id -> PEM of that party's CA.

    Raises:
        PolicyError: the leaf names no party, an unknown one, or one whose pinned CA did not issue it, or has expired.
    """
    try:
        certificate = x509.load_pem_x509_certificate(leaf)
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE:
        raise PolicyError("FED-503", "the peer's certificate names no party") from None
    claims = [
        u.removeprefix(URI_PREFIX)
        for u in san.get_values_for_type(x509.UniformResourceIdentifier)
        if u.startswith(URI_PREFIX)
    ]
    if len(claims) != 1:
        raise PolicyError("FED-503", f"the peer's certificate names {len(claims)} parties, one is needed")
    party = claims[0]
    if party not in pinned:
        raise PolicyError("FED-504", f"party {party[:64]!r} is not a peer of this party")
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pinned[party]))
    except (ValueError, TypeError, InvalidSignature):
        raise PolicyError("FED-505", f"the certificate for party {party} was not issued by that party's CA") from None
    now = now or datetime.datetime.now(datetime.UTC)
    if (
        not certificate.not_valid_before_utc - CLOCK_TOLERANCE
        <= now
        <= certificate.not_valid_after_utc + CLOCK_TOLERANCE
    ):
        raise PolicyError(
            "FED-506", f"the certificate of party {party} is valid until {certificate.not_valid_after_utc:%Y-%m-%d}"
        )
    return party


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), pem)
