"""A predict job's conf v2: the same job as one of v1, or an error that names the key."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airfed.predict import PredictPipeline, predict_pipeline
from airfed_proto.v1 import model_pb2
from dags_generator.parse import parse_pair
from dags_generator.plan import job_plan
from federated_operators.gateway.plan import dump_plan
from federated_operators.trained import Trained, TrainedModels
from federatedml.canonical import canonical_json
from federatedml.errors import DslError
from federatedml.federation.home import PartyHome
from tests import pipeline_example, pipeline_v2_example, predict_example
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import Edit, at, unchanged
from tests.predict_example import JOB_ID, MODEL_ID, TRAINING

TABLE = {"table": {"name": "new", "namespace": "breast"}}
COMMON, ROLE = ("job_parameters", "common"), ("component_parameters", "role")


def conf_v2(edit: Edit = unchanged) -> dict[str, Any]:
    """The conf of the example's predict job as v2."""
    tables = {"guest": "guest", "host": "host"}
    v1 = predict_example.conf()
    value: dict[str, Any] = {
        "dsl_version": 2,
        "initiator": v1["initiator"],
        "role": v1["role"],
        "job_parameters": {"common": {"job_type": "predict", "model_id": MODEL_ID, "task_cores": 4}},
        "component_parameters": {
            "role": {
                role: {"0": {"reader_0": {"table": {"name": name, "namespace": "breast"}}}}
                for role, name in tables.items()
            }
        },
    }
    edit(value)
    return value


def two_readers(components: Any) -> None:
    components["more"] = copy.deepcopy(components["reader_0"])
    components["hetero_lr_0"]["input"]["data"]["validate_data"] = ["more.data"]


def trained_v2(dsl_edit: Edit = unchanged) -> Trained:
    """The model of the example's training in v2, as its guest has it."""

    def tables_of_more(value: Any) -> None:
        for body in (value["component_parameters"]["role"][role] for role in ("guest", "host")):
            body["all"] = {**body.get("all", {}), **({"more": TABLE} if dsl_edit is not unchanged else {})}

    spec, v1 = pipeline_v2_example.spec(dsl_edit, tables_of_more), predict_example.trained()
    return stored(v1, spec.graph.dsl, spec.graph.inference_dsl, spec.conf)


def stored(found: Trained, dsl: Any, predict_dsl: Any, conf: Any) -> Trained:
    """``found`` as of another training."""
    bodies = {"train_dsl": dsl, "inference_dsl": predict_dsl, "train_runtime_conf": conf}
    pipeline = model_pb2.Pipeline(**{key: canonical_json(value) for key, value in bodies.items()})
    return Trained(replace(found.bundle, pipeline=pipeline.SerializeToString()), found.digest, predict_dsl, conf)


