"""Protobuf's wire format, as far as it saves copies: fields that are known, where their bytes lie, and nothing else.

For messages whose bulk is one ``bytes`` field. Parsing them with protobuf copies the bulk twice; here it stays where it
came in. Stricter than protobuf: every field once, in ascending order, none that is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum

from federatedml.errors import ProtocolError

Buffer = bytes | bytearray | memoryview
_VARINT_BYTES = 10


class Wire(IntEnum):
    """Kinds of fields that are used."""

    VARINT = 0
    BYTES = 2


def tag(number: int, kind: Wire) -> bytes:
    """What stands before a field."""
    return varint(number << 3 | kind)


def varint(value: int) -> bytes:
    """An unsigned number."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def prefix(number: int, size: int) -> bytes:
    """What stands before ``size`` bytes of field ``number``."""
    return tag(number, Wire.BYTES) + varint(size)


def fields(
    body: memoryview, known: Mapping[int, Wire], repeated: frozenset[int] = frozenset()
) -> Iterator[tuple[int, int, int, int]]:
    """Fields of a message as (number, where it begins, start and end of its value in ``body``).

    Raises:
        ProtocolError: anything but known fields in ascending order, each of its kind, each once unless ``repeated``.
    """
    at, before = 0, 0
    while at < len(body):
        begin = at
        key, at = read_varint(body, at)
        number = key >> 3
        if known.get(number) != key & 7 or number < before or (number == before and number not in repeated):
            raise ProtocolError("FED-311", f"field {number} of kind {key & 7} is not expected here")
        before = number
        size, start = read_varint(body, at)
        if key & 7 == Wire.VARINT:
            start, at = at, start
        else:
            at = start + size
        if at > len(body):
            raise ProtocolError("FED-311", f"field {number} is longer than its message")
        yield number, begin, start, at


def read_varint(body: memoryview, at: int) -> tuple[int, int]:
    """The number at ``at``, and where it ends."""
    if at < len(body) and (only := body[at]) < 0x80:  # most are one byte
        return only, at + 1
    value = 0
    for i, byte in enumerate(body[at : at + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise ProtocolError("FED-311", "a number without an end")
