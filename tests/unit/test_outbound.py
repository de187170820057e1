"""What a gateway keeps for a peer that takes slowly, or not at all."""

from __future__ import annotations

import asyncio

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.relay import Outbound


def chunk(round: int, index: int = 0) -> pb.Chunk:
    return pb.Chunk(key=pb.EnvelopeKey(topic="t", round=round), index=index, count=2)


def put(lane: Outbound, piece: pb.Chunk) -> bool:
    return lane.put(piece, piece.SerializeToString())


def following(lane: Outbound) -> pb.Chunk:
    return pb.Chunk.FromString(asyncio.run(lane.next()))


def delivered(round: int) -> pb.Receipt:
    return pb.Receipt(key=chunk(round).key, outcome=pb.Receipt.DELIVERED)


def test_what_is_said_again_is_kept_once() -> None:
    lane = Outbound(10**6)
    for _ in range(100):
        put(lane, chunk(1, 0))
        put(lane, chunk(1, 1))
    assert lane.waiting == 2
    assert [following(lane).index for _ in range(2)] == [0, 1]
    put(lane, chunk(1, 0))  # it left, so it may have been lost
    assert following(lane) == chunk(1, 0)


def test_what_was_acknowledged_is_not_sent_again() -> None:
    lane = Outbound(10**6)
    put(lane, chunk(1))
    put(lane, chunk(2))
    assert lane.answered(delivered(1))
    assert not lane.answered(delivered(1))
    assert following(lane) == chunk(2)


def test_a_broken_stream_gives_back_every_open_message_once() -> None:
    lane = Outbound(10**6)
    for index in (0, 1):
        put(lane, chunk(1, index))
    put(lane, chunk(2))
    following(lane)
    assert lane.clear() == [chunk(1).key, chunk(2).key]
    assert lane.waiting == 0
    put(lane, chunk(2))
    assert following(lane) == chunk(2)


def test_what_waits_has_an_end() -> None:
    size = chunk(1, 1).ByteSize()
    lane = Outbound(3 * size)
    assert [put(lane, chunk(1, 1)) for _ in range(5)] == [True] * 5, "the same piece is kept once"
    assert [put(lane, chunk(round)) for round in (2, 3, 4)] == [True, True, False]
    following(lane)
    assert put(lane, chunk(4)), "what left has made room"


def test_a_message_of_which_a_part_arrived_is_still_open() -> None:
    lane = Outbound(10**6)
    put(lane, chunk(1))
    assert lane.answered(pb.Receipt(key=chunk(1).key, outcome=pb.Receipt.ARRIVING, chunks=1))
    assert lane.clear() == [chunk(1).key]
