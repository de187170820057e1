"""Who runs what, with which parameters, on what."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dags_generator.describe import document, plan_json, plan_text
from dags_generator.form import form
from dags_generator.plan import disclosure, job_plan
from dags_generator.roleplan import role_plans
from federated_operators.gateway.plan import DataRef, ModelRef, dump_plan, load_plan
from federatedml.component import registry
from federatedml.data.catalogue import TableName
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import JOB_ID, spec

PLANS = {member: job_plan(spec(), member, JOB_ID, "ab" * 32) for member in (GUEST, HOST, ARBITER)}


def test_a_member_runs_the_components_that_its_role_takes_part_in() -> None:
    assert list(PLANS[GUEST].steps) == ["dataio_0", "intersection_0", "hetero_lr_0", "evaluation_0"]
    assert list(PLANS[HOST].steps) == ["dataio_0", "intersection_0", "hetero_lr_0"]
    assert list(PLANS[ARBITER].steps) == ["hetero_lr_0"]
    assert PLANS[GUEST].steps["hetero_lr_0"].members == (ARBITER, GUEST, HOST)
    assert PLANS[GUEST].steps["dataio_0"].members == (GUEST, HOST)


def test_dags_of_peers_carry_the_initiator() -> None:
    assert PLANS[GUEST].dag_id == "hetero_lr.guest_9999"
    assert PLANS[HOST].dag_id == "9999.hetero_lr.host_10000"
    assert PLANS[ARBITER].dag_id == "9999.hetero_lr.arbiter_10001"


def test_inputs_are_what_the_member_itself_has() -> None:
    table = TableName("breast", "host")
    assert PLANS[HOST].steps["dataio_0"].data == {"data": (DataRef(None, "train_data", table),)}
    assert PLANS[GUEST].steps["hetero_lr_0"].data == {"train_data": (DataRef("intersection_0", "train"),)}
    assert PLANS[ARBITER].steps["hetero_lr_0"].data == {}
    assert PLANS[ARBITER].steps["hetero_lr_0"].upstream == []
    assert PLANS[GUEST].steps["evaluation_0"].upstream == ["hetero_lr_0"]


def test_edges_reach_through_components_that_a_member_does_not_run() -> None:
    def second_model(components: dict) -> None:
        components["dataio_1"] = {
            "module": "DataIO",
            "input": {"data": {"data": ["args.train_data"]}, "isometric_model": ["hetero_lr_0.hetero_lr"]},
            "output": {"data": ["train"]},
        }

    found = spec(second_model)
    assert job_plan(found, HOST, JOB_ID, "").steps["dataio_1"].upstream == ["hetero_lr_0"]
    assert job_plan(found, HOST, JOB_ID, "").steps["dataio_1"].isometric_model == ModelRef("hetero_lr_0", "hetero_lr")
    found = spec(lambda c: c["hetero_lr_0"]["input"].update(isometric_model=["dataio_0.dataio"]))
    assert job_plan(found, ARBITER, JOB_ID, "").steps["hetero_lr_0"].isometric_model is None
    assert job_plan(found, GUEST, JOB_ID, "").steps["hetero_lr_0"].upstream == ["dataio_0", "intersection_0"]


def test_later_layers_of_parameters_win() -> None:
    def edit(conf: dict) -> None:
        conf["algorithm_parameters"]["dataio_0"] = {"missing_fill": True, "default_value": 3, "label_name": "z"}
        conf["role_parameters"]["host"]["dataio_0"] = {"with_label": [False], "default_value": [4.5]}

    params = spec(conf_edit=edit).params["dataio_0"]
    assert params[GUEST]["default_value"] == 3.0
    assert params[GUEST]["label_name"] == "y"
    assert params[HOST]["default_value"] == 4.5
    assert params[HOST]["label_name"] == "z"
    assert params[HOST]["missing_fill"] is True
    assert params[HOST]["delimitor"] == ","


def test_nested_role_parameters_have_their_lists_at_the_leaves() -> None:
    def edit(conf: dict) -> None:
        conf["algorithm_parameters"]["intersection_0"] = {"encode_params": {"salt": "s", "base64": True}}
        conf["role_parameters"]["host"]["intersection_0"] = {"encode_params": {"salt": ["t"]}}

    params = spec(conf_edit=edit).params["intersection_0"]
    assert params[GUEST]["encode_params"] == {"salt": "s", "encode_method": "none", "base64": True}
    assert params[HOST]["encode_params"] == {"salt": "t", "encode_method": "none", "base64": True}


def test_a_choice_of_auto_is_made_in_the_plan_and_shown() -> None:
    found = spec()
    assert {params["protocol"] for params in found.params["hetero_lr_0"].values()} == {"shared"}
    assert "protocol = 'shared'  (auto)" in plan_text(found)
    assert plan_json(found)["members"]["guest_9999"]["components"]["hetero_lr_0"]["auto"] == ["protocol"]


def test_need_deploy_is_the_dsl_s_or_the_module_s() -> None:
    found = spec(lambda components: components["hetero_lr_0"].pop("need_deploy")).graph.components
    assert found["hetero_lr_0"].need_deploy
    assert not found["evaluation_0"].need_deploy
    assert not spec(lambda c: c["hetero_lr_0"].update(need_deploy=False)).graph.components["hetero_lr_0"].need_deploy


def test_an_output_that_the_module_does_not_have_is_dropped_as_in_fates_examples() -> None:
    found = spec(lambda components: components["evaluation_0"].update(output={"data": ["evaluate"]}))
    assert found.graph.components["evaluation_0"].data_aliases == ()


def test_party_ids_are_strings_whichever_way_they_are_written() -> None:
    def as_text(conf: dict) -> None:
        conf["initiator"]["party_id"] = "9999"
        conf["role"] = {"arbiter": ["10001"], "host": ["10000"], "guest": ["9999"]}

    assert spec(conf_edit=as_text).graph.digest == spec().graph.digest
    assert spec(conf_edit=as_text).conf == spec().conf


def test_the_spec_digest_is_of_dsl_and_parties_only() -> None:
    parameters = spec(conf_edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=3))
    assert parameters.graph.digest == spec().graph.digest
    assert spec(conf_edit=lambda conf: conf["role"].update(host=[10002])).graph.digest != spec().graph.digest
    assert spec(lambda components: components["dataio_0"].update(need_deploy=False)).graph.digest != spec().graph.digest


def test_the_model_key_is_in_the_model_id() -> None:
    assert PLANS[HOST].party_model_id == "host#10000#arbiter-10001#guest-9999#host-10000#breast"
    assert spec(conf_edit=lambda conf: conf["job_parameters"].pop("model_key")).model_key == "model"


def test_the_disclosure_is_the_components_own() -> None:
    modules = {
        "dataio_0": "DataIO",
        "evaluation_0": "Evaluation",
        "hetero_lr_0": "HeteroLR",
        "intersection_0": "Intersection",
    }
    told = disclosure(spec())
    parts = {name: registry()[module] for name, module in modules.items()}
    assert told == {name: part.variant(part, part.defaults()).disclosure() for name, part in parts.items()}


def test_a_plan_tells_of_the_chosen_method_only_and_of_budgets() -> None:
    def ask(method: str) -> Any:
        return lambda conf: conf["algorithm_parameters"].update(intersection_0={"intersect_method": method})

    for method, others in (("rsa", ("ecdh_", "raw_", "kkrt_")), ("auto", ("raw_", "rsa_", "cached_"))):
        made = spec(conf_edit=ask(method))
        names = [each["topic"] for each in plan_json(made)["disclosure"]["intersection_0"]["topics"]]
        assert not [name for name in names if name.startswith(others)]
        assert "hashed ids" not in plan_text(made)
    assert plan_json(made)["budgets"]["intersection_0"] == ["psi_ids"]
    assert "intersection_0: psi_ids" in plan_text(made)
    assert "hashed ids" in plan_text(spec(conf_edit=ask("raw")))


def test_the_plan_tells_of_the_chosen_protocol_only() -> None:
    def encrypted(conf: dict) -> None:
        chosen = conf["algorithm_parameters"]["hetero_lr_0"]
        chosen.update(encrypt_param={"method": "Paillier", "key_length": 1024}, batch_rows_per_column=5)
        chosen.update(encrypted_mode_calculator_param={"mode": "fast"})

    shared, text = plan_text(spec()), plan_text(spec(conf_edit=encrypted))
    assert "protocol = 'paillier'  (auto)" in text
    assert "public key of this attempt" in text
    assert "public key of this attempt" not in shared
    assert "correlated randomness" in shared
    assert "correlated randomness" not in text
    assert "EXCEPTION: batch_rows_per_column is 5, not 10" in text
    assert "Note: hetero_lr_0: encrypted_mode_calculator_param.mode 'fast' runs as 'strict'" in text
    assert "Note: hetero_lr_0: encrypt_param.key_length 1024 is short" in text


def test_all_members_store_the_same_predict_dsl() -> None:
    assert {json.dumps(plan.inference_dsl) for plan in PLANS.values()} == {json.dumps(spec().graph.inference_dsl)}
    assert load_plan(dump_plan(PLANS[HOST])).inference_dsl == PLANS[HOST].inference_dsl


def test_a_plan_that_was_kept_before_there_was_a_predict_dsl_is_read() -> None:
    kept = json.loads(dump_plan(PLANS[GUEST]))
    del kept["inference_dsl"]
    assert dump_plan(load_plan(json.dumps(kept).encode())) == dump_plan(replace(PLANS[GUEST], inference_dsl={}))


def test_the_plan_ends_with_the_predict_dsl() -> None:
    text = plan_text(spec())
    _, _, shown = text.partition("Predict DSL, stored with the model:")
    assert json.loads(shown) == spec().graph.inference_dsl
    assert plan_json(spec())["predict_dsl"] == spec().graph.inference_dsl
    assert plan_json(spec())["predict_problem"] is None


def test_the_plan_says_why_a_pipeline_will_not_predict() -> None:
    nothing = spec(lambda components: [body.update(need_deploy=False) for body in components.values()])
    assert "Predict DSL, stored" not in plan_text(nothing)
    assert plan_text(nothing).endswith("no component is deployed (need_deploy: true)\n")
    refits = spec(lambda components: components["hetero_lr_0"]["output"].pop("model"))
    assert "Predict DSL, stored" in plan_text(refits)
    assert "hetero_lr_0" in plan_json(refits)["predict_problem"]


def test_the_document_of_a_dag_says_who_learns_what() -> None:
    for member in PLANS:
        text = document(spec().graph, member)
        for component, module in PLANS[GUEST].modules.items():
            for topic in registry()[module].topics:
                assert f"| {component} | {topic.name} |" in text
        assert not text.endswith(".md"), "Airflow would read a file of that name"
    assert "Trigger it here." in document(spec().graph, GUEST)
    assert "It is started by guest 9999." in document(spec().graph, HOST)


def test_only_the_initiator_has_a_form_with_the_conf_s_values() -> None:
    (guest,), (host,) = (role_plans(spec().graph, party, spec()) for party in ("9999", "10000"))
    assert host.start is None
    assert guest.start is not None
    fields = {field.name: field for field in guest.start.form}
    assert list(fields) == [
        *(f"algorithm_parameters.{name}" for name in PLANS[GUEST].steps),
        "role_parameters",
        "job_parameters",
    ]
    assert fields["algorithm_parameters.hetero_lr_0"].default == spec().conf["algorithm_parameters"]["hetero_lr_0"]
    assert fields["algorithm_parameters.dataio_0"].default == {}
    assert fields["job_parameters"].default == {"work_mode": 1, "model_key": "breast"}


@pytest.mark.parametrize("field", form(spec()), ids=lambda field: field.name)
def test_a_form_field_explains_itself(field) -> None:
    assert field.schema["title"]
    assert field.schema["type"] == "object"
    for name in field.schema["properties"] if "." in field.name else ():
        assert f"| `{name}` |" in field.schema["description_md"]


def test_the_text_of_a_plan_names_everything() -> None:
    text = plan_text(spec())
    for words in ("hetero_lr.guest_9999", "train_data: breast/host", "max_iter = 30", "work_mode has no effect"):
        assert words in text
