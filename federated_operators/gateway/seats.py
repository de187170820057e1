"""Workers that are connected to this gateway now, and the frames that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from airfed_proto.v1 import local_pb2
from federated_operators.gateway.names import Job, Seat, failure_pb
from federatedml.errors import ProtocolError

MAX_WAITING = 128 * 2**20  # bytes of frames that may wait for one worker


@dataclass(eq=False)
class Attachment:
    """One worker's stream."""

    seat: Seat
    ti_id: str
    dismissed: bool = False  # it was told something final, or another process took its seat
    _frames: asyncio.Queue[local_pb2.GatewayFrame | None] = field(default_factory=asyncio.Queue)
    _waiting: int = 0

    def tell(self, frame: local_pb2.GatewayFrame) -> bool:
        """Queue a frame; False if too much waits already (only chunks are ever refused)."""
        size = frame.ByteSize()
        if frame.HasField("chunk") and self._waiting + size > MAX_WAITING:
            return False
        self._waiting += size
        self._frames.put_nowait(frame)
        return True

    def close(self) -> None:
        """No more frames: the stream ends when the queue is empty."""
        self._frames.put_nowait(None)

    async def frames(self) -> AsyncIterator[local_pb2.GatewayFrame]:
        """Frames in order, until ``close``."""
        while (frame := await self._frames.get()) is not None:
            self._waiting -= frame.ByteSize()
            yield frame


class Seats:
    """Who sits where. The later of two processes wins the seat."""

    def __init__(self) -> None:
        self._taken: dict[Seat, Attachment] = {}
        self._stopping = False

    def stop(self) -> None:
        """This gateway ends: close all streams. The workers are not lost, they come back to the next one."""
        self._stopping = True
        for attachment in self._taken.values():
            attachment.close()

    def take(self, seat: Seat, ti_id: str) -> Attachment:
        """Seat a worker; one that sat there is told to go."""
        before = self._taken.get(seat)
        if before:
            before.dismissed = True
            gone = ProtocolError("FED-346", f"another process of {seat.component} took this one's place")
            if before.ti_id != ti_id:
                before.tell(local_pb2.GatewayFrame(failed=failure_pb(gone, seat.member, seat.component)))
            before.close()
        self._taken[seat] = Attachment(seat, ti_id)
        return self._taken[seat]

    def leave(self, attachment: Attachment) -> bool:
        """The stream is over; whether its worker is gone."""
        if self._stopping or self._taken.get(attachment.seat) is not attachment:
            return False
        del self._taken[attachment.seat]
        return True

    def at(self, seat: Seat) -> Attachment | None:
        """The worker in a seat."""
        return self._taken.get(seat)

    def of(self, job: Job) -> list[Attachment]:
        """Workers of a job."""
        return [attachment for seat, attachment in self._taken.items() if seat.job == job]

    def tell(self, seat: Seat, frame: local_pb2.GatewayFrame) -> bool:
        """Tell the worker in a seat; False if nobody sits there or too much waits for it."""
        attachment = self._taken.get(seat)
        return attachment is not None and attachment.tell(frame)
