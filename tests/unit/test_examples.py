"""Every pipeline of ``examples/`` runs in simulation, on the tables that ``airfed example-data`` writes."""

from __future__ import annotations

import numpy as np
import pytest

from airfed.example_data import example_tables
from tests.example_runs import EXAMPLES, NAMES, run

LEAST_AUC = 0.9  # of two classes; all the data of the examples are easy


def test_every_folder_holds_one_pipeline_of_its_name() -> None:
    for folder in (path for path in EXAMPLES.iterdir() if path.is_dir()):
        assert {path.name for path in folder.iterdir()} == {f"{folder.name}_{kind}.json" for kind in ("dsl", "conf")}


def test_the_index_names_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert [name for name in NAMES if f"[`{name}`]({name})" not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs_to_its_end(name: str) -> None:
    found = run(name)
    assert set(found.outputs) == set(found.spec.running)
    assert not found.failures
    for component, members in found.summaries().items():
        for member, summary in members.items():
            assert all(np.isfinite(value) for value in summary.values()), (component, member)
            assert summary.get("auc", 1.0) > LEAST_AUC, (component, member)


def test_the_tables_are_the_same_every_time() -> None:
    first, second = ([(party, name, table.digest()) for party, name, table in example_tables()] for _ in range(2))
    assert first == second
    assert len({(party, name) for party, name, _ in first}) == len(first)
