"""Private set intersection with fixed secrets: every value as pure Python computes it from the definitions, and pinned.

What is pinned crosses the border between two installations: parties of two versions meet only if it stays.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import local
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from federatedml.components import intersection_kkrt
from federatedml.components.intersection_kkrt import KKRT, MATCHES
from federatedml.components.intersection_method import Pair, Positions
from federatedml.crypto import ecdh_prf, rsa_blind
from federatedml.crypto.ecdh import Blinding
from federatedml.crypto.psi import base_ot, oprf
from federatedml.crypto.rsa_blind import Signer, blind, unblind
from tests.kkrt_pair import case, matches
from tests.members import GUEST, HOST

IDS = [b"a", "\u00fc-17".encode(), b"x" * 200]
CONTEXT = b"9999 job 1"
FRAMED = len(CONTEXT).to_bytes(4, "big") + CONTEXT

# The smallest primes above 3 * 2^510 and 7 * 2^509
P, Q = 3 * 2**510 + 761, 7 * 2**509 + 15
N, E = P * Q, 65537
D = pow(E, -1, (P - 1) * (Q - 1))
FACTORS = [3**300, 5**200, 7**150]

RSA_TAGS = [
    "4ff9114b10b14b4f67ba3233afdaa8e1",
    "3106ef47b5feabee0372ea7097ed21b7",
    "94e41ce51c4388e7ac9f88780fdb9a0a",
]
PRF_TAGS = [
    "1c659a3627207ca65966eb1a477067cf",
    "9cda92aac10e009604307a6e384fa63e",
    "b55390b0de694d14ee0a55122b58cb61",
]
KKRT_ROWS = [2, 6, 9, 10, 12, 14, 16, 19, 29, 31, 34, 35, 37, 41, 42, 43, 45, 47, 49]
KKRT_MESSAGES = {
    "kkrt_start": "103fb1fc1a0993ece22e12343d1e0a30",
    "kkrt_choices": "b3977c30e4adcd5ee1281df9185dc28c",
    "kkrt_seed": "b023888a27a023a4f399e7d6f62190ed",
    "kkrt_query": "b780960a857e7e731bce74ace90459cc",
    "kkrt_values": "85bd3bd937fb1cbce92aece85c7f2601",
    "kkrt_matches": "b64e607b2811ba6da3c949c102e7274e",
}

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493


def test_shake256_is_that_of_fips_202() -> None:
    """The empty message, of NIST's examples."""
    assert hashlib.shake_256(b"").hexdigest(32) == "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"


def rsa_hash(message: bytes) -> int:
    """16 bytes more than the modulus of SHAKE256, reduced."""
    framed = b"airfed-V01-ids-with-RSA_SHAKE256_FDH_" + FRAMED + message
    return int.from_bytes(hashlib.shake_256(framed).digest(128 + 16), "big") % N


def signer(patch: pytest.MonkeyPatch) -> Signer:
    """Of the key (P, Q)."""
    public = rsa.RSAPublicNumbers(E, N)
    numbers = rsa.RSAPrivateNumbers(P, Q, D, D % (P - 1), D % (Q - 1), pow(Q, -1, P), public)
    patch.setattr(rsa_blind.rsa, "generate_private_key", lambda **_: numbers.private_key())
    return Signer(1024)


def test_blind_signatures_and_their_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    owner, factors = signer(monkeypatch), iter(FACTORS)
    monkeypatch.setattr(rsa_blind, "_factor", lambda n: next(factors))
    blinded = blind(owner.public, IDS, CONTEXT)
    asked = [rsa_hash(message) * pow(r, E, N) % N for message, r in zip(IDS, FACTORS, strict=True)]
    assert [int.from_bytes(row.tobytes(), "big") for row in blinded.numbers] == asked
    signed = owner.sign(blinded.numbers)
    assert [int.from_bytes(row.tobytes(), "big") for row in signed] == [pow(number, D, N) for number in asked]
    domain = b"airfed-V01-ids-with-RSA_SHAKE256_FDH_tag"
    tags = [hashlib.sha256(domain + pow(rsa_hash(x), D, N).to_bytes(128, "big")).digest()[:16] for x in IDS]
    assert [row.tobytes() for row in unblind(blinded, signed)] == tags
    assert [row.tobytes() for row in owner.tags(IDS, CONTEXT)] == tags
    assert [tag.hex() for tag in tags] == RSA_TAGS


def ladder(scalar: int, u: int) -> int:
    """RFC 7748, section 5: the Montgomery ladder of X25519, for a scalar that is clamped already."""
    a, b, c, d = 1, 0, u, 1
    for bit in reversed(range(255)):
        if scalar >> bit & 1:
            a, b, c, d = c, d, a, b
        plus, minus = (a + b) ** 2, (a - b) ** 2
        da, cb = (c - d) * (a + b), (c + d) * (a - b)
        both = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        doubled = plus * minus % PRIME, (plus - minus) * (plus + 121665 * (plus - minus)) % PRIME
        a, b, c, d = *doubled, *both
        if scalar >> bit & 1:
            a, b, c, d = c, d, a, b
    return a * pow(b, -1, PRIME) % PRIME


