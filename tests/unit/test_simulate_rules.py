"""Success policies in one process: what runs, what is skipped, and which failures are made up for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dags_generator.simulate import Simulation, simulate
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table
from federatedml.errors import FedError

CONF = {
    "initiator": {"role": "guest", "party_id": 9999},
    "role": {"guest": [9999]},
    "job_parameters": {},
    "role_parameters": {"guest": {"args": {"data": {"good": [{"name": "good", "namespace": "demo"}]}}}},
}
Simulate = Callable[..., Simulation]


def part(*data: str, **more: Any) -> dict[str, Any]:
    """A DataIO."""
    return {"module": "DataIO", "input": {"data": {"data": list(data)}}, "output": {"data": ["out"]}, **more}


@pytest.fixture
def run(tmp_path: Path) -> Simulate:
    """Simulates components at one guest; those that read ``args.bad`` fail, because the table is not there."""
    table = Table(np.array(["a", "b"], dtype=object), {"x": np.array([1.0, 2.0])}, None, Kind.INSTANCES)
    Catalogue(tmp_path / "9999").write(TableName("demo", "good"), table)
    conf = json.loads(json.dumps(CONF))
    conf["role_parameters"]["guest"]["args"]["data"]["bad"] = [{"name": "bad", "namespace": "demo"}]

    def simulated(**components: Any) -> Simulation:
        conf["algorithm_parameters"] = {name: {"with_label": False} for name in components}
        path = tmp_path / "p.json"
        path.write_text(json.dumps({"dsl": {"components": components}, "conf": conf}))
        return simulate(path, None, tmp_path)

    return simulated


def test_one_success_works_on_what_is_there(run: Simulate) -> None:
    found = run(a_0=part("args.bad"), b_0=part("args.good"), c_0=part("a_0.out", "b_0.out", trigger_rule="one_success"))
    assert set(found.outputs) == {"b_0", "c_0"}
    assert list(found.failures) == ["a_0"]


def test_what_needs_a_failed_component_is_skipped_and_made_up_for_with_it(run: Simulate) -> None:
    found = run(
        a_0=part("args.bad"),
        b_0=part("a_0.out"),
        c_0=part("b_0.out", "d_0.out", trigger_rule="all_done"),
        d_0=part("args.good"),
    )
    assert (set(found.outputs), found.skipped, list(found.failures)) == ({"c_0", "d_0"}, ["b_0"], ["a_0"])


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(part("a_0.out"), id="nothing tolerates it"),
        pytest.param(part("b_0.out", trigger_rule="one_success"), id="one_success of nothing"),
        pytest.param(part("a_0.out", "args.bad", trigger_rule="all_done"), id="what tolerates it fails itself"),
    ],
)
def test_a_failure_that_nothing_makes_up_for_is_raised(run: Simulate, last: dict[str, Any]) -> None:
    with pytest.raises(FedError, match="FED-201"):
        run(a_0=part("args.bad"), b_0=part("a_0.out"), c_0=last)
