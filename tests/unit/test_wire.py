"""The wire format: what was declared arrives bit for bit, everything else is refused before use."""

from __future__ import annotations

import contextlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import model_pb2
from federatedml.errors import ProtocolError
from federatedml.federation.wire import DTYPES, KNOWN_LAYOUTS, Protobuf, Tensors, Vector

FLOATS = Vector("<f8", 2)
PAIR = Tensors({"a": ("<f8", 1), "b": ("|u1", 2)})
GOOD = PAIR.encode({"a": np.array([1.5, -2.0]), "b": np.zeros((2, 3), np.uint8)})


def payload(**tensors: pb.Tensor) -> bytes:
    return pb.Payload(tensors=tensors).SerializeToString()


@given(st.sampled_from(sorted(DTYPES)), st.data())
@settings(max_examples=100)
def test_arrays_arrive_bit_for_bit(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    elements = {"allow_nan": False, "allow_infinity": False} if dtype == "<f8" else {}
    array = data.draw(hnp.arrays(np.dtype(dtype), shape, elements=hnp.from_dtype(np.dtype(dtype), **elements)))
    codec = Vector(dtype, len(shape))
    found = codec.decode(codec.encode(array))
    assert (found.dtype.str, found.shape, found.tobytes()) == (dtype, array.shape, array.tobytes())
    assert not found.flags.writeable


def test_arrays_of_any_memory_layout_are_sent_in_c_order() -> None:
    array = np.arange(6, dtype=np.float64).reshape(2, 3).T[::-1]
    assert FLOATS.decode(FLOATS.encode(array)).tolist() == array.tolist()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"a": np.zeros(1)}, "FED-310"),
        ({"a": np.zeros(1), "b": np.zeros((1, 1), np.uint8), "c": np.zeros(1)}, "FED-310"),
        ({"a": np.zeros(1, np.float32), "b": np.zeros((1, 1), np.uint8)}, "FED-312"),
        ({"a": np.zeros((1, 1)), "b": np.zeros((1, 1), np.uint8)}, "FED-312"),
        ({"a": np.array([np.nan]), "b": np.zeros((1, 1), np.uint8)}, "FED-313"),
        ({"a": np.array([-np.inf]), "b": np.zeros((1, 1), np.uint8)}, "FED-313"),
        ({"a": np.array([None]), "b": np.zeros((1, 1), np.uint8)}, "FED-312"),
    ],
)
def test_what_was_not_declared_is_not_sent(value: dict, code: str) -> None:
    with pytest.raises(ProtocolError, match=code):
        PAIR.encode(value)


@pytest.mark.parametrize(
    ("tensor", "code"),
    [
        (pb.Tensor(dtype="<f8", shape=[2], data=bytes(16)), "FED-312"),
        (pb.Tensor(dtype="<u8", shape=[1, 2], data=bytes(16)), "FED-312"),
        (pb.Tensor(dtype="|O", shape=[1, 2], data=bytes(16)), "FED-312"),
        (pb.Tensor(dtype="x" * 10_000, shape=[1, 2], data=bytes(16)), "FED-312"),
        (pb.Tensor(dtype="<f8", shape=[2, 2], data=bytes(16)), "FED-312"),
        (pb.Tensor(dtype="<f8", shape=[1, 2], data=bytes(17)), "FED-312"),
        (pb.Tensor(dtype="<f8", shape=[2**63, 2**63], data=bytes(16)), "FED-312"),
        (pb.Tensor(dtype="<f8", shape=[0, 2**64 - 1], data=b""), "FED-312"),
        (pb.Tensor(dtype="<f8", shape=[1, 1], data=np.array([np.nan]).tobytes()), "FED-313"),
        (pb.Tensor(dtype="<f8", shape=[1, 1], data=np.array([np.inf]).tobytes()), "FED-313"),
    ],
)
def test_arrays_that_are_not_what_was_declared_are_refused(tensor: pb.Tensor, code: str) -> None:
    with pytest.raises(ProtocolError, match=code) as caught:
        FLOATS.decode(payload(x=tensor))
    assert len(caught.value.message) < 300


def test_further_missing_and_mixed_content_is_refused() -> None:
    tensor = pb.Tensor(dtype="<f8", shape=[0, 0])
    mixed = pb.Payload(tensors={"x": tensor}, message=b"\x08\x01").SerializeToString()
    for body in (payload(), payload(x=tensor, y=tensor), payload(y=tensor), mixed):
        with pytest.raises(ProtocolError, match="FED-310"):
            FLOATS.decode(body)
    with pytest.raises(ProtocolError, match="FED-310"):
        Protobuf(model_pb2.LRModelParam).decode(mixed)


@pytest.mark.parametrize("shape", [[0, 2**40, 2**40], [2**62, 2**62, 0], [2**41, 0, 1]])
def test_an_array_of_nothing_may_not_claim_any_shape(shape: list[int]) -> None:
    with pytest.raises(ProtocolError, match="FED-312"):
        Vector("<f8", 3).decode(payload(x=pb.Tensor(dtype="<f8", shape=shape)))


