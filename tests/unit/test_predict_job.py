"""Predict jobs: what their DSL and conf may say, what the model adds, and that they score as online inference does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airfed.demo_data import breast
from dags_generator.acceptor import DslAcceptor
from dags_generator.describe import plan_json, plan_text
from dags_generator.parse import parse_installed, parse_pair
from dags_generator.plan import job_plan
from dags_generator.simulate import simulate
from federated_operators.federate import conf_of
from federated_operators.gateway.plan import JobPlan, ModelRef, ModelSource, dump_plan, load_plan
from federated_operators.outputs import JobStore
from federated_operators.trained import TrainedModels, completed
from federatedml.canonical import canonical_json
from federatedml.component import component
from federatedml.components.intersection import INTERSECTION
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.errors import DslError, FedError, ModelError
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member
from tests import pipeline_example, pipeline_v2_example
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import Edit, at, unchanged
from tests.predict_example import FOLDER, JOB_ID, MODEL_ID, TRAINING, conf, dsl, half, spec, trained


def test_the_example_is_the_predict_dsl_of_the_training() -> None:
    assert dsl() == pipeline_example.spec().graph.inference_dsl


def test_every_component_with_a_model_takes_that_of_the_training() -> None:
    found = spec()
    assert (found.job_type, found.model_key) == ("predict", "breast")
    assert found.graph.inference_dsl == {}
    for member in (GUEST, HOST, ARBITER):
        plan = job_plan(found, member, JOB_ID, "ab" * 32)
        assert plan.job_type == "predict"
        assert plan.source == ModelSource(MODEL_ID, "")
        assert plan.party_model_id == f"{member.role}#{member.party}#{MODEL_ID}"
        assert plan.steps["hetero_lr_0"].model == ModelRef("hetero_lr_0", "hetero_lr", stored=True)
        assert dump_plan(load_plan(dump_plan(plan))) == dump_plan(plan)
    assert job_plan(found, GUEST, JOB_ID, "").steps["intersection_0"].model is None


def test_names_need_no_index_in_a_row() -> None:
    def only_the_second(components: Any) -> None:
        components["hetero_lr_1"] = components.pop("hetero_lr_0")
        components["hetero_lr_1"]["input"]["model"] = ["pipeline.hetero_lr_1.hetero_lr"]

    assert "hetero_lr_1" in spec(only_the_second).graph.components


def test_a_peer_that_has_dsl_and_parties_only_builds_the_same_graph() -> None:
    parties = {key: conf()[key] for key in ("initiator", "role")}
    body = canonical_json({"dsl": dsl(), "parties": parties})
    assert parse_installed("hetero_lr_predict", body, "9999.x.json").digest == spec().graph.digest


def without_a_model(components: Any) -> None:
    del components["dataio_0"]["input"]["model"]


REFUSED: dict[str, tuple[Edit, Edit, str, str]] = {
    "no model id": (unchanged, lambda c: c["job_parameters"].pop("model_id"), "FED-102", "key 'model_id' is missing"),
    "another model": (
        unchanged,
        at("job_parameters", model_id="guest-9999#host-10000#breast"),
        "FED-195",
        "theirs is called arbiter-10001#guest-9999#host-10000#breast",
    ),
    "other parties": (
        unchanged,
        at("role", host=[10002]),
        "FED-195",
        "arbiter-10001#guest-9999#host-10002#breast",
    ),
    "a model id that is no text": (unchanged, at("job_parameters", model_id=5), "FED-103", "a string is expected"),
    "a hostile model id": (unchanged, at("job_parameters", model_id="a#'b"), "FED-110", "is not a model key"),
    "a hostile version": (unchanged, at("job_parameters", model_version="'x"), "FED-110", "is no version"),
    "a version that is no text": (unchanged, at("job_parameters", model_version=[]), "FED-110", "is no version"),
    "a model key": (unchanged, at("job_parameters", model_key="a"), "FED-102", "key 'model_key'"),
    "a training": (unchanged, at("job_parameters", job_type="train"), "FED-194", "takes models of a training"),
    "another kind of job": (
        unchanged,
        at("job_parameters", job_type="serve"),
        "FED-103",
        "allowed: train, predict",
    ),
    "a component that would be fitted": (
        without_a_model,
        unchanged,
        "FED-192",
        "components.dataio_0: it takes no model",
    ),
    "another component's model": (
        at("hetero_lr_0", "input", model=["pipeline.dataio_0.dataio"]),
        unchanged,
        "FED-124",
        "is no model of hetero_lr_0 (pipeline.hetero_lr_0.MODEL",
    ),
    "no alias": (
        at("dataio_0", "input", model=["pipeline.dataio_0."]),
        unchanged,
        "FED-124",
        "dataio_0.input.model",
    ),
    "a table of a training": (
        at("dataio_0", "input", "data", data=["pipeline.dataio_0.train"]),
        unchanged,
        "FED-150",
        "module Pipeline",
    ),
    "a model of a module that has none": (
        at("intersection_0", "input", model=["pipeline.intersection_0.x"]),
        unchanged,
        "FED-193",
        "module Intersection cannot run with a fitted model",
    ),
    "no new table": (
        unchanged,
        lambda c: c["role_parameters"].pop("host"),
        "FED-134",
        "no table 'eval_data', which dataio_0 reads",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_named(name: str) -> None:
    dsl_edit, conf_edit, code, text = REFUSED[name]
    with pytest.raises(DslError) as error:
        spec(dsl_edit, conf_edit)
    assert error.value.code == code
    assert text in str(error.value)


def test_a_model_of_a_training_is_refused_in_a_training() -> None:
    def all_of_them(components: Any) -> None:
        for name, alias in (("dataio_0", "dataio"), ("hetero_lr_0", "hetero_lr")):
            components[name]["input"]["model"] = [f"pipeline.{name}.{alias}"]

    with pytest.raises(DslError, match="FED-194"):
        pipeline_example.spec(all_of_them)
    with pytest.raises(DslError, match=r"FED-192.*hetero_lr_0: it takes no model, as others do"):
        pipeline_example.spec(at("dataio_0", "input", model=["pipeline.dataio_0.dataio"]))


def test_only_the_messages_of_a_prediction_are_declared() -> None:
    told = plan_json(spec())["disclosure"]
    assert [topic["topic"] for topic in told["hetero_lr_0"]["topics"]] == ["same_rows", "partial_scores"]
    assert "the host's part of the score of every row" in told["hetero_lr_0"]["outputs"]["guest"][0]
    assert told["dataio_0"]["topics"] == []
    assert told["intersection_0"] == INTERSECTION.variant(INTERSECTION, INTERSECTION.defaults()).disclosure()
    text = plan_text(spec())
    assert f"predicts with {MODEL_ID}, the version that is product" in text
    assert "It cannot predict" not in text


def test_a_module_without_a_model_has_no_prediction() -> None:
    with pytest.raises(DslError, match="FED-141"):
        component("Evaluation", predicting=True)


def test_a_training_in_v2_has_a_predict_job_too() -> None:
    training = pipeline_v2_example.spec(unchanged)
    bodies = json.dumps(training.graph.inference_dsl).encode(), json.dumps(conf()).encode()
    found = parse_pair("later", *bodies, "dsl.json", "conf.json")
    stored = replace(trained(), predict_dsl=training.graph.inference_dsl, conf=training.conf)
    filled = json.dumps(completed(found.conf, stored)).encode()
    again = parse_pair("later", bodies[0], filled, "dsl.json", "conf.json")
    assert again.params == {name: training.params[name] for name in again.graph.components}


# What the model adds to a conf


def test_parameters_and_version_are_those_of_the_training() -> None:
    filled = completed(spec().conf, trained())
    training = pipeline_example.spec().conf
    assert filled["job_parameters"] == {"job_type": "predict", "model_id": MODEL_ID, "model_version": TRAINING}
    assert filled["algorithm_parameters"] == {"hetero_lr_0": training["algorithm_parameters"]["hetero_lr_0"]}
    guest = filled["role_parameters"]["guest"]
    assert guest["dataio_0"] == training["role_parameters"]["guest"]["dataio_0"]
    assert guest["args"] == conf()["role_parameters"]["guest"]["args"]
    assert completed(filled, trained()) == filled


def test_the_trigger_form_is_completed_like_a_file() -> None:
    parties = spec().parties.json()
    fields = {f"algorithm_parameters.{name}": {} for name in dsl()["components"]}
    fields |= {key: spec().conf[key] for key in ("role_parameters", "job_parameters")}
    assert completed(conf_of(parties, fields), trained()) == completed(spec().conf, trained())


def test_the_same_parameters_may_be_given() -> None:
    same = at("algorithm_parameters", hetero_lr_0={"max_iter": 30})
    assert completed(spec(conf_edit=same).conf, trained()) == completed(spec().conf, trained())


CONTRADICTIONS: dict[str, tuple[Edit, str, str]] = {
    "another value": (
        at("algorithm_parameters", hetero_lr_0={"max_iter": 7}),
        "FED-198",
        "algorithm_parameters.hetero_lr_0.max_iter: found 7, the training was trained with 30",
    ),
    "a default of the training": (
        at("algorithm_parameters", hetero_lr_0={"eps": 1e-5}),
        "FED-198",
        "hetero_lr_0.eps: found 1e-05, the training leaves it out",
    ),
    "another party's value": (
        at("role_parameters", "guest", dataio_0={"with_label": [False]}),
        "FED-198",
        "role_parameters.guest.dataio_0.with_label: found [False]",
    ),
    "parties in another role": (at(role={"guest": ["10000"], "host": ["9999"]}), "FED-197", "was trained by"),
    "no object": (at(algorithm_parameters=[]), "FED-103", "algorithm_parameters: found []"),
    "a component that is no object": (at("algorithm_parameters", dataio_0=1), "FED-103", "dataio_0: found 1"),
    "roles that are no object": (at(role_parameters="x"), "FED-103", "role_parameters: found 'x'"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_the_training_is_refused(name: str) -> None:
    edit, code, text = CONTRADICTIONS[name]
    value = json.loads(canonical_json(spec().conf))
    edit(value)
    with pytest.raises(DslError) as error:
        completed(value, trained())
    assert error.value.code == code
    assert text in str(error.value)


# The model in a step


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    """A home that has the guest's half in its cache, and no registry."""
    home = PartyHome(tmp_path)
    TrainedModels(home).cache.put(trained().digest, half(GUEST).files())
    return home


