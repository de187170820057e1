"""Bodies from outside: FATE's shape, bounds, and nothing that JSON should not be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.schema import EXAMPLE, BatchRequest, InferenceRequest

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def single(features: Any, ids: Any, head: Any = None) -> InferenceRequest:
    body = {"featureData": features, "sendToRemoteFeatureData": ids}
    return InferenceRequest.model_validate_json(json.dumps({"head": head or {"serviceId": "k"}, "body": body}))


def test_the_example_of_the_page_is_valid() -> None:
    request = InferenceRequest.model_validate_json(json.dumps(EXAMPLE))
    assert request.body.send_to_remote_feature_data.sample_id == "871001"


@pytest.mark.parametrize("ids", [{"id": "7"}, {"id": 7}, {"device_id": "7"}, {"id": "7", "phone": "1"}])
def test_the_id_goes_by_two_names(ids: dict[str, Any]) -> None:
    assert single({}, ids).body.send_to_remote_feature_data.sample_id == "7"


@pytest.mark.parametrize(
    "ids", [{}, {"phone": "1"}, {"id": "1", "device_id": "1"}, {"id": ""}, {"id": 1.5}, {"id": True}, {"id": "x" * 257}]
)
def test_without_one_clear_id_there_is_no_request(ids: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        single({}, ids)


def test_numbers_text_and_null_are_features() -> None:
    features = single({"a": 1, "b": -0.5, "c": "x", "d": None}, {"id": "1"}).body.feature_data
    assert features == {"a": 1.0, "b": -0.5, "c": "x", "d": None}
    assert isinstance(features["a"], float)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, [1], {}, "x" * 5000, 10**400])
def test_other_values_are_not(value: Any) -> None:
    with pytest.raises(ValidationError):
        single({"a": value}, {"id": "1"})


def test_more_keys_of_fates_callers_are_ignored() -> None:
    assert single({}, {"id": "1"}, {"serviceId": "k", "applyId": "x"}).head.model_dump() == {"service_id": "k"}


@pytest.mark.parametrize("indices", [[1], [0, 0], [0, 2], [], list(range(301)), [-1]])
def test_a_batch_counts_from_zero(indices: list[int]) -> None:
    rows = [{"index": index, **EXAMPLE["body"]} for index in indices]
    with pytest.raises(ValidationError):
        BatchRequest.model_validate_json(json.dumps({"head": {"serviceId": "k"}, "body": {"batchDataList": rows}}))


@given(ANYTHING)
def test_no_body_does_more_than_be_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        InferenceRequest.model_validate_json(json.dumps({"head": {"serviceId": "k"}, "body": body}))
