"""Every mistake that can be written into a v2 DSL or conf is named by the keys of v2."""

from __future__ import annotations

import json

import pytest

from dags_generator.parse import parse_native
from federatedml.errors import DslError
from tests import pipeline_example as v1
from tests import pipeline_v2_example as v2
from tests.pipeline_example import Edit, at, renamed, unchanged, without

LR = "hetero_lr_0"
COMMON = ("component_parameters", "common")
ROLE = ("component_parameters", "role")
JOB = ("job_parameters", "common")
EARLIER = "202611221651119128390"


def both(*edits: Edit) -> Edit:
    def edit(value: object) -> None:
        for one in edits:
            one(value)

    return edit


DSL_ERRORS = {
    "table of v1": (
        at("dataio_0", input={"data": {"data": ["args.train_data"]}}),
        "FED-124",
        "components.dataio_0.input.data.data: 'args.train_data' is DSL v1 (a table is the output of a Reader)",
    ),
    "output that the Reader does not have": (
        at("dataio_0", input={"data": {"data": ["reader_0.train"]}}),
        "FED-122",
        "dataio_0.input.data.data: reader_0 has no data output 'train' (it has: data)",
    ),
    "a Reader that is not there": (
        at("dataio_0", input={"data": {"data": ["reader_1.data"]}}),
        "FED-120",
        "there is no component 'reader_1' (components: dataio_0, evaluation_0, hetero_lr_0, intersection_0, reader_0)",
    ),
    "model of a Reader": (
        at(LR, "input", isometric_model=["reader_0.data"]),
        "FED-122",
        "reader_0 has no model output 'data'",
    ),
    "a Reader with an input": (
        at("reader_0", input={}),
        "FED-102",
        "components.reader_0: key 'input' is not understood (allowed: module, output)",
    ),
    "a Reader without an output": (without("reader_0", "output"), "FED-102", "reader_0: key 'output' is missing"),
    "a Reader with two outputs": (
        at("reader_0", output={"data": ["a", "b"]}),
        "FED-126",
        "reader_0.output.data: 2 outputs (a Reader has exactly one)",
    ),
    "a Reader with a model": (at("reader_0", "output", model=["m"]), "FED-102", "key 'model' is not understood"),
    "a Reader whose output has no name": (at("reader_0", output={"data": ["a.b"]}), "FED-110", "'a.b' is not an"),
    "a Reader with a provider": (at("reader_0", provider="fate"), "FED-150", "provider: is not supported yet"),
    "a Reader's name": (renamed("reader_0", "a b"), "FED-110", "not a component's name"),
    "only Readers": (lambda c: [c.pop(n) for n in list(c) if n != "reader_0"], "FED-113", "there are no components"),
    "name of a task": (renamed(LR, "conclude"), "FED-110", "components.conclude: the name is reserved (not allowed"),
    "name of a role": (renamed(LR, "guest"), "FED-110", "components.guest: the name is reserved"),
    "name of v1's tables": (renamed("reader_0", "args"), "FED-110", "components.args: the name is reserved"),
    "name with a blank": (
        renamed("evaluation_0", "my eval"),
        "FED-110",
        "components.'my eval': not a component's name",
    ),
    "no object": (lambda c: c.update(x=7), "FED-103", "components.x: found a number: 7 (an object is expected)"),
    "unknown input key": (
        at(LR, input={"data": {"train": ["intersection_0.train"]}}),
        "FED-123",
        "'train' is not known (allowed: data, eval_data, test_data, train_data, validate_data)",
    ),
    "input key of another module": (
        at("evaluation_0", input={"data": {"test_data": ["hetero_lr_0.train"]}}),
        "FED-123",
        "evaluation_0.input.data: module Evaluation has no input 'test_data' (allowed: data)",
    ),
    "two keys for one input": (
        at(LR, "input", data={"validate_data": ["intersection_0.train"], "test_data": ["intersection_0.train"]}),
        "FED-150",
        "hetero_lr_0.input.data: test_data, validate_data in one component are not supported yet",
    ),
    "data beside test_data": (
        at(LR, "input", data={"data": ["intersection_0.train"], "test_data": ["intersection_0.train"]}),
        "FED-126",
        "found data, test_data",
    ),
    "warm start": (
        at(LR, "input", model=["hetero_lr_1.m"]),
        "FED-150",
        "components.hetero_lr_0.input: train_data beside model is a warm start, not supported yet",
    ),
    "cache": (at("intersection_0", "input", cache=["a.b"]), "FED-150", "input.cache: is not supported yet"),
    "output of a cache": (at("intersection_0", "output", cache=["c"]), "FED-150", "output.cache: is not supported yet"),
    "provider": (at(LR, provider="fate@1.8.0"), "FED-150", "hetero_lr_0.provider: is not supported yet (a choice of"),
    "more data outputs than the module has": (
        at("intersection_0", output={"data": ["train", "test"]}),
        "FED-126",
        "intersection_0.output.data: 2 outputs (at most one)",
    ),
    "one output twice": (
        at("intersection_0", output={"data": ["train", "train"]}),
        "FED-110",
        "intersection_0.output.data: output 'train' is given twice",
    ),
    "earlier pipeline": (at(LR, module="Pipeline"), "FED-150", "module Pipeline is not supported yet"),
}

