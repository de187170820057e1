"""Blind RSA: signatures meet, the blinding hides, hostile numbers are refused."""

from __future__ import annotations

from functools import cache

import gmpy2
import numpy as np
import pytest

from federatedml.crypto import rsa_blind
from federatedml.crypto.rsa_blind import EXPONENT, PublicKey, Signer, blind, unblind
from federatedml.errors import ProtocolError

BITS = 1024
CONTEXT = b"job"


@cache
def signer() -> Signer:
    return Signer(BITS)


def number(row: np.ndarray) -> int:
    return int.from_bytes(row.tobytes(), "big")


def test_unblinded_signatures_have_the_signers_own_tags() -> None:
    ids = [b"a", b"b", "\u00fc".encode()]
    blinded = blind(signer().public, ids, CONTEXT)
    assert (unblind(blinded, signer().sign(blinded.numbers)) == signer().tags(ids, CONTEXT)).all()
    assert not (signer().tags(ids, CONTEXT) == signer().tags(ids, b"another job")).all(axis=1).any()


def test_a_signature_is_the_power_that_the_public_key_undoes() -> None:
    blinded = blind(signer().public, [b"a"], CONTEXT)
    signed = number(signer().sign(blinded.numbers)[0])
    assert pow(signed, EXPONENT, signer().public.n) == number(blinded.numbers[0])


def test_hashes_fill_the_whole_domain() -> None:
    hashes = blind(signer().public, [str(i).encode() for i in range(500)], CONTEXT).hashes
    share = np.array([float(gmpy2.mpq(h, signer().public.n)) for h in hashes])
    assert len(set(hashes)) == 500
    assert abs(share.mean() - 0.5) < 0.1
    assert share.max() > 0.95  # but once in 10^11


def test_the_same_ids_are_blinded_differently_every_time() -> None:
    first, second = (blind(signer().public, [b"a", b"b"], CONTEXT).numbers for _ in range(2))
    assert not {bytes(row) for row in first} & {bytes(row) for row in second}


def lengths_of_quotients(ids: list[bytes], candidates: list[bytes]) -> list[list[int]]:
    """What a curious signer computes: bits of (H(x) r^e)^d / H(c)^d for every id x and candidate c."""
    n = signer().public.n
    signed = signer().sign(blind(signer().public, ids, CONTEXT).numbers)
    guesses = [rsa_blind._power(rsa_blind._hash(each, CONTEXT, n), signer()._secret) for each in candidates]
    return [[int(number(row) * gmpy2.invert(g, n) % n).bit_length() for g in guesses] for row in signed]


def test_a_signer_tests_candidates_by_fates_short_factors_but_not_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """FATE blinds by a factor of ``random_bit`` = 128 bits: the quotient by the right candidate is that factor."""
    ids, candidates = [b"id 3", b"id 7"], [f"id {i}".encode() for i in range(10)]
    with monkeypatch.context() as fate:
        fate.setattr(rsa_blind, "_factor", lambda n: int.from_bytes(rsa_blind.os.urandom(16), "big") | 1)
        told = lengths_of_quotients(ids, candidates)
    assert [[bits <= 128 for bits in row].index(True) for row in told] == [3, 7]
    assert [sum(bits <= 128 for bits in row) for row in told] == [1, 1]
    hidden = lengths_of_quotients(ids, candidates)
    assert all(bits > BITS - 64 for row in hidden for bits in row)


def test_factors_are_units_of_full_length() -> None:
    n = signer().public.n
    factors = [rsa_blind._factor(n) for _ in range(100)]
    assert all(0 < r < n and gmpy2.gcd(r, n) == 1 for r in factors)
    assert max(factors) > 0.8 * n  # but once in 10^9
    assert len(set(factors)) == 100


@pytest.mark.parametrize("bad", ["zero", "modulus", "large", "factor"])
def test_numbers_that_are_no_units_are_refused(bad: str) -> None:
    n, p = signer().public.n, signer()._secret[0]
    value = {"zero": 0, "modulus": n, "large": 2**BITS - 1, "factor": p}[bad]
    row = np.frombuffer(value.to_bytes(BITS // 8, "big"), np.uint8).reshape(1, -1)
    with pytest.raises(ProtocolError, match="FED-743"):
        signer().sign(row)


def test_numbers_of_another_width_are_refused() -> None:
    with pytest.raises(ProtocolError, match="FED-743"):
        signer().sign(np.ones((1, 8), np.uint8))


@pytest.mark.parametrize("change", ["one bit", "another order", "fewer"])
def test_an_answer_that_is_not_the_signature_is_refused(change: str) -> None:
    blinded = blind(signer().public, [b"a", b"b"], CONTEXT)
    signed = signer().sign(blinded.numbers).copy()
    if change == "one bit":
        signed[0, -1] ^= 1
    answer = {"one bit": signed, "another order": signed[::-1], "fewer": signed[:1]}[change]
    with pytest.raises(ProtocolError, match="FED-743" if change == "fewer" else "FED-744"):
        unblind(blinded, answer)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff" * 64, b"\x7f" + b"\xff" * 127, b"\xff" * 127 + b"\xfe", b"\xff" * 129],
    ids=["empty", "short", "one bit less", "even", "long"],
)
def test_a_modulus_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="FED-743"):
        PublicKey.read(body, BITS)


def test_a_modulus_is_read_as_it_was_written() -> None:
    assert PublicKey.read(signer().public.body(), BITS) == signer().public


def test_blinding_factors_have_no_readable_form() -> None:
    blinded = blind(signer().public, [b"a"], CONTEXT)
    assert str(blinded.factors[0]) not in repr(blinded)
