"""Intersection by elliptic curves, RSA and a kept list: guest and host in a process each, with a pipe between them."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import Figure
from federatedml.component import Inputs
from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.ecdh import Blinding
from federatedml.crypto.rsa_blind import Signer
from federatedml.data.table import Table
from federatedml.federation.box import AttemptKey, Box, MessageKey
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.party import Member, Role
from federatedml.federation.vault import FolderVault

GUEST, HOST = Member(Role.GUEST, "9999"), Member(Role.HOST, "10000")
LIMIT_S = 9.0  # for 10^5 ids a side on two quiet cores


@dataclass(frozen=True)
class Spent:
    """What one party's step took: seconds, MiB at most, bytes sent."""

    wall: float
    cpu: float
    peak: float
    sent: int


@dataclass
class Pipe:
    """Messages between two processes; a thread reads, so that both may send at once."""

    line: Connection
    sent: int = 0
    came: dict[bytes, bytes] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def listen(self) -> None:
        """Take messages until the other side is gone."""
        try:
            while True:
                name, body = self.line.recv_bytes(), self.line.recv_bytes()
                with self.changed:
                    self.came[name] = body
                    self.changed.notify_all()
        except EOFError:
            return

    def send(self, key: MessageKey, body: bytes) -> None:
        """See ``Transport``."""
        self.sent += len(body)
        self.line.send_bytes(f"{key.topic}/{key.round}".encode())
        self.line.send_bytes(body)

    def recv(self, key: MessageKey) -> bytes:
        """See ``Transport``."""
        name = f"{key.topic}/{key.round}".encode()
        with self.changed:
            self.changed.wait_for(lambda: name in self.came)
            return self.came.pop(name)


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures of each method."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks ids")
    parser.add_argument("--ids", type=lambda text: int(float(text)), default=100_000, help="a side, for ecdh")
    count = parser.parse_args(arguments).ids
    limit = f"limit {LIMIT_S:g} for 1e+05 on two cores" if count == 100_000 else ""
    multiplied = 4 * count * _seconds(lambda points: Blinding().apply(points), 3000)
    yield from _figures(f"{count:.0e} ids a side by ecdh", _run(count, count, {"intersect_method": "ecdh"}), limit)
    yield Figure(f"{count:.0e} ids a side: floor of CPU", multiplied, "s", "4 checked multiplications an id")
    few = 2000
    yield from _figures(f"{few} ids a side by rsa", _run(few, few, {"intersect_method": "rsa"}), "")
    signed = 2 * few * _seconds_of_signature(200)
    yield Figure(f"{few} ids a side by rsa: floor of CPU", signed, "s", "2 signatures of 2048 bit an id")
    with tempfile.TemporaryDirectory() as kept:
        for text in ("first run", "later run"):
            spent = _run(1000, count, {"run_cache": True}, kept)
            yield from _figures(f"1000 ids with {count:.0e} that the host keeps, {text}", spent, "")


def _figures(name: str, spent: Sequence[Spent], limit: str) -> Iterator[Figure]:
    yield Figure(f"{name}: wall", max(one.wall for one in spent), "s", limit)
    yield Figure(f"{name}: CPU of both", sum(one.cpu for one in spent), "s", "")
    yield Figure(f"{name}: peak memory of a party", max(one.peak for one in spent), "MiB", "")
    yield Figure(f"{name}: bytes of both", sum(one.sent for one in spent) / 2**20, "MiB", "")


def _run(guest: int, host: int, params: dict[str, Any], kept: str = "") -> Sequence[Spent]:
    """One step; half of the shorter list is common."""
    spawn = multiprocessing.get_context("spawn")
    lines, results = spawn.Pipe(), spawn.Queue()
    start = guest - min(guest, host) // 2
    lists = {GUEST: (0, guest), HOST: (start, start + host)}
    ready = spawn.Barrier(2)
    processes = [
        spawn.Process(target=_party, args=(member, lists[member], params, kept, line, ready, results))
        for member, line in zip(lists, lines, strict=True)
    ]
    for process in processes:
        process.start()
    spent = [results.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    return spent


def _party(
    me: Member, ids: tuple[int, int], given: dict[str, Any], kept: str, line: Connection, ready: Any, results: Any
) -> None:
    params = IntersectParams.model_validate(given)
    running = INTERSECTION.variant(INTERSECTION, params)
    table = Table(np.array([f"customer-{i}" for i in range(*ids)], dtype=object), {})
    pipe = Pipe(line)
    threading.Thread(target=pipe.listen, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        attempt, store = AttemptKey(GUEST.party, "job", "match_0", 1, 1), CheckpointStore(Path(folder))
        box = Box(me, [GUEST, HOST], running.topic_table(), pipe, attempt, store)
        box.vault = FolderVault(Path(kept or folder) / me.party)
        ready.wait()
        start, used = time.perf_counter(), time.process_time()
        INTERSECTION.roles[me.role](params, box, Inputs({"data": [table]}))
        wall, cpu = time.perf_counter() - start, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put(Spent(wall, cpu, peak, pipe.sent))
    ready.wait()  # what was sent last is read before the pipe ends


def _seconds(multiply: Any, count: int) -> float:
    points = Blinding().hashed([str(i).encode() for i in range(count)], b"")
    used = time.process_time()
    multiply(points)
    return (time.process_time() - used) / count


def _seconds_of_signature(count: int) -> float:
    signer = Signer(2048)
    used = time.process_time()
    signer.tags([str(i).encode() for i in range(count)], b"")
    return (time.process_time() - used) / count
