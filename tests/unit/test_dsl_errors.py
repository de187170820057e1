"""Every mistake that can be written into a DSL or conf is found before anything runs, and named."""

from __future__ import annotations

import json

import pytest

from dags_generator.parse import parse_native, parse_pair
from dags_generator.reading import read_object
from federatedml.errors import DslError
from tests.pipeline_example import JOB_ID, Edit, at, conf, dsl, renamed, spec, unchanged, without

LR = "hetero_lr_0"


def lr(**values: object) -> Edit:
    return at("algorithm_parameters", LR, **values)


DSL_ERRORS = {
    "name without an index": (renamed(LR, "lr"), "FED-110", "components.lr: the name is not prefix_INDEX"),
    "index is not a number": (renamed(LR, "lr_x"), "FED-110", "components.lr_x: the name is not prefix_INDEX"),
    "index has leading zeros": (renamed(LR, "lr_00"), "FED-110", "components.lr_00: the name is not prefix_INDEX"),
    "indices do not start at 0": (renamed(LR, "lr_1"), "FED-111", "components: indices of prefix 'lr' are 1"),
    "one prefix for two modules": (
        renamed(LR, "dataio_1"),
        "FED-112",
        "components.dataio_1.module: prefix 'dataio' names module 'HeteroLR', but 'DataIO' in dataio_0",
    ),
    "no components": (lambda c: c.clear(), "FED-113", "hetero_lr_dsl.json: components: there are no components"),
    "too many components": (
        lambda c: c.update({f"dataio_{i}": c["dataio_0"] for i in range(201)}),
        "FED-113",
        "at most 200",
    ),
    "no module": (without(LR, "module"), "FED-102", f"components.{LR}: key 'module' is missing (found: input"),
    "unknown module": (
        at(LR, module="HeteroLr"),
        "FED-121",
        "module: module 'HeteroLr' is not installed (installed: DataIO, ",
    ),
    "module of a later version": (at(LR, module="Pipeline"), "FED-150", "module Pipeline is not supported yet"),
    "unknown component": (
        at(LR, input={"data": {"train_data": ["intersect_0.train"]}}),
        "FED-120",
        f"components.{LR}.input.data.train_data: there is no component 'intersect_0' "
        "(components: dataio_0, evaluation_0, hetero_lr_0, intersection_0)",
    ),
    "undeclared output": (
        at(LR, input={"data": {"train_data": ["intersection_0.rows"]}}),
        "FED-122",
        "train_data: intersection_0 has no data output 'rows' (it has: train)",
    ),
    "output of a module that has none": (
        at(LR, input={"data": {"train_data": ["evaluation_0.train"]}}),
        "FED-122",
        "evaluation_0 has no data output 'train' (it has: none)",
    ),
    "model of a component without one": (
        at(LR, "input", isometric_model=["intersection_0.train"]),
        "FED-122",
        "isometric_model: intersection_0 has no model output 'train' (it has: none)",
    ),
    "model of another module": (
        at(LR, "input", model=["dataio_0.dataio"]),
        "FED-127",
        "input.model: the model of dataio_0 is of module DataIO (a model of HeteroLR)",
    ),
    "model that is a table": (at(LR, "input", model=["args.x"]), "FED-124", "'args.x' is a table, not a model"),
    "two models": (at(LR, "input", model=["dataio_0.dataio"] * 2), "FED-126", "input.model: 2 references"),
    "pipeline model": (at(LR, "input", model=["pipeline.a.b"]), "FED-124", "'pipeline.a.b' is no model of hetero_lr_0"),
    "unknown input key": (
        at(LR, input={"data": {"train": ["intersection_0.train"]}}),
        "FED-123",
        f"components.{LR}.input.data: input key 'train' is not known (allowed: data, eval_data, train_data)",
    ),
    "input key of another module": (
        at("evaluation_0", input={"data": {"train_data": ["hetero_lr_0.train"]}}),
        "FED-123",
        "module Evaluation has no input 'train_data' (allowed: data)",
    ),
    "data beside train_data": (
        at("dataio_0", input={"data": {"data": ["args.a"], "train_data": ["args.b"]}}),
        "FED-126",
        "found data, train_data",
    ),
    "no input": (without(LR, "input"), "FED-126", "there is no input data"),
    "empty references": (at(LR, input={"data": {"train_data": []}}), "FED-124", "the list of references is empty"),
    "several references": (
        at(LR, input={"data": {"train_data": ["intersection_0.train", "dataio_0.train"]}}),
        "FED-126",
        "train_data: 2 references",
    ),
    "several tables for what takes one": (
        at("intersection_0", input={"data": {"data": ["dataio_0.train", "args.more"]}}),
        "FED-126",
        "components.intersection_0.input.data.data: 2 references, module Intersection takes one table (exactly one, or",
    ),
    "reference to nothing": (
        at(LR, input={"data": {"train_data": ["intersection_0"]}}),
        "FED-124",
        "'intersection_0' refers to nothing (COMPONENT.OUTPUT or args.KEY)",
    ),
    "reference that is no text": (at(LR, input={"data": {"train_data": [7]}}), "FED-103", "found a number: 7"),
    "references that are no list": (
        at(LR, input={"data": {"train_data": "intersection_0.train"}}),
        "FED-103",
        "found a string: 'intersection_0.train' (a list is expected)",
    ),
    "itself": (
        at(LR, input={"data": {"train_data": ["hetero_lr_0.train"]}}),
        "FED-125",
        "components wait for each other: hetero_lr_0 -> hetero_lr_0",
    ),
    "cycle": (
        at("dataio_0", input={"data": {"data": ["hetero_lr_0.train"]}}),
        "FED-125",
        "components wait for each other: dataio_0 -> intersection_0 -> hetero_lr_0 -> dataio_0",
    ),
    "two outputs": (at(LR, output={"data": ["a", "b"]}), "FED-126", "output.data: 2 outputs (at most one"),
    "output that is no name": (at(LR, output={"data": ["../x"]}), "FED-110", "'../x' is not an output's name"),
    "need_deploy that is no boolean": (at(LR, need_deploy="yes"), "FED-103", "need_deploy: found 'yes'"),
    "rule that is none": (
        at(LR, trigger_rule="one_failed"),
        "FED-103",
        "components.hetero_lr_0.trigger_rule: found 'one_failed' (allowed: all_done, all_success, one_success)",
    ),
    "rules that are a list": (at(LR, trigger_rule=["all_done"]), "FED-103", "trigger_rule: found ['all_done']"),
    "rule by another name": (
        at(LR, success_policy="all_done"),
        "FED-102",
        "components.hetero_lr_0.success_policy: is not understood (the key is trigger_rule)",
    ),
    "one of no inputs": (
        at("dataio_0", trigger_rule="one_success"),
        "FED-128",
        "components.dataio_0.trigger_rule: no other component is referred to, so none can succeed",
    ),
    "unknown key": (at(LR, inputs={}), "FED-102", "key 'inputs' is not understood (allowed: input, module"),
    "hostile name": (
        renamed("evaluation_0", "{{ x }};'_0"),
        "FED-110",
        """components."{{ x }};'_0": not a component's name""",
    ),
}


