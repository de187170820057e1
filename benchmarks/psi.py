"""Intersection of two long lists: the whole component, both parties in one process, a new one for each size."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numba  # noqa: F401  # where it is loaded no twin of a kernel runs: unit costs are of compiled ones
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.figure import Figure
from benchmarks.growth import exponents
from federatedml.component import Inputs
from federatedml.components.intersection import INTERSECTION
from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.psi import blake2s, ristretto
from federatedml.crypto.psi.sizes import EXPANSION
from federatedml.crypto.psi.transposition import rows_of
from federatedml.data.table import Table
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Member, Role

GUEST, HOST = Member(Role.GUEST, "9999"), Member(Role.HOST, "10000")
LIMITS = {10**5: 2, 10**6: 9, 10**7: 120}  # seconds on two quiet cores
GROWS = {"CPU": "cpu", "wall": "wall", "peak memory": "peak", "bytes sent": "sent"}
WIDTH = 448
CURVES = 20_000  # ids a side by ECDH: its cost is linear
PEERS = {10**5: "SPU RR22 6.1, FATE 2.2 80", 10**6: "SPU RR22 11, KKRT 20.7"}


@dataclass(frozen=True)
class Run:
    """One intersection of two lists of which half is common.

    Attributes:
        cpu: seconds of both parties.
        tables, peak: MiB of the process before the step, and at most.
        sent: bytes of both parties.
    """

    ids: int
    cpu: float
    wall: float
    tables: float
    peak: float
    sent: int


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures of every size, of ECDH, and of the exponent by which the cost grows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks psi")
    parser.add_argument("--sizes", default="3e4,1e5,3e5,1e6", help="ids a side, ascending; with 3e6 and 1e7 minutes")
    sizes = [int(float(size)) for size in parser.parse_args(arguments).sizes.split(",")]
    _apart(1000, "kkrt")  # compiles, where that has not been done
    fixed, each = floor()
    runs = [_apart(size, "auto") for size in sizes]
    for found in runs:
        yield from _figures(found, fixed + each * found.ids)
    if len(runs) > 1:
        for what, kind in GROWS.items():
            yield from exponents(f"auto, {what}", {found.ids: getattr(found, kind) for found in runs})
    curves = _apart(CURVES, "ecdh")
    yield Figure(
        f"{CURVES:.0e} ids by ecdh: CPU of both parties", curves.cpu, "s", "4 multiplications and 2 hashes an id"
    )


def _figures(found: Run, least: float) -> Iterator[Figure]:
    name, limit = f"{found.ids:.0e} ids a side", LIMITS.get(found.ids)
    beside = ", ".join(filter(None, [limit and f"limit {limit}", PEERS.get(found.ids)]))
    yield Figure(f"{name}: wall, one process", found.wall, "s", beside)
    yield Figure(f"{name}: CPU of both parties", found.cpu, "s", f"unit operations {least:.2g}")
    yield Figure(f"{name}: sent by both parties", found.sent / found.ids, "bytes per id", "103 in a prototype")
    yield Figure(
        f"{name}: peak memory of both parties", found.peak, "MiB", "limit 1536 at 1e7", f"{found.tables:.0f} before"
    )


def floor() -> tuple[float, float]:
    """CPU seconds of the unit operations that kkrt needs at both parties: for any list, and per id."""
    rows = 2**15
    message = np.frombuffer(os.urandom(64 * rows), np.uint32).reshape(-1, 16)
    lengths, salts = np.full(rows, 56, np.uint32), np.zeros((rows, 2), np.uint32)
    columns = np.frombuffer(os.urandom(WIDTH * rows // 8), np.uint64).reshape(WIDTH, -1)
    cipher, zeros = Cipher(algorithms.AES(bytes(16)), modes.CTR(bytes(16))).encryptor(), bytes(2**20)
    hashed = _cost(lambda: blake2s.digests(message, lengths, salts, bytes(8))) / rows
    transposed = _cost(lambda: rows_of(columns)) / rows
    encrypted = _cost(lambda: cipher.update(zeros)) / len(zeros)
    secret, table = X25519PrivateKey.generate(), ristretto.Multiples(ristretto.GENERATOR)
    point = secret.public_key()
    multiplied = 2 * _cost(lambda: secret.exchange(point)) + 2 * _cost(lambda: table.times(2**251 - 1))
    each = 6 * hashed + 3 * EXPANSION * transposed + (3 * EXPANSION * WIDTH / 8 + 4 * 64) * encrypted
    return WIDTH * multiplied, each


def _cost(operation: Callable[[], object], repeats: int = 20) -> float:
    operation()
    start = time.process_time()
    for _ in range(repeats):
        operation()
    return (time.process_time() - start) / repeats


def _apart(ids: int, method: str) -> Run:
    command = [sys.executable, "-m", "benchmarks.psi", str(ids), method]
    return Run(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def measured(ids: int, method: str) -> Run:
    """One intersection in this process."""
    p = IntersectParams.model_validate({"intersect_method": method})
    inputs = {member: Inputs({"data": [_table(start, ids)]}) for member, start in ((GUEST, 0), (HOST, ids // 2))}
    before = _resident()
    with tempfile.TemporaryDirectory() as folder:
        network = LocalNetwork(Path(folder), timeout=600, bodies=False)
        cpu, wall = time.process_time(), time.perf_counter()
        step = network.run(INTERSECTION, dict.fromkeys(inputs, p), inputs)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    guest, host = (step.outputs[member].data for member in (GUEST, HOST))
    assert guest is not None
    assert host is not None
    assert len(guest) == ids - ids // 2
    assert (guest.ids == host.ids).all()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Run(ids, cpu, wall, before, peak, sum(message.size for message in step.sent))


def _table(start: int, count: int) -> Table:
    """Ids in no order that the other party's table has, kept as they are when a table is read."""
    order = np.random.default_rng(start).permutation(count).astype(np.uint32) + np.uint32(start)
    ids = np.empty(count, np.dtypes.StringDType())
    for at in range(0, count, 2**16):
        ids[at : at + 2**16] = [f"user-{i:08}" for i in order[at : at + 2**16].tolist()]
    return Table(ids, {})


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    print(json.dumps(asdict(measured(int(sys.argv[1]), sys.argv[2]))))
