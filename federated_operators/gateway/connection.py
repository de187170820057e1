"""The gateway's end of a worker's stream: a non-blocking socket in the event loop, written to as soon as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence

from federated_operators.gateway.frames import FrameReader, Kind, after, frame
from federatedml.errors import ProtocolError
from federatedml.federation.protowire import Buffer

_BUFFER = 2**20  # of the socket, as far as the system allows
Source = Callable[[], Sequence[Buffer] | None]
log = logging.getLogger(__name__)


class Connection:
    """One socket. ``ended`` is set when it is over, whoever ended it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.ended = asyncio.Event()
        self._socket, self._reader = sock, FrameReader()
        self._loop = asyncio.get_running_loop()
        self._came: deque[tuple[Kind, bytearray]] = deque()
        self._news = asyncio.Event()
        self._take: Callable[[Kind, bytearray], None] | None = None
        self._rest: Sequence[Buffer] = ()  # of a frame that was begun
        self._source: Source | None = None
        self._closed: Callable[[], bool] = lambda: False
        self._writing = False
        self._loop.add_reader(sock, self._readable)

    async def first(self) -> tuple[Kind, bytearray] | None:
        """The first frame; None if there is none."""
        await self._news.wait()
        return self._came.popleft() if self._came else None

    def take(self, take: Callable[[Kind, bytearray], None]) -> None:
        """From now on frames go to ``take``; an error of it ends the connection."""
        self._take = take
        self._hand_over()

    def send_from(self, source: Source, closed: Callable[[], bool]) -> None:
        """Frames come from ``source``, until it has none and ``closed``; ``more`` says that it has."""
        self._source, self._closed = source, closed
        self.more()

    def say(self, content: bytes) -> None:
        """One small frame, before there is a source."""
        self._rest = [*self._rest, *frame(Kind.CONTROL, [content])]
        self._write()

    def more(self) -> None:
        """There may be something to write."""
        if not self._writing:
            self._write()

    def _write(self) -> None:
        """Write as much as the socket takes."""
        try:
            while parts := self._rest or (self._source and self._source()):
                self._rest = parts
                self._rest = after(parts, self._socket.sendmsg(parts))
        except BlockingIOError:
            return self._wait(True)
        except OSError:
            return self.end()
        except ProtocolError:
            log.exception("a frame for a worker cannot be sent")
            return self.end()
        self._wait(False)
        if self._closed():
            self.end()
        return None

    def _wait(self, writing: bool) -> None:
        if writing != self._writing:
            self._writing = writing
            if writing:
                self._loop.add_writer(self._socket, self._write)
            else:
                self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        try:
            count = self._socket.recv_into(self._reader.room())
            self._came.extend(self._reader.took(count))
            if self._came:
                self._hand_over()
        except BlockingIOError:
            return None
        except Exception as error:  # of the socket, or of what came: the worker comes back
            if not isinstance(error, OSError):
                log.exception("a worker's frames cannot be taken")
            return self.end()
        return None if count else self.end()

    def _hand_over(self) -> None:
        self._news.set()
        while self._take is not None and self._came:
            self._take(*self._came.popleft())

    def end(self) -> None:
        """Close it now."""
        if not self.ended.is_set():
            self.ended.set()
            self._news.set()
            self._take = self._source = None
            self._loop.remove_reader(self._socket)
            self._wait(False)
            with contextlib.suppress(OSError):
                self._socket.close()
