"""Paillier: seconds per element of every operation, beside python-paillier and what its multiplications cost."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phe
from gmpy2 import mpz

from benchmarks.figure import Figure
from federatedml.compute.engine import SERIAL
from federatedml.crypto.codec import Codec
from federatedml.crypto.paillier.evaluator import Evaluator, evaluator, owner_evaluator
from federatedml.crypto.paillier.keys import PrivateKey, generate
from federatedml.crypto.paillier.montgomery import Modulus, square
from federatedml.crypto.paillier.noise import WIDE_WINDOW, WINDOW, FixedBase, NoiseKind, own_base, random_digits
from federatedml.crypto.paillier.opening import Allowance, Opener
from federatedml.crypto.paillier.powers import digit_widths

CODEC = Codec(32, 1.0)
REPEATS = 5
BATCHES = ((320, 24), (2000, 8), (30000, 3))


@dataclass(frozen=True)
class Bench:
    """A key, its two kinds of users, and python-paillier's view of the key."""

    private: PrivateKey
    peer: Evaluator
    owner: Evaluator
    theirs: phe.PaillierPrivateKey

    @classmethod
    def of(cls, bits: int) -> Bench:
        private = generate(bits)
        public = phe.PaillierPublicKey(int(private.public.n))
        theirs = phe.PaillierPrivateKey(public, int(private.p), int(private.q))
        return cls(private, evaluator(private.public), owner_evaluator(private), theirs)


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures at one length of the key; of default_credit's columns too where its CSV files are given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks crypto")
    parser.add_argument("--bits", type=int, default=2048)
    parser.add_argument("--data", type=Path, help="folder with default_credit_hetero_host.csv")
    options = parser.parse_args(arguments)
    bench = Bench.of(options.bits)
    unit = _unit(bench.private.public.n2)
    gmp = f"GMP {_unit_of_gmp(bench.private.public.n2) * 1e6:.2f}"
    yield Figure(f"multiplication modulo n^2, key of {options.bits} bits", unit * 1e6, "us", gmp, f"least of {REPEATS}")
    yield from _encryption(bench, unit)
    yield from _sums(bench, unit)
    yield from _products(bench, unit)
    if options.data:
        yield from _credit(bench, unit, options.data)
    yield from _opening(bench)


def _encryption(bench: Bench, unit: float) -> Iterator[Figure]:
    public, x = bench.private.public, np.linspace(-1, 1, 200)
    slow = _least(lambda: [bench.theirs.public_key.encrypt(v) for v in x[:5].tolist()], 1) / 5
    beside = f"phe {slow * 1e6:.0f}"
    digits = random_digits(1, 256, WINDOW).shape[1]
    floor = f"{digits} multiplications {digits * unit * 1e6:.0f}"
    half = 2 * digits * _unit(bench.private.p2)
    for name, own, note in (
        ("encrypt and send, short exponent", bench.peer, floor),
        (
            "encrypt and send, short exponent, key's owner",
            bench.owner,
            f"{2 * digits} of half the size {half * 1e6:.0f}",
        ),
        ("encrypt and send, noise: full", evaluator(public, SERIAL, NoiseKind.FULL), "one r^n"),
        ("encrypt and send, noise: full, key's owner", owner_evaluator(bench.private, SERIAL, NoiseKind.FULL), ""),
    ):
        rows = 5 if "full" in name else len(x)
        own.encrypt(x[:1], CODEC).seal()
        seconds = _least(lambda own=own, rows=rows: own.encrypt(x[:rows], CODEC).seal()) / rows
        yield Figure(name, seconds * 1e6, "us", beside, note)
    yield from _tables(bench)
    sealed = bench.peer.encrypt(x, CODEC).seal()
    seconds = _least(lambda: bench.peer.receive(sealed, CODEC)) / len(x)
    yield Figure("receive and check", seconds * 1e6, "us", "", "one product modulo n, one gcd per vector")


def _tables(bench: Bench) -> Iterator[Figure]:
    public = bench.private.public
    base = own_base(public)
    for window in (WINDOW, WIDE_WINDOW):
        digits = random_digits(50, 256, window)
        table = FixedBase(base, public.n2, window)
        plain = table.modulus.plain([base] * len(digits))
        first = _least(lambda table=table, digits=digits, plain=plain: table.times(plain, digits), 1)
        again = _least(lambda table=table, digits=digits, plain=plain: table.times(plain, digits))
        megabytes = 4 * digits.shape[1] * 2**window * table.modulus.width / 1e6
        note = f"table of {megabytes:.0f} MB in {first - again:.2f} s"
        yield Figure(f"noise, windows of {window} bits", again / 50 * 1e6, "us", "", note)


