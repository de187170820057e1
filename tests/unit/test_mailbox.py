"""What a worker keeps of messages that nobody asked for yet: in order, whole, and not without end."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway import arriving, mailbox
from federated_operators.gateway.declared import Declared
from federated_operators.gateway.frames import CHUNK_BYTES, Piece
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.mailbox import Mailbox
from federated_operators.gateway.names import Job, Seat, member_pb
from federatedml.errors import AttemptEnded, ProtocolError
from federatedml.federation.box import MessageKey
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector
from tests.members import GUEST, HOST

SEAT = Seat(Job(GUEST.party, "20260728120000000001"), "lr_0", HOST)


class Box:
    """A mailbox and what it pushed."""

    def __init__(self, declared: Declared | None = None, **limits: int) -> None:
        self.pushed: list[Piece | Sequence[pb.Receipt]] = []
        self.mail = Mailbox(SEAT, SEAT.step(1, 1), self.pushed.append, Limits(**limits), declared)

    def take(self, round: int, body: bytes, count: int = 1, index: int = 0) -> pb.Receipt | None:
        """A piece comes; the receipt for it."""
        self._chunk(round, body, body, count, index)
        found = [each for each in self.receipts() if each.key.round == round]
        return found[-1] if found else None

    def raw(self, round: int, body: bytes) -> None:
        """A message comes, and nobody rests."""
        self._chunk(round, body, body, 1, 0)

    def piece(self, body: bytes, count: int, index: int) -> pb.Receipt | None:
        """The piece ``index`` of a message of round 0 comes; the last thing that is said of it."""
        size, before = mailbox.CHUNK_BYTES, len(self.receipts())
        self._chunk(0, body, body[index * size : (index + 1) * size], count, index)
        found = self.receipts()[before:]
        return found[-1] if found else None

    def _chunk(self, round: int, body: bytes, data: bytes, count: int, index: int) -> None:
        sha = hashlib.sha256(body).digest()
        self.mail.chunk(Piece(pb.Chunk(key=self.key(round), index=index, count=count, sha256=sha), data))

    @staticmethod
    def key(round: int) -> pb.EnvelopeKey:
        source, destination = member_pb(GUEST), member_pb(HOST)
        return pb.EnvelopeKey(step=SEAT.step(1, 1), topic="t", round=round, source=source, destination=destination)

    def said(self) -> list[int]:
        """Rounds of which a receipt has gone."""
        return [each.key.round for content in list(self.pushed) if not isinstance(content, Piece) for each in content]

    def acknowledge(self, round: int) -> None:
        """The receiver has the message of a round."""
        key = pb.EnvelopeKey(
            step=SEAT.step(1, 1), topic="t", round=round, source=member_pb(HOST), destination=member_pb(GUEST)
        )
        self.mail.receipt(pb.Receipt(key=key, outcome=pb.Receipt.DELIVERED))

    def receipts(self) -> list[pb.Receipt]:
        """All so far; nothing is held back."""
        self.mail.rest()
        return [each for content in list(self.pushed) if not isinstance(content, Piece) for each in content]

    def recv(self, round: int) -> bytes:
        return self.mail.recv(MessageKey("t", round, GUEST, HOST))


@pytest.fixture
def box() -> Iterator[Box]:
    with mailbox_with() as made:
        yield made


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


@contextmanager
def mailbox_with(declared: Declared | None = None, **limits: int) -> Iterator[Box]:
    made = Box(declared, **limits)
    yield made
    made.mail.end(AttemptEnded("the test is over"))


def test_unread_bytes_have_an_end() -> None:
    with mailbox_with(unread=10) as box:
        unread_bytes_have_an_end(box)


def unread_bytes_have_an_end(box: Box) -> None:
    for round in range(20):  # what is read makes room
        assert box.take(round, b"12345678") is not None
        assert box.recv(round) == b"12345678"
    box.take(100, b"12345678")
    refused = box.take(101, b"12345678")
    assert refused is not None
    assert refused.outcome == pb.Receipt.REFUSED
    with pytest.raises(ProtocolError, match=r"FED-309.*2 messages with 16 bytes are unread.*with 10 bytes may wait"):
        box.recv(102)


def test_unread_messages_have_an_end(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_UNREAD_MESSAGES", 2)
    outcomes = [receipt.outcome for round in range(3) if (receipt := box.take(round, b""))]
    assert outcomes == [pb.Receipt.DELIVERED, pb.Receipt.DELIVERED, pb.Receipt.REFUSED]


def test_one_chunk_counts_for_the_room_that_its_message_takes(box: Box) -> None:
    for round in range(4):
        assert box.take(round, b"x", count=512, index=511) is None
    refused = box.take(4, b"x", count=512, index=511)
    assert refused is not None
    assert "[FED-309]" in refused.reason


def test_beyond_what_fits_into_memory_bodies_go_to_files() -> None:
    with mailbox_with(in_memory=4 * CHUNK_BYTES) as box:
        for round in range(5):
            box.take(round, b"x", count=3, index=2)
        sizes = [message.in_memory for message in box.mail._arriving.values()]
        assert sizes == [3 * CHUNK_BYTES, 0, 0, 0, 0]


def test_a_message_that_comes_in_any_order_is_read_as_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "CHUNK_BYTES", 3)
    body = b"abcdefgh"
    for in_memory in (0, 100):
        monkeypatch.setattr(arriving, "SMALL", 0 if in_memory == 0 else 100)
        with mailbox_with(in_memory=in_memory) as box:
            for index in (2, 0, 0, 2):
                receipt = box.piece(body, 3, index)
                assert receipt is None or receipt.outcome == pb.Receipt.ARRIVING
            delivered = box.piece(body, 3, 1)
            assert delivered is not None
            assert delivered.outcome == pb.Receipt.DELIVERED
            assert box.recv(0) == body


def test_a_piece_that_does_not_fill_its_place_is_refused(box: Box) -> None:
    refused = box.take(0, b"x", count=2, index=0)
    assert refused is not None
    assert "[FED-308]" in refused.reason


def test_who_computes_and_leaves_much_unread_makes_its_senders_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "RECEIPTS", 1)  # receipts that are not held go at once
    with mailbox_with(held=10) as box:
        for round in range(4):
            box.raw(round, b"1234")
        assert box.said() == [0, 1], "two more are here, and their sender is not told to go on"
        box.recv(0)
        assert box.said() == [0, 1]
        box.recv(1)
        until(lambda: box.said() == [0, 1, 2, 3])


def test_who_waits_for_a_message_makes_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise three could wait for each other: for room, for a message, for the message behind it."""
    monkeypatch.setattr(mailbox, "RECEIPTS", 1)
    with mailbox_with(held=10) as box:
        for round in range(4):
            box.raw(round, b"1234")
        waiting = threading.Thread(target=box.recv, args=(9,))
        waiting.start()
        until(lambda: box.said() == [0, 1, 2, 3])
        box.raw(5, b"1234")
        assert 5 in box.said()
        box.raw(9, b"")
        waiting.join(60)
        assert not waiting.is_alive()