def curve_hash(message: bytes) -> int:
    """RFC 9380, suite curve25519_XMD:SHA-512_ELL2_NU_, by sections 5.2, 5.3.1 and 6.7.1 as they are written."""
    suffix = b"airfed-V01-ids-with-curve25519_XMD:SHA-512_ELL2_NU_"
    suffix += bytes([len(suffix)])
    first = hashlib.sha512(bytes(128) + FRAMED + message + b"\0\x30\0" + suffix).digest()
    r = int.from_bytes(hashlib.sha512(first + b"\x01" + suffix).digest()[:48], "big") % PRIME
    x = -486662 * pow(1 + 2 * r * r, -1, PRIME) % PRIME
    square = pow(x**3 + 486662 * x**2 + x, (PRIME - 1) // 2, PRIME) == 1
    return x if square else (-x - 486662) % PRIME


def point(u: int) -> bytes:
    return u.to_bytes(32, "little")


def test_the_ladder_is_that_of_rfc_7748() -> None:
    """Section 5.2, the second vector."""
    scalar = int.from_bytes(bytes.fromhex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"), "little")
    clamped = scalar % 2**254 // 8 * 8 + 2**254
    u = int.from_bytes(bytes.fromhex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a413"), "little")
    assert point(ladder(clamped, u)).hex() == "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"


def test_values_of_the_oblivious_function_on_curve25519(monkeypatch: pytest.MonkeyPatch) -> None:
    key, scalar = 2**254 + 8 * 12345, 2**254 + 8 * 5
    inverse = next(c for c in range(pow(scalar, -1, ORDER), 2**255, ORDER) if c >= 2**254 and c % 8 == 0)
    monkeypatch.setattr(ecdh_prf, "_invertible", lambda: (point(scalar), point(inverse)))
    owner, asking = Blinding(secret=point(key)), ecdh_prf.Asking()
    asked = asking.blinded(IDS, CONTEXT)
    assert [row.tobytes() for row in asked] == [point(ladder(scalar, curve_hash(message))) for message in IDS]
    evaluated = [point(ladder(key, curve_hash(message))) for message in IDS]
    tags = [hashlib.sha256(b"airfed-V01-ids-with-curve25519-prf" + value).digest()[:16] for value in evaluated]
    assert [row.tobytes() for row in asking.tags(owner.apply(asked))] == tags
    assert [row.tobytes() for row in ecdh_prf.tags(owner.hashed(IDS, CONTEXT))] == tags
    assert [tag.hex() for tag in tags] == PRF_TAGS


class Fixed(local):
    """Bytes that look random, the same in every run: a stream for each party, which has a thread of its own."""

    seed, used = "", 0

    def take(self, count: int) -> bytes:
        self.used += 1
        return hashlib.shake_256(f"{self.seed} {self.used}".encode()).digest(count)

    def below(self, bound: int) -> int:
        return int.from_bytes(self.take(64), "big") % bound


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> Fixed:
    drawn = Fixed()
    own = SimpleNamespace(token_bytes=drawn.take, randbelow=drawn.below, urandom=drawn.take)
    monkeypatch.setattr(intersection_kkrt, "secrets", own)
    monkeypatch.setattr(base_ot, "secrets", own)
    monkeypatch.setattr(oprf, "os", own)
    generated = staticmethod(lambda: X25519PrivateKey.from_private_bytes(drawn.take(32)))
    monkeypatch.setattr(X25519PrivateKey, "generate", generated)
    return drawn


def seeded(run: Callable[[Pair], Positions], seed: str, fixed: Fixed) -> Callable[[Pair], Positions]:
    def with_fixed_secrets(pair: Pair) -> Positions:
        fixed.seed = seed  # of this thread
        return run(pair)

    return with_fixed_secrets


def test_all_messages_of_kkrt_and_what_they_find(fixed: Fixed, tmp_path: Path) -> None:
    ids = {GUEST: [f"u{i}" for i in range(60)], HOST: [f"u{i}" for i in range(90, 40, -1)]}
    runs = {"guest": seeded(KKRT.guest, "guest", fixed), "host": seeded(KKRT.host, "host", fixed)}
    result = case(ids, **runs).run(tmp_path)
    guest, host = matches(result)
    assert guest == host
    assert sorted(guest) == [f"u{i}" for i in range(41, 60)]
    digests = defaultdict(hashlib.sha256)
    for message in sorted(result.sent, key=lambda m: (m.key.topic, m.key.round)):
        digests[message.key.topic].update(message.body)
    rows = next(MATCHES.codec.decode(message.body) for message in result.sent if message.key.topic == MATCHES.name)
    assert rows.tolist() == KKRT_ROWS
    assert {topic: digest.hexdigest()[:32] for topic, digest in digests.items()} == KKRT_MESSAGES
