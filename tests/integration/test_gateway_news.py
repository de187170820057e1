"""News of a gateway over a real socket: one that is silent is there, one that is lost is given the patience."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from airfed_proto.v1 import local_pb2, local_pb2_grpc
from federated_operators.gateway import client
from federated_operators.gateway.client import GatewayClient
from federatedml.errors import PeerError

pytestmark = pytest.mark.timeout(60)
PATIENCE_S = 60.0
REQUEST = local_pb2.EnrolRequest(initiator="9999", job_id="20260728120000000001")


class Clock:
    """Seconds that pass when a test says so, and ``step`` of them when somebody sleeps."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += self.step


class Door(local_pb2_grpc.LocalServicer):
    """``EnrolRun`` of a gateway: says that it is there, something, and then nothing, or the answer."""

    def __init__(self, silent: bool) -> None:
        self.silent, self.over = silent, threading.Event()

    def EnrolRun(self, request: local_pb2.EnrolRequest, context: Any) -> Iterator[local_pb2.AdmissionNews]:
        yield client.SOMEBODY_IS_HERE
        yield local_pb2.AdmissionNews(job_dir="/somewhere")
        if self.silent:
            self.over.wait()
        yield local_pb2.AdmissionNews(done=True)


@contextmanager
def serving(socket: Path, door: Door) -> Iterator[None]:
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        local_pb2_grpc.add_LocalServicer_to_server(door, server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        try:
            yield
        finally:
            stopped = server.stop(None)
            door.over.set()
            stopped.wait()


class Listening(threading.Thread):
    """Whoever waits for what a gateway says after its first word; ``waits`` is set when it does."""

    def __init__(self, news: Iterator[local_pb2.AdmissionNews]) -> None:
        super().__init__(daemon=True)
        self.news, self.waits = news, threading.Event()
        self.heard: list[bool] = []
        self.error: PeerError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.heard.append(next(self.news).done)
            self.waits.set()
            self.heard += [each.done for each in self.news]
        except PeerError as error:
            self.error = error


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sock"


def silent_and_lost(gateway: GatewayClient, socket: Path, clock: Clock) -> Listening:
    """A client of a gateway that was silent for longer than the patience before it was lost."""
    with serving(socket, Door(silent=True)):
        listening = Listening(gateway.enrol(REQUEST))
        assert listening.waits.wait(30)
        clock.now += 10 * PATIENCE_S
    return listening


def test_a_gateway_that_was_silent_for_long_is_given_the_patience_when_it_is_lost(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(step=0.0)
    monkeypatch.setattr(client, "time", clock)
    with GatewayClient(socket, PATIENCE_S) as gateway:
        listening = silent_and_lost(gateway, socket, clock)
        with serving(socket, Door(silent=False)):
            listening.join(30)
    assert listening.error is None
    assert listening.heard == [False, False, True]


def test_a_gateway_that_stays_away_is_given_no_more_than_the_patience(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(step=1.0)
    monkeypatch.setattr(client, "time", clock)
    with GatewayClient(socket, PATIENCE_S) as gateway:
        listening = silent_and_lost(gateway, socket, clock)
        listening.join(30)
    assert listening.error is not None
    assert listening.error.code == "FED-430"
    assert clock.now == 11 * PATIENCE_S + 1
