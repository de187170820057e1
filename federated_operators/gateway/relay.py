"""Messages between workers of two parties: own worker -> own gateway -> peer's gateway -> peer's worker.

Gateways keep nothing. The sending worker keeps a message until the receiving worker acknowledged it; whatever breaks
in between comes back as UNDELIVERABLE and is sent again. A gateway never carries for third parties.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field

import grpc

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators.gateway.names import Seat
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.store import Store
from federatedml.errors import FedError, PolicyError, ProtocolError

CHUNK_BYTES = 2 * 2**20
MAX_CHUNKS = 512  # of one message: 1 GiB
MAX_RECEIPTS = 4096  # that may wait for one peer
MAX_TOPIC = 128  # characters
DIGEST_BYTES = 32
RECONNECT_S = 0.3
Frame = local_pb2.GatewayFrame


@dataclass
class Outbound:
    """What goes to one peer: chunks that wait, and messages that were sent and not answered.

    A worker says again what nobody acknowledged. On a slow way, what is said again waits here already, or was
    acknowledged before its turn came: neither is kept, so that what waits has an end.
    """

    _chunks: asyncio.Queue[pb.Chunk] = field(default_factory=asyncio.Queue)
    _waiting: set[tuple[bytes, int]] = field(default_factory=set)
    _open: dict[bytes, pb.EnvelopeKey] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Chunks that wait."""
        return len(self._waiting)

    def put(self, chunk: pb.Chunk) -> None:
        """A chunk of an own worker."""
        name = _name(chunk.key)
        self._open[name] = chunk.key
        if (name, chunk.index) not in self._waiting:
            self._waiting.add((name, chunk.index))
            self._chunks.put_nowait(chunk)

    async def next(self) -> pb.Chunk:
        """The next chunk that is worth sending."""
        while True:
            chunk = await self._chunks.get()
            name = _name(chunk.key)
            self._waiting.discard((name, chunk.index))
            if name in self._open:
                return chunk

    def answered(self, key: pb.EnvelopeKey) -> bool:
        """A receipt came; whether its message was waited for."""
        return self._open.pop(_name(key), None) is not None

    def clear(self) -> list[pb.EnvelopeKey]:
        """The stream broke: forget everything; keys of the messages that were not answered."""
        while not self._chunks.empty():
            self._chunks.get_nowait()
        self._waiting.clear()
        keys, self._open = list(self._open.values()), {}
        return keys


