"""The gateway's door for other parties: mTLS, and the caller's leaf certificate checked on every call."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

import grpc

from federated_operators.gateway.callers import Callers
from federated_operators.gateway.passing import may_pass
from federated_operators.gateway.refusals import Refusals
from federated_operators.gateway.throttle import Throttle
from federatedml.errors import DataError, DslError, FedError, PeerError, PolicyError
from federatedml.federation.home import PartyHome
from federatedml.federation.identity import dns_name

FRAME_BYTES = 4 * 2**20
KEEPALIVE = [
    ("grpc.max_receive_message_length", FRAME_BYTES),
    ("grpc.max_send_message_length", FRAME_BYTES),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it a ping that is not answered is waited for a minute
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]
SERVER = [
    *KEEPALIVE,
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.so_reuseport", 0),  # a second gateway on the port is an error, not a competitor
]
CLIENT = [
    *KEEPALIVE,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
_CALLER: ContextVar[str] = ContextVar("caller")
log = logging.getLogger(__name__)
_STATUS: list[tuple[type[FedError], grpc.StatusCode]] = [
    (PolicyError, grpc.StatusCode.PERMISSION_DENIED),
    (PeerError, grpc.StatusCode.UNAVAILABLE),
    (DslError, grpc.StatusCode.INVALID_ARGUMENT),
    (DataError, grpc.StatusCode.FAILED_PRECONDITION),
]


def caller() -> str:
    """The party whose certificate the current call presented."""
    return _CALLER.get()


def server_credentials(home: PartyHome) -> Any:
    """TLS of the door: a client certificate is required, of any pinned CA; ``VerifyCaller`` does the rest."""
    identity, pinned = home.identity, home.pinned()
    bundle = b"".join(pinned[party] for party in sorted(pinned))
    return grpc.ssl_server_credentials([(identity.key, identity.certificate)], bundle, require_client_auth=True)


def client_channel(home: PartyHome, party: str) -> grpc.aio.Channel:
    """A channel to a peer's door: only that peer's own CA is believed, and only its name."""
    pinned, peers, identity = home.pinned(), home.config.peers, home.identity
    if party not in pinned or party not in peers:
        raise PolicyError("FED-504", f"party {party[:64]!r} is not a peer of this party")
    credentials = grpc.ssl_channel_credentials(pinned[party], identity.key, identity.certificate)
    name = ("grpc.ssl_target_name_override", dns_name(party))
    return grpc.aio.secure_channel(peers[party].gateway, credentials, [*CLIENT, name])


class VerifyCaller(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Checks the presented leaf against the pinned CA of the party that it names, on every call and stream, and lets no
    party take more than its turns."""

    def __init__(self, pinned: Mapping[str, bytes], refusals: Refusals, throttle: Throttle) -> None:
        self._callers, self._refusals, self._throttle = Callers(pinned), refusals, throttle

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """The handler, with the check before it."""
        handler = await continuation(details)
        if handler is None:
            return None
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(handler.stream_stream, details.method),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary, details.method), handler.request_deserializer, handler.response_serializer
        )

    def _unary(self, inner: Callable[[Any, Any], Awaitable[Any]], method: str) -> Callable[[Any, Any], Awaitable[Any]]:
        async def checked(request: Any, context: Any) -> Any:
            await self._identify(context)
            try:
                return await inner(request, context)
            except FedError as error:
                self._refusals.note(f"refused {method.rpartition('/')[2]}", error, caller())
                return await context.abort(status_of(error), str(error))
            except Exception as error:
                return await self._broken(context, method, error)

        return checked

    async def _broken(self, context: Any, method: str, error: Exception) -> Any:
        """What nobody expected: its words stay here. A disk that cannot be written may be asked again."""
        log.error("%s of party %s failed", method, caller(), exc_info=error)
        if may_pass(error):
            return await context.abort(grpc.StatusCode.UNAVAILABLE, "the gateway's disk does not answer")
        return await context.abort(grpc.StatusCode.INTERNAL, "internal error of the gateway, see its log")

    def _stream(
        self, inner: Callable[[Any, Any], AsyncIterator[Any]], method: str
    ) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def checked(requests: Any, context: Any) -> AsyncIterator[Any]:
            await self._identify(context)
            try:
                async for response in inner(requests, context):
                    yield response
            except Exception as error:
                await self._broken(context, method, error)

        return checked

    async def _identify(self, context: Any) -> None:
        leaf = context.auth_context().get("x509_pem_cert", [b""])[0]
        try:
            party = self._callers.party(leaf)
            await self._throttle.turn(party)
        except (PolicyError, PeerError) as error:
            self._refusals.note("refused caller", error)
            await context.abort(status_of(error), str(error))
        _CALLER.set(party)


def status_of(error: FedError) -> grpc.StatusCode:
    """The status that a refusal travels as; only UNAVAILABLE may be tried again."""
    return next((code for kind, code in _STATUS if isinstance(error, kind)), grpc.StatusCode.FAILED_PRECONDITION)
