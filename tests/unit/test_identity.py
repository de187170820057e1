"""A certificate proves a party only under that party's own pinned CA."""

from __future__ import annotations

import datetime
import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from federatedml.errors import PolicyError
from federatedml.federation.identity import (
    CLOCK_TOLERANCE,
    URI_PREFIX,
    KeyPair,
    create_ca,
    dns_name,
    issue,
    verify_leaf,
)

PARTIES = ("9999", "10000", "10001", "10002")
CAS = {party: create_ca(party) for party in PARTIES}
PINNED = {party: CAS[party].certificate for party in PARTIES if party != "10002"}


def leaf(uris: list[str], ca: KeyPair = CAS["9999"], san: bool = True, issuer: str | None = None) -> bytes:
    """A certificate with any names, signed by ``ca``."""
    authority = x509.load_pem_x509_certificate(ca.certificate)
    signer = serialization.load_pem_private_key(ca.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "party 9999")]))
        .issuer_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]) if issuer is not None else authority.subject
        )
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    if san:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris] or [x509.DNSName(dns_name("9999"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(("party", "minted_by"), list(itertools.product(PARTIES, PARTIES)))
def test_only_the_partys_own_ca_proves_the_party(party: str, minted_by: str) -> None:
    certificate = issue(CAS[minted_by], party).certificate
    if party == minted_by and party in PINNED:
        assert verify_leaf(certificate, PINNED) == party
        return
    with pytest.raises(PolicyError, match="FED-505" if party in PINNED else "FED-504") as caught:
        verify_leaf(certificate, PINNED)
    assert party in str(caught.value)


def test_a_ca_with_the_same_name_and_another_key_is_refused() -> None:
    replaced = create_ca("9999")
    with pytest.raises(PolicyError, match="FED-505"):
        verify_leaf(issue(replaced, "9999").certificate, PINNED)
    with pytest.raises(PolicyError, match="FED-505"):
        verify_leaf(issue(CAS["9999"], "9999").certificate, {**PINNED, "9999": replaced.certificate})


def test_a_ca_that_signs_under_another_name_is_refused() -> None:
    with pytest.raises(PolicyError, match="FED-505"):
        verify_leaf(leaf([URI_PREFIX + "9999"], issuer="somebody"), PINNED)


@pytest.mark.parametrize(
    ("when", "allowed"),
    [
        (-CLOCK_TOLERANCE * 3, False),
        (datetime.timedelta(0), True),
        (datetime.timedelta(days=90) + CLOCK_TOLERANCE / 2, True),
        (datetime.timedelta(days=90) + CLOCK_TOLERANCE * 2, False),
    ],
)
def test_certificates_end_with_some_tolerance_for_clocks(when: datetime.timedelta, allowed: bool) -> None:
    certificate = issue(CAS["9999"], "9999", days=90).certificate
    now = datetime.datetime.now(datetime.UTC) + when
    if allowed:
        assert verify_leaf(certificate, PINNED, now) == "9999"
        return
    with pytest.raises(PolicyError, match="FED-506"):
        verify_leaf(certificate, PINNED, now)


@pytest.mark.parametrize(
    "certificate",
    [
        leaf([], san=False),
        leaf([]),
        leaf(["spiffe://elsewhere/party/9999"]),
        leaf([URI_PREFIX + "9999", URI_PREFIX + "10000"]),
        b"",
        b"not a certificate",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
    ids=["no SAN", "no party", "other trust domain", "two parties", "empty", "text", "not DER"],
)
def test_certificates_that_name_no_single_party_are_refused(certificate: bytes) -> None:
    with pytest.raises(PolicyError, match="FED-503"):
        verify_leaf(certificate, PINNED)


@pytest.mark.parametrize("party", ["", "9999/", "99 99", "../9999", "9" * 65])
def test_other_names_prove_nothing(party: str) -> None:
    with pytest.raises(PolicyError, match="FED-504"):
        verify_leaf(leaf([URI_PREFIX + party]), PINNED)
    with pytest.raises(PolicyError, match="FED-501"):
        issue(CAS["9999"], party)


def test_a_ca_certificate_is_no_identity() -> None:
    with pytest.raises(PolicyError, match="FED-503"):
        verify_leaf(CAS["9999"].certificate, PINNED)


def test_a_certificate_is_good_for_both_sides_and_its_addresses() -> None:
    certificate = x509.load_pem_x509_certificate(
        issue(CAS["9999"], "9999", hosts=("127.0.0.1", "gw.example")).certificate
    )
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == [dns_name("9999"), "gw.example"]
    assert [str(address) for address in san.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert len(list(usage)) == 2
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_ca_key_of_another_kind_is_refused() -> None:
    other = ed25519.Ed25519PrivateKey.generate()
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(PolicyError, match="FED-502"):
        issue(KeyPair(CAS["9999"].certificate, pem), "9999")
