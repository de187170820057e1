"""Secure sums: processor seconds of a contributor and of the aggregator, beside the AES that they cannot do without."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.figure import Figure
from federatedml.compute.choice import EngineName, compute_engine
from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.aggregator import Sum
from federatedml.crypto.secagg.client import Client, Newcomer
from federatedml.crypto.secagg.double import DoubleRound, default_threshold
from federatedml.crypto.secagg.double_sum import DoubleSum
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.masks import BLOCK
from federatedml.federation.box import AttemptKey
from federatedml.federation.party import Member, Role

ATTEMPT = AttemptKey("9999", "0" * 21, "secagg", 1, 1)
RUNS = 3
BOUND = 1000.0


@dataclass
class Spent:
    """Processor seconds: of one contributor (the mean) and of the aggregator, of agreeing on keys."""

    contributor: float = 0.0
    aggregator: float = 0.0
    keys: float = 0.0

    def add(self, whom: str, job: Callable[[], object], shared_by: int = 1) -> object:
        """Do a job for somebody's account."""
        start = time.process_time()
        result = job()
        setattr(self, whom, getattr(self, whom) + (time.process_time() - start) / shared_by)
        return result


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Both kinds of masks at the goal's size, then by number of parties and by length."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks secagg")
    parser.add_argument("--length", type=int, default=10**7, help="doubles of a contribution")
    length = parser.parse_args(arguments).length
    aes = _aes()
    yield Figure("AES-128-CTR into a block in the cache", aes / 1e9, "GB/s", "7.4 on another machine", "one core")
    yield from _goal(length, aes)
    for parties in (3, 30):
        yield _scaling(length // 10, parties, aes)
    for size in (length // 100, length // 10):
        yield _scaling(size, 10, aes)
    yield _wall(length)
    for double in (False, True):
        yield _memory(length, double)


def _goal(length: int, aes: float) -> Iterator[Figure]:
    name = f"{length:,} doubles, 10 parties"
    plain = [_plain(length, 10) for _ in range(RUNS)]
    floor = f"floor 9 x AES {9 * 8 * length / aes:.3f}"
    yield _median(f"{name}, pairwise masks: CPU of a contributor", "contributor", plain, f"goal 0.4; {floor}")
    yield _median(f"{name}, pairwise masks: CPU of the aggregator", "aggregator", plain, "")
    yield _median("10 parties: CPU of a contributor to agree on keys, once", "keys", plain, "")
    for gone in (0, 3):
        double = [_double(length, 10, gone) for _ in range(RUNS)]
        title = f"{name}, double masks, {gone} gone"
        expanded = 10 - gone + gone * (10 - gone)
        floor = f"floor 10 x AES {10 * 8 * length / aes:.3f}"
        yield _median(f"{title}: CPU of a contributor", "contributor", double, f"goal 0.8; {floor}")
        floor = f"floor {expanded} x AES {expanded * 8 * length / aes:.3f}"
        yield _median(f"{title}: CPU of the aggregator", "aggregator", double, floor)
    yield Figure(f"{name}: from a contributor", 8 * length / 1e6, "MB", "8 bytes a value, as in clear")


def _scaling(length: int, parties: int, aes: float) -> Figure:
    spent = [_plain(length, parties) for _ in range(RUNS)]
    per_mask = statistics.median(s.contributor for s in spent) / length / (parties - 1)
    name = f"{length:,} doubles, {parties} parties, pairwise masks: CPU of a contributor per value and peer"
    return Figure(name, per_mask * 1e9, "ns", f"AES {8e9 / aes:.2f}", f"median of {RUNS}")


def _plain(length: int, parties: int) -> Spent:
    spent = Spent()
    clients = agreed_clients(parties, spent)
    fixed, values = FixedPoint.finest(BOUND, parties), np.random.default_rng(0).normal(size=length)
    total = Sum(list(clients), length)
    for member, client in clients.items():
        words = spent.add("contributor", lambda c=client: c.mask(values, fixed, "t", 0), parties)
        spent.add("aggregator", lambda m=member, w=words: total.add(m, w))
    _check(spent.add("aggregator", lambda: total.numbers(fixed)), parties * values)
    return spent


def _double(length: int, parties: int, gone: int) -> Spent:
    spent = Spent()
    clients, threshold = agreed_clients(parties, spent), default_threshold(parties)
    fixed, values = FixedPoint.finest(BOUND, parties), np.random.default_rng(0).normal(size=length)
    rounds = {
        member: spent.add("contributor", lambda c=client: DoubleRound(c, "t", 0, threshold), parties)
        for member, client in clients.items()
    }
    total = DoubleSum(ATTEMPT, {m: r.notice for m, r in rounds.items()}, "t", 0, threshold, length)
    left = list(clients)[gone:]
    for member in left:
        offers = {m: r.offer(member) for m, r in rounds.items() if m != member}
        mine = rounds[member]
        words = spent.add("contributor", lambda r=mine, o=offers: r.mask(values, fixed, o), len(left))
        spent.add("aggregator", lambda m=member, w=words: total.add(m, w))
    survivors = total.survivors()
    signed = {m: spent.add("contributor", lambda r=rounds[m]: r.agree(survivors), len(left)) for m in left}
    shares = {m: spent.add("contributor", lambda r=rounds[m]: r.reveal(signed), len(left)) for m in left}
    _check(spent.add("aggregator", lambda: total.numbers(shares, fixed)), len(left) * values)
    return spent


def agreed_clients(parties: int, spent: Spent) -> dict[Member, Client]:
    members = [Member(Role.HOST, str(10_000 + index)) for index in range(parties)]
    start = time.process_time()
    newcomers = {member: Newcomer(member, members, ATTEMPT, least=2) for member in members}
    agreed = {me: one.agree({m: n.keys for m, n in newcomers.items() if m != me}) for me, one in newcomers.items()}
    clients = {me: one.confirm({m: a.digest for m, a in agreed.items() if m != me}) for me, one in agreed.items()}
    spent.keys = (time.process_time() - start) / parties
    return clients


def _check(found: object, expected: Floats) -> None:
    assert isinstance(found, np.ndarray)
    assert np.abs(found - expected).max() < 1e-9


def _aes() -> float:
    """Bytes a second."""
    stream = Cipher(algorithms.AES128(os.urandom(16)), modes.CTR(bytes(16))).encryptor()
    zeros, out = bytes(8 * BLOCK), bytearray(8 * BLOCK + 16)
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        for _ in range(400):
            stream.update_into(zeros, out)
        best = max(best, 400 * len(zeros) / (time.process_time() - start))
    return best


def _wall(length: int) -> Figure:
    client = next(iter(agreed_clients(10, Spent()).values()))
    fixed, values, walls = FixedPoint.finest(BOUND, 10), np.random.default_rng(0).normal(size=length), []
    with compute_engine(EngineName.THREADS) as engine:
        for round in range(RUNS + 1):
            start = time.perf_counter()
            client.mask(values, fixed, "t", round, compute=engine)
            walls.append(time.perf_counter() - start)
    name = f"{length:,} doubles, 10 parties, pairwise masks: wall of a contributor on all cores"
    return Figure(name, statistics.median(walls[1:]), "s", "", f"{engine.workers} threads, median of {RUNS}")


def _memory(length: int, double: bool) -> Figure:
    with compute_engine(EngineName.PROCESSES, 2) as engine:
        [peak] = engine.map(peak_of_a_contributor, [(length, double)])
    name = f"{length:,} doubles, 10 parties, {'double' if double else 'pairwise'} masks: memory of a contributor"
    return Figure(
        name, peak / 1e6, "MB", f"values and words {16 * length / 1e6:.0f}", "peak less what was there before"
    )


def peak_of_a_contributor(part: tuple[int, bool]) -> int:
    """Bytes that one contributor needs, its values included; a kernel, so that it runs in a young process."""
    length, double = part
    clients, fixed = agreed_clients(10, Spent()), FixedPoint.finest(BOUND, 10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    values = np.ones(length)
    if double:
        rounds = {member: DoubleRound(client, "t", 0, 7) for member, client in clients.items()}
        me, *others = clients
        rounds[me].mask(values, fixed, {m: rounds[m].offer(me) for m in others})
    else:
        next(iter(clients.values())).mask(values, fixed, "t", 0)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def _median(name: str, whom: str, runs: Sequence[Spent], beside: str) -> Figure:
    return Figure(name, statistics.median(getattr(s, whom) for s in runs), "s", beside, f"median of {len(runs)}")
