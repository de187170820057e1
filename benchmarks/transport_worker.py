"""A task process of the transport benchmark: ``python -m benchmarks.transport_worker HOME JOB MEMBER``.

All members join one step. The guest then reads commands from its standard input, one JSON list a line, tells them to
the host as messages, and prints the seconds that each one took. The arbiter only waits for the end.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from airfed_proto.v1 import local_pb2
from federated_operators.gateway.names import Job, member_pb
from federated_operators.gateway.worker import WorkerSession
from federatedml.federation.box import MessageKey, Transport
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member, Role
from tests.integration.gateway_kit import ARBITER, GUEST, HOST, SUM

MIB = 2**20
ORDERS, ENDED = "orders", "ended"


def main(home: Path, job_id: str, me: Member) -> None:
    """Join, do what is ordered, commit."""
    join = local_pb2.Join(
        job=Job(GUEST.party, job_id).key(),
        component=SUM,
        member=member_pb(me),
        task_instance_id=f"{me} {os.getpid()}",
        try_number=1,
        pid=os.getpid(),
        conf_digest=hashlib.sha256(b"transport").digest(),
        component_version="1",
    )
    session = WorkerSession(PartyHome(home).worker_socket, join)
    session.join()
    print("started", flush=True)
    {Role.GUEST: guest, Role.HOST: host, Role.ARBITER: arbiter}[me.role](session.transport)
    session.prepared(b"{}")
    session.done()


def guest(box: Transport) -> None:
    """Carry out the commands of the driver."""
    for number, line in enumerate(sys.stdin):
        kind, count, size = json.loads(line)
        box.send(MessageKey(ORDERS, number, GUEST, HOST), line.encode())
        box.recv(MessageKey(ENDED, number, HOST, GUEST))  # it is ready
        body = os.urandom(MIB) * (size // MIB) if size >= MIB else os.urandom(size)
        start = time.perf_counter()
        SENDERS[kind](box, number, count, body)
        print(time.perf_counter() - start, flush=True)
        if kind == "end":
            box.send(MessageKey(ENDED, 0, GUEST, ARBITER), b"")
            return
        del body  # before the next one is made


def host(box: Transport) -> None:
    """The other end of the same commands."""
    number, kind = 0, ""
    while kind != "end":
        kind, count, _ = json.loads(box.recv(MessageKey(ORDERS, number, GUEST, HOST)))
        box.send(MessageKey(ENDED, number, HOST, GUEST), b"")
        RECEIVERS[kind](box, number, count)
        number += 1


def arbiter(box: Transport) -> None:
    """Nothing but the third member of the step."""
    box.recv(MessageKey(ENDED, 0, GUEST, ARBITER))


def _there(number: int, count: int) -> Iterator[MessageKey]:
    return (MessageKey(f"there {number}", i, GUEST, HOST) for i in range(count))


def _back(number: int, i: int) -> MessageKey:
    return MessageKey(f"back {number}", i, HOST, GUEST)


def _stream(box: Transport, number: int, count: int, body: bytes) -> None:
    """All messages, then one back when the last one was read."""
    for key in _there(number, count):
        box.send(key, body)
    box.recv(_back(number, 0))


def _read_stream(box: Transport, number: int, count: int) -> None:
    for key in _there(number, count):
        box.recv(key)
    box.send(_back(number, 0), b"")


def _ping(box: Transport, number: int, count: int, body: bytes) -> None:
    for key in _there(number, count):
        box.send(key, body)
        box.recv(_back(number, key.round))


def _pong(box: Transport, number: int, count: int) -> None:
    for key in _there(number, count):
        box.send(_back(number, key.round), box.recv(key))


SENDERS: dict[str, Callable[[Transport, int, int, bytes], None]] = {
    "stream": _stream,
    "ping": _ping,
    "end": lambda *_: None,
}
RECEIVERS: dict[str, Callable[[Transport, int, int], None]] = {
    "stream": _read_stream,
    "ping": _pong,
    "end": lambda *_: None,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Member.parse(sys.argv[3]))
