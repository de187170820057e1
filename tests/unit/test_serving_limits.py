"""Limits hold before a byte is parsed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, MutableMapping
from typing import Any

import pytest

from serving.limits import MAX_BODY, Limits

Answer = tuple[int, dict[bytes, bytes], dict[str, Any]]


async def echo(_: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    message = await receive()
    body = json.dumps({"size": len(message["body"])}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def ask(app: Limits, pieces: Iterable[bytes], length: str | None = None, path: str = "/federation/x") -> Answer:
    """One request whose body comes in ``pieces``, then nothing more."""
    waiting = list(pieces)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": body != b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    headers = [] if length is None else [(b"content-length", length.encode())]
    await app({"type": "http", "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


@pytest.mark.parametrize("length", [str(MAX_BODY + 1), "9" * 40, "-1", "1e3", ""])
def test_a_body_that_says_it_is_too_large_is_not_read(length: str) -> None:
    status, headers, body = asyncio.run(ask(Limits(echo), [], length))
    assert (status, body["retcode"], headers[b"connection"]) == (413, 100, b"close")


def test_a_body_that_becomes_too_large_is_not_kept() -> None:
    pieces = (b"x" * (1 << 18) for _ in range(1000))
    status, _, _ = asyncio.run(ask(Limits(echo), _first(pieces, 5)))
    assert status == 413


def _first(pieces: Iterable[bytes], count: int) -> list[bytes]:
    return [piece for _, piece in zip(range(count), pieces, strict=False)]


def test_a_body_at_the_limit_is_taken_whole() -> None:
    assert asyncio.run(ask(Limits(echo), [b"x" * MAX_BODY, b""], str(MAX_BODY)))[2] == {"size": MAX_BODY}


def test_a_body_that_does_not_come_holds_no_place() -> None:
    async def both() -> tuple[Answer, Answer]:
        app = Limits(echo, max_in_flight=1, body_seconds=0.2)
        slow = asyncio.ensure_future(ask(app, [b"x"]))
        await asyncio.sleep(0)
        return await ask(app, [b"abc", b""]), await slow

    quick, slow = asyncio.run(both())
    assert quick[2] == {"size": 3}
    assert slow[0] == 408


def test_more_requests_than_places_are_sent_away_with_a_time() -> None:
    async def run() -> tuple[list[Answer], Answer]:
        gate = asyncio.Event()

        async def waits(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            await gate.wait()
            await echo(scope, receive, send)

        app = Limits(waits, max_in_flight=2)
        held = [asyncio.ensure_future(ask(app, [b""])) for _ in range(2)]
        while app.in_flight < 2:
            await asyncio.sleep(0)
        refused = await ask(app, [b""])
        gate.set()
        answers = [await one for one in held]
        assert app.in_flight == 0
        return answers, refused

    answers, (status, headers, body) = asyncio.run(run())
    assert [answer[0] for answer in answers] == [200, 200]
    assert (status, body["retcode"], headers[b"retry-after"]) == (503, 124, b"1")


def test_a_request_that_fails_gives_its_place_back() -> None:
    async def fails(*_: Any) -> None:
        raise RuntimeError

    app = Limits(fails)
    with pytest.raises(RuntimeError):
        asyncio.run(ask(app, [b""]))
    assert app.in_flight == 0


def test_health_is_not_limited() -> None:
    assert asyncio.run(ask(Limits(echo, max_in_flight=0), [b"", b""], "99999999", "/health/live"))[0] == 200
