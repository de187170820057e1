"""Messages of one attempt on the worker's side: what was sent and not yet acknowledged, what came and was not read.

``send`` never waits for the receiver: chunks that do not fit into the window wait here. What comes is taken whether or
not the role function has asked for it; large bodies go to an unlinked file.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.names import Seat, member_of, member_pb
from federatedml.errors import AttemptEnded, FedError, ProtocolError
from federatedml.federation.box import MessageKey

CHUNK_BYTES = 2 * 2**20
MAX_BODY = 2**30
IN_MEMORY = 64 * 2**20  # bytes of unread bodies; larger ones beyond it go to a file
SMALL = 2 * CHUNK_BYTES  # bytes of a body that never goes to a file: files are few
MAX_UNREAD = 4 * 2**30  # bytes that may wait for the role function
MAX_UNREAD_MESSAGES = 2**17
WINDOW = 16 * 2**20  # bytes on their way, not yet acknowledged
FIRST_PAUSE_S, LONGEST_PAUSE_S, SILENCE_S = 0.01, 0.5, 10.0
OVER = "[FED-345]"  # the attempt is over: whoever refused a message for that will say so otherwise


@dataclass
class _Sent:
    """A message until it is acknowledged."""

    body: bytes
    digest: bytes
    due: float = 0.0  # monotonic; when it goes (again)
    pause: float = FIRST_PAUSE_S
    flying: bool = False


@dataclass
class _Arriving:
    """A message whose chunks come in, in memory or, if it is large, in an unlinked file."""

    digest: bytes
    count: int
    file: IO[bytes]
    missing: set[int]
    size: int  # bytes at most

    @classmethod
    def of(cls, chunk: pb.Chunk, in_memory: int) -> _Arriving:
        """Room for the message that ``chunk`` is a piece of, beside ``in_memory`` bytes that are in memory already."""
        size = chunk.count * CHUNK_BYTES if chunk.count > 1 else len(chunk.data)
        to_file = size > SMALL and in_memory + size > IN_MEMORY
        file: IO[bytes] = tempfile.TemporaryFile() if to_file else io.BytesIO()  # noqa: SIM115 - closed by recv or end
        return cls(chunk.sha256, chunk.count, file, set(range(chunk.count)), size)


class Mailbox:
    """Transport of one attempt.

    Args:
        seat: who sends and receives here.
        step: key of the attempt.
        push: hands a chunk or a receipt to the gateway's stream; what it loses is sent again.
    """

    def __init__(self, seat: Seat, step: pb.StepKey, push: Callable[[pb.Chunk | pb.Receipt], None]) -> None:
        self._seat, self._step, self._push = seat, step, push
        self._changed = threading.Condition()
        self._sent: dict[MessageKey, _Sent] = {}
        self._arriving: dict[MessageKey, _Arriving] = {}
        self._arrived: dict[MessageKey, _Arriving] = {}
        self._taken: dict[MessageKey, bytes] = {}  # digests of what was read
        self._unread = self._in_memory = 0  # bytes that wait for the role function
        self._over: BaseException | None = None
        self._pump = threading.Thread(target=self._run, name=f"send {seat.component}", daemon=True)
        self._pump.start()

    # The role function's side

    def send(self, key: MessageKey, body: bytes) -> None:
        """Take a message and return."""
        if len(body) > MAX_BODY:
            raise ProtocolError("FED-306", f"{key.topic!r} is {len(body)} bytes, at most {MAX_BODY} can be sent")
        with self._changed:
            self._check()
            self._sent[key] = _Sent(body, hashlib.sha256(body).digest())
            self._changed.notify_all()

    def recv(self, key: MessageKey) -> bytes:
        """Wait for the message of that key."""
        with self._changed:
            self._changed.wait_for(lambda: key in self._arrived or self._over is not None)
            if key not in self._arrived:
                self._check()
            found = self._arrived.pop(key)
            self._taken[key] = found.digest
            self._count(found, -1)
        found.file.seek(0)
        body = found.file.read()
        found.file.close()
        return body

    def end(self, reason: BaseException) -> None:
        """The attempt is over: every call raises ``reason`` from now on."""
        with self._changed:
            self._over = self._over or reason
            self._sent.clear()
            for message in (*self._arriving.values(), *self._arrived.values()):
                message.file.close()
            self._arriving.clear()
            self._arrived.clear()
            self._changed.notify_all()

    def _check(self) -> None:
        if isinstance(self._over, AttemptEnded):
            raise AttemptEnded(self._over.reason)
        if self._over is not None:
            raise self._over

    # The channel's side

    def resend(self) -> None:
        """The stream is new: everything that is not acknowledged goes again."""
        with self._changed:
            for sent in self._sent.values():
                sent.flying, sent.due = False, 0.0
            self._changed.notify_all()

    def receipt(self, receipt: pb.Receipt) -> None:
        """What became of a message."""
        key = _message_key(receipt.key)
        with self._changed:
            sent = self._sent.get(key)
            if sent is None or receipt.key.step != self._step:
                return
            if receipt.outcome == pb.Receipt.UNDELIVERABLE:
                sent.due, sent.flying = time.monotonic() + sent.pause, False
                sent.pause = min(sent.pause * 2, LONGEST_PAUSE_S)
            else:
                del self._sent[key]
            if receipt.outcome == pb.Receipt.REFUSED and not receipt.reason.startswith(OVER):
                self._over = self._over or ProtocolError(
                    "FED-307", f"{key.topic!r} to {key.destination}: {receipt.reason}"
                )
            self._changed.notify_all()

    def chunk(self, chunk: pb.Chunk) -> None:
        """A piece of a message came."""
        if chunk.key.step != self._step:
            return self._push(pb.Receipt(key=chunk.key, outcome=pb.Receipt.REFUSED, reason=f"{OVER} another attempt"))
        try:
            with self._changed:
                if self._over is not None:
                    return None
                complete = self._take(_message_key(chunk.key), chunk)
        except FedError as error:
            self.end(error)
            return self._push(pb.Receipt(key=chunk.key, outcome=pb.Receipt.REFUSED, reason=str(error)))
        if complete:
            self._push(pb.Receipt(key=chunk.key, outcome=pb.Receipt.DELIVERED))
        return None

    def _take(self, key: MessageKey, chunk: pb.Chunk) -> bool:
        """Store a chunk; whether its message is complete. Repetitions change nothing, another body is refused."""
        known = self._arrived.get(key) or self._arriving.get(key)
        digest = known.digest if known else self._taken.get(key)
        if digest not in (None, chunk.sha256) or (known and known.count != chunk.count):
            raise ProtocolError("FED-305", f"{key.topic!r} of round {key.round} came twice with different bodies")
        if key in self._taken or key in self._arrived:
            return True
        if known is None:
            self._arriving[key] = self._room(key, chunk)
        arriving = self._arriving[key]
        if chunk.index not in arriving.missing:
            return False
        arriving.file.seek(chunk.index * CHUNK_BYTES)
        arriving.file.write(chunk.data)
        arriving.missing.discard(chunk.index)
        if not arriving.missing:
            self._complete(key, arriving)
        return not arriving.missing

    def _room(self, key: MessageKey, chunk: pb.Chunk) -> _Arriving:
        """Room for a new message; what peers can make this process keep has an end."""
        arriving = _Arriving.of(chunk, self._in_memory)
        count = len(self._arriving) + len(self._arrived) + 1
        if self._unread + arriving.size > MAX_UNREAD or count > MAX_UNREAD_MESSAGES:
            arriving.file.close()
            problem = f"{count} messages with {self._unread + arriving.size} bytes are unread"
            limits = f"at most {MAX_UNREAD_MESSAGES} with {MAX_UNREAD} bytes may wait"
            raise ProtocolError("FED-309", f"{problem}, the last one {key.topic[:64]!r}", limits)
        self._count(arriving, 1)
        return arriving

    def _count(self, message: _Arriving, sign: int) -> None:
        self._unread += sign * message.size
        self._in_memory += sign * message.size * isinstance(message.file, io.BytesIO)

    def _complete(self, key: MessageKey, arriving: _Arriving) -> None:
        arriving.file.seek(0)
        found = hashlib.file_digest(arriving.file, "sha256").digest()  # type: ignore[arg-type]
        if found != arriving.digest:
            raise ProtocolError("FED-308", f"{key.topic!r} of round {key.round} is not what its digest says")
        del self._arriving[key]
        self._arrived[key] = arriving
        self._changed.notify_all()

    # Sending

    def _run(self) -> None:
        """Push what is due, as far as the window allows."""
        while True:
            with self._changed:
                while not (due := self._due()) and self._over is None:
                    self._changed.wait(self._pause())
                if self._over is not None:
                    return
            for key, sent in due:
                for chunk in self._chunks(key, sent):
                    self._push(chunk)

    def _due(self) -> list[tuple[MessageKey, _Sent]]:
        """Messages that go now, in the order in which they were sent, as long as the window has room."""
        now, free, due = time.monotonic(), WINDOW, []
        for key, sent in self._sent.items():
            if sent.due <= now and free > 0:
                due.append((key, sent))
            if sent.flying or sent.due <= now:
                free -= len(sent.body)
        for _, sent in due:
            sent.flying, sent.due = True, now + SILENCE_S
        return due

    def _pause(self) -> float:
        """Seconds until a message is due again; one that waits for room is woken by a receipt."""
        now = time.monotonic()
        return min((sent.due - now for sent in self._sent.values() if sent.due > now), default=SILENCE_S)

    def _chunks(self, key: MessageKey, sent: _Sent) -> Iterator[pb.Chunk]:
        envelope = pb.EnvelopeKey(
            step=self._step,
            topic=key.topic,
            round=key.round,
            source=member_pb(key.source),
            destination=member_pb(key.destination),
        )
        count = max(1, -(-len(sent.body) // CHUNK_BYTES))
        for index in range(count):
            data = sent.body[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
            yield pb.Chunk(key=envelope, index=index, count=count, data=data, sha256=sent.digest)


def _message_key(key: pb.EnvelopeKey) -> MessageKey:
    return MessageKey(key.topic, key.round, member_of(key.source), member_of(key.destination))
