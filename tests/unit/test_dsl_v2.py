"""DSL v2 and conf v2 mean the pipeline that v1 writes in its own way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from dags_generator.acceptor import proposed
from dags_generator.describe import plan_json
from dags_generator.dropin import compiled, scan
from dags_generator.form import form
from dags_generator.parse import parse_installed, parse_native, parse_paths
from dags_generator.plan import job_plan
from dags_generator.roleplan import load_role_plans, role_plans
from dags_generator.spec import PipelineSpec
from federated_operators.federate import conf_of
from federated_operators.gateway.plan import DataRef, JobPlan, ProposedJob
from federatedml.canonical import canonical_json
from federatedml.data.catalogue import TableName
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member, Role
from tests import pipeline_example as v1
from tests import pipeline_v2_example as v2
from tests.members import ARBITER, GUEST, HOST

HOST_2 = Member(Role.HOST, "10002")


def without_table_keys(plan: JobPlan) -> JobPlan:
    """A plan without what the two versions cannot have in common: the texts, and the names under which tables go."""
    steps = {
        name: replace(
            step,
            data={
                key: tuple(ref if ref.table is None else DataRef(None, "", ref.table) for ref in refs)
                for key, refs in step.data.items()
            },
        )
        for name, step in plan.steps.items()
    }
    return replace(plan, steps=steps, dsl={}, conf={}, spec_digest="")


def two_hosts(dsl_edit: v1.Edit = v1.unchanged, **role: object) -> PipelineSpec:
    """DataIO and Intersection of a guest and two hosts; ``role`` beside the guest's part."""

    def components(value: dict) -> None:
        del value["hetero_lr_0"], value["evaluation_0"]
        dsl_edit(value)

    def conf(value: dict) -> None:
        value["role"] = {"guest": [9999], "host": [10002, 10000]}
        value["component_parameters"]["common"] = {"dataio_0": {"with_label": False}}
        value["component_parameters"]["role"].update(role)

    return v2.spec(components, conf)


def table(name: str) -> dict[str, object]:
    return {"reader_0": {"table": {"name": name, "namespace": "breast"}}}


def reads(dsl: dict[str, Any]) -> None:
    """DSL v1 with a Reader."""
    dsl["reader_0"] = {"module": "Reader", "output": {"data": ["data"]}}
    dsl["dataio_0"]["input"]["data"]["data"] = ["reader_0.data"]


def table_of_reader(conf: dict[str, Any]) -> None:
    for values in (conf["role_parameters"]["guest"], conf["role_parameters"]["host"]):
        values["args"]["data"] = {"reader_0": values["args"]["data"]["train_data"]}


def test_the_example_is_the_same_job_in_both_versions() -> None:
    read = v1.spec(reads, table_of_reader)
    for member in (GUEST, HOST, ARBITER):
        one, other = (job_plan(found, member, v1.JOB_ID, "") for found in (read, v2.spec()))
        assert without_table_keys(one) == without_table_keys(other)
    assert v2.spec().graph.components == read.graph.components
    assert list(v2.spec().graph.components) == ["reader_0", *v1.spec().graph.components]
    assert v2.spec().graph.readers == ("reader_0",)
    assert v2.spec().tables[HOST] == {"reader_0": TableName("breast", "host")}


def test_a_reader_of_v1_may_name_the_key_of_its_table() -> None:
    def dsl(value: dict[str, Any]) -> None:
        reads(value)
        value["reader_0"]["input"] = {"data": {"data": ["args.train_data"]}}

    found = v1.spec(dsl)
    assert found.graph.components["reader_0"].data == {"data": (DataRef(None, "train_data"),)}
    assert found.graph.readers == ()
    assert found.graph.inference_dsl == v1.spec().graph.inference_dsl


def test_a_party_that_needs_no_table_of_a_reader_has_an_empty_one() -> None:
    found = v2.spec(lambda dsl: dsl.update(reader_1={"module": "Reader", "output": {"data": ["data"]}}))
    assert {member: job_plan(found, member, v1.JOB_ID, "").steps["reader_1"].data for member in (GUEST, HOST)} == {
        GUEST: {},
        HOST: {},
    }


def test_a_pair_of_files_says_how_it_is_read() -> None:
    found = parse_paths(v2.FOLDER / "hetero_lr_v2_dsl.json", v2.FOLDER / "hetero_lr_v2_conf.json")
    assert found.pipeline == "hetero_lr_v2"
    assert any("conf v2 is read as the v1 conf" in note for note in plan_json(found)["notes"])