def plan_of(member: Member, digest: str) -> JobPlan:
    versioned = spec(conf_edit=at("job_parameters", model_version=TRAINING))
    return replace(job_plan(versioned, member, JOB_ID, ""), model_digest=digest)


def test_a_step_takes_the_model_that_was_agreed_without_the_registry(home: PartyHome) -> None:
    plan = plan_of(GUEST, trained().digest)
    found = TrainedModels(home).buffers(plan, ModelRef("hetero_lr_0", "hetero_lr", stored=True))
    spec_ = component("HeteroLR").model
    assert spec_ is not None
    assert found == spec_.parse(half(GUEST).components["hetero_lr_0"].buffers)


@pytest.mark.parametrize(
    ("digest", "ref", "code"),
    [
        ("", ModelRef("hetero_lr_0", "hetero_lr", stored=True), "FED-623"),
        (None, ModelRef("hetero_lr_0", "other", stored=True), "FED-624"),
        (None, ModelRef("hetero_lr_1", "hetero_lr", stored=True), "FED-624"),
    ],
)
def test_a_model_that_is_not_there_is_named(home: PartyHome, digest: str | None, ref: ModelRef, code: str) -> None:
    plan = plan_of(GUEST, trained().digest if digest is None else digest)
    with pytest.raises(ModelError, match=code):
        TrainedModels(home).buffers(plan, ref)


