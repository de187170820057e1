"""Which piece goes next: windows per member, turns, and what goes again."""

from __future__ import annotations

import itertools

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.frames import Piece
from federated_operators.gateway.names import Job, Seat, member_of
from federated_operators.gateway.sending import LONGEST_PAUSE_S, Sending
from federatedml.federation.box import MessageKey
from federatedml.federation.party import Member
from tests.members import ARBITER, GUEST, HOST

STEP = Seat(Job(GUEST.party, "20260728120000000001"), "lr_0", GUEST).step(1, 1)
CHUNK, WINDOW, SILENCE = 10, 40, 5.0
NOW = 100.0


def sending() -> Sending:
    return Sending(STEP, WINDOW, CHUNK, SILENCE)


def key(round: int, to: Member = HOST) -> MessageKey:
    return MessageKey("t", round, GUEST, to)


def go(box: Sending, now: float = NOW) -> list[tuple[Member, int, int]]:
    """All pieces that may go now: to whom, of which round, with which number."""
    pieces = itertools.takewhile(lambda piece: piece is not None, (box.next(now) for _ in itertools.count()))
    return [(member_of(p.key.destination), p.key.round, p.head.index) for p in pieces if isinstance(p, Piece)]


def answer(box: Sending, round: int, outcome: int, chunks: int = 0, now: float = NOW) -> bool:
    receipt = pb.Receipt(outcome=outcome, chunks=chunks)  # type: ignore[arg-type]
    return box.receipt(key(round), receipt, now)


def test_a_window_is_all_that_is_on_its_way_to_a_member() -> None:
    box = sending()
    box.add(key(0), bytes(95), b"")
    assert go(box) == [(HOST, 0, index) for index in range(4)]
    answer(box, 0, pb.Receipt.ARRIVING, 3)
    assert go(box) == [(HOST, 0, index) for index in (4, 5, 6)]
    answer(box, 0, pb.Receipt.ARRIVING, 7)
    assert go(box) == [(HOST, 0, index) for index in (7, 8, 9)]
    assert box.unacknowledged == 95
    answer(box, 0, pb.Receipt.DELIVERED)
    assert box.unacknowledged == 0
    assert go(box) == []


def test_a_member_that_takes_nothing_stops_no_other() -> None:
    box = sending()
    box.add(key(0), bytes(1000), b"")
    box.add(key(1, ARBITER), bytes(20), b"")
    box.add(key(2, ARBITER), bytes(1000), b"")
    found = go(box)
    assert found[:3] == [(HOST, 0, 0), (ARBITER, 1, 0), (HOST, 0, 1)], "they take turns"
    assert {(to, round) for to, round, _ in found} == {(HOST, 0), (ARBITER, 1), (ARBITER, 2)}


def test_messages_of_any_size_go_one_at_a_time_at_least() -> None:
    box = Sending(STEP, 1, CHUNK, SILENCE)
    box.add(key(0), bytes(25), b"")
    box.add(key(1), b"", b"")
    assert go(box) == [(HOST, 0, 0)]
    answer(box, 0, pb.Receipt.ARRIVING, 1)
    assert go(box) == [(HOST, 0, 1)]


def test_what_was_not_delivered_goes_again_after_a_pause_that_grows() -> None:
    box, pauses, now = sending(), [], NOW
    box.add(key(0), bytes(35), b"")
    for _ in range(8):
        assert len(go(box, now)) == 4
        for _ in range(4):
            answer(box, 0, pb.Receipt.UNDELIVERABLE, now=now)  # one answer for each piece
        assert go(box, now) == []
        pauses.append(box.wake(now))
        now += pauses[-1] + 1e-6
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.02
    assert pauses[-1] <= LONGEST_PAUSE_S + 1e-6
    assert pauses[-1] > LONGEST_PAUSE_S / 2


def test_what_the_receiver_has_does_not_go_again() -> None:
    box = sending()
    box.add(key(0), bytes(35), b"")
    go(box)
    answer(box, 0, pb.Receipt.ARRIVING, 2)
    box.resend()
    assert go(box) == [(HOST, 0, 2), (HOST, 0, 3)]


def test_silence_is_an_answer() -> None:
    box = sending()
    box.add(key(0), bytes(5), b"")
    go(box)
    assert box.wake(NOW + 1) == SILENCE - 1
    assert go(box, NOW + 1) == []
    assert box.wake(NOW + SILENCE) == 0
    assert go(box, NOW + SILENCE) == [(HOST, 0, 0)]


def test_a_receiver_cannot_claim_what_was_not_sent() -> None:
    box = sending()
    box.add(key(0), bytes(95), b"")
    go(box)
    answer(box, 0, pb.Receipt.ARRIVING, 2**32 - 1)
    assert go(box) == [(HOST, 0, index) for index in (4, 5, 6, 7)]
    assert not answer(box, 77, pb.Receipt.DELIVERED)


def test_messages_that_were_refused_are_forgotten() -> None:
    box = sending()
    for round in range(3):
        box.add(key(round), bytes(95), b"")
    go(box)
    answer(box, 0, pb.Receipt.REFUSED)
    assert {round for _, round, _ in go(box)} == {1}
    box.clear()
    assert box.idle
    assert box.unacknowledged == 0
