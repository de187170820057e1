"""What a gateway keeps for a peer that takes slowly, or not at all."""

from __future__ import annotations

import asyncio

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.relay import Outbound


def chunk(round: int, index: int = 0) -> pb.Chunk:
    return pb.Chunk(key=pb.EnvelopeKey(topic="t", round=round), index=index, count=2)


def test_what_is_said_again_is_kept_once() -> None:
    lane = Outbound()
    for _ in range(100):
        lane.put(chunk(1, 0))
        lane.put(chunk(1, 1))
    assert lane.waiting == 2
    assert [asyncio.run(lane.next()).index for _ in range(2)] == [0, 1]
    lane.put(chunk(1, 0))  # it left, so it may have been lost
    assert asyncio.run(lane.next()) == chunk(1, 0)


def test_what_was_acknowledged_is_not_sent_again() -> None:
    lane = Outbound()
    lane.put(chunk(1))
    lane.put(chunk(2))
    assert lane.answered(chunk(1).key)
    assert not lane.answered(chunk(1).key)
    assert asyncio.run(lane.next()) == chunk(2)


def test_a_broken_stream_gives_back_every_open_message_once() -> None:
    lane = Outbound()
    for index in (0, 1):
        lane.put(chunk(1, index))
    lane.put(chunk(2))
    asyncio.run(lane.next())
    assert lane.clear() == [chunk(1).key, chunk(2).key]
    assert lane.waiting == 0
    lane.put(chunk(2))
    assert asyncio.run(lane.next()) == chunk(2)
