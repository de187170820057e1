from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federatedml.crypto.vector import HEADER, Opened, PackedCodec, Reply, Scheme, Sealed
from federatedml.errors import ProtocolError

SEALED = Sealed(Scheme.PAILLIER, bytes(range(16)), 3, 4, -8, b"abcdefghijkl", 70)


def test_a_vector_comes_back() -> None:
    assert PackedCodec(Sealed).decode(PackedCodec(Sealed).encode(SEALED)) == SEALED


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_refused_or_read(data: bytes) -> None:
    with suppress(ProtocolError):
        assert Sealed.from_bytes(data).to_bytes() == data


@given(st.integers(0, HEADER.size + 11), st.integers(1, 255))
def test_a_damaged_byte_is_refused_or_another_vector(at: int, flip: int) -> None:
    data = bytearray(SEALED.to_bytes())
    data[at] ^= flip
    with suppress(ProtocolError):
        assert Sealed.from_bytes(bytes(data)) != SEALED


@pytest.mark.parametrize("cut", [0, 10, HEADER.size, HEADER.size + 11, HEADER.size + 13])
def test_a_truncated_or_longer_vector_is_refused(cut: int) -> None:
    with pytest.raises(ProtocolError, match="FED-702"):
        Sealed.from_bytes((SEALED.to_bytes() + b"xx")[:cut])


@pytest.mark.parametrize("other", [Reply, Opened])
def test_one_kind_is_not_read_as_another(other: type[Reply] | type[Opened]) -> None:
    with pytest.raises(ProtocolError, match="not a packed vector of the kind"):
        other.from_bytes(SEALED.to_bytes())
    with pytest.raises(ProtocolError, match="FED-310"):
        PackedCodec(other).encode(SEALED)  # type: ignore[arg-type]


def test_a_count_that_no_memory_holds_is_refused_by_its_length() -> None:
    header = HEADER.pack(b"afv1", 1, 1, 0, bytes(16), 2**32, 2**16, 0)
    with pytest.raises(ProtocolError, match="FED-702"):
        Sealed.from_bytes(header + b"x" * 64)
