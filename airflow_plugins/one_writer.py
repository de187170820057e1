"""One writing request at a time at an API server on SQLite.

SQLite has one writer. Airflow commits its log of what people and programs do (``action_logging``) on the event loop; if
another request of the same process has begun to write by then, its own commit needs the event loop, too: both wait for
each other until SQLite gives up after five seconds, all requests stand still meanwhile, and some of them fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

READING = frozenset({"GET", "HEAD", "OPTIONS"})
LISTING = "/list"  # ends the paths of questions that are asked with POST
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class OneWriter:
    """ASGI middleware: requests that write wait for each other, from their last byte to the end of the answer.

    Who sends slowly keeps nobody waiting.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in READING or scope["path"].endswith(LISTING):
            return await self._app(scope, receive, send)
        whole = await _whole(receive)
        async with self._turn:
            await self._app(scope, _again(whole, receive), send)


async def _whole(receive: Receive) -> list[Message]:
    """All messages of a request's body."""
    found = [await receive()]
    while found[-1].get("more_body"):
        found.append(await receive())
    return found


def _again(messages: list[Message], receive: Receive) -> Receive:
    """What was received once more, then what comes."""

    async def next_message() -> Message:
        return messages.pop(0) if messages else await receive()

    return next_message
