from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.crypto.codec import Codec, descale
from federatedml.errors import ProtocolError


@given(st.lists(st.floats(-1000, 1000)), st.sampled_from([0, 4, 20, 48]))
def test_values_come_back_within_half_a_step(values: list[float], scale_bits: int) -> None:
    codec = Codec(scale_bits, 1000.0)
    decoded = codec.decode(codec.encode(values))
    assert np.all(np.abs(decoded - np.array(values)) <= 2.0 ** -(scale_bits + 1))
    assert np.array_equal(decoded, codec.decode(codec.encode(values).tolist()))


@given(st.integers(-(2**2000), 2**2000), st.integers(1000, 2100))
def test_large_integers_are_rounded_once(integer: int, bits: int) -> None:
    assert descale([integer], bits)[0] == integer / 2**bits


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ProtocolError, match="not finite"):
        Codec(16, 1.0).encode([0.0, bad])


def test_what_passes_the_declared_magnitude_is_refused_without_telling_it() -> None:
    with pytest.raises(ProtocolError, match="declared magnitude 1") as error:
        Codec(16, 1.0).encode([1.0, -1.0625])
    assert "1.06" not in str(error.value)


@pytest.mark.parametrize(
    ("scale_bits", "magnitude"), [(3, 1.0), (-4, 1.0), (64, 1.0), (8, 0.0), (8, math.inf), (8, math.nan), (60, 8.0)]
)
def test_a_codec_that_cannot_be_is_refused(scale_bits: int, magnitude: float) -> None:
    with pytest.raises(ProtocolError, match="FED-700"):
        Codec(scale_bits, magnitude)


def test_a_number_beyond_floats_is_refused() -> None:
    with pytest.raises(ProtocolError, match="FED-701"):
        descale([2**2000], 0)
