"""A component of another distribution: installed beside this one, it is in the registry, in plans, in runs and docs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from airfed.cli import app
from airfed.component_docs import docs
from dags_generator.describe import plan_json
from dags_generator.parse import parse_pair
from dags_generator.plan import job_plan
from dags_generator.simulate import simulate
from federatedml.component import Component, Inputs, component, registry
from federatedml.errors import DslError, ModelError
from tests.conformance import Case, conforms
from tests.example_runs import EXAMPLES, tables
from tests.members import ARBITER, GUEST, HOST, table

MODULE = "RowsTold"
SOURCE = '''
"""Tells the host how many rows the guest has, some times over."""

import numpy as np
from pydantic import Field

from federatedml.component import Component, Outputs, Params
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector

ROWS = Topic(
    "guest_rows", (Role.GUEST,), (Role.HOST,), Vector("<i8"), Carries.CONTROL, "how many rows the guest has"
)


class RowsToldParams(Params):
    times: int = Field(default=1, ge=1, le=9, description="how many times over")


def guest(p, box, inputs):
    box.send(ROWS, np.array([len(inputs.one("data"))] * p.times, np.int64))
    return Outputs(inputs.one("data"))


def host(p, box, inputs):
    return Outputs(inputs.one("data"), summary={"told": float(box.recv(ROWS).sum())})


FOUND = Component(
    module="RowsTold",
    title="How many rows the guest has",
    params=RowsToldParams,
    roles={Role.GUEST: guest, Role.HOST: host},
    topics=(ROWS,),
    inputs=("data",),
)
ANOTHER = "no component"
'''


def install(folder: Path, points: str) -> None:
    """What an installer leaves of a distribution: its module, and the folder that describes it."""
    (folder / "rows_told_by_others.py").write_text(SOURCE)
    described = folder / "rows_told-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: rows-told\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[airfed.components]\n{points}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of distributions on the path; what was found in it is forgotten afterwards."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    registry.cache_clear()
    yield folder
    registry.cache_clear()


@pytest.fixture
def found(installed: Path) -> Component:
    install(installed, f"{MODULE} = rows_told_by_others:FOUND")
    return component(MODULE)


def pipeline(**more: Any) -> tuple[bytes, bytes]:
    """``hetero_lr`` with the component behind Intersection."""
    dsl, conf = (
        json.loads((EXAMPLES / "hetero_lr" / f"hetero_lr_{kind}.json").read_text()) for kind in ("dsl", "conf")
    )
    source = {"data": {"data": ["intersection_0.train"]}}
    dsl["components"]["rows_told_0"] = {"module": MODULE, "input": source, "output": {"data": ["same"]}}
    conf["algorithm_parameters"]["rows_told_0"] = more
    return json.dumps(dsl).encode(), json.dumps(conf).encode()


def test_without_the_distribution_the_module_is_not_installed(installed: Path) -> None:
    with pytest.raises(DslError, match=f"FED-121.*{MODULE}"):
        component(MODULE)


def test_it_is_in_the_registry_and_in_lists(found: Component) -> None:
    assert registry()[MODULE] is found
    assert {"DataIO", MODULE} <= set(registry())
    told = CliRunner().invoke(app, ["component", "list", "--json"])
    assert MODULE in told.stdout
    assert "guest_rows" in CliRunner().invoke(app, ["component", "show", MODULE]).stdout


def test_a_pipeline_with_it_is_planned_with_its_parameters_and_its_disclosure(found: Component) -> None:
    spec = parse_pair("told", *pipeline(times=3), "dsl.json", "conf.json")
    assert spec.graph.components["rows_told_0"].members == (GUEST, HOST)
    assert job_plan(spec, HOST, "1", digest="").steps["rows_told_0"].params == {"times": 3}
    assert "rows_told_0" not in job_plan(spec, ARBITER, "1", digest="").steps
    assert "how many rows the guest has" in json.dumps(plan_json(spec))
    with pytest.raises(DslError, match=r"rows_told_0.*times.*less than or equal to 9"):
        parse_pair("told", *pipeline(times=10), "dsl.json", "conf.json")


def test_a_pipeline_with_it_runs(found: Component, tmp_path: Path) -> None:
    files = tmp_path / "told_dsl.json", tmp_path / "told_conf.json"
    for file, text in zip(files, pipeline(times=2), strict=True):
        file.write_bytes(text)
    run = simulate(*files, tables())
    rows = run.summaries()["intersection_0"][str(GUEST)]["intersect_count"]
    assert run.summaries()["rows_told_0"][str(HOST)] == {"told": 2 * rows}


def test_it_inherits_the_contract(found: Component, tmp_path: Path) -> None:
    inputs = {member: Inputs({"data": [table("abc", x=[1.0, 2.0, 3.0])]}) for member in (GUEST, HOST)}
    result = conforms(Case(found, dict.fromkeys(inputs, found.defaults()), inputs), tmp_path)
    assert result.outputs[HOST].summary == {"told": 3.0}


def test_it_has_a_page(found: Component, tmp_path: Path) -> None:
    files = docs(tmp_path, EXAMPLES)
    assert "| `guest_rows` | guest | host |" in files[f"{MODULE}.md"]
    assert "how many times over" in files[f"{MODULE}.md"]
    assert f"[{MODULE}]({MODULE}.md)" in files["README.md"]


@pytest.mark.parametrize("points", [f"{MODULE} = rows_told_by_others:ANOTHER", "Other = rows_told_by_others:FOUND"])
def test_what_is_not_the_component_that_it_is_called_is_refused(points: str, installed: Path) -> None:
    install(installed, points)
    with pytest.raises(ModelError, match=r"FED-602.*is not the component it names"):
        component(points.partition(" ")[0])
