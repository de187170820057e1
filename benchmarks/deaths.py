"""Every component at toy sizes, all parties in this process: each member dies at each of its points, on bad networks.

A point is a message sent, a message taken, a checkpoint stored. The tests take every n-th point of the longest steps;
this takes all of them.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from benchmarks.figure import Figure
from federatedml.components import binning_paillier, hetero_lr_paillier, tree_paillier_guest
from federatedml.conformance.deaths import kills, survived
from federatedml.crypto.paillier.keys import PrivateKey, generate
from federatedml.federation.local import StepResult
from federatedml.federation.memory import Faults
from tests.fault_cases import MAKERS, Small, cases

NETWORKS = tuple(Faults(seed=seed, drop=0.3, duplicate=0.4, truncate=0.1) for seed in range(1, 9))


@dataclass
class Count:
    """Disturbed runs, and those that did not give the undisturbed result."""

    runs: int = 0
    bad: int = 0


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """All modules."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks deaths")
    parser.add_argument("--only", default="", help="modules whose name contains this")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # thousands of times what each training has to say
    deaths, networks = Count(), Count()
    with ExitStack() as patched:
        for maker in (binning_paillier, hetero_lr_paillier, tree_paillier_guest):
            patched.enter_context(patch.object(maker, "generate", _key))
        for module in (name for name in sorted(MAKERS) if options.only in name):
            here, there = _module(module)
            note = f"{here.runs} deaths, {there.runs} runs on bad networks, of {len(cases(module))} steps"
            yield Figure(f"{module}: the undisturbed result", _share(here, there), "%", "limit 100", note)
            _add(deaths, here)
            _add(networks, there)
    note = f"{deaths.runs} deaths, {networks.runs} runs on networks that lose, repeat, reorder and damage messages"
    yield Figure("all components: the undisturbed result", _share(deaths, networks), "%", "limit 100", note)


def _module(module: str) -> tuple[Count, Count]:
    deaths, networks = Count(), Count()
    for name, small in cases(module).items():
        with tempfile.TemporaryDirectory(prefix="airfed-") as folder:
            undisturbed = small.case.run(Path(folder))
        for count, disturbances in ((deaths, kills(undisturbed)), (networks, NETWORKS)):
            for faults in disturbances:
                count.runs += 1
                count.bad += not _same(f"{module}, {name}", small, undisturbed, faults)
    return deaths, networks


def _same(name: str, small: Small, undisturbed: StepResult, faults: Faults) -> bool:
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder:
        try:
            survived(small.case.component, undisturbed, small.case.run(Path(folder), faults), faults, small.same)
        except Exception as broken:  # whatever it is, it is counted, and the others run
            print(f"{name}, {faults}: {broken!r}", file=sys.stderr, flush=True)
            return False
    return True


def _share(*counts: Count) -> float:
    return 100.0 * (1 - sum(count.bad for count in counts) / sum(count.runs for count in counts))


def _add(total: Count, more: Count) -> None:
    total.runs += more.runs
    total.bad += more.bad


@cache
def _key(bits: int) -> PrivateKey:
    """Thousands of runs: making a key for each would take most of the time."""
    return generate(bits)
