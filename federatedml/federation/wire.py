"""What may cross the border, as bytes: named arrays of a declared kind, or one protobuf message.

Nothing executable is ever decoded. Every array is checked against its declaration before use: dtype, number of
dimensions, that the bytes are as long as the shape says, and that floating point values are finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from airfed_proto.v1 import common_pb2 as pb
from federatedml.errors import ProtocolError
from federatedml.federation.protowire import Buffer, Wire, fields, prefix

DTYPES = frozenset({"|u1", "<u4", "<u8", "<i8", "<f8"})
_DATA = 3  # number of a tensor's data
_PAYLOAD = {1: Wire.BYTES, 2: Wire.BYTES}
_ENTRY = {1: Wire.BYTES, 2: Wire.BYTES}
_TENSOR = {1: Wire.BYTES, 2: Wire.BYTES, _DATA: Wire.BYTES}
MAX_LENGTH = 2**40  # product of the dimensions that are not zero: NumPy refuses some shapes even if nothing is there
Array = NDArray[Any]
T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Codec(Protocol[T]):
    """How a topic's value becomes bytes and back."""

    def encode(self, value: T) -> bytes:
        """Bytes of a valid value; ``ProtocolError`` for one that was not declared."""
        ...

    def decode(self, body: bytes) -> T:
        """The value of hostile bytes; ``ProtocolError`` unless they are exactly what was declared."""
        ...


@dataclass(frozen=True)
class Tensors:
    """Named arrays. ``fields`` maps a name to (numpy type string, number of dimensions); all are required."""

    fields: Mapping[str, tuple[str, int]]

    def __post_init__(self) -> None:
        for name, (dtype, _) in self.fields.items():
            if dtype not in DTYPES:
                raise ValueError(f"{name}: {dtype} is not one of {sorted(DTYPES)}")

    def encode(self, value: Mapping[str, Array]) -> bytes:
        """Serialised ``Payload``."""
        if set(value) != set(self.fields):
            raise ProtocolError("FED-310", f"arrays {sorted(value)} are not the declared {sorted(self.fields)}")
        parts: list[Buffer] = []
        for name, (dtype, ndim) in self.fields.items():
            array = np.asarray(value[name], order="C")
            _check(name, array, dtype, ndim)
            parts += _tensor_parts(name, array)
        return b"".join(parts)  # the only copy of the arrays

    def decode(self, body: bytes) -> dict[str, Array]:
        """Arrays on the bytes of the message: read-only, no copy."""
        tensors = _tensors(memoryview(body).toreadonly())
        if set(tensors) != set(self.fields):
            raise ProtocolError("FED-310", f"arrays {sorted(tensors)} are not the declared {sorted(self.fields)}")
        return {name: _array(name, *tensors[name], *kind) for name, kind in self.fields.items()}


@dataclass(frozen=True)
class Vector:
    """One array."""

    dtype: str
    ndim: int = 1

    @cached_property
    def _tensors(self) -> Tensors:
        return Tensors({"x": (self.dtype, self.ndim)})

    def encode(self, value: Array) -> bytes:
        """Serialised ``Payload``."""
        return self._tensors.encode({"x": value})

    def decode(self, body: bytes) -> Array:
        """A read-only array."""
        return self._tensors.decode(body)["x"]


@dataclass(frozen=True)
class Protobuf(Generic[M]):
    """One protobuf message of the given class. Its numbers are checked by the component that declares it."""

    message: type[M]

    def encode(self, value: M) -> bytes:
        """Serialised ``Payload``."""
        if not isinstance(value, self.message):
            raise ProtocolError("FED-310", f"{type(value).__name__} is not the declared {self.message.__name__}")
        return pb.Payload(message=value.SerializeToString()).SerializeToString()

    def decode(self, body: bytes) -> M:
        """The parsed message."""
        payload = _parse(pb.Payload(), body)
        if payload.tensors:
            raise ProtocolError("FED-310", "arrays where a message was declared")
        return _parse(self.message(), payload.message)


def _parse(message: M, body: bytes) -> M:
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise ProtocolError("FED-311", f"not a {type(message).__name__}") from error
    return message


def _check(name: str, array: Array, dtype: str, ndim: int) -> None:
    if array.dtype.str != dtype or array.ndim != ndim:
        raise ProtocolError(
            "FED-312", f"array {name!r} is {array.dtype.str} with {array.ndim} dimensions, declared {dtype} with {ndim}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ProtocolError("FED-313", f"array {name!r} holds values that are not finite")


def _tensor_parts(name: str, array: Array) -> list[Buffer]:
    """An entry of ``Payload.tensors`` as buffers, the last of them the array itself."""
    data = array.reshape(-1).data.cast("B") if array.size else memoryview(b"")
    return [_tensor_head(name, array.dtype.str, array.shape, len(data)), data]


@lru_cache(maxsize=1024)  # one step sends the same shapes again and again
def _tensor_head(name: str, dtype: str, shape: tuple[int, ...], size: int) -> bytes:
    """What stands before the ``size`` bytes of an array."""
    head = pb.Tensor(dtype=dtype, shape=shape).SerializeToString() + prefix(_DATA, size)
    encoded = name.encode()
    key = prefix(1, len(encoded)) + encoded + prefix(2, len(head) + size)
    return prefix(1, len(key) + len(head) + size) + key + head


def _tensors(body: memoryview) -> dict[str, tuple[pb.Tensor, memoryview]]:
    """Arrays of a payload: the description of each, and its bytes where they lie."""
    found: dict[str, tuple[pb.Tensor, memoryview]] = {}
    for number, _, start, end in fields(body, _PAYLOAD, frozenset({1})):
        if number == 1:
            name, tensor = _entry(body[start:end])
            if name in found:
                raise ProtocolError("FED-311", f"array {name[:64]!r} comes twice")
            found[name] = tensor
        elif end > start:
            raise ProtocolError("FED-310", "a message where arrays were declared")
    return found


def _entry(body: memoryview) -> tuple[str, tuple[pb.Tensor, memoryview]]:
    at = {number: body[start:end] for number, _, start, end in fields(body, _ENTRY)}
    name, tensor = at.get(1, body[:0]), at.get(2, body[:0])
    data, rest = tensor[:0], [tensor]
    for number, begin, start, end in fields(tensor, _TENSOR):
        if number == _DATA:
            data, rest = tensor[start:end], [tensor[:begin], tensor[end:]]
    try:
        return str(name, "utf-8"), (_parse(pb.Tensor(), b"".join(rest)), data)
    except UnicodeDecodeError:
        raise ProtocolError("FED-311", "the name of an array is not UTF-8") from None


def _array(name: str, tensor: pb.Tensor, data: memoryview, dtype: str, ndim: int) -> Array:
    if tensor.dtype != dtype or len(tensor.shape) != ndim:
        raise ProtocolError(
            "FED-312",
            f"array {name!r} is {tensor.dtype[:8]!r} with {len(tensor.shape)} dimensions, declared {dtype} with {ndim}",
        )
    size = math.prod(tensor.shape) * np.dtype(dtype).itemsize
    if size != len(data) or math.prod(length or 1 for length in tensor.shape) > MAX_LENGTH:
        raise ProtocolError("FED-312", f"array {name!r} has {len(data)} bytes, its shape needs {size}")
    array = np.frombuffer(data, dtype).reshape(tuple(tensor.shape))
    _check(name, array, dtype, ndim)
    return array
