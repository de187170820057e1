"""Compiled loops and their twins: the same bits, and no compiler for little work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from airfed.example_data import write_example_data
from federatedml.compute import kernels
from federatedml.compute.kernels import LOADING, Kernel, compiled, compiled_unless_little
from federatedml.crypto import candidates, id_column
from federatedml.crypto.dealt import kernels as products
from federatedml.crypto.psi import blake2s

Filled = Callable[[Any], list[np.ndarray]]


def test_what_cannot_be_kept_is_compiled_all_the_same() -> None:
    """As in a read-only installation of a user without a cache folder: numba refuses to cache."""

    def twice(number: int) -> int:
        return number * 2

    nowhere = FunctionType(twice.__code__.replace(co_filename="/nowhere/at.py"), {"__name__": __name__}, "twice")
    assert Kernel(nowhere, None, None)(21) == 42


def hashed(kernel: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, 65, 300).astype(np.uint32)
    messages = rng.integers(0, 2**32, (300, 16), dtype=np.uint32)
    messages.view(np.uint8)[np.arange(64) >= lengths[:, None]] = 0
    salts, found = rng.integers(0, 2**32, (300, 2), dtype=np.uint32), np.empty((300, 4), np.uint32)
    kernel(messages, lengths, salts, np.frombuffer(b"purpose!", "<u4"), found)
    return [found]


def copied(kernel: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    lengths = rng.integers(0, 30, 200)
    rows = np.zeros((200, 16), np.uint8)
    kernel(rng.integers(0, 256, lengths.sum(), dtype=np.uint8), np.cumsum(lengths) - lengths, lengths, rows)
    return [rows]


def multiplied(kernel: Any) -> list[np.ndarray]:
    rng, found = np.random.default_rng(3), []
    for dtype, rows in ((np.uint32, 77), (np.uint64, 8), (np.uint64, 0)):
        left, right = (rng.integers(0, 2**32, (rows, k)).astype(dtype) * dtype(2**31 + 3) for k in (5, 520))
        found.append(np.ones((5, 520), dtype))
        for words in (left, right):
            words.flags.writeable = False
        kernel(left, right, found[-1])
    return found


def binned(kernel: Any) -> list[np.ndarray]:
    rng, found = np.random.default_rng(4), []
    bins = rng.integers(0, 9, (3, 400)).astype(np.uint8)
    for vectors in (rng.normal(size=(400, 2)), rng.integers(0, 2**32, (400, 2), dtype=np.uint32)):
        found.append(np.zeros((3, 9, 2), vectors.dtype))
        kernel(bins, vectors, found[-1])
    return found


@pytest.mark.parametrize(
    ("kernel", "fill"),
    [
        (blake2s.hash_rows, hashed),
        (id_column._copy, copied),
        (products.add_product, multiplied),
        (candidates.add_to_bins, binned),
    ],
)
def test_a_twin_does_the_same_to_the_last_bit(kernel: Any, fill: Filled) -> None:
    pairs = zip(fill(kernel.machine), fill(kernel.twin), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kernel, "spent", 0.0)
    monkeypatch.delitem(sys.modules, "numba", raising=False)


def pretended(seconds: float) -> Any:
    """A kernel whose twin takes ``seconds``; which of both ran is what it returns."""

    @compiled_unless_little(lambda: "twin", lambda: seconds)
    def run() -> str: ...

    vars(run)["machine"] = lambda: "compiled"
    return run


@pytest.mark.usefixtures("no_compiler")
def test_twins_run_until_they_have_cost_what_loading_costs() -> None:
    one, other = pretended(0.4 * LOADING), pretended(0.5 * LOADING)
    assert [one(), other(), one(), other()] == ["twin", "twin", "compiled", "compiled"]


def test_a_compiler_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", kernels)
    assert pretended(0.0)() == "compiled"


@pytest.mark.usefixtures("no_compiler")
def test_a_kernel_without_a_twin_is_always_compiled() -> None:
    @compiled
    def run() -> str: ...

    vars(run)["machine"] = lambda: "compiled"
    assert run() == "compiled"


PROGRAM = """
import sys
from pathlib import Path
from dags_generator.simulate import simulate
dsl, conf, data = map(Path, sys.argv[1:])
simulate(dsl, conf, data)
sys.exit("numba" in sys.modules)
"""


@pytest.mark.parametrize("example", ["hetero_secureboost_binary", "hetero_lr"])
def test_a_small_job_loads_no_compiler(example: str, tmp_path: Path) -> None:
    write_example_data(tmp_path)
    pair = [f"examples/{example}/{example}_{part}.json" for part in ("dsl", "conf")]
    subprocess.run([sys.executable, "-c", PROGRAM, *pair, tmp_path], check=True)