def _sums(bench: Bench, unit: float) -> Iterator[Figure]:
    x = np.linspace(-1, 1, 500)
    ours = bench.peer.receive(bench.owner.encrypt(x, CODEC).seal(), CODEC)
    a, b = bench.theirs.public_key.encrypt(0.3), bench.theirs.public_key.encrypt(0.7)
    slow = _least(lambda: [a + b for _ in range(100)]) / 100
    seconds = _least(lambda: ours.add(ours)) / len(x)
    yield Figure("add two vectors", seconds * 1e6, "us", f"phe {slow * 1e6:.0f}", f"floor {unit * 1e6:.1f}")
    yield Figure("add a vector in clear", _least(lambda: ours.add_plain(x, 1.0)) / len(x) * 1e6, "us", "")
    seconds = _least(lambda: ours.times_plain(x, Codec(16, 1.0)), 1) / len(x)
    yield Figure("times a vector in clear, 16 bits", seconds * 1e6, "us", "", "one power each")


def _products(bench: Bench, unit: float) -> Iterator[Figure]:
    a, total = bench.theirs.public_key.encrypt(0.3), bench.theirs.public_key.encrypt(0.7)
    slow = _least(lambda: [a * 0.123 + total for _ in range(5)], 2) / 5
    rng = np.random.default_rng(1)
    for rows, columns in BATCHES:
        matrix = rng.standard_normal((rows, columns))
        for bits in (16, 8):
            seconds = _matvec(bench, matrix, bits)
            widths = digit_widths(rows, bits)
            least = sum(rows + 2 * 2**width for width in widths) / rows
            note = f"{len(widths)} digits, {least:.2f} multiplications: {least * unit * 1e6:.1f}"
            name = f"X^T v per row and column, {rows} rows, {bits} bits"
            yield Figure(name, seconds * 1e6, "us", f"phe {slow * 1e6:.0f}", note)


def _credit(bench: Bench, unit: float, folder: Path) -> Iterator[Figure]:
    import pandas as pd

    host = pd.read_csv(folder / "default_credit_hetero_host.csv").drop(columns="id").to_numpy(float)[:320]
    matrix = (host - host.mean(axis=0)) / np.maximum(host.std(axis=0), 1e-9)
    for bits in (16, 8):
        note = f"{matrix.shape[1]} standardised columns, some of few values; multiplication {unit * 1e6:.1f}"
        name = f"X^T v per row and column, 320 rows of default_credit's host, {bits} bits"
        yield Figure(name, _matvec(bench, matrix, bits) * 1e6, "us", "", note)


def _matvec(bench: Bench, matrix: np.ndarray, bits: int) -> float:
    vector = bench.peer.encrypt(np.linspace(-1, 1, len(matrix)), CODEC)
    distinct = min(len(matrix), 2000)
    elements = bench.peer.receive(bench.peer.encrypt(np.linspace(-1, 1, distinct), CODEC).seal(), CODEC).elements
    vector.elements[:] = (elements * (len(matrix) // distinct + 1))[: len(matrix)]
    plan = bench.peer.plan_matvec(matrix, bits)
    return _least(lambda: plan.apply(vector), 1 if len(matrix) > 2000 else 2) / matrix.size


def _opening(bench: Bench) -> Iterator[Figure]:
    vector = bench.peer.encrypt(np.linspace(-1, 1, 24), CODEC).times(2**24)
    vector.mask()
    seconds = _least(vector.mask)
    reply, _ = vector.mask()
    yield Figure("mask 24 gradients for the owner", seconds * 1e3, "ms", "", f"{reply.count} ciphertexts of 512 bytes")
    private = bench.private
    powers = 2 * 1.25 * private.public.bits / 2 * _unit(private.p2)
    seconds = _least(lambda: Opener(private, {"t": Allowance(1, reply.count)}).masked("t", 0, reply))
    slow = _least(lambda: bench.theirs.raw_decrypt(int(vector.elements[0])))
    beside = f"phe {slow * 1e3:.1f}"
    yield Figure(
        "open them", seconds * 1e3, "ms", f"{beside} per number", f"two powers {powers * 1e3:.1f} per ciphertext"
    )


def _unit(modulus: mpz) -> float:
    """Seconds of one multiplication, compiled."""
    m = Modulus(modulus)
    number = m.entered(m.plain([modulus // 3]))[0]
    square(number, 1, m.words, m.inverse)
    return _least(lambda: square(number, 2000, m.words, m.inverse)) / 2000


def _unit_of_gmp(modulus: mpz) -> float:
    """Seconds of one multiplication by GMP."""

    def loop() -> None:
        x = y = modulus // 3
        for _ in range(1000):
            x = x * y % modulus

    return _least(loop) / 1000


def _least(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """CPU seconds, the least of some runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)
