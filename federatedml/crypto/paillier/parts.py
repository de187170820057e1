"""Numbers of fixed width in one little-endian buffer, and how work is cut into parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gmpy2 import mpz


def packed(numbers: Iterable[mpz], width: int) -> bytes:
    """Each number in ``width`` bytes."""
    return b"".join(number.to_bytes(width, "little") for number in numbers)


def unpacked(buffer: bytes, width: int) -> list[mpz]:
    """The numbers of a buffer."""
    return [mpz.from_bytes(buffer[at : at + width], "little") for at in range(0, len(buffer), width)]


def sizes(count: int, workers: int, least: int) -> list[int]:
    """``count`` in at most ``workers`` nearly equal parts, of at least ``least`` each if there is more than one."""
    parts = max(min(workers, count // least), 1)
    return [count // parts + (part < count % parts) for part in range(parts)]


def cut(numbers: Sequence[mpz], width: int, workers: int, least: int) -> list[bytes]:
    """Packed parts of a list, see ``sizes``."""
    buffers, at = [], 0
    for size in sizes(len(numbers), workers, least):
        buffers.append(packed(numbers[at : at + size], width))
        at += size
    return buffers
