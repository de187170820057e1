"""A whole pipeline in one process: the example on the demo's data."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from airfed.demo_data import breast
from dags_generator.simulate import Simulation, simulate
from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.compute.choice import compute_engine
from federatedml.compute.engine import Compute
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Role
from tests import compute_kernels as kernels
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import FOLDER
from tests.pipeline_v2_example import FOLDER as V2
from tests.running_engines import running

DSL, CONF = FOLDER / "hetero_lr_dsl.json", FOLDER / "hetero_lr_conf.json"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host's table as CSV."""
    folder, tables = tmp_path_factory.mktemp("data"), breast()
    Catalogue(folder / "9999").write(TableName("breast", "guest"), tables.guest)
    csv = folder / "10000" / "breast" / "host.csv"
    csv.parent.mkdir(parents=True)
    pd.DataFrame({"id": tables.host.ids, **tables.host.columns}).to_csv(csv, index=False)
    return folder


@pytest.fixture(scope="module")
def result(data: Path) -> Simulation:
    return simulate(DSL, CONF, data)


def test_the_model_of_the_pipeline_is_good(result: Simulation) -> None:
    assert result.summaries()["evaluation_0"]["guest_9999"]["auc"] > 0.98


def test_the_same_pipeline_in_v2_gives_the_same_result(data: Path, result: Simulation) -> None:
    again = simulate(V2 / "hetero_lr_v2_dsl.json", V2 / "hetero_lr_v2_conf.json", data)
    assert again.summaries()["intersection_0"] == result.summaries()["intersection_0"]
    auc, expected = (found.summaries()["evaluation_0"]["guest_9999"]["auc"] for found in (again, result))
    assert auc == pytest.approx(expected, abs=0.005)


def test_members_leave_what_their_roles_have(result: Simulation) -> None:
    assert set(result.outputs["intersection_0"]) == {GUEST, HOST}
    assert set(result.outputs["hetero_lr_0"]) == {ARBITER, GUEST, HOST}
    assert set(result.models()["hetero_lr_0"]) >= {GUEST, HOST}
    assert ARBITER not in result.predictions()["hetero_lr_0"]


def test_tables_of_a_step_are_of_the_same_ids_and_name_their_origin(result: Simulation) -> None:
    guest, host = (result.outputs["intersection_0"][member].data for member in (GUEST, HOST))
    assert guest is not None
    assert host is not None
    assert (guest.ids == host.ids).all()
    assert guest.origin == "intersection_0"
    scored = result.predictions()["hetero_lr_0"][GUEST]
    assert scored.kind is Kind.PREDICTIONS
    assert np.isfinite(np.asarray(scored.columns["predict_score"], dtype=float)).all()


def test_metrics_come_per_component_and_member(result: Simulation) -> None:
    assert {point.name for point in result.metrics["hetero_lr_0"][GUEST]} >= {"loss"}


def test_progress_is_told(data: Path) -> None:
    told: list[tuple[str, str]] = []
    simulate(DSL, CONF, data, on_progress=lambda component, member, done, text: told.append((component, str(member))))
    assert ("hetero_lr_0", "guest_9999") in told


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"breast/(guest|host)"):
        simulate(DSL, CONF, tmp_path)


@dataclass(frozen=True)
class Seen:
    """A component whose members tell which engine they were given, and whether it works."""

    engines: list[Compute]

    def role(self, params: Params, box: Box, inputs: Inputs) -> Outputs:
        self.engines.append(box.compute)
        assert box.compute.map(kernels.scaled, [1, 2, 3]) == [2, 4, 6]
        return Outputs()


def test_all_members_share_the_cores_once(tmp_path: Path) -> None:
    seen = Seen([])
    members = (GUEST, HOST, ARBITER)
    module = Component("Seen", "tells its engine", Params, dict.fromkeys(Role, seen.role))
    with compute_engine(workers=2) as engine:
        network = LocalNetwork(tmp_path, compute=engine)
        network.run(module, dict.fromkeys(members, Params()), dict.fromkeys(members, Inputs()))
    assert seen.engines == [engine] * 3


def test_a_simulation_that_needs_no_engine_starts_none(data: Path) -> None:
    before, started, dask = running(), set[str](), "distributed" in sys.modules

    def look(*_: object) -> None:
        started.update(running() - before)

    simulate(DSL, CONF, data, on_progress=look)
    assert not started
    assert ("distributed" in sys.modules) == dask