def test_a_native_file_may_be_v2() -> None:
    body = json.dumps({"dsl": v2.dsl(), "conf": v2.conf()}).encode()
    assert parse_native("hetero_lr", body, "hetero_lr.json") == v2.spec()


def test_the_form_of_a_v2_pipeline_proposes_the_same_pipeline() -> None:
    found = v2.spec()
    params = {field.name: field.default for field in form(found)}
    assert params["algorithm_parameters.hetero_lr_0"]["alpha"] == 0.01
    assert params["role_parameters"]["guest"]["dataio_0"]["label_name"] == ["y"]
    (start,) = (plan.start for plan in role_plans(found.graph, "9999", found))
    assert start is not None
    conf = conf_of(found.parties.json(), params)
    job = ProposedJob("9999", v1.JOB_ID, "hetero_lr", canonical_json(start.dsl), canonical_json(conf))
    again = proposed(job)
    assert again.graph == found.graph
    assert again.graph.digest == found.graph.digest
    assert (again.params, again.tables, again.model_key) == (found.params, found.tables, "breast")


def test_a_v2_pair_can_be_proposed_as_it_is_written() -> None:
    job = ProposedJob("9999", v1.JOB_ID, "hetero_lr", canonical_json(v2.dsl()), canonical_json(v2.conf()))
    assert replace(proposed(job), notes=()) == replace(v2.spec(), notes=())


def test_a_peer_reads_the_dsl_and_the_parties_alone() -> None:
    plan = job_plan(v2.spec(), HOST, v1.JOB_ID, "")
    body = canonical_json({"dsl": plan.dsl, "parties": {key: plan.conf[key] for key in ("initiator", "role")}})
    assert parse_installed("hetero_lr", body, "x.json") == v2.spec().graph


def test_index_keys_name_parties_by_their_position() -> None:
    by_one = two_hosts(host={"0": table("b"), "1": {**table("a"), "dataio_0": {"default_value": 2}}})
    assert by_one.tables[HOST_2]["reader_0"].name == "b"
    assert by_one.tables[HOST]["reader_0"].name == "a"
    assert by_one.params["dataio_0"][HOST]["default_value"] == 2.0
    assert by_one.params["dataio_0"][HOST_2]["default_value"] == 0.0
    together = two_hosts(host={"0|1": table("a"), "all": {"dataio_0": {"default_value": 3}}})
    assert {member: found["reader_0"].name for member, found in together.tables.items()} == {
        GUEST: "guest", HOST: "a", HOST_2: "a"
    }  # fmt: skip
    assert {together.params["dataio_0"][member]["default_value"] for member in (HOST, HOST_2)} == {3.0}


def test_the_role_s_part_beats_the_common_one_and_joins_nested_objects() -> None:
    def conf(value: dict) -> None:
        given = value["component_parameters"]
        given["common"]["hetero_lr_0"]["encrypt_param"] = {"key_length": 1024}
        given["common"]["intersection_0"] = {"encode_params": {"salt": "s", "base64": True}}
        given["role"]["host"]["0"] = {"intersection_0": {"encode_params": {"salt": "t"}}}
        given["role"]["host"]["all"]["intersection_0"] = {"encode_params": {"encode_method": "sha256"}}

    params = v2.spec(conf_edit=conf).params["intersection_0"]
    assert params[HOST]["encode_params"] == {"salt": "t", "encode_method": "sha256", "base64": True}
    assert params[GUEST]["encode_params"] == {"salt": "s", "encode_method": "none", "base64": True}


def test_parties_that_are_not_named_keep_the_common_value_or_the_default() -> None:
    found = two_hosts(host={"all": table("a"), "1": {"dataio_0": {"with_label": False, "columns": ["x1", "x2"]}}})
    assert found.params["dataio_0"][HOST]["columns"] == ["x1", "x2"]
    assert found.params["dataio_0"][HOST_2]["columns"] is None
    assert found.conf["role_parameters"]["host"]["dataio_0"] == {
        "columns": [None, ["x1", "x2"]],
        "with_label": [False] * 2,
    }


def test_equal_values_of_two_index_keys_are_no_conflict() -> None:
    one = {**table("a"), "dataio_0": {"missing_impute": ["-"]}}
    assert two_hosts(host={"all": one, "0": one}).params["dataio_0"][HOST_2]["missing_impute"] == ["-"]