CONF_ERRORS = {
    "keys of v1": (at(role_parameters={}), "FED-102", "role_parameters: is a key of conf v1 (conf v2 has component_p"),
    "algorithm_parameters": (at(algorithm_parameters={}), "FED-102", "algorithm_parameters: is a key of conf v1"),
    "unknown key": (at(component_parameter={}), "FED-102", "key 'component_parameter' is not understood"),
    "provider": (at(provider={}), "FED-150", "conf.json: provider: is not supported yet"),
    "no job parameters": (without("job_parameters"), "FED-102", "key 'job_parameters' is missing"),
    "job parameters as in v1": (
        at(job_parameters={"work_mode": 1}),
        "FED-102",
        "job_parameters: key 'work_mode' is not understood (allowed: common, role)",
    ),
    "unknown job parameter": (at(*JOB, cores=4), "FED-102", "job_parameters.common: key 'cores' is not underst"),
    "retries": (at(*JOB, auto_retries=99), "FED-103", "job_parameters.common.auto_retries: found 99 (attempts after"),
    "timeout": (at(*JOB, timeout="60"), "FED-103", "job_parameters.common.timeout: found '60' (seconds"),
    "timeout of nothing": (
        at(*JOB, "task_timeout", reader_9=60),
        "FED-132",
        "job_parameters.common.task_timeout: there is no component 'reader_9'",
    ),
    "inheritance of nothing": (
        at(*JOB, inheritance_info={}),
        "FED-102",
        "job_parameters.common.inheritance_info: key 'component_list' is missing",
    ),
    "inheritance of what is not there": (
        at(*JOB, inheritance_info={"job_id": EARLIER, "component_list": ["lr"]}),
        "FED-132",
        "common.inheritance_info.component_list: there is no component 'lr' (allowed: dataio_0, ",
    ),
    "inheritance of all": (
        at(*JOB, inheritance_info={"job_id": EARLIER, "component_list": list(v2.dsl()["components"])}),
        "FED-113",
        "inheritance_info.component_list: there are no components left to run",
    ),
    "inheritance from no job": (
        at(*JOB, inheritance_info={"job_id": "7", "component_list": ["dataio_0"]}),
        "FED-173",
        "job_parameters.common.inheritance_info.job_id: '7' is not a job id",
    ),
    "inheritance and choice": (
        at(*JOB, inheritance_info={}, specified_task_run={}),
        "FED-102",
        "common.inheritance_info: says the same as specified_task_run (one of the two)",
    ),
    "choice of one role": (
        at("job_parameters", role={"host": {"0": {"inheritance_info": {}}}}),
        "FED-102",
        "job_parameters.role.host.0.inheritance_info: is the same for all parties",
    ),
    "model id": (at(*JOB, model_id="a"), "FED-150", "job_parameters.common.model_id: is not supported yet"),
    "retries of one role": (
        at("job_parameters", role={"host": {"0": {"auto_retries": 1}}}),
        "FED-102",
        "job_parameters.role.host.0.auto_retries: is the same for all parties",
    ),
    "prediction": (at(*JOB, job_type="predict"), "FED-194", "job_parameters.common.job_type: it is predict, but"),
    "model key": (at(*JOB, model_key="a b"), "FED-110", "job_parameters.common.model_key: 'a b' is not a model key"),
    "model key of one role": (
        at("job_parameters", role={"host": {"all": {"model_key": "x"}}}),
        "FED-102",
        "job_parameters.role.host.all.model_key: is the same for all parties (its place is job_parameters.common)",
    ),
    "job parameters of nobody": (at("job_parameters", role={"judge": {}}), "FED-132", "nobody has role 'judge'"),
    "parameters of nobody": (
        at(*ROLE, judge={}),
        "FED-132",
        "component_parameters.role: nobody has role 'judge' (role has: arbiter, guest, host)",
    ),
    "other keys": (at("component_parameters", host={}), "FED-102", "component_parameters: key 'host' is not und"),
    "no index key": (
        at(*ROLE, "host", dataio_0={}),
        "FED-131",
        "component_parameters.role.host: 'dataio_0' is not an index key (for example '0', '0|1' or 'all')",
    ),
    "empty index": (at(*ROLE, "host", **{"0|": {}}), "FED-131", "role.host: '0|' is not an index key"),
    "index with zeros": (at(*ROLE, "host", **{"00": {}}), "FED-131", "role.host: '00' is not an index key"),
    "party twice": (at(*ROLE, "host", **{"0|0": {}}), "FED-131", "role.host: index key '0|0' names a party twice"),
    "index out of range": (
        at(*ROLE, "host", **{"0|1": {}}),
        "FED-131",
        "role.host: index 1 of '0|1' is out of range: there are 1 host parties (0 to 0)",
    ),
    "two index keys that disagree": (
        at(*ROLE, "guest", all={"dataio_0": {"label_name": "z"}}),
        "FED-131",
        "component_parameters.role.guest.all.dataio_0.label_name: index key '0' gives the same party another value",
    ),
    "true is not one": (
        at(*ROLE, "guest", all={"dataio_0": {"with_label": 1}}),
        "FED-131",
        "role.guest.all.dataio_0.with_label: index key '0' gives the same party another value",
    ),
    "an object and a value": (
        at(*ROLE, "guest", all={"dataio_0": {"with_label": {"a": 1}}}),
        "FED-131",
        "role.guest.all.dataio_0.with_label: index key '0' gives the same party another value",
    ),
    "unknown component": (
        at(*COMMON, lr={}),
        "FED-132",
        "component_parameters.common: there is no component 'lr' "
        "(allowed: dataio_0, evaluation_0, hetero_lr_0, intersection_0, reader_0)",
    ),
    "unknown component of a party": (
        at(*ROLE, "host", "all", lr={}),
        "FED-132",
        "component_parameters.role.host.all: there is no component 'lr'",
    ),
    "unknown parameter": (
        at(*COMMON, LR, alfa=1),
        "FED-133",
        "component_parameters.common.hetero_lr_0: parameter 'alfa' is not known (allowed: alpha, ",
    ),
    "unknown parameter of a party": (
        at(*ROLE, "host", "all", "dataio_0", labels="y"),
        "FED-133",
        "component_parameters.role.host.all.dataio_0: parameter 'labels' is not known",
    ),
    "wrong value": (
        at(*COMMON, LR, alpha="x"),
        "FED-133",
        "conf.json: component_parameters.common.hetero_lr_0.alpha: found 'x' (for arbiter_10001)",
    ),
    "wrong value of a party": (
        at(*ROLE, "host", "0", "dataio_0", label_type="x"),
        "FED-133",
        "conf.json: component_parameters.role.host.0.dataio_0.label_type: found 'x' (for host_10000)",
    ),
    "wrong list of a party": (
        at(*ROLE, "host", "all", "dataio_0", columns="x0"),
        "FED-133",
        "role.host.all.dataio_0.columns: found 'x0' (for host_10000) (Input should be a valid array)",
    ),
    "unknown nested parameter of a party": (
        at(*ROLE, "host", "all", LR, "init_param", method="zeros"),
        "FED-133",
        "component_parameters.role.host.all.hetero_lr_0.init_param: parameter 'method' is not known (for host_10000)",
    ),
    "nested mistake in common beside a party's own part": (
        both(
            at(*COMMON, LR, "init_param", init_const="x"),
            at(*ROLE, "arbiter", "0", LR, "init_param", init_method="ones"),
        ),
        "FED-133",
        "component_parameters.common.hetero_lr_0.init_param.init_const: found 'x' (for arbiter_10001)",
    ),
    "parameters that contradict each other": (
        at(*ROLE, "host", "all", LR, max_iter=7),
        "",
        "conf.json: component_parameters.common.hetero_lr_0: ",
    ),
    "no table": (
        without(*ROLE, "host"),
        "FED-134",
        "component_parameters.role.host: host 10000 has no table for reader_0, which dataio_0 reads "
        "(its place is component_parameters.role.host.0.reader_0.table)",
    ),
    "table without a namespace": (
        at(*ROLE, "host", "all", reader_0={"table": {"name": "host"}}),
        "FED-102",
        "component_parameters.role.host.all.reader_0.table: key 'namespace' is missing (found: name)",
    ),
    "table that is a path": (
        at(*ROLE, "host", "all", reader_0={"table": {"name": "..", "namespace": "a"}}),
        "FED-133",
        "component_parameters.role.host.all.reader_0.table: '..' is not a table name",
    ),
    "table that is a list": (
        at(*ROLE, "host", "all", reader_0={"table": [{"name": "host", "namespace": "a"}]}),
        "FED-103",
        "component_parameters.role.host.all.reader_0.table: found a list",
    ),
    "table that is nothing": (
        at(*ROLE, "host", "all", reader_0={"table": None}),
        "FED-103",
        "component_parameters.role.host.all.reader_0.table: found null",
    ),
    "parameter of a Reader": (
        at(*ROLE, "host", "all", "reader_0", partitions=4),
        "FED-102",
        "role.host.all.reader_0: key 'partitions' is not understood (allowed: table)",
    ),
    "table for some hosts only": (
        both(at("role", host=[10000, 10002]), lambda c: c["component_parameters"]["role"]["host"].update(
            {"0": c["component_parameters"]["role"]["host"].pop("all")})),
        "FED-134",
        "component_parameters.role.host: host 10002 has no table for reader_0, which dataio_0 reads "
        "(its place is component_parameters.role.host.1.reader_0.table)",
    ),
    "too many values for all parties": (
        both(
            at("role", host=list(range(32))),
            at(*ROLE, "host", "all", LR, init_param={f"p{i}": i for i in range(4000)}),
        ),
        "FED-100",
        "component_parameters.role: 128",
    ),
    "version of nothing": (at(dsl_version=True), "FED-103", "dsl_version: found True (allowed: 1, 2)"),
    "v2 that says v1": (at(dsl_version=1), "FED-102", "component_parameters: is a key of conf v2"),
}  # fmt: skip


