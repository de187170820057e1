"""The path worker - own gateway - peer's gateway - peer's worker: bytes and messages a second, CPU and memory.

Real processes with mTLS between the gateways. Raw gRPC on loopback, one hop with and without TLS, in the same run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.processes import Usage
from benchmarks.transport_floor import raw
from tests.integration.gateway_kit import GUEST, HOST, JOB_ID, MEMBERS, Parties

GIB, MIB = 2**30, 2**20
LARGE = 64 * MIB
PINGS = 500
RUNS = 3


@dataclass
class Pair:
    """Two workers in one step, and the gateways between them."""

    parties: Parties
    workers: dict[str, subprocess.Popen[str]]

    def do(self, kind: str, count: int, size: int) -> Usage:
        """One command of the guest's worker; what it takes. ``wall`` is the worker's own."""
        guest, host = self.workers[str(GUEST)], self.workers[str(HOST)]
        assert guest.stdin is not None
        assert guest.stdout is not None
        gateways = self.parties.processes
        with Usage.of(
            sender=guest.pid,
            sender_gateway=gateways[GUEST.party].pid,
            receiver_gateway=gateways[HOST.party].pid,
            receiver=host.pid,
        ) as used:
            guest.stdin.write(json.dumps([kind, count, size]) + "\n")
            guest.stdin.flush()
            seconds = float(guest.stdout.readline())
        used.wall = seconds
        return used


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """All figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks transport")
    parser.add_argument("--size", type=int, default=GIB, help="bytes of the bulk transfer")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder:
        clear, clear_ping = raw(Path(folder) / "clear", False, options.size, PINGS)
        tls, tls_ping = raw(Path(folder) / "tls", True, options.size, PINGS)
        yield from _floor("raw gRPC, one hop", clear, clear_ping, options.size)
        yield from _floor("raw gRPC, one hop, mTLS", tls, tls_ping, options.size)
        with pair(Path(folder) / "parties") as both:
            both.do("ping", 50, 8)
            for size in (8, 4096):
                yield from _pings(both.do("ping", PINGS, size), size, tls_ping)
            messages = options.size // LARGE
            for how, count, size in (("", messages, LARGE), (" in one message", 1, options.size)):
                runs = sorted((both.do("stream", count, size) for _ in range(RUNS)), key=lambda used: used.wall)
                yield from _bulk(how, runs[RUNS // 2], options.size, tls)


@contextmanager
def pair(root: Path) -> Iterator[Pair]:
    """Three parties of which two talk."""
    parties = Parties(root)
    parties.start()
    workers = {}
    try:
        news = parties.federate()
        assert not news.HasField("failure"), news
        for member in MEMBERS:
            command = [sys.executable, "-m", "benchmarks.transport_worker"]
            arguments = [str(parties.homes[member.party].root), JOB_ID, str(member)]
            workers[str(member)] = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        for worker in workers.values():
            assert worker.stdout is not None
            assert worker.stdout.readline() == "started\n"
        made = Pair(parties, workers)
        yield made
        made.do("end", 0, 0)
        for worker in workers.values():
            worker.wait(30)
    finally:
        for worker in workers.values():
            worker.kill()
            worker.communicate()
        parties.stop()


def _floor(name: str, bulk: Usage, small: Usage, size: int) -> Iterator[Figure]:
    yield Figure(f"{name}", size / bulk.wall / 1e9, "GB/s", "", "2 MiB chunks, grpc.aio at both ends")
    yield Figure(f"{name}: CPU of both ends", bulk.total / size * GIB, "s/GiB", "")
    yield Figure(f"{name}: round trips", PINGS / small.wall, "/s", "", "8 bytes, one at a time")


def _pings(used: Usage, size: int, floor: Usage) -> Iterator[Figure]:
    name = f"worker to worker, {size} bytes there and back"
    beside = f"{PINGS / floor.wall:.0f} over one hop of raw gRPC with mTLS"
    yield Figure(name, PINGS / used.wall, "/s", beside, f"{PINGS} one after the other")
    yield Figure(f"{name}: CPU of all four", used.total / PINGS * 1000, "ms", "", _each(used, 1000 / PINGS))


def _bulk(how: str, used: Usage, size: int, floor: Usage) -> Iterator[Figure]:
    name = f"worker to worker, {size / GIB:g} GiB{how}"
    beside = f"limit .15; {size / floor.wall / 1e9:.2f} over one hop of raw gRPC with mTLS"
    yield Figure(name, size / used.wall / 1e9, "GB/s", beside, f"median of {RUNS}")
    floor_cpu = floor.total / size * GIB
    cpu = used.total / size * GIB
    yield Figure(f"{name}: CPU of all four", cpu, "s/GiB", f"{floor_cpu:.2f} for the one hop", _each(used, GIB / size))
    for process, peak in used.peak.items():
        yield Figure(f"{name}: peak memory, {process.replace('_', chr(39) + 's ')}", peak / MIB, "MiB", "")


def _each(used: Usage, factor: float) -> str:
    return ", ".join(f"{name.replace('_', chr(39) + 's ')} {cpu * factor:.2f}" for name, cpu in used.cpu.items())