@pytest.fixture
def pipeline_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``predict_pipeline`` on a conf, with the model at hand."""

    def made(conf: dict[str, Any], model: Trained) -> PredictPipeline:
        monkeypatch.setattr(TrainedModels, "find", lambda *_: model)
        path = tmp_path / "scores_conf.json"
        path.write_text(json.dumps(conf))
        return predict_pipeline(PartyHome(tmp_path), path)

    return made


@pytest.mark.parametrize("training", [predict_example.trained(), trained_v2()], ids=["v1", "v2"])
def test_the_job_is_that_of_the_same_conf_in_v1(pipeline_of: Any, training: Trained) -> None:
    v1, v2 = pipeline_of(predict_example.conf(), training), pipeline_of(conf_v2(), training)
    assert v1.dsl == v2.dsl
    assert v2.conf == v1.conf
    assert v2.conf["job_parameters"]["model_version"] == TRAINING
    for member in (GUEST, HOST, ARBITER):
        plans = [json.loads(dump_plan(job_plan(found.spec, member, JOB_ID, "ab" * 32))) for found in (v1, v2)]
        assert plans[0] == plans[1]


def test_what_is_common_and_what_the_job_says_is_taken_over(pipeline_of: Any) -> None:
    def edit(value: Any) -> None:
        at(*COMMON, timeout=60, task_timeout={"hetero_lr_0": 30}, model_version=TRAINING)(value)
        at("component_parameters", common={"reader_0": {"table": {"name": "x", "namespace": "breast"}}})(value)
        at(schedule={"cron": "0 3 * * *"})(value)
        del value["component_parameters"]["role"]["host"]
        value["component_parameters"]["role"]["guest"]["0"]["reader_0"]["table"] = {"name": "y"}

    found = pipeline_of(conf_v2(edit), trained_v2())
    assert found.spec.job.timeout == 60
    assert found.spec.job.task_timeouts == {"hetero_lr_0": 30}
    assert str(found.spec.schedule).startswith("cron 0 3 * * *")
    tables = {role: found.conf["role_parameters"][role]["args"]["data"]["eval_data"] for role in ("guest", "host")}
    assert tables == {role: [{"name": name, "namespace": "breast"}] for role, name in (("guest", "y"), ("host", "x"))}


REFUSED: dict[str, tuple[Edit, str, str]] = {
    "a key of v1": (at(role_parameters={}), "FED-102", "role_parameters: is a key of conf v1"),
    "no model": (
        lambda c: c["job_parameters"]["common"].pop("model_id"),
        "FED-102",
        "common: key 'model_id' is missing",
    ),
    "a model that is no text": (at(*COMMON, model_id=7), "FED-103", "job_parameters.common.model_id: found a number"),
    "a training": (at(*COMMON, job_type="train"), "FED-194", "job_parameters.common: a conf without a DSL"),
    "a key of trainings": (at(*COMMON, model_key="a"), "FED-102", "key 'model_key' is not understood"),
    "an earlier job": (at(*COMMON, inheritance_info={}), "FED-102", "key 'inheritance_info' is not understood"),
    "another model's parties": (at(*COMMON, model_id="guest-1#m"), "FED-195", "job_parameters.common.model_id"),
    "model of one role": (
        at("job_parameters", role={"host": {"0": {"model_version": "7"}}}),
        "FED-102",
        "job_parameters.role.host.0.model_version: is the same for all parties",
    ),
    "a parameter": (
        at(*ROLE, "guest", "0", hetero_lr_0={"max_iter": 3}),
        "FED-198",
        "component_parameters.role.guest.0.hetero_lr_0: 'hetero_lr_0' is no Reader of the training",
    ),
    "a common parameter": (
        at("component_parameters", common={"x": 1}),
        "FED-198",
        "component_parameters.common.x: 'x' is",
    ),
    "another Reader": (at(*ROLE, "host", "0", reader_1=TABLE), "FED-198", "place: more, reader_0"),
    "an unknown key": (at(*ROLE, "host", "0", reader_0={"tables": {}}), "FED-102", "key 'tables' is not understood"),
    "two tables": (
        at(*ROLE, "host", "0", more=TABLE),
        "FED-134",
        "host: host 10000 has different tables for more, reader_0",
    ),
    "no table": (lambda c: c["component_parameters"]["role"].pop("host"), "FED-134", "component_parameters.role.host"),
    "half a table": (
        at(*ROLE, "host", "0", reader_0={"table": {"name": "x"}}),
        "FED-102",
        "component_parameters.role.host.reader_0.table: key 'namespace' is missing",
    ),
    "a table of no name": (
        at(*ROLE, "host", "0", reader_0={"table": {"name": "../x", "namespace": "a"}}),
        "FED-133",
        "component_parameters.role.host.reader_0.table",
    ),
    "out of range": (at(*ROLE, "host", "1", reader_0=TABLE), "FED-131", "index 1 of '1' is out of range"),
    "no index": (at(*ROLE, host=[]), "FED-103", "component_parameters.role.host: found a list"),
    "parameters as a list": (at(component_parameters=[]), "FED-103", "component_parameters: found a list"),
    "job parameters as a list": (at(job_parameters=[]), "FED-103", "job_parameters: found a list"),
    "no job parameters": (lambda c: c.pop("job_parameters"), "FED-102", "key 'job_parameters' is missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_named_where_it_stands(pipeline_of: Any, name: str) -> None:
    edit, code, text = REFUSED[name]
    with pytest.raises(DslError) as error:
        pipeline_of(conf_v2(edit), trained_v2(two_readers))
    assert error.value.code == code
    assert text in str(error.value)
    assert "scores_conf.json" in str(error.value)


def test_one_table_may_be_named_by_every_reader(pipeline_of: Any) -> None:
    def twice(value: Any) -> None:
        at(*ROLE, "guest", "0", more={"table": {"name": "guest", "namespace": "breast"}})(value)
        value["component_parameters"]["role"]["host"]["all"] = {
            "more": {"table": {"name": "host", "namespace": "breast"}}
        }

    training = trained_v2(two_readers)
    assert pipeline_of(conf_v2(twice), training).conf == pipeline_of(conf_v2(), training).conf


@pytest.mark.parametrize("which", ["conf", "dsl"])
def test_a_pair_of_a_predict_dsl_and_a_conf_v2_fits_no_stored_model(which: str) -> None:
    dsl, conf = predict_example.dsl(), predict_example.conf()
    (dsl if which == "dsl" else conf)["dsl_version"] = 2
    with pytest.raises(DslError, match=rf"FED-103.*{which}\.json: dsl_version: found 2 in a pair.*airfed predict CONF"):
        parse_pair("scores", json.dumps(dsl).encode(), json.dumps(conf).encode(), "dsl.json", "conf.json")


def test_a_training_dsl_and_a_conf_of_a_predict_job_are_no_pair() -> None:
    conf = pipeline_v2_example.conf(at(*COMMON, job_type="predict", model_id=MODEL_ID))
    conf["job_parameters"]["common"].pop("model_key")
    dsl = pipeline_v2_example.dsl()
    with pytest.raises(DslError, match=r"FED-194.*job_parameters\.common\.job_type: it is predict"):
        parse_pair("scores", json.dumps(dsl).encode(), json.dumps(conf).encode(), "dsl.json", "conf.json")
    assert pipeline_example.spec().job_type == "train"
