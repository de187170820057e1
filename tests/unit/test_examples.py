"""Every pipeline of ``examples/`` runs in simulation, on the tables that ``airfed example-data`` writes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from airfed.example_data import example_tables, write_example_data
from dags_generator.simulate import Simulation, simulate

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/*_dsl.json"))
LEAST_AUC = 0.9  # of two classes; all the data of the examples are easy


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    write_example_data(folder)
    return folder


@cache
def run(name: str, data: Path) -> Simulation:
    """An example; one that predicts takes the models of the one that it is named after."""
    dsl, conf = (EXAMPLES / name / f"{name}_{kind}.json" for kind in ("dsl", "conf"))
    predicts = json.loads(conf.read_text())["job_parameters"].get("job_type") == "predict"
    models = run(name.removesuffix("_predict"), data).models() if predicts else None
    return simulate(dsl, conf, data, models=models)


def test_every_folder_holds_one_pipeline_of_its_name() -> None:
    for folder in (path for path in EXAMPLES.iterdir() if path.is_dir()):
        assert {path.name for path in folder.iterdir()} == {f"{folder.name}_{kind}.json" for kind in ("dsl", "conf")}


def test_the_index_names_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text()
    assert [name for name in NAMES if f"[`{name}`]({name})" not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs_to_its_end(name: str, data: Path) -> None:
    found = run(name, data)
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
