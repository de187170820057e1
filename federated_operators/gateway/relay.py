"""Messages between workers of two parties: own worker -> own gateway -> peer's gateway -> peer's worker.

Gateways keep nothing. The sending worker keeps a message until the receiving worker acknowledged it; whatever breaks
in between comes back as UNDELIVERABLE and is sent again. A gateway never carries for third parties. It looks at the
head of a piece and passes its bytes on as they came.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable

import grpc

from airfed_proto.v1 import common_pb2 as pb
from federated_operators.gateway.frames import CHUNK_BYTES, Piece
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.names import Seat
from federated_operators.gateway.outbound import Outbound
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.refusals import Refusals
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.throttle import Throttle
from federated_operators.gateway.traffic import Traffic
from federatedml.errors import FedError, PeerError, PolicyError, ProtocolError
from federatedml.federation.protowire import Buffer

MAX_RECEIPTS = 4096  # that may wait for one peer
MAX_TOPIC = 128  # characters
MAX_HEAD = 1024  # bytes of a piece beside its data
DIGEST_BYTES = 32
RECONNECT_S = 0.3
MAX_TOGETHER = 256  # receipts in one message


class Relay:
    """All message traffic of one gateway."""

    def __init__(
        self,
        roster: Roster,
        own: OwnSteps,
        seats: Seats,
        peers: Peers,
        limits: Limits,
        traffic: Traffic,
        refusals: Refusals,
        throttle: Throttle,
    ) -> None:
        self._roster, self._own, self._seats, self._peers = roster, own, seats, peers
        self._limits, self._traffic, self._refusals, self._throttle = limits, traffic, refusals, throttle
        self._outbound: dict[str, Outbound] = {}
        self._receipts: dict[str, asyncio.Queue[pb.Receipt | None]] = {}  # of the stream that a peer opened

    # Own workers

    def from_worker(self, seat: Seat, raw: Buffer) -> None:
        """A piece of the worker in ``seat``: to the peer, or to another own worker."""
        piece = Piece.of(raw)
        key = piece.key
        try:
            source = Seat.of(key.step, key.source)
            if source != seat:
                raise PolicyError("FED-541", f"{seat.member} may not send as {key.source.role} {key.source.party_id}")
            target = self._target(seat, key)
            self._own.in_attempt(seat, key.step)
        except FedError as error:
            return self._answer_worker(seat, key, pb.Receipt.REFUSED, str(error))
        if target.member.party == self._roster.party:
            return self._deliver(target, piece, raw)
        lane = self._outbound.get(target.member.party)
        if lane is None:
            return self._answer_worker(seat, key, pb.Receipt.REFUSED, f"party {target.member.party} is no peer")
        if not lane.put(piece.head, bytes(raw)):
            return self._answer_worker(seat, key, pb.Receipt.UNDELIVERABLE, "too much waits for the peer")
        self._traffic.sent(seat, len(piece.data))
        return None

    def receipts_from_worker(self, seat: Seat, receipts: Iterable[pb.Receipt]) -> None:
        """A worker took (or refused) messages: tell where they came from."""
        for receipt in receipts:
            if receipt.key.destination.role == str(seat.member.role) and receipt.key.step.component == seat.component:
                self._answer(receipt)

    def _deliver(self, target: Seat, piece: Piece, raw: Buffer) -> None:
        try:
            now = self._own.in_attempt(target, piece.key.step)
        except FedError as error:
            return self._answer(_receipt(piece.key, pb.Receipt.REFUSED, str(error)))
        attachment = self._seats.at(target)
        if not now or attachment is None or not attachment.carry(raw):
            return self._answer(_receipt(piece.key, pb.Receipt.UNDELIVERABLE, ""))
        return self._traffic.received(target, len(piece.data))

    def _answer(self, receipt: pb.Receipt) -> None:
        """A receipt goes to the gateway, or the own worker, that its message came from."""
        party = receipt.key.source.party_id
        if party == self._roster.party:
            self._to_sources([receipt])
        elif party in self._receipts:
            self._receipts[party].put_nowait(receipt)

    def _to_sources(self, receipts: Iterable[pb.Receipt]) -> None:
        """Receipts to the own workers whose messages they are of, one frame for each worker."""
        by_seat: dict[Seat, list[pb.Receipt]] = {}
        for receipt in receipts:
            by_seat.setdefault(Seat.of(receipt.key.step, receipt.key.source), []).append(receipt)
        for seat, found in by_seat.items():
            if attachment := self._seats.at(seat):
                attachment.answer(found)

    def _answer_worker(self, seat: Seat, key: pb.EnvelopeKey, outcome: int, reason: str) -> None:
        if attachment := self._seats.at(seat):
            attachment.answer([_receipt(key, outcome, reason)])

    def _target(self, source: Seat, key: pb.EnvelopeKey) -> Seat:
        target = Seat.of(key.step, key.destination)
        members = self._roster.members(source.job, source.component)
        if target.member not in members or source.member not in members:
            raise PolicyError("FED-542", f"{key.destination.role} {key.destination.party_id[:64]} is no member here")
        return target

    # Peers

    async def from_peer(self, party: str, pieces: AsyncIterable[bytes]) -> AsyncIterator[pb.Receipts]:
        """Serve the stream that ``party`` opened: its pieces in, receipts out. A later stream replaces this one."""
        receipts: asyncio.Queue[pb.Receipt | None] = asyncio.Queue()
        before, self._receipts[party] = self._receipts.get(party), receipts
        if before:
            before.put_nowait(None)
        reader = asyncio.create_task(self._read_peer(party, pieces, receipts))
        try:
            while found := await _all(receipts):
                yield pb.Receipts(receipts=found)
        finally:
            reader.cancel()
            if self._receipts.get(party) is receipts:
                del self._receipts[party]

    async def _read_peer(
        self, party: str, pieces: AsyncIterable[bytes], receipts: asyncio.Queue[pb.Receipt | None]
    ) -> None:
        try:
            async for raw in pieces:
                if not self._piece_of_peer(party, raw):
                    await self._throttle.turn(party)  # refusing takes time, too: others come first then
                while receipts.qsize() > MAX_RECEIPTS:  # who does not read the answers is not listened to
                    await asyncio.sleep(RECONNECT_S)
        except PeerError as error:  # far too many were refused: the stream ends
            self._refusals.note("refused message", error, party)
        finally:
            receipts.put_nowait(None)

    def _piece_of_peer(self, party: str, raw: bytes) -> bool:
        """Deliver it; False if it was refused."""
        piece: Piece | None = None
        try:
            piece = Piece.of(raw)
            self._check(party, piece, len(raw))
            target = self._target(Seat.of(piece.key.step, piece.key.source), piece.key)
        except FedError as error:
            self._refusals.note("refused message", error, party)
            if piece is not None and party in self._receipts:
                self._receipts[party].put_nowait(_receipt(_short(piece.key), pb.Receipt.REFUSED, str(error)))
            return False
        self._deliver(target, piece, raw)
        return True

    def _check(self, party: str, piece: Piece, size: int) -> None:
        key, head, data = piece.key, piece.head, len(piece.data)
        if key.source.party_id != party:
            raise PolicyError("FED-541", f"party {party} sent a message as party {key.source.party_id[:64]!r}")
        if key.destination.party_id != self._roster.party:
            raise PolicyError("FED-544", f"a message for party {key.destination.party_id[:64]!r} is not carried on")
        if not (head.index < head.count <= self._limits.chunks and data <= CHUNK_BYTES):
            raise ProtocolError("FED-347", f"chunk {head.index} of {head.count} with {data} bytes")
        if len(key.topic) > MAX_TOPIC or size - data > MAX_HEAD or len(head.sha256) != DIGEST_BYTES:
            raise ProtocolError("FED-347", "a chunk whose topic is too long, or without a digest")

    def _receipts_of_peer(self, party: str, receipts: Iterable[pb.Receipt]) -> None:
        lane = self._outbound[party]
        self._to_sources([receipt for receipt in receipts if lane.answered(receipt)])

    def stop(self) -> None:
        """Close the streams that peers opened."""
        for receipts in self._receipts.values():
            receipts.put_nowait(None)

    async def run(self, party: str) -> None:
        """Keep one stream to ``party``, from the first message on."""
        lane = self._outbound.setdefault(party, Outbound(self._limits.queue))
        while True:
            first = await lane.next()
            with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.UsageError):  # all comes back and is sent again
                await self._until_broken(party, first, lane)
            why = "the peer is not connected"
            self._to_sources(_receipt(key, pb.Receipt.UNDELIVERABLE, why) for key in lane.clear())
            await asyncio.sleep(RECONNECT_S)

    async def _until_broken(self, party: str, first: bytes, lane: Outbound) -> None:
        """Serve one stream to ``party``. Its sender ends with it: it would take the next stream's first piece."""
        call = self._peers.relay(party)
        sender = asyncio.create_task(_send(call, first, lane))
        try:
            async for found in call:
                self._receipts_of_peer(party, found.receipts)
        finally:
            sender.cancel()


async def _send(call: grpc.aio.StreamStreamCall[bytes, pb.Receipts], first: bytes, lane: Outbound) -> None:
    piece = first
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # who reads the call sees it, too
        while True:
            await call.write(piece)
            piece = await lane.next()


async def _all(receipts: asyncio.Queue[pb.Receipt | None]) -> list[pb.Receipt]:
    """All that wait, at least one; none: the stream ends."""
    found = await receipts.get()
    together: list[pb.Receipt] = []
    while found is not None and len(together) < MAX_TOGETHER:
        together.append(found)
        if receipts.empty():
            break
        found = receipts.get_nowait()
    return together


def _receipt(key: pb.EnvelopeKey, outcome: int, reason: str) -> pb.Receipt:
    return pb.Receipt(key=key, outcome=outcome, reason=reason)  # type: ignore[arg-type]


def _short(key: pb.EnvelopeKey) -> pb.EnvelopeKey:
    """A key that was refused, as much of it as a receipt has room for."""
    key.topic = key.topic[:MAX_TOPIC]
    return key if key.ByteSize() <= MAX_HEAD else pb.EnvelopeKey(topic=key.topic, round=key.round)