def test_inputs_of_a_step_hold_the_stored_model(home: PartyHome, tmp_path: Path) -> None:
    plan = plan_of(ARBITER, "")
    asked: list[ModelRef] = []

    def found(ref: ModelRef) -> dict[str, Any]:
        asked.append(ref)
        return {}

    store = JobStore(tmp_path, Catalogue(tmp_path), found)
    assert store.inputs(plan.steps["hetero_lr_0"], {}).model == {}
    assert asked == [ModelRef("hetero_lr_0", "hetero_lr", stored=True)]


def test_a_training_is_planned_without_a_registry(tmp_path: Path) -> None:
    (plan,) = DslAcceptor(PartyHome(tmp_path)).plans(pipeline_example.proposal(), "10000")
    assert plan.model_digest == ""


# Train, then predict, in this process


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tables = tmp_path_factory.mktemp("data"), breast()
    Catalogue(folder / "9999").write(TableName("breast", "guest"), tables.guest)
    Catalogue(folder / "10000").write(TableName("breast", "host"), tables.host)
    return folder


def test_new_rows_need_no_label(data: Path, tmp_path: Path) -> None:
    example, few = pipeline_example.FOLDER, np.arange(100, 160)
    first = simulate(example / "hetero_lr_dsl.json", example / "hetero_lr_conf.json", data)
    expected = first.predictions()["hetero_lr_0"][GUEST]
    tables = breast()
    new = tables.guest.take(np.flatnonzero(np.isin(tables.guest.ids, expected.ids[few])))
    unlabelled = replace(new, columns={name: new.columns[name] for name in new.columns if name != "y"}, label=None)
    Catalogue(tmp_path / "9999").write(TableName("breast", "guest"), unlabelled)
    Catalogue(tmp_path / "10000").write(TableName("breast", "host"), tables.host)
    pair = FOLDER / "hetero_lr_predict_dsl.json", FOLDER / "hetero_lr_predict_conf.json"
    found = simulate(*pair, tmp_path, models=first.models()).predictions()["hetero_lr_0"][GUEST]
    assert list(found.columns) == ["predict_result", "predict_score", "predict_detail", "type"]
    scores = dict(zip(expected.ids, expected.columns["predict_score"], strict=True))
    assert [scores[i] for i in found.ids] == list(found.columns["predict_score"])
    assert set(found.ids) == set(expected.ids[few])


