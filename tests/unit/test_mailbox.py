"""What a worker keeps of messages that nobody asked for yet: in order, whole, and not without end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway import mailbox
from federated_operators.gateway.frames import CHUNK_BYTES, Piece
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.mailbox import Mailbox
from federated_operators.gateway.names import Job, Seat, member_pb
from federatedml.errors import AttemptEnded, ProtocolError
from federatedml.federation.box import MessageKey
from tests.members import GUEST, HOST

SEAT = Seat(Job(GUEST.party, "20260728120000000001"), "lr_0", HOST)


class Box:
    """A mailbox and what it pushed."""

    def __init__(self, **limits: int) -> None:
        self.pushed: list[Piece | Sequence[pb.Receipt]] = []
        self.mail = Mailbox(SEAT, SEAT.step(1, 1), self.pushed.append, Limits(**limits))

    def take(self, round: int, body: bytes, count: int = 1, index: int = 0) -> pb.Receipt | None:
        """A piece comes; the receipt for it."""
        key = pb.EnvelopeKey(
            step=SEAT.step(1, 1), topic="t", round=round, source=member_pb(GUEST), destination=member_pb(HOST)
        )
        sha = hashlib.sha256(body).digest()
        self.mail.chunk(Piece(pb.Chunk(key=key, index=index, count=count, sha256=sha), body))
        found = [each for each in self.receipts() if each.key.round == round]
        return found[-1] if found else None

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


@contextmanager
def mailbox_with(**limits: int) -> Iterator[Box]:
    made = Box(**limits)
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
