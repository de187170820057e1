from __future__ import annotations

import pickle

import gmpy2
import phe
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import evaluator
from federatedml.crypto.paillier.keys import PrivateKey, PublicKey, PublicKeyCodec, generate
from federatedml.errors import ProtocolError
from tests.paillier_keys import small_key

KEY = small_key()


def test_a_known_answer() -> None:
    """p = 7, q = 11: 12 encrypted with r = 5 is (1 + 12 * 77) * 5^77 modulo 77^2."""
    key = PrivateKey(mpz(7), mpz(11))
    ciphertext = (1 + 12 * 77) * pow(5, 77, 77**2) % 77**2
    assert ciphertext == phe.PaillierPublicKey(77).raw_encrypt(12, r_value=5) == 4469
    assert key.decrypt([mpz(ciphertext)]) == [12]


@given(st.integers(0, int(KEY.public.n) - 1), st.integers(2, 2**500))
@settings(max_examples=30)
def test_decryption_agrees_with_the_definition_and_with_phe(m: int, r: int) -> None:
    n = int(KEY.public.n)
    c = (1 + n * m) * pow(r, n, n * n) % (n * n)
    assert KEY.decrypt([mpz(c)]) == [m]
    reference = phe.PaillierPrivateKey(phe.PaillierPublicKey(n), int(KEY.p), int(KEY.q))
    assert reference.raw_decrypt(c) == m


def test_a_made_key_has_the_length_and_the_primes_that_the_proof_asks_for() -> None:
    key = generate(1024)
    assert key.public.bits == 1024
    assert key.p != key.q
    assert key.p % 4 == key.q % 4 == 3
    assert gmpy2.gcd(key.p - 1, key.q - 1) == 2
    assert generate(1024).public != key.public


@pytest.mark.parametrize("bits", [0, 512, 1023, 2047, 8192])
def test_other_lengths_are_not_made(bits: int) -> None:
    with pytest.raises(ProtocolError, match="FED-704"):
        generate(bits)


def test_primes_that_do_not_fit_are_refused() -> None:
    for p, q in ((7, 7), (7, 29)):  # 29 - 1 is a multiple of 7
        with pytest.raises(ProtocolError, match="FED-704"):
            PrivateKey(mpz(p), mpz(q))


def test_a_private_key_has_no_bytes_and_no_words() -> None:
    with pytest.raises(TypeError, match="stays in the process"):
        pickle.dumps(KEY)
    assert str(int(KEY.p)) not in repr(KEY)
    assert not hasattr(KEY, "to_bytes")


def test_a_public_key_travels() -> None:
    public, codec = generate(1024).public, PublicKeyCodec(1024)
    assert codec.decode(codec.encode(public)) == public
    assert len(public.key_id) == 16


def hostile_moduli() -> dict[str, int]:
    p, top = int(gmpy2.next_prime(3 << 510)), 1 << 1023
    return {
        "even": top,
        "zero": 0,
        "one bit short": (1 << 1022) + 1,
        "prime": int(gmpy2.next_prime(top)),
        "square of a prime": p * p,
        "small factor": 3 * int(gmpy2.next_prime(top // 2)),
    }


@pytest.mark.parametrize("name", hostile_moduli())
def test_a_modulus_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError, match="FED-704"):
        PublicKeyCodec(1024).decode(hostile_moduli()[name].to_bytes(128, "little"))


def test_another_length_than_declared_is_refused_both_ways() -> None:
    public = generate(1024).public
    with pytest.raises(ProtocolError, match="the plan declares 2048"):
        PublicKeyCodec(2048).encode(public)
    with pytest.raises(ProtocolError, match="FED-704"):
        PublicKeyCodec(2048).decode(public.to_bytes())


@given(st.integers())
def test_plaintexts_are_read_around_zero(m: int) -> None:
    key = PublicKey(mpz(77))
    assert key.signed(mpz(m % 77)) % 77 == m % 77
    assert abs(key.signed(mpz(m % 77))) <= 38


def test_masks_and_shares_have_no_readable_form() -> None:
    vector = evaluator(KEY.public).encrypt([3.0], Codec(0, 4.0))
    (_, mask), (_, share) = vector.mask(), vector.share()
    for secret, number in ((mask, mask.masks[0]), (share, share.elements[0])):
        assert str(int(number)) not in repr(secret)
