"""The guest's way to its hosts: one mTLS connection each, a deadline on every call, no repeats."""

from __future__ import annotations

from typing import Any

import grpc
from grpc import aio

from airfed_proto.v1 import serving_pb2 as pb
from airfed_proto.v1 import serving_pb2_grpc
from federatedml.federation.home import PartyHome
from federatedml.federation.identity import dns_name
from serving.parts import MAX_PARTS, MAX_REPLY, fits
from serving.retcode import Retcode, ScoreError

OPTIONS = [
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", MAX_REPLY),
    # A host that comes back is found within a second, also after hours.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
AUTH = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)


class Peers:
    """Connections to hosts, by party id. A host's certificate must come from that host's own pinned CA."""

    def __init__(self, home: PartyHome) -> None:
        self.home = home
        self._channels: dict[str, aio.Channel] = {}

    async def score(self, party: str, request: pb.ScoreRequest, timeout: float) -> pb.ScoreReply:
        """A host's checked answer; ``ScoreError`` if it gives none."""
        try:
            reply: pb.ScoreReply = await self._stub(party).Score(request, timeout=timeout)
        except aio.AioRpcError as error:
            raise _unanswered(party, error, timeout) from None
        if reply.retcode:
            raise ScoreError.from_host(party, reply.retcode, reply.message[:300])
        _check(party, request, reply)
        return reply

    async def ready(self, party: str, request: pb.ReadyRequest, timeout: float) -> pb.ReadyReply:
        """What a host serves; ``ScoreError`` if it does not answer."""
        try:
            reply: pb.ReadyReply = await self._stub(party).Ready(request, timeout=timeout)
            return reply
        except aio.AioRpcError as error:
            raise _unanswered(party, error, timeout) from None

    async def close(self) -> None:
        """Close all connections."""
        for channel in self._channels.values():
            await channel.close()

    def _stub(self, party: str) -> Any:
        if party not in self._channels:
            self._channels[party] = self._connect(party)
        return serving_pb2_grpc.InferenceStub(self._channels[party])  # type: ignore[no-untyped-call]

    def _connect(self, party: str) -> aio.Channel:
        config, pinned, identity = self.home.config, self.home.pinned(), self.home.identity
        peer = config.peers.get(party)
        if peer is None or peer.serving is None or party not in pinned:
            raise ScoreError(Retcode.ROUTER_ERROR, f"no serving address or no CA for host {party}", "see party.yaml")
        credentials = grpc.ssl_channel_credentials(pinned[party], identity.key, identity.certificate)
        options = [*OPTIONS, ("grpc.ssl_target_name_override", dns_name(party))]
        return aio.secure_channel(peer.serving, credentials, options)


def _unanswered(party: str, error: aio.AioRpcError, timeout: float) -> ScoreError:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ScoreError(Retcode.NETWORK_ERROR, f"host {party} did not answer within {max(timeout, 0):.1f} s")
    if error.code() in AUTH:
        return ScoreError.from_host(party, Retcode.AUTH_FAILED, str(error.details())[:300])
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return ScoreError.from_host(party, Retcode.OVERLOAD, "too many requests")
    return ScoreError(Retcode.NETWORK_ERROR, f"host {party} cannot be reached ({error.code().name})")


def _check(party: str, request: pb.ScoreRequest, reply: pb.ScoreReply) -> None:
    """A host's answer is hostile: the asked version, as many numbers for every id, each missing id once.

    Of numbers only how many there are: those that are of use are read once, when parts are merged.
    """
    rows = len(request.ids)
    whole = len(reply.scores) <= MAX_PARTS and all(fits(part, rows) for part in reply.scores)
    few = len(reply.missing) <= rows
    listed = few and len(set(reply.missing)) == len(reply.missing) and all(index < rows for index in reply.missing)
    if reply.model_version != request.model_version or not whole or not listed:
        raise ScoreError(Retcode.INVALID_RESPONSE, f"host {party} answered what was not asked")
