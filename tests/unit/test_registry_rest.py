"""The REST client's manners when a server fails, lies or is not there. Real sockets, a server of a few lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from federated_operators.registry import rest as module
from federated_operators.registry.rest import Metric, MlflowRest
from federatedml.errors import ModelError, PeerError


class Scripted(ThreadingHTTPServer):
    """Gives one prepared answer per request, the last one for ever, and remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes]] = [(200, b"{}")]
        self.asked: list[tuple[str, str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Scripted

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append((self.command, self.path, json.loads(body) if body else None))
        answers = self.server.answers
        status, text = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def rest(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowRest]:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    with MlflowRest(server.url) as client:
        yield client


def test_a_call_that_changes_nothing_twice_is_tried_again(rest: MlflowRest, server: Scripted) -> None:
    server.answers = [(500, b"{}"), (429, b"{}"), (200, b"{}")]
    rest.set_tag("r", "k", "v")
    assert [body for _, _, body in server.asked] == [{"run_id": "r", "key": "k", "value": "v"}] * 3


def test_a_call_that_creates_is_sent_once(rest: MlflowRest, server: Scripted) -> None:
    server.answers = [(503, b'{"message": "busy"}')]
    with pytest.raises(PeerError, match=r"FED-480.*busy"):
        rest.create_run("1", "name", {})
    assert len(server.asked) == 1


def test_after_the_last_try_the_reason_is_told(rest: MlflowRest, server: Scripted) -> None:
    server.answers = [(500, b'{"message": "disk\\n full"}')]
    with pytest.raises(PeerError, match=r"FED-480.*/runs/set-tag.*HTTP 500: disk full"):
        rest.set_tag("r", "k", "v")
    assert len(server.asked) == 3


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff", b""])
def test_an_answer_that_is_not_mlflows_is_an_error(rest: MlflowRest, server: Scripted, body: bytes) -> None:
    server.answers = [(200, body)]
    with pytest.raises(ModelError, match="FED-612"):
        rest.get_run("r")


def test_a_refusal_is_not_tried_again(rest: MlflowRest, server: Scripted) -> None:
    server.answers = [(400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}')]
    with pytest.raises(ModelError, match=r"FED-612.*HTTP 400\): no"):
        rest.set_tag("r", "k", "v")
    assert len(server.asked) == 1


def test_large_batches_are_cut_to_mlflows_limits(rest: MlflowRest, server: Scripted) -> None:
    points = [Metric("m", float(step), step, step) for step in range(2001)]
    rest.log_batch("r", points, {str(n): "" for n in range(101)}, {str(n): "" for n in range(101)})
    bodies = [body for _, _, body in server.asked]
    limits = {"metrics": 1000, "params": 100, "tags": 100}
    assert all(len(body[kind]) <= most for body in bodies for kind, most in limits.items())
    assert all(sum(len(body[kind]) for kind in limits) <= 1000 for body in bodies)
    assert [point["step"] for body in bodies for point in body["metrics"]] == list(range(2001))
    assert [len({pair["key"] for body in bodies for pair in body[kind]}) for kind in ("params", "tags")] == [101, 101]


def test_numbers_that_json_lacks_go_by_their_names(rest: MlflowRest, server: Scripted) -> None:
    rest.log_batch("r", [Metric("m", value, 1) for value in (float("nan"), float("inf"), -float("inf"), 0.5)])
    assert [point["value"] for point in server.asked[0][2]["metrics"]] == ["NaN", "Infinity", "-Infinity", 0.5]


def test_all_pages_are_read(rest: MlflowRest, server: Scripted) -> None:
    pages = [{"registered_models": [{"name": "b"}], "next_page_token": "t"}, {"registered_models": [{"name": "a"}]}]
    server.answers = [(200, json.dumps(page).encode()) for page in pages]
    assert [model.name for model in rest.registered_models("%")] == ["a", "b"]
    assert "page_token=t" in server.asked[1][1]


def test_only_artifacts_that_the_server_proxies_are_touched(rest: MlflowRest, server: Scripted) -> None:
    for uri in ("file:///etc", "s3://bucket/a", "/etc", "http://elsewhere/a"):
        with pytest.raises(ModelError, match="FED-614"):
            rest.download(uri, "passwd")
    assert server.asked == []


@pytest.mark.parametrize("listed", ["../x", "/etc/passwd", "a\\b", "..", ".hidden"])
def test_a_listing_leads_nowhere_else(rest: MlflowRest, server: Scripted, listed: str) -> None:
    server.answers = [(200, json.dumps({"files": [{"path": listed, "is_dir": True}]}).encode())]
    with pytest.raises(ModelError, match="FED-618"):
        rest.files("mlflow-artifacts:/1/models/m-1/artifacts")
