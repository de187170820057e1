"""What goes to one peer: pieces that wait, and messages that were sent and not answered."""

from __future__ import annotations

import asyncio

from airfed_proto.v1 import common_pb2 as pb

_Name = tuple[bytes, int]  # of a message, and number of the piece


class Outbound:
    """The lane of one peer.

    A worker says again what nobody acknowledged. On a slow way, what is said again waits here already, or was
    acknowledged before its turn came: neither is kept.

    Args:
        most: bytes that may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._pieces: asyncio.Queue[tuple[_Name, bytes]] = asyncio.Queue()
        self._waiting: set[_Name] = set()
        self._open: dict[bytes, pb.EnvelopeKey] = {}

    @property
    def waiting(self) -> int:
        """Pieces that wait."""
        return len(self._waiting)

    def put(self, head: pb.Chunk, raw: bytes) -> bool:
        """A piece of an own worker; False if too much waits."""
        message = _message(head.key)
        name = (message, head.index)
        if name not in self._waiting:
            if self._bytes + len(raw) > self._most:
                return False
            self._waiting.add(name)
            self._bytes += len(raw)
            self._pieces.put_nowait((name, raw))
        self._open[message] = head.key
        return True

    async def next(self) -> bytes:
        """The next piece that is worth sending."""
        while True:
            name, raw = await self._pieces.get()
            self._waiting.discard(name)
            self._bytes -= len(raw)
            if name[0] in self._open:
                return raw

    def answered(self, receipt: pb.Receipt) -> bool:
        """A receipt came; whether its message was waited for."""
        message = _message(receipt.key)
        if receipt.outcome == pb.Receipt.ARRIVING:
            return message in self._open
        return self._open.pop(message, None) is not None

    def clear(self) -> list[pb.EnvelopeKey]:
        """The stream broke: forget everything; keys of the messages that were not answered."""
        while not self._pieces.empty():
            self._pieces.get_nowait()
        self._waiting.clear()
        self._bytes = 0
        keys, self._open = list(self._open.values()), {}
        return keys


def _message(key: pb.EnvelopeKey) -> bytes:
    return key.SerializeToString(deterministic=True)
