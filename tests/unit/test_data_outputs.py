"""Several data outputs of one component: named by position, stored, read by name, seen through in predict jobs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from airfed.demo_data import breast
from dags_generator.plan import job_plan
from dags_generator.simulate import Simulation, simulate
from federated_operators.gateway.plan import StepPlan, dump_plan, load_plan
from federated_operators.outputs import JobStore, dump_outputs, load_outputs
from federatedml.component import Outputs
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.errors import DataError, DslError
from tests import pipeline_v2_example as v2
from tests.members import GUEST, HOST, table
from tests.pipeline_example import JOB_ID, conf, dsl, spec

SPLIT = "hetero_data_split_0"
LR = "hetero_lr_0"


def split(components: dict, aliases: tuple[str, ...] = ("train", "valid", "test"), reads: tuple[str, str] = ()) -> None:
    """The example with its common rows split before HeteroLR."""
    components[SPLIT] = {
        "module": "HeteroDataSplit",
        "input": {"data": {"data": ["intersection_0.train"]}},
        "output": {"data": list(aliases)},
    }
    train, held_out = reads or aliases[:2]
    components[LR]["input"]["data"] = {"train_data": [f"{SPLIT}.{train}"], "eval_data": [f"{SPLIT}.{held_out}"]}


def test_outputs_are_named_by_position_and_a_plan_keeps_them() -> None:
    found = spec(lambda components: split(components, ("a", "b")))
    assert found.graph.components[SPLIT].data_aliases == ("a", "b")
    plan = load_plan(dump_plan(job_plan(found, HOST, JOB_ID, "")))
    assert list(plan.steps[SPLIT].data_aliases) == ["a", "b"]
    assert {key: [ref.alias for ref in refs] for key, refs in plan.steps[LR].data.items()} == {
        "train_data": ["a"],
        "eval_data": ["b"],
    }


@pytest.mark.parametrize("of", [spec, v2.spec])
def test_more_outputs_than_the_module_has_are_refused(of: object) -> None:
    with pytest.raises(DslError) as error:
        of(lambda components: split(components, ("a", "b", "c", "d")))  # type: ignore[operator]
    assert error.value.code == "FED-126"
    assert (
        f"components.{SPLIT}.output.data: 4 outputs (at most 3, in this order: train_data, validate_data, test_data)"
        in (str(error.value))
    )


def test_an_output_that_is_not_named_is_refused_with_those_that_are() -> None:
    with pytest.raises(DslError, match=rf"FED-122.*{SPLIT} has no data output 'test' \(it has: a, b\)"):
        spec(lambda components: split(components, ("a", "b"), ("a", "test")))


def test_a_predict_job_sees_through_a_split() -> None:
    found = spec(split).graph.inference_dsl["components"]
    assert SPLIT not in found
    assert found[LR]["input"]["data"] == {"eval_data": ["intersection_0.train"]}


def test_a_split_that_is_deployed_keeps_all_its_outputs() -> None:
    def deployed(components: dict) -> None:
        split(components)
        components[SPLIT]["need_deploy"] = True

    found = spec(deployed).graph.inference_dsl["components"]
    assert found[SPLIT]["output"] == {"data": ["train", "valid", "test"]}
    assert found[LR]["input"]["data"] == {"eval_data": [f"{SPLIT}.train"]}


def test_stored_outputs_are_read_by_name_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "job", Catalogue(tmp_path / "data"))
    step = StepPlan(SPLIT, "HeteroDataSplit", "1", (), {}, {}, data_aliases=["a", "b", "c"])
    attempt = store.folder / "step"
    attempt.mkdir(parents=True)
    first, third = table(["u1"], x=[1.0]), table(["u2", "u3"], x=[2.0, 3.0])
    stored = load_outputs(dump_outputs(store.store(step, Outputs(first, rest=(None, third)), attempt)))
    assert {alias: entry.rows for alias, entry in stored.data.items()} == {"a": 1, "c": 2}

    def reading(alias: str) -> StepPlan:
        refs = job_plan(spec(lambda c: split(c, ("a", "b", "c"), ("a", alias))), GUEST, JOB_ID, "").steps[LR].data
        return StepPlan(LR, "HeteroLR", "1", (), {}, {"eval_data": refs["eval_data"]})

    found = store.inputs(reading("c"), {SPLIT: stored}).one("eval_data")
    assert (found.ids.tolist(), found.origin) == (["u2", "u3"], SPLIT)
    with pytest.raises(DataError, match=r"FED-222.*hetero_data_split_0 left no data 'b'"):
        store.inputs(reading("b"), {SPLIT: stored})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    folder, tables = tmp_path_factory.mktemp("data"), breast()
    Catalogue(folder / "9999").write(TableName("breast", "guest"), tables.guest)
    Catalogue(folder / "10000").write(TableName("breast", "host"), tables.host)

    def edit(value: dict) -> None:
        value["algorithm_parameters"][SPLIT] = {"random_state": 1, "validate_size": 0.1, "stratified": True}

    for name, value in (("p_dsl.json", dsl(split)), ("p_conf.json", conf(edit))):
        (folder / name).write_text(json.dumps(value))
    return simulate(folder / "p_dsl.json", folder / "p_conf.json", folder)


def test_a_pipeline_trains_on_one_output_and_validates_on_another(simulated: Simulation) -> None:
    parts = {member: simulated.outputs[SPLIT][member] for member in (GUEST, HOST)}
    guest, host = ([part, *rest] for part, rest in ((o.data, o.rest) for o in parts.values()))
    assert [None if part is None else part.origin for part in guest] == [SPLIT, SPLIT, None]
    assert all((a is None and b is None) or (a.ids == b.ids).all() for a, b in zip(guest, host, strict=True))
    scored = simulated.predictions()[LR][GUEST].columns["type"]
    assert [int(np.sum(scored == kind)) for kind in ("train", "validate")] == [len(guest[0]), len(guest[1])]
    assert simulated.summaries()["evaluation_0"]["guest_9999"]["auc"] > 0.98