@pytest.mark.parametrize("name", DSL_ERRORS)
def test_a_mistake_in_the_dsl_is_named(name: str) -> None:
    edit, code, text = DSL_ERRORS[name]
    with pytest.raises(DslError) as error:
        spec(edit)
    assert error.value.code == code
    assert text in str(error.value)
    assert "hetero_lr_dsl.json" in str(error.value)


CONF_ERRORS = {
    "conf v3": (at(dsl_version=3), "FED-103", "dsl_version: found 3 (allowed: 1, 2)"),
    "component_parameters": (
        at(component_parameters={}),
        "FED-102",
        "component_parameters: is a key of conf v2 (say so in the conf: dsl_version 2)",
    ),
    "unknown key": (at(algorithm_parameter={}), "FED-102", "key 'algorithm_parameter' is not understood"),
    "no initiator": (without("initiator"), "FED-102", "key 'initiator' is missing"),
    "no job_parameters": (without("job_parameters"), "FED-102", "key 'job_parameters' is missing"),
    "no role": (without("role"), "FED-102", "key 'role' is missing"),
    "initiator that is no party": (
        at("initiator", party_id=8888),
        "FED-130",
        "initiator: initiator guest 8888 is not among the parties (role.guest: 9999)",
    ),
    "initiator of an unknown role": (at("initiator", role="boss"), "FED-101", "initiator.role: found 'boss'"),
    "unknown role": (at("role", judge=[1]), "FED-102", "role: key 'judge' is not understood (allowed: arbiter, g"),
    "no parties in a role": (at("role", host=[]), "FED-101", "role.host: 0 parties"),
    "party twice": (at("role", host=[10000, "10000"]), "FED-101", "role.host: party 10000 is given twice"),
    "party id that is a boolean": (at("role", host=[True]), "FED-101", "role.host: True is not a party id"),
    "party id that is a path": (at("role", host=["../10000"]), "FED-101", "'../10000' is not a party id"),
    "role that a module needs": (
        without("role", "arbiter"),
        "FED-135",
        "components.hetero_lr_0.module: module HeteroLR needs arbiter (the conf's role has: guest, host)",
    ),
    "predict job": (
        at("job_parameters", job_type="predict"),
        "FED-194",
        "job_type: it is predict, but the DSL takes no",
    ),
    "no time": (
        at("job_parameters", timeout=0),
        "FED-103",
        "job_parameters.timeout: found 0 (seconds, a whole number from 1 to 31622400)",
    ),
    "all the time": (at("job_parameters", timeout=10**9), "FED-103", "job_parameters.timeout: found 1000000000"),
    "time as text": (at("job_parameters", timeout="60"), "FED-103", "job_parameters.timeout: found '60'"),
    "half a second": (at("job_parameters", task_timeout=0.5), "FED-103", "job_parameters.task_timeout: found 0.5"),
    "time of a component": (
        at("job_parameters", "task_timeout", hetero_lr_0=True),
        "FED-103",
        "job_parameters.task_timeout.hetero_lr_0: found True (seconds",
    ),
    "time of nothing": (
        at("job_parameters", "task_timeout", hetero_lr_1=60),
        "FED-132",
        "job_parameters.task_timeout: there is no component 'hetero_lr_1' (allowed: dataio_0, ",
    ),
    "less than no retries": (
        at("job_parameters", auto_retries=-1),
        "FED-103",
        "job_parameters.auto_retries: found -1 (attempts after an error, a whole number from 0 to 10)",
    ),
    "too many retries": (
        at("job_parameters", "auto_retries", dataio_0=11),
        "FED-103",
        "job_parameters.auto_retries.dataio_0: found 11",
    ),
    "retries of nothing": (at("job_parameters", "auto_retries", lr=1), "FED-132", "there is no component 'lr'"),
    "choice that is a list": (
        at("job_parameters", specified_task_run=[]),
        "FED-103",
        "specified_task_run: found a list",
    ),
    "choice without a job": (
        at("job_parameters", specified_task_run={"components": [LR]}),
        "FED-102",
        "job_parameters.specified_task_run: key 'job_id' is missing (found: components)",
    ),
    "choice from no job": (
        at("job_parameters", specified_task_run={"job_id": "20261122", "components": [LR]}),
        "FED-173",
        "job_parameters.specified_task_run.job_id: '20261122' is not a job id (20 to 26 digits",
    ),
    "choice of nothing": (
        at("job_parameters", specified_task_run={"job_id": JOB_ID, "components": []}),
        "FED-113",
        "job_parameters.specified_task_run.components: there are no components",
    ),
    "choice of what is not there": (
        at("job_parameters", specified_task_run={"job_id": JOB_ID, "components": ["lr"]}),
        "FED-132",
        "specified_task_run.components: there is no component 'lr' (allowed: dataio_0, ",
    ),
    "model key": (at("job_parameters", model_key="a/b"), "FED-110", "model_key: 'a/b' is not a model key"),
    "unknown component": (
        at("algorithm_parameters", hetero_lr_1={}),
        "FED-132",
        "algorithm_parameters: there is no component 'hetero_lr_1' (allowed: dataio_0,",
    ),
    "unknown component of a role": (
        at("role_parameters", "host", dataio_9={}),
        "FED-132",
        "role_parameters.host: there is no component 'dataio_9' (allowed: args, dataio_0,",
    ),
    "unknown parameter": (
        lr(lerning_rate=0.1),
        "FED-133",
        "algorithm_parameters.hetero_lr_0: parameter 'lerning_rate' is not known (for arbiter_10001) (allowed: alpha,",
    ),
    "unknown nested parameter": (
        lr(init_param={"seed": 1}),
        "FED-133",
        "hetero_lr_0.init_param: parameter 'seed' is not known (for arbiter_10001) (allowed: fit_intercept, init_",
    ),
    "wrong type": (lr(max_iter="30"), "FED-133", "hetero_lr_0.max_iter: found '30' (for arbiter_10001) (Input should"),
    "out of bounds": (lr(max_iter=0), "FED-133", "max_iter: found 0 (for arbiter_10001) (Input should be greater than"),
    "boolean for a number": (lr(max_iter=True), "FED-133", "max_iter: found True"),
    "parameters that are no object": (at("algorithm_parameters", hetero_lr_0=[]), "FED-103", "an object is expected"),
    "role parameter that is no list": (
        at("role_parameters", "host", "dataio_0", with_label=False),
        "FED-131",
        "role_parameters.host.dataio_0.with_label: found False (a role parameter is a list with one value per party)",
    ),
    "short list": (
        at("role", host=[10000, 10002]),
        "FED-131",
        "role_parameters.host.dataio_0.with_label: 1 values for 2 host parties (one for each of 10000, 10002)",
    ),
    "list that is too long": (
        at("role_parameters", "host", "dataio_0", with_label=[True, False]),
        "FED-131",
        "2 values for 1 host parties",
    ),
    "list parameter without the outer list": (
        at("role_parameters", "host", "dataio_0", columns=["x0"]),
        "FED-133",
        "role_parameters.host.dataio_0.columns: found 'x0' (for host_10000) (Input should be a valid array; "
        "in role_parameters a list stands inside the list of parties)",
    ),
    "role parameters for nobody": (
        at("role_parameters", judge={}),
        "FED-132",
        "role_parameters: nobody has role 'judge' (role has: arbiter, guest, host)",
    ),
    "no table": (
        at("role_parameters", "host", args={"data": {"train": [{"name": "host", "namespace": "breast"}]}}),
        "FED-134",
        "host.args.data: no table 'train_data', which dataio_0 reads as input.data.data (given: train)",
    ),
    "table without a namespace": (
        at("role_parameters", "host", args={"data": {"train_data": [{"name": "host"}]}}),
        "FED-102",
        "role_parameters.host.args.data.train_data: key 'namespace' is missing (found: name)",
    ),
    "table that is a path": (
        at("role_parameters", "host", args={"data": {"train_data": [{"name": "..", "namespace": "a"}]}}),
        "FED-133",
        "'..' is not a table name",
    ),
}


