"""What a worker has sent and nobody acknowledged, and which piece of it goes next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.frames import Piece
from federated_operators.gateway.names import member_pb
from federatedml.federation.box import MessageKey
from federatedml.federation.party import Member

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.5


@dataclass(eq=False)
class _Sent:
    """A message until it is acknowledged.

    Attributes:
        next: chunk that goes next.
        acked: so many first chunks have arrived.
        due: monotonic; before it nothing of it goes.
        heard: when a piece of it last went, or was acknowledged.
    """

    key: MessageKey
    body: memoryview
    digest: bytes
    count: int
    chunk: int  # bytes
    next: int = 0
    acked: int = 0
    due: float = 0.0
    heard: float = 0.0
    pause: float = FIRST_PAUSE_S
    waits_in_line: bool = False

    @property
    def flying(self) -> int:
        """Bytes on their way."""
        return max(0, min(self.next * self.chunk, len(self.body)) - self.acked * self.chunk)


class Sending:
    """Messages to all members, without threads or sockets. Each member has a window and a line of its own, and they
    take turns: one that takes nothing stops no other.

    Args:
        window: bytes on their way to one member.
        chunk: bytes of a piece.
        silence: seconds without an answer after which pieces go again.
    """

    def __init__(self, step: pb.StepKey, window: int, chunk: int, silence: float) -> None:
        self._step, self._window, self._chunk, self._silence = step, window, chunk, silence
        self._sent: dict[MessageKey, _Sent] = {}
        self._lines: dict[Member, deque[_Sent]] = {}
        self._flying: dict[Member, int] = {}
        self.unacknowledged = 0  # bytes

    @property
    def idle(self) -> bool:
        """Whether nothing is in line."""
        return not any(self._lines.values())

    def add(self, key: MessageKey, body: bytes, digest: bytes) -> None:
        """A new message."""
        count = max(1, -(-len(body) // self._chunk))
        self._sent[key] = sent = _Sent(key, memoryview(body), digest, count, self._chunk)
        self.unacknowledged += len(body)
        self._line_up(sent)

    def clear(self) -> None:
        """Forget all."""
        self._sent.clear()
        self._lines.clear()
        self._flying.clear()
        self.unacknowledged = 0

    def resend(self) -> None:
        """What is not acknowledged goes again, now."""
        for sent in self._sent.values():
            sent.due = 0.0
            self._back(sent)

    def next(self, now: float) -> Piece | None:
        """The next piece, if one may go now."""
        for member in list(self._lines):
            line = self._lines.pop(member)
            self._lines[member] = line  # others come first the next time
            if (sent := self._first(line, now)) and self._has_room(member, sent):
                return self._cut(sent, line, now)
        return None

    def _first(self, line: deque[_Sent], now: float) -> _Sent | None:
        """The first message of a line that may go."""
        for _ in range(len(line)):
            sent = line[0]
            if self._sent.get(sent.key) is not sent or sent.next >= sent.count:
                line.popleft().waits_in_line = False
            elif sent.due > now:
                line.rotate(-1)
            else:
                return sent
        return None

    def _has_room(self, member: Member, sent: _Sent) -> bool:
        flying = self._flying.get(member, 0)
        return flying == 0 or flying + min(len(sent.body), sent.chunk) <= self._window

    def _cut(self, sent: _Sent, line: deque[_Sent], now: float) -> Piece:
        index, before = sent.next, sent.flying
        sent.next, sent.heard = index + 1, now
        self._fly(sent, sent.flying - before)
        if sent.next == sent.count:
            line.popleft().waits_in_line = False
        head = pb.Chunk(key=self._envelope(sent.key), index=index, count=sent.count, sha256=sent.digest)
        return Piece(head, sent.body[index * sent.chunk : (index + 1) * sent.chunk])

    def receipt(self, key: MessageKey, receipt: pb.Receipt, now: float) -> bool:
        """What became of a message; False if it is none of these."""
        sent = self._sent.get(key)
        if sent is None:
            return False
        sent.heard = now
        if receipt.outcome == pb.Receipt.ARRIVING:
            self._arriving(sent, receipt.chunks)
        elif receipt.outcome != pb.Receipt.UNDELIVERABLE:
            self._fly(sent, -sent.flying)
            del self._sent[key]
            self.unacknowledged -= len(sent.body)
        elif sent.next > sent.acked:  # the first of the answers to many pieces
            sent.due = now + sent.pause
            sent.pause = min(sent.pause * 2, LONGEST_PAUSE_S)
            self._back(sent)
        return True

    def _arriving(self, sent: _Sent, chunks: int) -> None:
        """The receiver knows best what it has; never more than was sent."""
        before = sent.flying
        sent.acked = max(sent.acked, min(chunks, sent.next, sent.count - 1))
        self._fly(sent, sent.flying - before)
        sent.pause = FIRST_PAUSE_S

    def wake(self, now: float) -> float:
        """Say again what was not answered for too long; seconds after which to look again."""
        soon = self._silence
        for sent in self._sent.values():
            if sent.due > now:
                soon = min(soon, sent.due - now)
            elif sent.next > sent.acked:
                if now - sent.heard >= self._silence:
                    self._back(sent)
                    soon = 0.0
                else:
                    soon = min(soon, sent.heard + self._silence - now)
        return soon

    def _back(self, sent: _Sent) -> None:
        """All that is not known to have arrived goes again."""
        self._fly(sent, -sent.flying)
        sent.next = sent.acked
        self._line_up(sent)

    def _line_up(self, sent: _Sent) -> None:
        if not sent.waits_in_line:
            sent.waits_in_line = True
            self._lines.setdefault(sent.key.destination, deque()).append(sent)

    def _fly(self, sent: _Sent, more: int) -> None:
        to = sent.key.destination
        self._flying[to] = self._flying.get(to, 0) + more

    def _envelope(self, key: MessageKey) -> pb.EnvelopeKey:
        return pb.EnvelopeKey(
            step=self._step,
            topic=key.topic,
            round=key.round,
            source=member_pb(key.source),
            destination=member_pb(key.destination),
        )
