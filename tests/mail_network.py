"""A step in one process whose messages go through real mailboxes, chunk by chunk, over a way that misbehaves.

The way between two mailboxes stands for worker, gateway, gateway, worker: what is lost there means that a stream broke,
so the sender is told to send again what nobody acknowledged. Chunks and receipts alike are lost, repeated, come in any
order; a message can be cut after some of its chunks.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.frames import Piece
from federated_operators.gateway.mailbox import Mailbox
from federated_operators.gateway.names import Job, Seat, member_of
from federatedml.errors import AttemptEnded
from federatedml.federation.box import AttemptKey, MessageKey, Transport
from federatedml.federation.local import LocalNetwork
from federatedml.federation.memory import Exchange, Faults
from federatedml.federation.party import Member

Content = Piece | pb.Receipt
Letter = tuple[Member, Content | None]  # to whom; None: the stream is new, send again


@dataclass
class WayFaults(Faults):
    """Rates per chunk and receipt. ``reorder``: one that came later overtakes."""

    reorder: float = 0.0


class Way:
    """What is between the mailboxes; a thread carries one letter at a time."""

    def __init__(self, faults: WayFaults, draw: random.Random) -> None:
        self.boxes: dict[Member, Mailbox] = {}
        self.happened: Counter[str] = Counter()
        self._faults, self._draw = faults, draw
        self._letters: list[Letter] = []
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._run, name="way", daemon=True).start()

    def put(self, content: Piece | Sequence[pb.Receipt]) -> None:
        """A mailbox hands over a piece of a message, or receipts."""
        for each in [content] if isinstance(content, Piece) else content:
            to = member_of(each.key.destination if isinstance(each, Piece) else each.key.source)
            with self._changed:
                self._letters.append((to, each))
                self._changed.notify_all()

    def close(self) -> None:
        """Carry nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._letters or self._closed)
                if self._closed:
                    return
                letter = self._next()
            self._deliver(*letter)

    def _next(self) -> Letter:
        """What is carried now: the oldest letter or another one, one that comes again, or news of a broken stream."""
        at = self._draw.randrange(len(self._letters)) if self._strikes("reorder") else 0
        to, content = self._letters.pop(at)
        if content is None:
            return to, None
        if self._strikes("drop"):
            return self._broken(content)
        if isinstance(content, Piece) and content.head.index and self._strikes("truncate"):
            self._letters = [other for other in self._letters if not _same_message(other[1], content)]
            return self._broken(content)
        if self._strikes("duplicate"):
            self._letters.append((to, content))
        return to, content

    def _strikes(self, fault: str) -> bool:
        strikes = self._draw.random() < getattr(self._faults, fault)
        self.happened[fault] += strikes
        return strikes

    def _broken(self, lost: Content) -> Letter:
        return member_of(lost.key.source), None

    def _deliver(self, to: Member, content: Content | None) -> None:
        box = self.boxes[to]
        if content is None:
            box.resend()
        elif isinstance(content, Piece):
            box.chunk(content)
        else:
            box.receipt(content)


class MailExchange:
    """One attempt's mailboxes and the way between them."""

    def __init__(self, attempt: AttemptKey, members: Sequence[Member], way: Way) -> None:
        self._way = way
        for member in members:
            seat = Seat(Job(attempt.initiator, attempt.job_id), attempt.component, member)
            way.boxes[member] = Mailbox(seat, seat.step(attempt.generation, attempt.attempt), way.put)

    def transport(self, me: Member) -> Transport:
        return self._way.boxes[me]

    def end(self, reason: str) -> None:
        self._way.close()
        for box in self._way.boxes.values():
            box.end(AttemptEnded(reason))

    def unread(self) -> list[MessageKey]:
        return []  # a mailbox forgets with the end of its attempt


class MailNetwork(LocalNetwork):
    """A ``LocalNetwork`` over real mailboxes."""

    def __init__(self, folder: Path, faults: WayFaults | None = None) -> None:
        self.way_faults = faults or WayFaults()
        super().__init__(folder, self.way_faults)
        self.ways: list[Way] = []

    def exchange(self, attempt: AttemptKey, members: Sequence[Member]) -> Exchange:
        draw = random.Random(f"{self.faults.seed} {attempt.attempt}")
        return MailExchange(attempt, members, self.way(draw))

    def way(self, draw: random.Random) -> Way:
        """What is between the mailboxes of an attempt."""
        self.ways.append(Way(self.way_faults, draw))
        return self.ways[-1]


def _same_message(one: Content | None, other: Content) -> bool:
    return isinstance(one, Piece) and one.key == other.key
