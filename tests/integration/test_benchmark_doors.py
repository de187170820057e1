"""The network of the chaos benchmark: while it is cut nothing passes, afterwards everything does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.faults.doors import Door, Network

PORT, TARGET = 26490, 26491


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network([Door("guest", "host", PORT, TARGET)])
    made.start()
    yield made
    made.stop()


@pytest.fixture
def echo() -> Iterator[None]:
    with socket.create_server(("127.0.0.1", TARGET)) as server:
        thread = threading.Thread(target=_serve, args=(server,))
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)


def test_what_is_sent_during_a_cut_arrives_afterwards(network: Network, echo: None) -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=10.0) as client:
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        with network.cut("host"):
            client.sendall(b"during")
            client.settimeout(0.5)
            with pytest.raises(TimeoutError):
                client.recv(100)
        client.settimeout(10.0)
        assert client.recv(100) == b"during"


def test_only_the_party_that_is_cut_off_is_silent(network: Network, echo: None) -> None:
    with network.cut("arbiter"), socket.create_connection(("127.0.0.1", PORT), timeout=10.0) as client:
        client.sendall(b"here")
        assert client.recv(100) == b"here"


def test_a_connection_to_nobody_is_closed(network: Network) -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=10.0) as client:
        assert client.recv(100) == b""
