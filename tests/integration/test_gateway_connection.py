"""Connections between gateways that grow old, or that are dead without anybody having closed them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from gateway_kit import EXPECTED, GUEST, HOST, JOB_IDS, MEMBERS, Parties, until

from federated_operators.gateway.names import CONCLUDE

FAST = {
    "grpc.keepalive_time_ms": 500,
    "grpc.keepalive_timeout_ms": 500,
    "grpc.http2.ping_timeout_ms": 500,
    "grpc.http2.min_ping_interval_without_data_ms": 100,
}
YOUNG = {"grpc.max_connection_age_ms": 200, "grpc.max_connection_age_grace_ms": 100}


class Wire:
    """A way to a port on which connections can be made to swallow everything, as when a cable is pulled."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._server = socket.create_server(("127.0.0.1", 0))
        self._dead: set[socket.socket] = set()
        self._open: list[socket.socket] = []
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def made(self) -> int:
        """How many connections were made so far."""
        return len(self._open) // 2

    def swallow(self) -> None:
        """From now on nothing passes on the connections that are open. New ones work."""
        self._dead |= set(self._open)

    def close(self) -> None:
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while body := source.recv(65536):
                if source not in self._dead:
                    sink.sendall(body)
            if source not in self._dead:
                sink.shutdown(socket.SHUT_WR)


@contextmanager
def three(root: Path, door: dict[str, int]) -> Iterator[tuple[Parties, Wire]]:
    """Three gateways; the guest reaches the host over a wire."""
    parties = Parties(root, door=door)
    wire = Wire(parties.homes[HOST.party].config.ports.gateway)
    config = parties.homes[GUEST.party].root / "party.yaml"
    content = yaml.safe_load(config.read_text())
    content["peers"][HOST.party]["gateway"] = f"127.0.0.1:{wire.port}"
    config.write_text(yaml.safe_dump(content))
    parties.start()
    try:
        yield parties, wire
        parties.history_holds()
    finally:
        parties.stop()
        wire.close()


@pytest.fixture
def job() -> str:
    return str(next(JOB_IDS))


def succeeds(parties: Parties, job: str) -> None:
    """The job's end; no attempt was lost on the way."""
    for worker in [parties.worker(member, CONCLUDE, job_id=job) for member in MEMBERS]:
        worker.join(60)
        assert worker.committed is not None, worker.error
    until(lambda: parties.state(job_id=job) == "succeeded")
    view = parties.view(job_id=job)
    assert view is not None
    assert {step.attempt for step in view.steps} == {1}


def test_a_job_goes_on_over_connections_that_are_closed_of_old_age(tmp_path: Path, job: str) -> None:
    with three(tmp_path, YOUNG) as (parties, wire):
        assert not parties.federate(job, params={"rounds": 60}).HasField("failure")
        workers = [parties.worker(member, job_id=job) for member in MEMBERS]
        for worker in workers:
            worker.join(90)
        assert {worker.total() for worker in workers} == {2.0 * sum(range(1, 61))}
        assert wire.made > 2, "the connection was made anew"
        succeeds(parties, job)


def test_a_dead_connection_is_noticed_and_made_anew(tmp_path: Path, job: str) -> None:
    """Nobody closes it, so only keepalive can tell: TCP itself would try for minutes."""
    with three(tmp_path, FAST) as (parties, wire):
        assert not parties.federate(job).HasField("failure")

        def at(point: str) -> None:
            if point == "round 1":
                assert wire.made
                wire.swallow()

        workers = [
            parties.worker(member, job_id=job, at=at if member == GUEST else lambda _: None) for member in MEMBERS
        ]
        for worker in workers:
            worker.join(60)
        assert {worker.total() for worker in workers} == {EXPECTED}
        succeeds(parties, job)
