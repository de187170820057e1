"""Numbers of python-paillier are read and written; it is the reference here and needed nowhere else."""

from __future__ import annotations

import phe
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.interchange import from_numbers, to_numbers
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.errors import ProtocolError
from tests.paillier_keys import small_key

KEY = small_key()
THEIR_PUBLIC = phe.PaillierPublicKey(int(KEY.public.n))
THEIR_PRIVATE = phe.PaillierPrivateKey(THEIR_PUBLIC, int(KEY.p), int(KEY.q))
OURS = evaluator(KEY.public)


def theirs(ciphertexts: list[tuple[int, int]]) -> list[float]:
    return [THEIR_PRIVATE.decrypt(phe.EncryptedNumber(THEIR_PUBLIC, c, e)) for c, e in ciphertexts]


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=5), st.sampled_from([0, 4, 20]))
@settings(max_examples=20)
def test_phe_reads_what_we_seal(integers: list[int], scale_bits: int) -> None:
    values = [i / 2**20 for i in integers]
    codec = Codec(scale_bits, 2.0**20)
    for own in (OURS, owner_evaluator(KEY)):
        vector = own.encrypt(values, codec)
        assert theirs(to_numbers(vector.seal())) == codec.decode(codec.encode(values)).tolist()


@given(st.lists(st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=5))
@settings(max_examples=20)
def test_we_read_what_phe_encrypts_with_an_exponent_per_number(values: list[float]) -> None:
    numbers = [THEIR_PUBLIC.encrypt(x) for x in values]
    vector = from_numbers(OURS, [(x.ciphertext(), x.exponent) for x in numbers], 1e6)
    opened = Opener(KEY, {"t": Allowance(1, len(values))}).values("t", 0, vector.reveal())
    assert opened.tolist() == values


def test_sums_and_products_agree_with_phe() -> None:
    a, b = [1.5, -2.0, 3.25], [0.5, 7.0, -1.0]
    ours = from_numbers(OURS, [(x.ciphertext(), x.exponent) for x in map(THEIR_PUBLIC.encrypt, a)], 4.0)
    both = ours.add(ours).times(-5)
    expected = [(THEIR_PUBLIC.encrypt(x) * -5 + THEIR_PUBLIC.encrypt(x) * -5) for x in a]
    assert theirs(to_numbers(both.seal())) == [THEIR_PRIVATE.decrypt(x) for x in expected]
    product = OURS.encrypt(a, Codec(8, 4.0)).times_plain(b, Codec(8, 8.0))
    assert theirs(to_numbers(product.seal())) == [x * y for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize(
    ("number", "match"),
    [
        ((0, 0), "FED-706"),
        ((int(KEY.p), 0), "FED-706"),
        ((-1, 0), "FED-706"),
        ((1, -2000), "FED-705"),
        ((1, 2000), "FED-705"),
    ],
)
def test_hostile_numbers_are_refused(number: tuple[int, int], match: str) -> None:
    with pytest.raises(ProtocolError, match=match):
        from_numbers(OURS, [(1, 0), number], 1.0)


def test_exponents_further_apart_than_the_key_has_room_for_are_refused() -> None:
    with pytest.raises(ProtocolError, match="FED-703"):
        from_numbers(OURS, [(1, -200), (1, 0)], 1.0)
