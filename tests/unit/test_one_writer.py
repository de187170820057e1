"""The API server's middleware: requests that write never overlap, all others pass."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from airflow_plugins.one_writer import OneWriter, Receive, Send

Message = MutableMapping[str, Any]


class App:
    """Counts requests that are inside at once; each stays until ``go`` is set."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.bodies: list[bytes] = []
        self.go = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.inside.append(scope["method"])
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        await self.go.wait()
        self.inside.remove(scope["method"])
        if body == b"fail":
            raise ValueError(body)


class Client:
    """One request, sent piece by piece."""

    def __init__(self, served: OneWriter, method: str, path: str = "/api/v2/dags/d/dagRuns") -> None:
        self._pieces: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": "http", "method": method, "path": path}
        self.answer = asyncio.ensure_future(served(scope, self._pieces.get, self._send))

    def send(self, body: bytes, more: bool = False) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def _send(self, message: Message) -> None: ...


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_requests_that_write_come_one_after_the_other(method: str) -> None:
    async def both() -> None:
        app = App()
        served = OneWriter(app)
        first, second = Client(served, "POST"), Client(served, method)
        first.send(b"a")
        second.send(b"b")
        await settled()
        assert app.inside == ["POST"]
        app.go.set()
        await asyncio.gather(first.answer, second.answer)
        assert app.bodies == [b"a", b"b"]

    asyncio.run(both())


def test_who_reads_waits_for_nobody() -> None:
    async def both() -> None:
        app = App()
        served = OneWriter(app)
        readers = [Client(served, "GET"), Client(served, "POST", "/api/v2/dags/~/dagRuns/list")]
        clients = [Client(served, "PATCH"), *readers]
        for client in clients:
            client.send(b"")
        await settled()
        assert sorted(app.inside) == ["GET", "PATCH", "POST"]
        app.go.set()
        await asyncio.gather(*(client.answer for client in clients))

    asyncio.run(both())


def test_who_sends_slowly_keeps_nobody_waiting() -> None:
    async def both() -> None:
        app = App()
        app.go.set()
        served = OneWriter(app)
        slow, quick = Client(served, "POST"), Client(served, "POST")
        slow.send(b"one ", more=True)
        quick.send(b"quick")
        await quick.answer
        slow.send(b"two")
        await slow.answer
        assert app.bodies == [b"quick", b"one two"]

    asyncio.run(both())


def test_a_request_that_fails_ends_its_turn() -> None:
    async def both() -> None:
        app = App()
        app.go.set()
        served = OneWriter(app)
        bad, good = Client(served, "POST"), Client(served, "POST")
        bad.send(b"fail")
        good.send(b"good")
        with pytest.raises(ValueError, match="fail"):
            await bad.answer
        await good.answer
        assert app.bodies == [b"fail", b"good"]

    asyncio.run(both())


def test_what_is_no_request_passes() -> None:
    async def lifespan() -> None:
        seen = []

        async def app(scope: Message, receive: Receive, send: Send) -> None:
            seen.append(scope["type"])

        await OneWriter(app)({"type": "lifespan"}, Client(OneWriter(App()), "GET")._pieces.get, Client._send)  # type: ignore[arg-type]
        assert seen == ["lifespan"]

    asyncio.run(lifespan())