def test_send_waits_while_too_much_is_not_acknowledged() -> None:
    with mailbox_with(unacknowledged=10) as box:
        key = [MessageKey("t", round, HOST, GUEST) for round in range(3)]
        box.mail.send(key[0], b"123456")
        second = threading.Thread(target=box.mail.send, args=(key[1], b"123456"))
        second.start()
        until(lambda: box.mail._waiting == 1)
        assert second.is_alive()
        box.acknowledge(0)
        second.join(60)
        assert not second.is_alive()
        box.acknowledge(1)
        box.mail.send(key[2], b"1" * 100)  # larger than all that may wait: alone


TOPICS: dict[str, Topic[Any]] = {
    "t": Topic("t", (Role.GUEST,), (Role.HOST,), Vector("<f8"), Carries.CONTROL, "nothing to speak of", 100),
    "back": Topic("t", (Role.HOST,), (Role.GUEST,), Vector("<f8"), Carries.CONTROL, "nothing to speak of", 100),
    "long": Topic("t", (Role.GUEST,), (Role.HOST,), Vector("<f8"), Carries.CONTROL, "nothing to speak of", CHUNK_BYTES),
}


@pytest.mark.parametrize(
    ("topics", "size", "count", "code"),
    [
        ({}, 1, 1, "FED-300"),
        ({"t": TOPICS["back"]}, 1, 1, "FED-301"),
        ({"t": TOPICS["t"]}, 101, 1, "FED-302"),
        ({"t": TOPICS["long"]}, CHUNK_BYTES, 2, "FED-302"),
        ({"t": TOPICS["long"]}, CHUNK_BYTES, 2**30, "FED-302"),
    ],
)
def test_what_the_component_does_not_declare_is_refused_before_it_is_kept(
    topics: dict[str, Topic[Any]], size: int, count: int, code: str
) -> None:
    with mailbox_with(Declared(topics)) as box:
        receipt = box.take(0, b"x" * size, count)
        assert receipt is not None
        assert receipt.outcome == pb.Receipt.REFUSED
        assert code in receipt.reason
        with pytest.raises(ProtocolError, match=code):
            box.recv(0)


def test_what_is_declared_is_taken() -> None:
    with mailbox_with(Declared({"t": TOPICS["t"]})) as box:
        box.take(0, b"x" * 100)
        assert box.recv(0) == b"x" * 100