class Relay:
    """All message traffic of one gateway."""

    def __init__(self, store: Store, roster: Roster, own: OwnSteps, seats: Seats, peers: Peers) -> None:
        self._store, self._roster, self._own, self._seats, self._peers = store, roster, own, seats, peers
        self._outbound: dict[str, Outbound] = {}
        self._receipts: dict[str, asyncio.Queue[pb.Receipt | None]] = {}  # of the stream that a peer opened

    # Own workers

    def from_worker(self, seat: Seat, chunk: pb.Chunk) -> None:
        """A chunk of the worker in ``seat``: to the peer, or to another own worker."""
        key = chunk.key
        try:
            source = Seat.of(key.step, key.source)
            if source != seat:
                raise PolicyError("FED-541", f"{seat.member} may not send as {key.source.role} {key.source.party_id}")
            target = self._target(seat, key)
            self._own.in_attempt(seat, key.step)
        except FedError as error:
            return self._answer_worker(seat, key, pb.Receipt.REFUSED, str(error))
        if target.member.party == self._roster.party:
            return self._deliver(target, chunk)
        lane = self._outbound.get(target.member.party)
        if lane is None:
            return self._answer_worker(seat, key, pb.Receipt.REFUSED, f"party {target.member.party} is no peer")
        lane.put(chunk)
        return None

    def receipt_from_worker(self, seat: Seat, receipt: pb.Receipt) -> None:
        """A worker took (or refused) a message: tell where it came from."""
        if receipt.key.destination.role == str(seat.member.role) and receipt.key.step.component == seat.component:
            self._answer(receipt)

    def _deliver(self, target: Seat, chunk: pb.Chunk) -> None:
        try:
            now = self._own.in_attempt(target, chunk.key.step)
        except FedError as error:
            return self._answer(_receipt(chunk.key, pb.Receipt.REFUSED, str(error)))
        if not now or not self._seats.tell(target, Frame(chunk=chunk)):
            self._answer(_receipt(chunk.key, pb.Receipt.UNDELIVERABLE, ""))
        return None

    def _answer(self, receipt: pb.Receipt) -> None:
        """A receipt goes to the gateway, or the own worker, that its message came from."""
        party = receipt.key.source.party_id
        if party == self._roster.party:
            self._to_source(receipt)
        elif party in self._receipts:
            self._receipts[party].put_nowait(receipt)

    def _to_source(self, receipt: pb.Receipt) -> None:
        self._seats.tell(Seat.of(receipt.key.step, receipt.key.source), Frame(receipt=receipt))

    def _answer_worker(self, seat: Seat, key: pb.EnvelopeKey, outcome: int, reason: str) -> None:
        self._seats.tell(seat, Frame(receipt=_receipt(key, outcome, reason)))

    def _target(self, source: Seat, key: pb.EnvelopeKey) -> Seat:
        target = Seat.of(key.step, key.destination)
        members = self._roster.members(source.job, source.component)
        if target.member not in members or source.member not in members:
            raise PolicyError("FED-542", f"{key.destination.role} {key.destination.party_id[:64]} is no member here")
        return target

    # Peers

    async def from_peer(self, party: str, chunks: AsyncIterable[pb.Chunk]) -> AsyncIterator[pb.Receipt]:
        """Serve the stream that ``party`` opened: its chunks in, receipts out. A later stream replaces this one."""
        receipts: asyncio.Queue[pb.Receipt | None] = asyncio.Queue()
        before, self._receipts[party] = self._receipts.get(party), receipts
        if before:
            before.put_nowait(None)
        reader = asyncio.create_task(self._read_peer(party, chunks, receipts))
        try:
            while (receipt := await receipts.get()) is not None:
                yield receipt
        finally:
            reader.cancel()
            if self._receipts.get(party) is receipts:
                del self._receipts[party]

    async def _read_peer(
        self, party: str, chunks: AsyncIterable[pb.Chunk], receipts: asyncio.Queue[pb.Receipt | None]
    ) -> None:
        try:
            async for chunk in chunks:
                self._chunk_of_peer(party, chunk)
                while receipts.qsize() > MAX_RECEIPTS:  # who does not read the answers is not listened to
                    await asyncio.sleep(RECONNECT_S)
        finally:
            receipts.put_nowait(None)

    def _chunk_of_peer(self, party: str, chunk: pb.Chunk) -> None:
        key = chunk.key
        try:
            self._check_chunk(party, chunk)
            target = self._target(Seat.of(key.step, key.source), key)
        except FedError as error:
            self._store.event("refused message", reason=str(error), party=party)
            key.topic = key.topic[:MAX_TOPIC]
            if party in self._receipts:
                self._receipts[party].put_nowait(_receipt(key, pb.Receipt.REFUSED, str(error)))
            return
        self._deliver(target, chunk)

    def _check_chunk(self, party: str, chunk: pb.Chunk) -> None:
        key = chunk.key
        if key.source.party_id != party:
            raise PolicyError("FED-541", f"party {party} sent a message as party {key.source.party_id[:64]!r}")
        if key.destination.party_id != self._roster.party:
            raise PolicyError("FED-544", f"a message for party {key.destination.party_id[:64]!r} is not carried on")
        if not (0 <= chunk.index < chunk.count <= MAX_CHUNKS and len(chunk.data) <= CHUNK_BYTES):
            raise ProtocolError("FED-347", f"chunk {chunk.index} of {chunk.count} with {len(chunk.data)} bytes")
        if len(key.topic) > MAX_TOPIC or len(chunk.sha256) != DIGEST_BYTES:
            raise ProtocolError("FED-347", "a chunk whose topic is too long, or without a digest")

    def _receipt_of_peer(self, party: str, receipt: pb.Receipt) -> None:
        if self._outbound[party].answered(receipt.key):
            self._to_source(receipt)

    def stop(self) -> None:
        """Close the streams that peers opened."""
        for receipts in self._receipts.values():
            receipts.put_nowait(None)

    async def run(self, party: str) -> None:
        """Keep one stream to ``party``, from the first message on."""
        lane = self._outbound.setdefault(party, Outbound())
        while True:
            first = await lane.next()
            with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.UsageError):  # all comes back and is sent again
                await self._until_broken(party, first, lane)
            for key in lane.clear():
                self._to_source(_receipt(key, pb.Receipt.UNDELIVERABLE, "the peer is not connected"))
            await asyncio.sleep(RECONNECT_S)

    async def _until_broken(self, party: str, first: pb.Chunk, lane: Outbound) -> None:
        """Serve one stream to ``party``. Its sender ends with it: it would take the next stream's first chunk."""
        call = self._peers.stub(party).Relay()
        sender = asyncio.create_task(_send(call, first, lane))
        try:
            async for receipt in call:
                self._receipt_of_peer(party, receipt)
        finally:
            sender.cancel()


async def _send(call: grpc.aio.StreamStreamCall[pb.Chunk, pb.Receipt], first: pb.Chunk, lane: Outbound) -> None:
    chunk = first
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # who reads the call sees it, too
        while True:
            await call.write(chunk)
            chunk = await lane.next()


def _name(key: pb.EnvelopeKey) -> bytes:
    return key.SerializeToString(deterministic=True)


def _receipt(key: pb.EnvelopeKey, outcome: int, reason: str) -> pb.Receipt:
    return pb.Receipt(key=key, outcome=outcome, reason=reason)  # type: ignore[arg-type]
