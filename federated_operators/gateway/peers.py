"""Calls to other parties' gateways."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import Message

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2_grpc
from federated_operators.gateway.door import client_channel
from federatedml.errors import PeerError, PolicyError, ProtocolError
from federatedml.federation.home import PartyHome

# Only these say nothing about the request itself; everything else is an answer and is never tried again.
# CANCELLED: the peer's gateway stopped in the middle of the call.
RETRYABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
CALL_S = 15.0
RELAY = "/airfed.v1.Peer/Relay"


class Peers:
    """One channel per peer, opened when first used."""

    def __init__(self, home: PartyHome) -> None:
        self._home = home
        self._channels: dict[str, grpc.aio.Channel] = {}

    def _channel(self, party: str) -> grpc.aio.Channel:
        if party not in self._channels:
            self._channels[party] = client_channel(self._home, party)
        return self._channels[party]

    def stub(self, party: str) -> Any:
        """The door of ``party``."""
        return job_pb2_grpc.PeerStub(self._channel(party))  # type: ignore[no-untyped-call]

    def relay(self, party: str) -> grpc.aio.StreamStreamCall[bytes, pb.Receipts]:
        """A stream of serialised chunks to ``party``."""
        return self._channel(party).stream_stream(RELAY, None, pb.Receipts.FromString)()

    async def call(self, party: str, method: str, request: Message, timeout: float = CALL_S) -> Any:
        """One call.

        Raises:
            PeerError: the peer is not there, or did not answer in time.
            PolicyError, ProtocolError: the peer refused.
        """
        try:
            return await getattr(self.stub(party), method)(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            text = f"party {party}: {error.details() or error.code().name}"
            if error.code() in RETRYABLE:
                where = self._home.config.peers[party].gateway
                raise PeerError("FED-401", f"party {party} does not answer at {where}") from None
            if error.code() == grpc.StatusCode.PERMISSION_DENIED:
                raise PolicyError("FED-545", text) from None
            raise ProtocolError("FED-348", text) from None

    async def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            await channel.close()
