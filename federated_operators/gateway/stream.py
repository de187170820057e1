"""A worker's end of its stream to the gateway: a Unix socket, frames both ways. Blocking; made after the fork."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from federated_operators.gateway.frames import FrameReader, Kind, after, frame
from federatedml.federation.protowire import Buffer

_BUFFER = 2**20  # of the socket, as far as the system allows


class WorkerStream:
    """One connection.

    Raises:
        OSError: nobody is there.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def send(self, kind: Kind, *parts: Buffer) -> bool:
        """Hand a frame over; waits only for the gateway's process. False: the connection is gone."""
        rest: Sequence[Buffer] = frame(kind, parts)
        with self._lock:
            try:
                while rest:
                    rest = after(rest, self._socket.sendmsg(rest))
            except OSError:
                self.close()
                return False
            except BaseException:  # the task is told to end: nothing may follow half a frame
                self.close()
                raise
        return True

    def frames(self) -> Iterator[tuple[Kind, bytearray]]:
        """Frames of the gateway until the connection ends."""
        reader = FrameReader()
        with contextlib.suppress(OSError):
            while count := self._socket.recv_into(reader.room()):
                yield from reader.took(count)

    def finish(self) -> None:
        """Nothing more is said from here; what the gateway says is still read."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the connection: whoever waits in ``send`` or ``frames`` is woken."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def free(self) -> None:
        """Give the socket back, once nobody uses it."""
        self.close()
        with self._lock:
            self._socket.close()
