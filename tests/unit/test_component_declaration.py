"""What is derived from declarations holds for every installed component."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from federatedml.component import Component, Inputs, ModelSpec, Params, component, registry
from federatedml.errors import DslError, ModelError
from federatedml.federation.party import Member, Role
from tests.members import GUEST, HOST, table

MODULES = ("DataIO", "Evaluation", "HeteroLR", "Intersection", "SecureAddExample")


@pytest.fixture(params=sorted(registry()))
def one(request: pytest.FixtureRequest) -> Component:
    return component(request.param)


def test_the_installed_modules_are_found_by_name() -> None:
    assert set(MODULES) <= set(registry())
    with pytest.raises(DslError, match=r"FED-121.*'HeteroFTL' is not installed.*DataIO, .*Evaluation"):
        component("HeteroFTL")


def test_every_topic_says_who_learns_what(one: Component) -> None:
    report = one.disclosure()
    assert [entry["topic"] for entry in report["topics"]] == list(one.topic_table())
    for entry in report["topics"]:
        assert set(entry["from"]) <= {str(role) for role in one.roles}
        assert set(entry["to"]) <= {str(role) for role in one.roles}
        assert entry["learns"]
    assert json.loads(json.dumps(report)) == report


def test_every_parameter_has_a_default_and_survives_json(one: Component) -> None:
    defaults = one.defaults()
    text = defaults.model_dump_json()
    assert one.params.model_validate_json(text) == defaults
    assert set(json.loads(text)) == set(one.params.model_json_schema()["properties"])


def test_unknown_parameters_and_other_types_are_refused(one: Component) -> None:
    with pytest.raises(ValidationError, match="no_such_parameter"):
        one.params.model_validate({"no_such_parameter": 1})
    for name, value in json.loads(one.defaults().model_dump_json()).items():
        other: Any = {"an": "object"} if not isinstance(value, dict) else 5
        with pytest.raises(ValidationError, match=name):
            one.params.model_validate({name: other})


def test_settling_is_stable(one: Component) -> None:
    members = {Member(role, f"of-{role}") for role in one.roles}
    if Role.HOST in one.roles:
        members.add(Member(Role.HOST, "another"))  # of two contributors HomoLR makes an exception
    submitted = dict.fromkeys(members, one.defaults())
    settled = one.settle(submitted)
    assert set(settled) == set(submitted)
    assert one.settle(settled) == settled


def test_a_model_has_buffers_if_and_only_if_it_is_declared(one: Component) -> None:
    assert (one.model is not None) == one.has_model
    if one.model is not None:
        for part in one.model.parts or [tuple(one.model.buffers)]:
            found = one.model.parse(dict.fromkeys(part, b""))
            assert {name: type(message) for name, message in found.items()} == {n: one.model.buffers[n] for n in part}


def test_what_has_a_model_says_how_it_predicts(one: Component) -> None:
    assert (one.prediction is not None) == one.has_model
    if one.prediction is not None:
        predicting = component(one.module, predicting=True)
        assert all(one.topic_table()[name] is topic for name, topic in predicting.topic_table().items())
        assert predicting.roles == one.roles


def test_a_model_that_lacks_a_buffer_is_refused() -> None:
    spec = component("DataIO").model
    assert isinstance(spec, ModelSpec)
    with pytest.raises(ModelError, match=r"FED-601.*lacks DataIOParam.*it has DataIOMeta"):
        spec.parse({"DataIOMeta": b""})


def test_parameters_are_strict() -> None:
    class Example(Params):
        rate: float = 0.1
        rows: int = 1

    for wrong in ({"rows": "1"}, {"rows": True}, {"rows": 1.0}, {"rate": float("nan")}, {"rate": float("inf")}):
        with pytest.raises(ValidationError):
            Example.model_validate(wrong)
    assert Example.model_validate({"rate": 1}).rate == 1.0


def test_inputs_give_the_one_table_under_the_first_key_that_is_there() -> None:
    first, second = table(["a"]), table(["b"])
    inputs = Inputs({"train_data": [first], "eval_data": [second]})
    assert inputs.one("data", "eval_data", "train_data") is second
    with pytest.raises(DslError, match=r"FED-140.*data.*found: train_data, eval_data"):
        inputs.one("data")


@pytest.mark.parametrize("text", ["", "guest", "guest_", "boss_1", "guest_a b", "guest_../x", "guest_" + "9" * 65])
def test_members_are_role_and_party(text: str) -> None:
    assert Member.parse(str(GUEST)) == GUEST
    assert [str(m) for m in sorted([HOST, GUEST])] == ["guest_9999", "host_10000"]
    assert Role("host") is Role.HOST
    with pytest.raises(DslError, match="FED-101"):
        Member.parse(text)
