"""Messages of one attempt on the worker's side: what was sent and not yet acknowledged, what came and was not read.

``send`` never waits for the receiver's role function while that waits itself: what comes is taken whether or not it was
asked for; large bodies go to an unlinked file. Only a role function that computes, and leaves very much unread, makes
its senders wait: the receipts that they need to go on are held back until it waits again.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.arriving import Arriving
from federated_operators.gateway.declared import Declared
from federated_operators.gateway.frames import CHUNK_BYTES, Piece
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.names import Seat, member_of
from federated_operators.gateway.sending import Sending
from federatedml.errors import AttemptEnded, FedError, ProtocolError
from federatedml.federation.box import MessageKey

MAX_UNREAD_MESSAGES = 2**17
DIRECT = 2**16  # bytes of a message that the sender's own thread hands to the stream
SILENCE_S = 10.0
RECEIPTS_S = 0.02  # for which receipts of small messages are collected
RECEIPTS = 64  # that are collected at most
OVER = "[FED-345]"  # the attempt is over: whoever refused a message for that will say so otherwise
Push = Callable[[Piece | Sequence[pb.Receipt]], None]


class Mailbox:
    """Transport of one attempt.

    Args:
        seat: who sends and receives here.
        step: key of the attempt.
        push: hands a piece or receipts to the gateway's stream; what it loses is sent again.
        declared: what may come; None: anything.
    """

    def __init__(
        self,
        seat: Seat,
        step: pb.StepKey,
        push: Push,
        limits: Limits | None = None,
        declared: Declared | None = None,
    ) -> None:
        self._declared = declared
        self._step, self._push, self._limits = step, push, limits or Limits()
        lock = threading.Lock()
        self._came = threading.Condition(lock)  # the role function waits for it
        self._due = threading.Condition(lock)  # the sending thread waits for it
        self._sending = Sending(step, self._limits.window, CHUNK_BYTES, SILENCE_S)
        self._arriving: dict[MessageKey, Arriving] = {}
        self._arrived: dict[MessageKey, Arriving] = {}
        self._taken: dict[MessageKey, bytes] = {}  # digests of what was read
        self._unread = self._in_memory = 0  # bytes that wait for the role function
        self._receipts: list[pb.Receipt] = []  # that go soon
        self._receipts_due = 0.0  # monotonic
        self._held: dict[MessageKey, pb.Receipt] = {}  # that go when the role function waits
        self._waiting = 0  # role functions that wait
        self._over: BaseException | None = None
        threading.Thread(target=self._run, name=f"send {seat.component}", daemon=True).start()

    # The role function's side

    def send(self, key: MessageKey, body: bytes) -> None:
        """Take a message and return; waits only while very much is not acknowledged."""
        if len(body) > self._limits.body:
            raise ProtocolError(
                "FED-306", f"{key.topic!r} is {len(body)} bytes, at most {self._limits.body} can be sent"
            )
        digest = hashlib.sha256(body).digest()
        with self._came:
            self._check()
            if self._sending.unacknowledged + len(body) > self._limits.unacknowledged:
                self._wait(lambda: self._sending.unacknowledged == 0 or self._has_room(body))
                self._check()
            at_once = len(body) <= DIRECT and self._sending.idle
            self._sending.add(key, body, digest)
            piece = self._sending.next(time.monotonic()) if at_once else None
            if not self._sending.idle:
                self._due.notify()
        if piece is not None:
            self._push(piece)

    def _has_room(self, body: bytes) -> bool:
        return self._sending.unacknowledged + len(body) <= self._limits.unacknowledged

    def recv(self, key: MessageKey) -> bytes:
        """Wait for the message of that key."""
        with self._came:
            if key not in self._arrived:
                self._wait(lambda: key in self._arrived)
            if key not in self._arrived:
                self._check()
            found = self._arrived.pop(key)
            self._taken[key] = found.digest
            self._count(found, -1)
            if self._held and self._unread <= self._limits.held:
                self._release()
        return found.body()

    def rest(self) -> None:
        """The role function has returned: nothing is held back for its sake any longer."""
        with self._came:
            self._waiting += 1
            self._release()
            receipts = self._collected()
        if receipts:
            self._push(receipts)

    def _wait(self, done: Callable[[], bool]) -> None:
        with self._role_waits():
            self._came.wait_for(lambda: self._over is not None or done())

    @contextmanager
    def _role_waits(self) -> Iterator[None]:
        self._waiting += 1
        self._release()
        try:
            yield
        finally:
            self._waiting -= 1

    def _release(self) -> None:
        if self._held:
            self._receipts += self._held.values()
            self._receipts_due = 0.0
            self._held.clear()
            self._due.notify()

    def _collected(self) -> Sequence[pb.Receipt]:
        found, self._receipts = self._receipts, []
        return found

    def end(self, reason: BaseException) -> None:
        """The attempt is over: every call raises ``reason`` from now on."""
        with self._came:
            self._over = self._over or reason
            self._sending.clear()
            for message in (*self._arriving.values(), *self._arrived.values()):
                message.close()
            self._arriving.clear()
            self._arrived.clear()
            self._notify()

    def _notify(self) -> None:
        self._came.notify_all()
        self._due.notify()

    def _check(self) -> None:
        if isinstance(self._over, AttemptEnded):
            raise AttemptEnded(self._over.reason)
        if self._over is not None:
            raise self._over

    # The channel's side

    def resend(self) -> None:
        """The stream is new: everything that is not acknowledged goes again."""
        with self._due:
            self._sending.resend()
            self._due.notify()

    def receipt(self, receipt: pb.Receipt) -> None:
        """What became of a message."""
        if receipt.key.step != self._step:
            return
        key = message_key(receipt.key)
        with self._came:
            if not self._sending.receipt(key, receipt, time.monotonic()):
                return
            if receipt.outcome == pb.Receipt.REFUSED and not receipt.reason.startswith(OVER):
                problem = f"{key.topic!r} to {key.destination}: {receipt.reason}"
                self._over = self._over or ProtocolError("FED-307", problem)
            if self._waiting:
                self._came.notify_all()
            if not self._sending.idle or self._over is not None:
                self._due.notify()

    def chunk(self, piece: Piece) -> None:
        """A piece of a message came."""
        if piece.key.step != self._step:
            self._push([pb.Receipt(key=piece.key, outcome=pb.Receipt.REFUSED, reason=f"{OVER} another attempt")])
            return
        now: Sequence[pb.Receipt] = ()
        try:
            with self._came:
                if self._over is not None:
                    return
                key = message_key(piece.key)
                receipt = self._take(key, piece)
                if receipt is not None:
                    now = self._acknowledge(key, receipt, len(piece.data))
        except FedError as error:
            self.end(error)
            now = [pb.Receipt(key=piece.key, outcome=pb.Receipt.REFUSED, reason=str(error))]
        if now:
            self._push(now)

    def _acknowledge(self, key: MessageKey, receipt: pb.Receipt, size: int) -> Sequence[pb.Receipt]:
        """Receipts that go now; others follow soon, or when the role function has read more."""
        if self._unread > self._limits.held and not self._waiting:
            self._held[key] = receipt
            return ()
        self._receipts.append(receipt)
        if size > DIRECT or len(self._receipts) >= RECEIPTS:
            return self._collected()
        if len(self._receipts) == 1:
            self._receipts_due = time.monotonic() + RECEIPTS_S
            self._due.notify()
        return ()

    def _take(self, key: MessageKey, piece: Piece) -> pb.Receipt | None:
        """Store a piece; what to say of it. Repetitions change nothing, another body is refused."""
        known = self._arrived.get(key) or self._arriving.get(key)
        digest = known.digest if known else self._taken.get(key)
        if digest not in (None, piece.head.sha256) or (known and known.count != piece.head.count):
            raise ProtocolError("FED-305", f"{key.topic!r} of round {key.round} came twice with different bodies")
        if key in self._taken or key in self._arrived:
            return pb.Receipt(key=piece.key, outcome=pb.Receipt.DELIVERED)
        if known is None:
            known = self._arriving[key] = self._room(key, piece)
        known.take(piece)
        if known.complete:
            self._complete(key, known)
            return pb.Receipt(key=piece.key, outcome=pb.Receipt.DELIVERED)
        if known.in_order % 2 or not known.in_order:
            return None
        return pb.Receipt(key=piece.key, outcome=pb.Receipt.ARRIVING, chunks=known.in_order)

    def _room(self, key: MessageKey, piece: Piece) -> Arriving:
        """Room for a new message that may come; what peers can make this process keep has an end."""
        if self._declared is not None:
            least = len(piece.data) if piece.head.count == 1 else (piece.head.count - 1) * CHUNK_BYTES + 1
            self._declared.check(key, least)
        arriving = Arriving(piece, CHUNK_BYTES, self._limits.in_memory - self._in_memory)
        count, most = len(self._arriving) + len(self._arrived) + 1, self._limits.unread
        if self._unread + arriving.size > most or count > MAX_UNREAD_MESSAGES:
            arriving.close()
            problem = f"{count} messages with {self._unread + arriving.size} bytes are unread"
            limits = f"at most {MAX_UNREAD_MESSAGES} with {most} bytes may wait"
            raise ProtocolError("FED-309", f"{problem}, the last one {key.topic[:64]!r}", limits)
        self._count(arriving, 1)
        return arriving

    def _count(self, message: Arriving, sign: int) -> None:
        self._unread += sign * message.size
        self._in_memory += sign * message.in_memory

    def _complete(self, key: MessageKey, arriving: Arriving) -> None:
        if not arriving.intact():
            raise ProtocolError("FED-308", f"{key.topic!r} of round {key.round} is not what its digest says")
        del self._arriving[key]
        self._arrived[key] = arriving
        self._came.notify_all()

    # The sending thread

    def _run(self) -> None:
        """Push what is due, as far as the windows allow, and the receipts that were collected."""
        while work := self._work():
            for content in work:
                self._push(content)

    def _work(self) -> Sequence[Piece | Sequence[pb.Receipt]]:
        """Wait for something to push; nothing: the attempt is over."""
        with self._due:
            while self._over is None:
                now = time.monotonic()
                piece = self._sending.next(now)
                if self._receipts and (piece or self._receipts_due <= now):
                    receipts = self._collected()
                    return (receipts, piece) if piece else (receipts,)
                if piece:
                    return (piece,)
                pause = self._sending.wake(now)
                self._due.wait(min(pause, self._receipts_due - now) if self._receipts else pause)
        return ()


def message_key(key: pb.EnvelopeKey) -> MessageKey:
    """The key of a message that came in."""
    return MessageKey(key.topic, key.round, member_of(key.source), member_of(key.destination))
