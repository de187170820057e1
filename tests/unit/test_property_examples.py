"""Property tests draw the same examples every run, whatever ran before them in the same process."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import EXPLORE


def drawn() -> list[list[int]]:
    found: list[list[int]] = []

    @given(st.lists(st.integers()))
    def draw(numbers: list[int]) -> None:
        found.append(numbers)

    draw()
    return found


@pytest.mark.skipif(EXPLORE, reason="AIRFED_EXPLORE draws new ones")
def test_examples_do_not_depend_on_the_modules_that_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn()
    (tmp_path / "loaded_later.py").write_text("NUMBER = 987654321\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("loaded_later")
    assert drawn() == before
