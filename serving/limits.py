"""Limits before anything is parsed: size of a body, time to send it, number of requests in flight."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.retcode import Retcode

MAX_BODY = 1 << 20  # bytes
BODY_SECONDS = 5.0
MAX_IN_FLIGHT = 64
LIMITED = "/federation/"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Limits:
    """ASGI middleware. A body is read before a place is taken, so that slow callers hold none."""

    def __init__(self, app: App, max_in_flight: int = MAX_IN_FLIGHT, body_seconds: float = BODY_SECONDS) -> None:
        self.app, self.max_in_flight, self.body_seconds = app, max_in_flight, body_seconds
        self.in_flight = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not scope["path"].startswith(LIMITED):
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.body_seconds):
                body = await _read(scope, receive)
        except TimeoutError:
            await _refuse(send, 408, Retcode.PARAM_ERROR, "the body did not arrive in time")
            return
        if body is None:
            await _refuse(send, 413, Retcode.PARAM_ERROR, f"the body is larger than {MAX_BODY} bytes")
        elif self.in_flight >= self.max_in_flight:
            await _refuse(send, 503, Retcode.OVERLOAD, f"{self.max_in_flight} requests are being answered")
        else:
            self.in_flight += 1
            try:
                await self.app(scope, _replay(body, receive), send)
            finally:
                self.in_flight -= 1


async def _read(scope: MutableMapping[str, Any], receive: Receive) -> bytes | None:
    """The body, or None as soon as it is known to be too large."""
    said = dict(scope["headers"]).get(b"content-length", b"0")
    if not said.isdigit() or int(said) > MAX_BODY:
        return None
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def _refuse(send: Send, status: int, retcode: int, reason: str) -> None:
    body = json.dumps({"retcode": retcode, "retmsg": reason, "data": {}, "flag": 0}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # What is left of the body is not read: the connection cannot be used again.
    headers += [(b"retry-after", b"1")] if retcode == Retcode.OVERLOAD else [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