def test_a_predict_job_scores_as_training_and_online_inference_do(data: Path) -> None:
    example = pipeline_example.FOLDER
    first = simulate(example / "hetero_lr_dsl.json", example / "hetero_lr_conf.json", data)
    pair = FOLDER / "hetero_lr_predict_dsl.json", FOLDER / "hetero_lr_predict_conf.json"
    with pytest.raises(FedError, match="FED-621"):
        simulate(*pair, data)
    again = simulate(*pair, data, models=first.models())
    batch, found = (each.predictions()["hetero_lr_0"][GUEST] for each in (first, again))
    assert list(found.columns) == ["label", "predict_result", "predict_score", "predict_detail", "type"]
    assert set(found.columns["type"]) == {"predict"}
    assert (found.ids == batch.ids).all()
    assert np.array_equal(found.columns["predict_score"], batch.columns["predict_score"])
    scorer, models = component("HeteroLR").scorer, first.models()["hetero_lr_0"]
    assert scorer is not None
    assert scorer.partial is not None
    assert scorer.merge is not None
    tables = {member: again.outputs["intersection_0"][member].data for member in (GUEST, HOST)}
    parts = {m: scorer.partial(models[m], t) for m, t in tables.items() if t}
    online = scorer.merge(models[GUEST], parts[GUEST], [parts[HOST]])
    assert np.array_equal(found.columns["predict_score"], online)
    sent = {topic["topic"] for topic in plan_json(again.spec)["disclosure"]["hetero_lr_0"]["topics"]}
    assert sent == {"same_rows", "partial_scores"}
