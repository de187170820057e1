"""What ``conclude`` registers: this member's models of deployed components, and what they were trained by."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from airfed_proto.v1 import local_pb2, model_pb2
from dags_generator.plan import job_plan
from federated_operators.conclude import bundle_of
from federated_operators.gateway.plan import JobPlan, dump_plan, load_plan
from federated_operators.outputs import JobStore, StepOutputs
from federatedml.canonical import canonical_json
from federatedml.component import Outputs, component
from federatedml.data.catalogue import Catalogue
from federatedml.federation.party import Member
from federatedml.model_bundle import ModelBundle, manifest_digest
from tests.members import ARBITER, GUEST, HOST
from tests.model_halves import bundle
from tests.pipeline_example import JOB_ID, Edit, spec, unchanged


def plan_of(member: Member, edit: Edit = unchanged) -> JobPlan:
    return job_plan(spec(edit), member, JOB_ID, "ab" * 32)


def concluded(folder: Path, plan: JobPlan) -> ModelBundle | None:
    """The bundle after every step of ``plan`` has stored the model that it declares."""
    store = JobStore(folder, Catalogue(folder / "data"))
    stored = bundle(plan.me, JOB_ID).components if plan.me != ARBITER else {}
    committed = {name: StepOutputs() for name in plan.steps}
    for name, model in stored.items():
        parts = component(model.module).model
        assert parts
        fitted = Outputs(model=parts.parse(model.buffers))
        committed[name] = store.store(plan.steps[name], fitted, folder / name / "g1" / "a1")
    start = local_pb2.Start()
    start.step.generation = 1
    return bundle_of(plan, committed, store, start)


@pytest.mark.parametrize("member", [GUEST, HOST], ids=str)
def test_the_predict_dsl_is_stored_beside_what_was_trained(tmp_path: Path, member: Member) -> None:
    found = concluded(tmp_path, plan_of(member))
    assert found is not None
    pipeline = model_pb2.Pipeline.FromString(found.pipeline)
    assert pipeline.inference_dsl == canonical_json(spec().graph.inference_dsl)
    assert pipeline.train_dsl == canonical_json(spec().graph.dsl)
    assert pipeline.train_runtime_conf == canonical_json(spec().conf)
    predict = json.loads(pipeline.inference_dsl)["components"]
    wanted = {text for body in predict.values() for text in body["input"].get("model", [])}
    assert wanted == {f"pipeline.{name}.{model.alias}" for name, model in found.components.items()}


def test_the_same_plan_read_again_is_the_same_bundle(tmp_path: Path) -> None:
    plan = plan_of(HOST)
    bundles = [concluded(tmp_path / str(i), each) for i, each in enumerate((plan, load_plan(dump_plan(plan))))]
    assert len({manifest_digest(found.files()) for found in bundles if found}) == 1


def test_a_job_that_began_without_a_predict_dsl_registers_what_it_would_have(tmp_path: Path) -> None:
    """Otherwise a repeated end would be another model of the same job."""
    found = concluded(tmp_path, replace(plan_of(GUEST), inference_dsl={}))
    assert found is not None
    assert model_pb2.Pipeline.FromString(found.pipeline).inference_dsl == b""


def test_nothing_deployed_is_nothing_registered(tmp_path: Path) -> None:
    def undeployed(components: dict) -> None:
        for body in components.values():
            body["need_deploy"] = False

    assert concluded(tmp_path, plan_of(GUEST, undeployed)) is None
    assert concluded(tmp_path, plan_of(ARBITER)) is None