def test_a_table_may_be_common_in_part() -> None:
    def conf(value: dict) -> None:
        given = value["component_parameters"]
        given["common"]["reader_0"] = {"table": {"namespace": "breast", "name": "both"}}
        given["role"]["guest"]["0"]["reader_0"] = {"table": {"name": "mine"}}
        del given["role"]["host"]

    found = v2.spec(conf_edit=conf)
    assert found.tables == {
        ARBITER: {}, GUEST: {"reader_0": TableName("breast", "mine")}, HOST: {"reader_0": TableName("breast", "both")}
    }  # fmt: skip


def test_names_are_free() -> None:
    text = json.dumps({"dsl": v2.dsl(), "conf": v2.conf()})
    for old, new in (("hetero_lr_0", "LR"), ("dataio_0", "io_7"), ("reader_0", "my_tables"), ("evaluation_0", "io_x")):
        text = text.replace(old, new)
    found = parse_native("p", text.encode(), "p.json")
    assert sorted(found.graph.components) == ["LR", "intersection_0", "io_7", "io_x", "my_tables"]
    assert found.tables[GUEST] == {"my_tables": TableName("breast", "guest")}


def test_data_keys_of_v2_are_the_inputs_of_the_modules() -> None:
    def dsl(value: dict) -> None:
        value["hetero_lr_0"]["input"]["data"]["validate_data"] = ["intersection_0.train"]
        value["hetero_lr_1"] = {
            "module": "HeteroLR",
            "input": {"data": {"test_data": ["intersection_0.train"]}, "model": ["hetero_lr_0.hetero_lr"]},
            "output": {"data": ["scores"]},
        }

    found = v2.spec(dsl).graph.components
    assert sorted(found["hetero_lr_0"].data) == ["eval_data", "train_data"]
    assert found["hetero_lr_1"].data == {"eval_data": (DataRef("intersection_0", "train"),)}
    assert found["hetero_lr_1"].data_aliases == ("scores",)


def test_what_only_fate_s_engines_need_is_noted() -> None:
    def conf(value: dict) -> None:
        value["job_parameters"] = {
            "common": {
                "job_type": "train",
                "task_cores": 4,
                "task_parallelism": 1,
                "computing_partitions": 8,
                "eggroll_run": {"eggroll.session.processors.per.node": 2},
                "spark_run": {},
                "rabbitmq_run": {},
                "pulsar_run": {},
                "federated_status_collect_type": "PUSH",
                "adaptation_parameters": {},
                "work_mode": 1,
            },
            "role": {"host": {"0": {"task_cores": 2}}},
        }

    notes = "\n".join(v2.spec(conf_edit=conf).notes)
    for words in ("common.task_cores has no effect", "role.host.0.task_cores has no effect", "common.work_mode has no"):
        assert f"job_parameters.{words}" in notes
    assert v2.spec(conf_edit=conf).conf["job_parameters"] == {"job_type": "train"}


def test_a_dsl_v2_and_a_conf_in_the_shape_of_v1_go_together() -> None:
    conf = v1.conf(table_of_reader)
    body = json.dumps({"dsl": {**v2.dsl(), "dsl_version": 2}, "conf": conf}).encode()
    assert parse_native("hetero_lr", body, "x").params == v2.spec().params


def test_a_dropped_pair_and_what_a_peer_installs_are_one_pipeline(tmp_path: Path) -> None:
    home = PartyHome(tmp_path)
    for folder in (home.dropin, home.installed):
        folder.mkdir()
    for path in v2.FOLDER.iterdir():
        (home.dropin / path.name).write_bytes(path.read_bytes())
    own = compiled(scan(home)["hetero_lr_v2"], "9999")
    (guest,) = load_role_plans(own.body)
    assert guest.start is not None
    (home.installed / "9999.hetero_lr_v2.json").write_bytes(
        canonical_json({"dsl": guest.start.dsl, "parties": guest.parties})
    )
    other = compiled(scan(home)["9999.hetero_lr_v2"], "10000")
    assert other.spec_digest == own.spec_digest != ""
    (host,) = load_role_plans(other.body)
    assert [task.component for task in host.tasks] == ["reader_0", "dataio_0", "intersection_0", "hetero_lr_0"]


def test_a_reader_becomes_the_new_data_of_a_prediction() -> None:
    derived = v2.spec().graph.inference_dsl
    assert derived == v1.spec().graph.inference_dsl
    assert derived["components"]["dataio_0"]["input"]["data"] == {"data": ["args.eval_data"]}
