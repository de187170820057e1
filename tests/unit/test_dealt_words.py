"""Words of a ring: a vector's largest safe scale, a matrix's scale per column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.crypto.dealt.matrices import Numbers
from federatedml.crypto.dealt.words import WordRing, encode
from federatedml.errors import DataError


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=40),
    st.sampled_from([32, 64]),
    st.sampled_from([0, 4]),
)
def test_no_sum_of_any_subset_passes_the_ring(values: list[float], bits: int, spare: int) -> None:
    words, scale = encode(np.array(values), WordRing(bits), spare)
    signed = words.view(f"<i{bits // 8}") if scale.signed else words
    total = sum(abs(int(w)) for w in signed) * 2**spare
    assert total <= WordRing(bits).limit(scale.signed)
    if any(values) and scale.bits < bits - 2:
        assert total >= 2 ** (bits - 5)  # no more than some bits are lost
    errors = np.abs(scale.decode(words) - values)
    assert (errors <= np.ldexp(0.5000001, -scale.bits)).all()


def test_unsigned_vectors_have_a_bit_more() -> None:
    assert encode(np.full(3, 0.7), WordRing())[1].bits == encode(np.full(3, -0.7), WordRing())[1].bits + 1


def test_halves_of_a_first_tree_are_exact() -> None:
    words, scale = encode(np.full(30000, 0.25), WordRing())
    np.testing.assert_array_equal(scale.decode(words), 0.25)


def test_zeros() -> None:
    words, scale = encode(np.zeros(4), WordRing())
    assert not words.any()
    assert scale.bits == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.7e308])
def test_numbers_whose_sum_is_not_finite(bad: float) -> None:
    with pytest.raises(DataError, match="FED-712"):
        encode(np.array([bad, bad]), WordRing())


def test_columns_of_a_matrix_have_one_scale_each() -> None:
    X = np.array([[1.0, -1e-9, 0.0], [0.5, 1e-9, 0.0]])
    fixed = Numbers(X, WordRing(64), bits=12)
    words = fixed.words(slice(0, 2)).view("<i8")
    assert (np.abs(words) <= 2**12).all()
    np.testing.assert_allclose(np.ldexp(words.astype(float), fixed.exponents), X, rtol=2.0**-11)
    assert len({fixed.digest(), Numbers(X * 2, WordRing(64), bits=12).digest()}) == 2


def test_a_matrix_with_a_hole_is_refused() -> None:
    with pytest.raises(DataError, match="FED-713"):
        Numbers(np.array([[np.nan]]), WordRing())