@pytest.mark.parametrize("name", CONF_ERRORS)
def test_a_mistake_in_the_conf_is_named(name: str) -> None:
    edit, code, text = CONF_ERRORS[name]
    with pytest.raises(DslError) as error:
        spec(unchanged, edit)
    assert error.value.code == code
    assert text in str(error.value)


def test_parties_that_contradict_their_parameters_are_a_mistake_of_the_component() -> None:
    def edit(value: dict) -> None:
        value["role_parameters"]["host"]["hetero_lr_0"] = {"max_iter": [7]}

    with pytest.raises(DslError, match=r"hetero_lr_conf\.json: algorithm_parameters\.hetero_lr_0: "):
        spec(unchanged, edit)


TEXT_ERRORS = {
    b'{"a": 1, "a": 2}': "key 'a' is given twice",
    b'{"a": NaN}': "NaN is not a JSON number",
    b'{"a": -Infinity}': "-Infinity is not a JSON number",
    b'{"a": 1e999}': "out of range",
    b'{"a": 9007199254740993}': "beyond 2^53 - 1",
    b'{"a": 1e20}': "beyond 2^53 - 1",
    b'{"a": 1' + b"0" * 400 + b"}": "beyond 2^53 - 1",
    b'{"a": "\\ud800"}': "surrogate",
    b'{"a": ': "not JSON at line 1",
    b"[]": "found a list, a JSON object is expected",
    b"\xff": "not UTF-8 at byte 0",
    b'{"a":' * 40 + b"1" + b"}" * 40: "nested more than 32 deep",
    b"[" * 100_000: "cannot be read",
    b'{"a": ' + b"9" * 5000 + b"}": "cannot be read",
    b" " * (2**20 + 1): "1048577 bytes (at most 1048576 are read)",
}


@pytest.mark.parametrize("body", TEXT_ERRORS, ids=lambda body: repr(body[:16]))
def test_text_that_is_not_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(DslError) as error:
        read_object(body, "x.json")
    assert "x.json" in str(error.value)
    assert TEXT_ERRORS[body] in str(error.value)


def test_a_native_file_and_a_pair_are_the_same_pipeline() -> None:
    native = json.dumps({"dsl": dsl(), "conf": conf()}).encode()
    assert parse_native("hetero_lr", native, "hetero_lr.json") == spec()
    assert spec().graph.digest == parse_native("hetero_lr", native, "hetero_lr.json").graph.digest


def test_a_pipeline_name_that_is_not_a_file_name_is_refused() -> None:
    bodies = json.dumps(dsl()).encode(), json.dumps(conf()).encode()
    for name in ("", "../x", "a.b", "9x", "a" * 65, "a\0", "\N{FULLWIDTH FULL STOP}"):
        with pytest.raises(DslError, match="FED-110"):
            parse_pair(name, *bodies, "a", "b")
