"""Values between this process and its own workers, over one private socket each.

Pickle, because both ends are this party's same program and the socket has no name that anybody could connect to; the
bytes of arrays go beside it, straight from and into their memory (protocol 5, PEP 574).
"""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

import numpy as np

Frames = list[memoryview]
BUFFER_BYTES = 2**20  # of the socket, each way
_LENGTH = struct.Struct("!Q")


class Line:
    """One end. ``send`` and ``recv`` raise ``EOFError`` or ``OSError`` when the other process is gone."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        for side in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, side, BUFFER_BYTES)

    def send(self, frames: Frames) -> None:
        """Frames of ``packed``."""
        lengths = [len(frames), *(frame.nbytes for frame in frames)]
        self._socket.sendall(b"".join(map(_LENGTH.pack, lengths)))
        for frame in frames:
            self._socket.sendall(frame)

    def recv(self) -> Any:
        """The next value; its arrays are read-only."""
        [count] = _LENGTH.unpack(self._exactly(_LENGTH.size))
        lengths = [length for (length,) in _LENGTH.iter_unpack(self._exactly(count * _LENGTH.size))]
        body, *buffers = map(self._exactly, lengths)
        return pickle.loads(body, buffers=buffers)  # noqa: S301 - see the module

    def close(self) -> None:
        """The other end reads the end of the line."""
        self._socket.close()

    def _exactly(self, length: int) -> memoryview:
        memory = np.empty(length, np.uint8).data
        filled = 0
        while filled < length:
            got = self._socket.recv_into(memory[filled:])
            if not got:
                raise EOFError
            filled += got
        return memory.toreadonly()


def packed(value: Any) -> Frames:
    """What ``Line.send`` takes. Raises ``PicklingError``, ``TypeError`` or ``AttributeError`` for what is no value."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return [memoryview(body), *(buffer.raw() for buffer in buffers)]


def pair() -> tuple[int, int]:
    """Two descriptors of a new line; children inherit neither unless told to."""
    here, there = socket.socketpair()
    return here.detach(), there.detach()
