"""Workers that are connected to this gateway now, and the frames that wait for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators.gateway.frames import Kind, frame
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.names import Job, Seat, failure_pb
from federatedml.errors import ProtocolError
from federatedml.federation.protowire import Buffer


@dataclass(eq=False)
class Attachment:
    """One worker's stream.

    Attributes:
        dismissed: it was told something final, or another process took its seat.
        on_more: called when there is more for ``next_frame``, or the stream is closed.
        most: bytes of pieces that may wait.
    """

    seat: Seat
    ti_id: str
    most: int
    dismissed: bool = False
    on_more: Callable[[], None] = lambda: None
    closed: bool = False
    _first: deque[tuple[Kind, Buffer]] = field(default_factory=deque)  # small, and not to be held up by pieces
    _pieces: deque[Buffer] = field(default_factory=deque)
    _waiting: int = 0

    def tell(self, frame: local_pb2.GatewayFrame) -> None:
        """Queue what the gateway itself says."""
        self._put(Kind.CONTROL, frame.SerializeToString())

    def answer(self, receipts: Sequence[pb.Receipt]) -> None:
        """Queue receipts of the worker's messages."""
        self._put(Kind.RECEIPTS, pb.Receipts(receipts=receipts).SerializeToString())

    def _put(self, kind: Kind, content: Buffer) -> None:
        if not self.closed:
            self._first.append((kind, content))
            self.on_more()

    def carry(self, piece: Buffer) -> bool:
        """Queue a piece of a message; False if too much waits already."""
        if self.closed or self._waiting + len(piece) > self.most:
            return False
        self._waiting += len(piece)
        self._pieces.append(piece)
        self.on_more()
        return True

    def close(self) -> None:
        """No more frames: the stream ends when all that wait are out."""
        self.closed = True
        self.on_more()

    def next_frame(self) -> Sequence[Buffer] | None:
        """The next frame for the worker, as buffers."""
        if self._first:
            kind, content = self._first.popleft()
            return frame(kind, [content])
        if self._pieces:
            piece = self._pieces.popleft()
            self._waiting -= len(piece)
            return frame(Kind.PIECE, [piece])
        return None


class Seats:
    """Who sits where. Of two processes that were let in, the later wins the seat."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._taken: dict[Seat, Attachment] = {}
        self._stopping = False

    def stop(self) -> None:
        """This gateway ends: close all streams. The workers are not lost, they come back to the next one."""
        self._stopping = True
        for attachment in list(self._taken.values()):
            attachment.close()

    def take(self, seat: Seat, ti_id: str) -> Attachment:
        """Seat a worker; one that sat there is told to go."""
        before = self._taken.get(seat)
        self._taken[seat] = Attachment(seat, ti_id, self._limits.queue)
        if before:
            before.dismissed = True
            gone = ProtocolError("FED-346", f"another process of {seat.component} took this one's place")
            if before.ti_id != ti_id:
                before.tell(local_pb2.GatewayFrame(failed=failure_pb(gone, seat.member, seat.component)))
            before.close()
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
        """Tell the worker in a seat; False if nobody sits there."""
        attachment = self._taken.get(seat)
        if attachment is None:
            return False
        attachment.tell(frame)
        return True
