"""Frames and pieces: cut at any place they arrive as they were sent, and nothing that a peer may write gets through."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators.gateway.frames import MAX_FRAME, FrameReader, Kind, Piece, after, frame
from federatedml.errors import ProtocolError
from federatedml.federation.protowire import Wire, fields, prefix, read_varint, tag, varint

KEY = pb.EnvelopeKey(topic="t", round=3, source=pb.Member(role="guest", party_id="9999"))
HEAD = pb.Chunk(key=KEY, index=1, count=2, sha256=b"s" * 32)


def raw(piece: Piece) -> bytes:
    return b"".join(piece.parts())


def read(body: bytes, cuts: int) -> list[tuple[Kind, bytes]]:
    """Frames of a stream that comes in portions of ``cuts`` bytes."""
    reader, found = FrameReader(), []
    while body:
        room = reader.room()
        count = min(cuts, len(room), len(body))
        room[:count], body = body[:count], body[count:]
        found += [(kind, bytes(content)) for kind, content in reader.took(count)]
    return found


@given(st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=300)), max_size=20), st.integers(1, 200))
@settings(max_examples=100)
def test_frames_arrive_whole_and_in_order_however_they_are_cut(sent: list[tuple[Kind, bytes]], cuts: int) -> None:
    body = b"".join(b"".join(frame(kind, [content])) for kind, content in sent)
    assert read(body, cuts) == sent


@pytest.mark.parametrize("size", [65_530, 65_531, 65_532, 65_536, 70_000, 2**21])
@pytest.mark.parametrize("cuts", [1000, 2**20])
def test_large_frames_arrive_between_small_ones(size: int, cuts: int) -> None:
    sent = [(Kind.CONTROL, b"before"), (Kind.PIECE, bytes(range(256)) * (size // 256) + b"x"), (Kind.RECEIPTS, b"")] * 2
    body = b"".join(b"".join(frame(kind, [content])) for kind, content in sent)
    assert read(body, cuts) == sent


@pytest.mark.parametrize("head", [(MAX_FRAME + 1).to_bytes(4, "little") + b"\0", b"\1\0\0\0\7"])
def test_what_is_no_frame_ends_the_stream(head: bytes) -> None:
    with pytest.raises(ProtocolError, match="FED-770"):
        read(head + b"x", 100)
    with pytest.raises(ProtocolError, match="FED-770"):
        frame(Kind.PIECE, [bytes(MAX_FRAME), b"x"])


@given(st.lists(st.binary(max_size=5), max_size=6), st.integers(0, 40))
def test_what_is_left_after_a_part_was_sent(parts: list[bytes], sent: int) -> None:
    whole = b"".join(parts)
    sent = min(sent, len(whole))
    assert b"".join(after(parts, sent)) == whole[sent:]


@given(st.binary(max_size=500))
def test_a_piece_is_a_serialised_chunk(data: bytes) -> None:
    chunk = pb.Chunk(key=KEY, index=1, count=2, sha256=b"s" * 32, data=data)
    assert pb.Chunk.FromString(raw(Piece(HEAD, data))) == chunk
    found = Piece.of(chunk.SerializeToString())
    assert (found.head, bytes(found.data)) == (HEAD, data)


def test_the_data_of_a_piece_is_not_copied() -> None:
    body = bytearray(raw(Piece(HEAD, b"data")))
    found = Piece.of(body)
    body[body.index(b"data")] = ord("D")
    assert bytes(found.data) == b"Data"


@pytest.mark.parametrize(
    "more",
    [
        prefix(4, 1) + b"x",  # the data again
        prefix(1, 0),  # the key again, out of order
        prefix(9, 1) + b"x",  # a field that no Chunk has
        tag(7, Wire.VARINT) + b"\1",
        b"\x80",  # a number without an end
        b"\xff" * 12,
        prefix(6, 100) + b"x",  # longer than the message
    ],
)
def test_more_than_one_chunk_is_refused(more: bytes) -> None:
    with pytest.raises(ProtocolError, match="FED-311"):
        Piece.of(raw(Piece(HEAD, b"data")) + more)


def test_a_gateways_own_words_cannot_be_smuggled_in_as_a_piece() -> None:
    """The receiving gateway passes a peer's bytes on: in a frame of another kind than its own words."""
    start = local_pb2.GatewayFrame(failed=pb.Failure(code="FED-999")).SerializeToString()
    with contextlib.suppress(ProtocolError):
        assert not Piece.of(start).data
    kinds = [kind for kind, _ in read(b"".join(frame(Kind.PIECE, [start])), 3)]
    assert kinds == [Kind.PIECE]


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_refused_or_a_chunk(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        found = Piece.of(body)
        whole = pb.Chunk.FromString(body)
        data, whole.data = whole.data, b""
        assert (found.head, bytes(found.data)) == (whole, data)


@given(st.integers(0, 2**63))
def test_numbers_arrive(value: int) -> None:
    body = memoryview(varint(value))
    assert read_varint(body, 0) == (value, len(body))


def test_fields_are_found_where_they_lie() -> None:
    body = memoryview(prefix(2, 3) + b"abc" + tag(5, Wire.VARINT) + varint(300))
    found = list(fields(body, {2: Wire.BYTES, 5: Wire.VARINT}))
    assert [(number, bytes(body[start:end])) for number, _, start, end in found] == [(2, b"abc"), (5, varint(300))]
    assert [begin for _, begin, _, _ in found] == [0, 5]
