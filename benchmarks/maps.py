"""Histograms of gradients on both back-ends, against the unit operations that they consist of.

The shape of published figures: 10^5 rows, 300 host columns of 32 bins, trees of depth 5. All parties in this process.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import gmpy2
import numpy as np
from gmpy2 import mpz

from benchmarks.figure import Figure
from federatedml.compute.threads import Threads
from federatedml.crypto.candidates import BinTable
from federatedml.crypto.dealt.bits import BitHolder, BitOwner, deal_bits
from federatedml.crypto.dealt.columns import Columns
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.dealer import MapDealer
from federatedml.crypto.dealt.holder import DealtHolder
from federatedml.crypto.dealt.kernels import add_product
from federatedml.crypto.dealt.maps import DealtMap
from federatedml.crypto.dealt.owner import DealtAsker, DealtOwner
from federatedml.crypto.dealt.splits import SplitMap
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.histogram import Rows, groups
from federatedml.crypto.paillier.keys import PrivateKey, generate
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.paillier.packing import Packing
from federatedml.crypto.stream import Stream, new_seed

DEPTH = 5
FRESH = (1, 1, 2, 4, 8)  # nodes of each level whose sums are asked for; the others are differences
VECTORS = 2 * sum(FRESH)
ALL_PARTIES = "all parties, CPU seconds"


@dataclass(frozen=True)
class Shape:
    """Rows, columns of the host, bins of each, trees that are dealt at once."""

    rows: int
    columns: int
    bins: int
    trees: int


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Shares first: the peak memory is theirs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks maps")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=300)
    parser.add_argument("--bins", type=int, default=32)
    parser.add_argument("--trees", type=int, default=5, help="trees that are dealt at once")
    options = parser.parse_args(arguments)
    shape = Shape(options.rows, options.columns, options.bins, options.trees)
    yield from _dealt(shape)
    yield from _paillier(shape)


class Clock:
    """CPU seconds of this process since the last look."""

    def __init__(self) -> None:
        self._at = time.process_time()

    def lap(self) -> float:
        last, self._at = self._at, time.process_time()
        return self._at - last


def _table(rows: int, columns: int, bins: int) -> BinTable:
    rng = np.random.default_rng(5)
    return BinTable.of(rng.integers(0, bins, (columns, rows)).astype(np.uint8), [bins] * columns)


def _gradients(rows: int) -> np.ndarray:
    rng = np.random.default_rng(6)
    p = rng.random(rows)
    return np.stack([p - (rng.random(rows) < p), p * (1 - p)], axis=1)


def _dealt(shape: Shape) -> Iterator[Figure]:
    table = _table(shape.rows, shape.columns, shape.bins)
    context = b"benchmark"
    to_host, to_guest = Stream(new_seed(), context), Stream(new_seed(), context)
    compute, planned = Threads(2), VECTORS * shape.trees
    plan = DealtHolder(to_host, planned, compute=compute).plan_splits(table)
    asker = DealtOwner(to_guest, compute).attach(plan.inputs, plan.outputs, planned, plan.setup_message())
    dealer = MapDealer(plan.deal, to_host, to_guest, compute)
    yield from _offline(shape, plan, asker, dealer)
    yield from _online(shape, plan, asker, dealer, table)
    yield from _bits(plan.deal, to_host, to_guest)
    compute.close()


def _offline(shape: Shape, plan: DealtMap, asker: DealtAsker, dealer: MapDealer) -> Iterator[Figure]:
    unit = _product_unit(asker.deal.block_rows, asker.pads.columns.stop)
    products = plan.inputs * plan.outputs * asker.pads.columns.stop
    seconds, started, size = dict.fromkeys(("host", "guest", "arbiter"), 0.0), time.monotonic(), 0
    clock = Clock()
    for block in plan.blocks():
        seconds["host"] += clock.lap()
        asker.pads.absorb(block)
        size += len(block.body)
        seconds["guest"] += clock.lap()
    corrections = 0
    for correction in dealer.corrections(asker.pads.columns):
        asker.pads.correct(correction)
        corrections += len(correction.body)
    seconds["arbiter"] += clock.lap()
    wall = time.monotonic() - started
    what = f"{shape.rows} x {shape.columns} x {shape.bins} bins, {shape.trees} trees of depth {DEPTH}"
    floor = f"dense products alone {products * unit:.3g} s: {products:.2g} at {1e-9 / unit:.3g} G/s"
    yield Figure(f"shares, offline, guest: {what}", seconds["guest"], "s CPU", floor)
    yield Figure(
        "shares, offline, arbiter", seconds["arbiter"], "s CPU", floor, f"{corrections / 1e6:.0f} MB to the guest"
    )
    note = f"{size / 1e9:.2f} GB to the guest in blocks of {asker.deal.block_rows} rows, each dropped after use"
    yield Figure("shares, offline, host: masks", seconds["host"], "s CPU", "no products", note)
    yield Figure("shares, offline, all parties on two threads", wall, "s", f"{sum(seconds.values()):.3g} s CPU")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield Figure("shares, peak memory of all parties", peak, "GiB", f"masked table {size / 2**30:.2f} GiB")


def _online(shape: Shape, plan: SplitMap, asker: DealtAsker, dealer: MapDealer, table: BinTable) -> Iterator[Figure]:
    gh, size = _gradients(shape.rows), 0
    nodes = [np.random.default_rng(level).integers(0, 2**level, shape.rows) for level in range(DEPTH)]
    levels = [
        np.concatenate([gh * (which == q)[:, None] for q in range(f)], 1) for f, which in zip(FRESH, nodes, strict=True)
    ]
    clock, found, columns = Clock(), [], range(VECTORS)
    correction = dealer.shuffle(table.candidates, columns, 0)
    shuffle = plan.shuffle(correction, columns, 0)
    for vectors in levels:
        sealed, lifted = asker.seal(vectors), asker.lift(len(table.candidates))
        result = plan.apply(sealed)
        reply = shuffle.reveal(result, lifted)
        found.append(asker.open(reply))
        size += len(sealed.body) + len(lifted.body) + len(reply.body)
    seconds = clock.lap()
    expected = [table.candidate_sums(vectors) for vectors in levels]
    plain = clock.lap()
    worst = max(np.abs(a - b[shuffle.order]).max() for a, b in zip(found, expected, strict=True))
    bincount = _bincount_unit(table, gh[:, 0]) * shape.rows * shape.columns * VECTORS
    yield Figure(
        f"shares, online, all sums of a tree ({VECTORS} vectors)",
        seconds,
        "s CPU",
        f"the same sums in clear {plain:.3g} s, by np.bincount {bincount:.3g} s",
        f"{size / 1e6:.1f} MB between guest and host, {len(correction.body) / 1e6:.1f} MB dealt; "
        f"largest difference {worst:.1g}",
    )


def _bits(deal: Deal, to_host: Stream, to_guest: Stream) -> Iterator[Figure]:
    rng, count = np.random.default_rng(7), 2 ** (DEPTH - 1)
    which, bits = rng.integers(0, count, deal.inputs), rng.random((count, deal.inputs)) < 0.5
    sets = np.stack([which == q for q in range(count)])
    owner, holder = (side(s, deal, Columns(count)) for side, s in ((BitOwner, to_guest), (BitHolder, to_host)))
    clock = Clock()
    masked = owner.ask(sets)
    answer = holder.answer(masked, bits)
    found = owner.learn(answer, deal_bits(deal, to_host, to_guest, range(count)))
    seconds = clock.lap()
    assert (found == (sets & bits).any(axis=0)).all()
    size = (masked.nbytes + answer.nbytes) / 1e6
    yield Figure(f"shares, split bits of a level of {count} nodes", seconds, "s CPU", f"{size:.1f} MB", ALL_PARTIES)


def _paillier(shape: Shape) -> Iterator[Figure]:
    key = generate(2048)
    unit = _addition_unit(key)
    rows = min(shape.rows, 20_000)
    for bins, columns in ((shape.bins, 1), (shape.bins, 4), (8, 4)):
        yield _updates(key, unit, _table(rows, columns, bins))
    yield from _answers(key, unit, _table(1000, 40, shape.bins))


def _held(key: PrivateKey, table: BinTable) -> Rows:
    """Packed rows at the host; a hundred ciphertexts, repeated: sealing is not what is measured."""
    packing = Packing.of(key.public, 1.0, table.rows)
    host = evaluator(key.public)
    sealed = packing.encrypt(owner_evaluator(key), _gradients(100)).seal()
    vector = packing.receive(host, sealed)
    return Rows(table, replace(vector, elements=vector.elements * (table.rows // 100)), packing, host.compute)


def _updates(key: PrivateKey, unit: float, table: BinTable) -> Figure:
    held, columns = _held(key, table), len(table.counts)
    clock = Clock()
    held.sums()
    seconds = clock.lap()
    together = groups(table.counts, table.rows)
    cells = [math.prod(table.counts[f] for f in group) for group in together]
    sums_out = sum(len(group) * n for group, n in zip(together, cells, strict=True) if len(group) > 1)
    products = (table.rows * len(together) + sums_out) / (table.rows * columns)
    return Figure(
        f"Paillier 2048, histogram update of (g, h): {columns} columns of {table.counts[0]} bins, {table.rows} rows",
        seconds / (table.rows * columns) * 1e6,
        "us CPU",
        f"{products:.3g} additions of ciphertexts {products * unit * 1e6:.3g} us (one is {unit * 1e6:.3g} us)",
        f"{len(together)} joint tables" if len(together) < columns else "",
    )


def _answers(key: PrivateKey, unit: float, table: BinTable) -> Iterator[Figure]:
    held = _held(key, table)
    packing, sums = held.packing, held.sums()
    sums.take(np.arange(1)).reveal()  # makes the table of noise
    clock = Clock()
    reply, count = sums.candidates().reveal(), len(table.candidates)
    at_host = clock.lap()
    packing.open(Opener(key, {"sums": Allowance(1, reply.count)}), "sums", 0, reply, count)
    at_guest = clock.lap()
    clock.lap()
    held.vector.noise.for_owner([mpz(1)] * 20)
    noise, squarings = clock.lap() / 20 * reply.count, packing.bits * unit * (count - reply.count)
    floor = (noise + squarings) / count * 1e6
    yield Figure(
        f"Paillier 2048, answer of {count} sums of (g, h), host",
        at_host / count * 1e6,
        "us CPU a sum",
        f"{packing.bits} squarings, and noise for each ciphertext: {floor:.3g} us",
        f"{packing.each} sums in a ciphertext, {len(reply.body) / 1000:.1f} kB",
    )
    clock.lap()
    key.decrypt([mpz(4)] * 20)
    floor = clock.lap() / 20 * reply.count / count * 1e6
    yield Figure(
        f"Paillier 2048, answer of {count} sums of (g, h), guest",
        at_guest / count * 1e6,
        "us CPU a sum",
        f"{reply.count} decryptions {floor:.3g} us",
    )


def _product_unit(rows: int, width: int) -> float:
    """Seconds of a product of words in the compiled loop, everything in the cache."""
    rng = np.random.default_rng(1)
    left, right = (rng.integers(0, 2**31, (256, size)).astype(np.uint32) for size in (256, min(width, 512)))
    out = np.zeros((256, right.shape[1]), np.uint32)
    best = 1.0
    for _ in range(5):
        clock = Clock()
        add_product(left, right, out)
        best = min(best, clock.lap())
    return best / (256 * 256 * right.shape[1])


def _bincount_unit(table: BinTable, values: np.ndarray) -> float:
    clock = Clock()
    np.bincount(table.bins[0], values, table.counts[0])
    return clock.lap() / table.rows


def _addition_unit(key: PrivateKey) -> float:
    n2 = key.public.n2
    x, y = mpz(3) ** 3000 % n2, gmpy2.invert(mpz(7) ** 2000, n2)
    best = 1.0
    for _ in range(5):
        clock = Clock()
        for _ in range(2000):
            x = x * y % n2
        best = min(best, clock.lap() / 2000)
    return best
