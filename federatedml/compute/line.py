"""Values between this process and its own workers, over one private socket each.

Pickle, because both ends are this party's same program and the socket has no name that anybody could connect to; the
bytes of arrays go beside it without a copy (protocol 5, PEP 574).
"""

from __future__ import annotations

import pickle
import socket
from multiprocessing.connection import Connection
from typing import Any

Frames = list[Any]


class Line:
    """One end. ``recv`` raises ``EOFError`` or ``OSError`` when the other process is gone."""

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)

    def send(self, frames: Frames) -> None:
        """Frames of ``packed``."""
        self._connection.send_bytes(len(frames).to_bytes(4, "big"))
        for frame in frames:
            self._connection.send_bytes(frame)

    def recv(self) -> Any:
        """The next value; its arrays are read-only."""
        count = int.from_bytes(self._connection.recv_bytes(), "big")
        body, *buffers = [self._connection.recv_bytes() for _ in range(count)]
        return pickle.loads(body, buffers=buffers)  # noqa: S301 - see the module

    def close(self) -> None:
        """The other end reads the end of the line."""
        self._connection.close()


def packed(value: Any) -> Frames:
    """What ``Line.send`` takes. Raises ``PicklingError``, ``TypeError`` or ``AttributeError`` for what is no value."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return [body, *(buffer.raw() for buffer in buffers)]


def pair() -> tuple[int, int]:
    """Two descriptors of a new line; children inherit neither unless told to."""
    here, there = socket.socketpair()
    return here.detach(), there.detach()