def test_a_huge_claimed_shape_costs_no_memory() -> None:
    body = payload(x=pb.Tensor(dtype="<f8", shape=[2**30, 2**30], data=bytes(8)))
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        FLOATS.decode(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_refused_or_decoded(body: bytes) -> None:
    for codec in (PAIR, FLOATS, Vector("|u1", 0), Protobuf(model_pb2.DataIOParam)):
        with contextlib.suppress(ProtocolError):
            codec.decode(body)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_any_changed_byte_is_refused_or_another_valid_value(at: int, flip: int) -> None:
    damaged = bytes([*GOOD[:at], GOOD[at] ^ flip, *GOOD[at + 1 :]])
    try:
        found = PAIR.decode(damaged)
    except ProtocolError:
        return
    assert np.isfinite(found["a"]).all()
    assert found["b"].ndim == 2


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)), max_size=3))
@settings(max_examples=300)
def test_a_message_reads_the_same_whatever_came_before(flips: list[tuple[int, int]]) -> None:
    """What is known of messages of the same length spares work and changes nothing."""
    body = bytearray(GOOD)
    for at, flip in flips:
        body[at] ^= flip
    found: list[object] = []
    for codec in (Tensors(PAIR.fields), PAIR):
        PAIR.decode(GOOD)
        try:
            found.append({name: (a.dtype.str, a.shape, a.tobytes()) for name, a in codec.decode(bytes(body)).items()})
        except ProtocolError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_messages_of_one_length_may_have_other_shapes_and_another_order() -> None:
    codec = Tensors({"a": ("|u1", 2), "b": ("|u1", 1)})
    values = [{"a": np.full(shape, 7, np.uint8), "b": np.arange(6, dtype=np.uint8)} for shape in ((2, 3), (3, 2))]
    bodies = [codec.encode(value) for value in values]
    first, second = pb.Payload.FromString(bodies[0]).tensors["a"], pb.Payload.FromString(bodies[0]).tensors["b"]
    entries = [payload(b=second), payload(a=first)]
    assert {len(body) for body in (*bodies, b"".join(entries))} == {len(bodies[0])}
    for body, shape in [*zip(bodies, ((2, 3), (3, 2)), strict=True), (b"".join(entries), (2, 3))] * 2:
        found = codec.decode(body)
        assert (found["a"].shape, set(found["a"].ravel().tolist())) == (shape, {7})
        assert found["b"].tolist() == list(range(6))


def test_what_is_known_of_messages_is_bounded() -> None:
    codec = Vector("|u1")
    for size in range(10 * KNOWN_LAYOUTS):
        assert len(codec.decode(codec.encode(np.zeros(size, np.uint8)))) == size
        assert len(codec._tensors._layouts) <= KNOWN_LAYOUTS


@pytest.mark.parametrize("cut", range(len(GOOD)))
def test_every_truncation_is_refused(cut: int) -> None:
    with pytest.raises(ProtocolError):
        PAIR.decode(GOOD[:cut])


def test_messages_arrive_and_others_are_not_sent() -> None:
    codec = Protobuf(model_pb2.LRModelParam)
    sent = model_pb2.LRModelParam(iters=3, weight={"x": 0.5})
    assert codec.decode(codec.encode(sent)) == sent
    with pytest.raises(ProtocolError, match="FED-310"):
        codec.encode(model_pb2.LRModelMeta())


def test_only_listed_types_can_be_declared() -> None:
    with pytest.raises(ValueError, match=r"\|O is not one of"):
        Tensors({"x": ("|O", 1)})


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_arrays_are_what_protobuf_itself_would_write(values: list[float]) -> None:
    array, flags = np.array(values, dtype="<f8"), np.zeros((2, 0), np.uint8)
    found = pb.Payload.FromString(PAIR.encode({"a": array, "b": flags}))
    expected = pb.Payload(
        tensors={
            "a": pb.Tensor(dtype="<f8", shape=array.shape, data=array.tobytes()),
            "b": pb.Tensor(dtype="|u1", shape=(2, 0)),
        }
    )
    assert found == expected
    decoded = PAIR.decode(expected.SerializeToString())
    assert decoded["a"].tobytes() == array.tobytes()
    assert decoded["b"].shape == (2, 0)


def test_an_array_that_comes_twice_is_refused() -> None:
    body = FLOATS.encode(np.zeros((1, 1)))
    with pytest.raises(ProtocolError, match="FED-311"):
        FLOATS.decode(body + body)


def test_arrays_are_copied_once_to_send_and_never_to_receive() -> None:
    array = np.ones(2**20)
    tracemalloc.start()
    body = Vector("<f8").encode(array)
    sent = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    Vector("<f8").decode(body)
    received = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert sent < 1.3 * array.nbytes  # and one byte per value to see whether all are finite
    assert received < 0.3 * array.nbytes
