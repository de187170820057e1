"""Secrets in shares: enough give them back, fewer say nothing, wrong ones are noticed."""

from __future__ import annotations

import os

import gmpy2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.crypto.secagg import shamir
from federatedml.crypto.secagg.shamir import PRIME, SECRET_BYTES, SHARE_BYTES, join, split
from federatedml.errors import ProtocolError

SECRETS = st.one_of(st.binary(min_size=32, max_size=32), st.sampled_from([bytes(32), b"\xff" * 32]))


def test_the_modulus_is_the_least_prime_that_holds_every_secret() -> None:
    assert gmpy2.is_prime(PRIME, 50)
    assert gmpy2.next_prime(2 ** (8 * SECRET_BYTES)) == PRIME


@given(secret=SECRETS, data=st.data(), count=st.integers(1, 9))
def test_any_subset_that_is_large_enough_gives_the_secret(secret: bytes, data: st.DataObject, count: int) -> None:
    threshold = data.draw(st.integers(1, count))
    shares = dict(enumerate(split(secret, threshold, count), start=1))
    chosen = data.draw(st.sets(st.integers(1, count), min_size=threshold))
    assert join({index: shares[index] for index in chosen}, threshold, count) == secret


def test_a_polynomial_written_out() -> None:
    """7 + 3 x + 5 x^2 at 1, 2, 4."""
    shares = {x: (7 + 3 * x + 5 * x * x).to_bytes(SHARE_BYTES, "big") for x in (1, 2, 4)}
    assert join(shares, 3, 4) == (7).to_bytes(32, "big")


def test_fewer_shares_fit_every_secret() -> None:
    """Whatever the secret, there is a polynomial through two shares of a threshold of three."""
    shares = split(os.urandom(32), 3, 3)
    for guess in (bytes(32), os.urandom(32)):
        points = {
            0: int.from_bytes(guess, "big"),
            1: int.from_bytes(shares[0], "big"),
            2: int.from_bytes(shares[1], "big"),
        }
        third = shamir._interpolated(points, 3).to_bytes(SHARE_BYTES, "big")
        assert join({1: shares[0], 2: shares[1], 3: third}, 3, 3) == guess


def test_shares_are_new_every_time() -> None:
    secret = os.urandom(32)
    assert not set(split(secret, 2, 5)) & set(split(secret, 2, 5))


SHARES = dict(enumerate(split(bytes(range(32)), 3, 5), start=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {1: SHARES[1], 2: SHARES[2]},
        {0: SHARES[1], 2: SHARES[2], 3: SHARES[3]},
        {1: SHARES[1], 2: SHARES[2], 6: SHARES[3]},
        {1: SHARES[1], 2: SHARES[2], -1: SHARES[3]},
        {1: SHARES[1], 2: SHARES[2], 3: SHARES[3][1:]},
        {1: SHARES[1], 2: SHARES[2], 3: b"\x00" + SHARES[3]},
        {1: SHARES[1], 2: SHARES[2], 3: PRIME.to_bytes(33, "big")},
        {1: SHARES[1], 2: SHARES[2], 3: b"\xff" * 33},
        {1: SHARES[1], 2: SHARES[2], 3: SHARES[3], 4: SHARES[5]},
        {1: SHARES[1], 2: SHARES[2], 3: SHARES[3], 4: SHARES[1]},
    ],
)
def test_too_few_shares_wrong_indices_and_wrong_shares_are_refused(wrong: dict[int, bytes]) -> None:
    with pytest.raises(ProtocolError, match="FED-768"):
        join(wrong, 3, 5)


def test_a_value_that_no_secret_has_is_refused() -> None:
    shares = {index: (2**256 + index * 0).to_bytes(SHARE_BYTES, "big") for index in (1, 2)}
    with pytest.raises(ProtocolError, match=r"FED-768.*belong together"):
        join(shares, 2, 2)


@pytest.mark.parametrize(
    ("secret", "threshold", "count"), [(bytes(31), 1, 1), (bytes(33), 1, 1), (bytes(32), 3, 2), (bytes(32), 0, 2)]
)
def test_what_cannot_be_shared_is_refused(secret: bytes, threshold: int, count: int) -> None:
    with pytest.raises(ProtocolError, match="FED-768"):
        split(secret, threshold, count)