@pytest.mark.parametrize("name", DSL_ERRORS)
def test_a_mistake_in_the_dsl_is_named(name: str) -> None:
    edit, code, text = DSL_ERRORS[name]
    with pytest.raises(DslError) as error:
        v2.spec(edit)
    assert text in str(error.value)
    assert error.value.code == code


@pytest.mark.parametrize("name", CONF_ERRORS)
def test_a_mistake_in_the_conf_is_named(name: str) -> None:
    edit, code, text = CONF_ERRORS[name]
    with pytest.raises(DslError) as error:
        v2.spec(unchanged, edit)
    assert text in str(error.value)
    assert error.value.code.startswith(code)


def test_a_native_file_s_keys_begin_with_its_own() -> None:
    value = {"dsl": v2.dsl(), "conf": v2.conf(at(*ROLE, "host", "all", "dataio_0", label_type="x"))}
    with pytest.raises(DslError, match=r"p\.json: conf\.component_parameters\.role\.host\.all\.dataio_0\.label_type"):
        parse_native("p", json.dumps(value).encode(), "p.json")


def test_a_dsl_and_a_conf_of_different_versions_are_refused() -> None:
    for own, said in ((1, v2.conf()), (2, v1.conf(at(dsl_version=1)))):
        body = json.dumps({"dsl": {**v2.dsl(), "dsl_version": own}, "conf": said}).encode()
        with pytest.raises(DslError, match=rf"dsl\.dsl_version: found {own} \(the conf's dsl_version is {3 - own}\)"):
            parse_native("p", body, "p.json")


def test_a_reader_that_nobody_reads_has_tables_for_all_or_for_none() -> None:
    unread = at("reader_1", module="Reader", output={"data": ["data"]})
    assert v2.spec(unread).graph.readers == ("reader_0", "reader_1")
    one_of_two = both(
        at("role", host=[10000, 10002]),
        at(*ROLE, "host", "0", reader_1={"table": {"name": "a", "namespace": "b"}}),
    )
    with pytest.raises(DslError, match=r"role\.host: reader_1 has no table for 10002, but for others of its role"):
        v2.spec(unread, one_of_two)
