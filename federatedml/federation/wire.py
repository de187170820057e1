"""What may cross the border, as bytes: named arrays of a declared kind, or one protobuf message.

Nothing executable is ever decoded. Every array is checked against its declaration before use: dtype, number of
dimensions, that the bytes are as long as the shape says, and that floating point values are finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

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
KNOWN_LAYOUTS = 16  # of the messages of one codec
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


class _Place(NamedTuple):
    """Where an array lies in a message, and what it is declared as."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class _Layout(NamedTuple):
    """What has been read of a message: where its arrays are, and all bytes around them, each with where it starts."""

    places: Sequence[_Place]
    around: Sequence[tuple[int, int, bytes]]

    def fits(self, body: memoryview) -> bool:
        """Whether a message of the same length differs in the arrays' data only, so that it reads the same."""
        return all(body[start:end] == known for start, end, known in self.around)


@dataclass(frozen=True)
class Tensors:
    """Named arrays. ``fields`` maps a name to (numpy type string, number of dimensions); all are required."""

    fields: Mapping[str, tuple[str, int]]
    _layouts: dict[int, _Layout] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        view = memoryview(body).toreadonly()
        layout = self._layouts.get(len(view))
        if layout is None or not layout.fits(view):
            layout = self._read(view)
            if len(self._layouts) >= KNOWN_LAYOUTS:
                self._layouts.clear()
            self._layouts[len(view)] = layout
        return {place.name: _array(place, view) for place in layout.places}

    def _read(self, body: memoryview) -> _Layout:
        """What the bytes around the arrays say, checked against the declaration."""
        tensors = _tensors(body)
        if set(tensors) != set(self.fields):
            raise ProtocolError("FED-310", f"arrays {sorted(tensors)} are not the declared {sorted(self.fields)}")
        places = [_place(name, *tensors[name], *kind) for name, kind in self.fields.items()]
        data = sorted((place.start, place.end) for place in places if place.end > place.start)
        edges = [0, *(edge for extent in data for edge in extent), len(body)]
        around = [(start, end, bytes(body[start:end])) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        return _Layout(places, around)


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


def _tensors(body: memoryview) -> dict[str, tuple[pb.Tensor, range]]:
    """Arrays of a payload: the description of each, and where its bytes lie."""
    found: dict[str, tuple[pb.Tensor, range]] = {}
    for number, _, start, end in fields(body, _PAYLOAD, frozenset({1})):
        if number == 1:
            name, tensor = _entry(body, start, end)
            if name in found:
                raise ProtocolError("FED-311", f"array {name[:64]!r} comes twice")
            found[name] = tensor
        elif end > start:
            raise ProtocolError("FED-310", "a message where arrays were declared")
    return found


def _entry(body: memoryview, start: int, end: int) -> tuple[str, tuple[pb.Tensor, range]]:
    at = {number: range(start + first, start + last) for number, _, first, last in fields(body[start:end], _ENTRY)}
    name, tensor = (at.get(number, range(start, start)) for number in (1, 2))
    whole = body[tensor.start : tensor.stop]
    data, rest = range(tensor.start, tensor.start), [whole]
    for number, begin, first, last in fields(whole, _TENSOR):
        if number == _DATA:
            data, rest = range(tensor.start + first, tensor.start + last), [whole[:begin], whole[last:]]
    try:
        return str(body[name.start : name.stop], "utf-8"), (_parse(pb.Tensor(), b"".join(rest)), data)
    except UnicodeDecodeError:
        raise ProtocolError("FED-311", "the name of an array is not UTF-8") from None


def _place(name: str, tensor: pb.Tensor, data: range, dtype: str, ndim: int) -> _Place:
    if tensor.dtype != dtype or len(tensor.shape) != ndim:
        raise ProtocolError(
            "FED-312",
            f"array {name!r} is {tensor.dtype[:8]!r} with {len(tensor.shape)} dimensions, declared {dtype} with {ndim}",
        )
    size = math.prod(tensor.shape) * np.dtype(dtype).itemsize
    if size != len(data) or math.prod(length or 1 for length in tensor.shape) > MAX_LENGTH:
        raise ProtocolError("FED-312", f"array {name!r} has {len(data)} bytes, its shape needs {size}")
    return _Place(name, dtype, tuple(tensor.shape), data.start, data.stop)


def _array(place: _Place, body: memoryview) -> Array:
    array = np.frombuffer(body[place.start : place.end], place.dtype).reshape(place.shape)
    _check(place.name, array, place.dtype, len(place.shape))
    return array
