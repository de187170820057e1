"""Confs in FATE 1.11's words: the form shows ours, and what one party sets goes over what all parties have."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from dags_generator.form import form
from dags_generator.spec import PipelineSpec
from federated_operators.federate import conf_of
from federatedml.errors import DslError
from tests.members import GUEST, HOST
from tests.pipeline_example import spec

SCALE = "feature_scale_0"


def scaled(components: dict[str, Any]) -> None:
    components[SCALE] = {
        "module": "FeatureScale",
        "input": {"data": {"data": ["intersection_0.train"]}},
        "output": {"data": ["scaled"], "model": ["scale"]},
    }


def told(common: dict[str, Any], host: dict[str, Any] | None = None) -> PipelineSpec:
    def conf(value: dict[str, Any]) -> None:
        value["algorithm_parameters"][SCALE] = common
        value["role_parameters"]["host"] |= {SCALE: host} if host else {}

    return spec(scaled, conf)


def test_the_form_takes_its_own_defaults() -> None:
    found = told({"method": "MIN_MAX_SCALE", "scale_col_indexes": [0], "feat_upper": 5})
    for field in form(found):
        jsonschema.validate(field.default, field.schema)
    defaults = {field.name: field.default for field in form(found)}
    assert defaults[f"algorithm_parameters.{SCALE}"] == {
        "method": "min_max_scale",
        "scale_column_idx": [0],
        "feat_upper": 5,
    }


def test_what_the_form_sends_means_what_the_file_said() -> None:
    host = {"scale_col_indexes": [[1]]}
    first = told({"method": "min_max_scale", "scale_col_indexes": -1}, host)
    sent = conf_of(first.graph.parties.json(), {field.name: field.default for field in form(first)})

    def conf(value: dict[str, Any]) -> None:
        value |= json.loads(json.dumps(sent))

    assert spec(scaled, conf).params == first.params


def test_one_partys_word_goes_over_all_parties_other_word() -> None:
    for common, host in (("scale_col_indexes", "scale_column_idx"), ("scale_column_idx", "scale_col_indexes")):
        params = told({common: -1}, {host: [[2]]}).params[SCALE]
        assert [params[member]["scale_column_idx"] for member in (GUEST, HOST)] == [-1, [2]]


def test_notes_are_about_components_that_are_fitted() -> None:
    def twice(components: dict[str, Any]) -> None:
        scaled(components)
        model = {"data": {"data": ["intersection_0.train"]}, "model": [f"{SCALE}.scale"]}
        components["feature_scale_1"] = {"module": "FeatureScale", "input": model, "output": {"data": ["scaled"]}}

    found = [note for note in spec(twice).notes if "method is null" in note]
    assert found == [f"{SCALE}: method is null: columns stay as they are"]


def test_two_names_in_one_place_are_refused() -> None:
    with pytest.raises(DslError, match=r"FED-133.*two names of one parameter"):
        told({"scale_col_indexes": -1, "scale_column_idx": -1})
