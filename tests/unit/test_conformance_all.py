"""Every module of this repository inherits the published suite, with every small step that it has."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

import pytest

from federatedml.component import registry
from tests.conforming import Inherited
from tests.fault_cases import MAKERS, cases

GOLDEN = Path(__file__).parents[1] / "golden"


@cache
def suites() -> dict[str, type[Inherited]]:
    """Module -> the test class that inherits the suite."""
    for file in Path(__file__).parent.glob("test_conformance_*.py"):
        importlib.import_module(f"tests.unit.{file.stem}")
    return {suite.module: suite for suite in Inherited.__subclasses__()}


def test_every_module_inherits_the_suite() -> None:
    assert set(registry()) == set(MAKERS)
    assert [module for module in MAKERS if module not in suites()] == []


@pytest.mark.parametrize("module", sorted(MAKERS))
def test_the_charts_are_those_of_the_steps(module: str) -> None:
    suite = suites()[module]
    assert set((GOLDEN / module).glob("*.txt")) == {suite.golden_file(step) for step in cases(module)}
