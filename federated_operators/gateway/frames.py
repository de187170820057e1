"""What goes over the socket between a worker and its gateway, and pieces of messages, which all hops carry unchanged.

A frame is a header (length of what follows, kind) and its content. The bytes of a piece are a serialised ``Chunk``;
they are made once, by the sending worker. A hop looks at its head and passes the same bytes on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from google.protobuf.message import DecodeError

from airfed_proto.v1 import common_pb2 as pb
from federatedml.errors import ProtocolError
from federatedml.federation.protowire import Buffer, Wire, fields, prefix

CHUNK_BYTES = 2 * 2**20
MAX_FRAME = 4 * 2**20
_HEADER = struct.Struct("<IB")
_READ = 2**16
_DATA = 4
_CHUNK = {1: Wire.BYTES, 2: Wire.VARINT, 3: Wire.VARINT, _DATA: Wire.BYTES, 5: Wire.BYTES}


class Kind(IntEnum):
    """Contents of a frame."""

    CONTROL = 0  # WorkerFrame or GatewayFrame
    PIECE = 1  # Chunk
    RECEIPTS = 2  # Receipts


@dataclass(frozen=True, eq=False)
class Piece:
    """A chunk of a message: its head without the data, and the data where it lies."""

    head: pb.Chunk
    data: Buffer

    @property
    def key(self) -> pb.EnvelopeKey:
        """Of the message."""
        return self.head.key

    def parts(self) -> Sequence[Buffer]:
        """Its bytes on the wire, one after the other."""
        last = pb.Chunk(sha256=self.head.sha256).SerializeToString()
        first = pb.Chunk(key=self.head.key, index=self.head.index, count=self.head.count).SerializeToString()
        return (first, prefix(_DATA, len(self.data)), self.data, last) if self.data else (first, last)

    @classmethod
    def of(cls, raw: Buffer) -> Piece:
        """The piece whose bytes came in.

        Raises:
            ProtocolError: they are not a ``Chunk``, or more than one.
        """
        body = memoryview(raw)
        data, rest = body[:0], [body]
        for number, begin, start, end in fields(body, _CHUNK):
            if number == _DATA:
                data, rest = body[start:end], [body[:begin], body[end:]]
        try:
            return cls(pb.Chunk.FromString(b"".join(rest)), data)
        except DecodeError:
            raise ProtocolError("FED-311", "not a Chunk") from None


def frame(kind: Kind, parts: Sequence[Buffer]) -> list[Buffer]:
    """A frame with this content, as buffers."""
    size = sum(len(part) for part in parts)
    if size > MAX_FRAME:
        raise ProtocolError("FED-770", f"a frame of {size} bytes", f"at most {MAX_FRAME}")
    return [_HEADER.pack(size, kind), *parts]


def after(parts: Sequence[Buffer], sent: int) -> Sequence[Buffer]:
    """What is left of buffers of which so many bytes were sent."""
    for at, part in enumerate(parts):
        if sent < len(part):
            return [memoryview(part)[sent:], *parts[at + 1 :]]
        sent -= len(part)
    return ()


class FrameReader:
    """Cuts a stream of bytes into frames; large ones are read where they stay.

    Read into ``room()``, then ask for the frames that ``took(n)`` completed.
    """

    def __init__(self) -> None:
        self._small = bytearray(_READ)
        self._filled = 0
        self._large: bytearray | None = None
        self._large_kind = Kind.CONTROL
        self._large_filled = 0

    def room(self) -> memoryview:
        """Where the next bytes go."""
        if self._large is not None:
            return memoryview(self._large)[self._large_filled :]
        return memoryview(self._small)[self._filled :]

    def took(self, count: int) -> Iterator[tuple[Kind, bytearray]]:
        """Frames that are complete now that ``count`` more bytes are in ``room()``.

        Raises:
            ProtocolError: what came is no frame.
        """
        if self._large is not None:
            self._large_filled += count
            if self._large_filled == len(self._large):
                done, self._large = self._large, None
                yield self._large_kind, done
            return
        self._filled += count
        yield from self._cut()

    def _cut(self) -> Iterator[tuple[Kind, bytearray]]:
        at, end = 0, self._filled
        while end - at >= _HEADER.size:
            size, kind = _HEADER.unpack_from(self._small, at)
            if size > MAX_FRAME or kind not in _KINDS:
                raise ProtocolError("FED-770", f"a frame of kind {kind} with {size} bytes", f"at most {MAX_FRAME}")
            start = at + _HEADER.size
            if start + size > end and at + _HEADER.size + size > _READ:
                self._large, self._large_kind, self._large_filled = bytearray(size), Kind(kind), end - start
                self._large[: end - start] = self._small[start:end]
                at = end
                break
            if start + size > end:
                break
            yield Kind(kind), self._small[start : start + size]
            at = start + size
        self._small[: end - at] = self._small[at:end]
        self._filled = end - at


_KINDS = frozenset(Kind)
