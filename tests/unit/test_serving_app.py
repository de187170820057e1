"""The REST side without any model: health, errors in FATE's shape, and a page that says what is typed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from federatedml.data.catalogue import Catalogue
from federatedml.federation.home import PartyHome
from serving.app import build
from serving.features import FeatureTable
from serving.peers import Peers
from serving.schema import EXAMPLE
from serving.scoring import Scoring
from serving.shelf import Shelf


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    shelf, peers = Shelf(), Peers(PartyHome(tmp_path))
    return build(shelf, Scoring(shelf, peers), peers, FeatureTable(Catalogue(tmp_path), None))


def ask(app: FastAPI, method: str, path: str, **how: Any) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://serving") as client:
            return await client.request(method, path, **how)

    return asyncio.run(once())


def test_alive_but_not_ready_without_a_model(app: FastAPI) -> None:
    assert ask(app, "GET", "/health/live").json() == {"status": "live"}
    ready = ask(app, "GET", "/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ask(app, "GET", "/models").json() == {"models": [], "problems": {}}


@pytest.mark.parametrize(
    ("body", "status", "retcode"),
    [
        (b"", 422, 100),
        (b"{", 422, 100),
        (b"[" * 100_000, 400, 100),
        (b'{"head": {"serviceId": "sec"}, "body": {"featureData": {"sec": NaN}}}', 422, 100),
        (b'"' + b"s" * (1 << 20) + b'"', 413, 100),
    ],
)
def test_a_wrong_body_gets_fates_shape_and_no_echo(app: FastAPI, body: bytes, status: int, retcode: int) -> None:
    answer = ask(app, "POST", "/federation/v1/inference", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["retcode"]) == (status, retcode)
    assert set(answer.json()) == {"retcode", "retmsg", "data", "flag"}
    assert "sec" not in answer.text


def test_an_unknown_path_or_method_has_the_same_shape(app: FastAPI) -> None:
    for method, path, status in [("POST", "/federation/v2/inference", 404), ("GET", "/federation/v1/inference", 405)]:
        answer = ask(app, method, path)
        assert (answer.status_code, answer.json()["retcode"]) == (status, 100)


def test_a_service_that_is_not_served_is_not_found(app: FastAPI) -> None:
    answer = ask(app, "POST", "/federation/v1/inference", json=EXAMPLE)
    assert (answer.status_code, answer.json()["retcode"]) == (404, 122)


def test_the_page_has_typed_bodies_with_examples_and_errors(app: FastAPI) -> None:
    page = ask(app, "GET", "/openapi.json").json()
    call = page["paths"]["/federation/v1/inference"]["post"]
    assert set(call["responses"]) >= {"200", "400", "404", "413", "422", "502", "503", "504"}
    assert page["components"]["schemas"]["InferenceRequest"]["examples"] == [EXAMPLE]
    page = ask(app, "GET", "/docs")
    assert page.status_code == 200
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text), "scripts and styles come from this process"
