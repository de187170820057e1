"""Which model answers whom."""

from __future__ import annotations

import pytest

from federated_operators.registry.cache import Binding
from federatedml.component import Scorer
from serving.chain import Stage
from serving.model import LoadedModel
from serving.retcode import Retcode, ScoreError
from serving.shelf import Shelf
from tests.members import GUEST, HOST


def model(
    name: str, me: object, job: str, key: str = "k", guests: tuple[str, ...] = ("9999",), alone: bool = False
) -> LoadedModel:
    member = GUEST if me == GUEST else HOST
    stage = Stage("lr_0", "LR", {}, Scorer(alone=alone))
    return LoadedModel(Binding(name, "product", 1, job, "d"), member, guests, ("10000",), key, [stage])


def shelf(*models: LoadedModel) -> Shelf:
    found = Shelf()
    found.replace({one.binding.name: one for one in models}, {})
    return found


def test_a_service_id_is_a_key_or_a_whole_name() -> None:
    served = shelf(model("a", GUEST, "1"), model("b", GUEST, "2", key="other"), model("c", HOST, "3", key="third"))
    assert served.for_caller("k").version == "1"
    assert served.for_caller("b").version == "2"
    with pytest.raises(ScoreError, match=r"served: k, other") as refused:
        served.for_caller("third")
    assert (refused.value.retcode, refused.value.http_status) == (Retcode.SERVICE_NOT_FOUND, 404)


def test_a_key_of_two_models_names_neither() -> None:
    served = shelf(model("a", GUEST, "1"), model("b", GUEST, "2"))
    with pytest.raises(ScoreError, match="a, b"):
        served.for_caller("k")
    assert served.for_caller("b").version == "2"


def test_only_a_guest_of_the_model_finds_it_and_only_with_its_version() -> None:
    served = shelf(model("a", HOST, "1"), model("b", HOST, "2", guests=("77",)), model("c", GUEST, "3"))
    assert served.for_guest("9999", "k", "1").binding.name == "a"
    assert served.for_guest("77", "k", "2").binding.name == "b"
    for guest, key, version in [("9999", "k", "2"), ("9999", "k", "3"), ("10000", "k", "1"), ("9999", "x", "1")]:
        with pytest.raises(ScoreError) as refused:
            served.for_guest(guest, key, version)
        assert refused.value.retcode == Retcode.MODEL_NULL


def test_a_model_that_needs_no_host_is_served_by_each_of_its_parties_and_asked_for_by_none() -> None:
    served = shelf(model("a", HOST, "1", alone=True))
    assert served.for_caller("k").binding.name == "a"
    assert served.for_caller("k").asked == ()
    with pytest.raises(ScoreError):
        served.for_guest("9999", "k", "1")


def test_codes_have_a_status_and_a_stable_code() -> None:
    unknown = ScoreError.from_host("10000", Retcode.HOST_FEATURE_NOT_FOUND, "no")
    assert (unknown.retcode, unknown.code, unknown.http_status) == (2113, "FED-713", 404)
    assert unknown.message == "host 10000 return code 113 host msg :no"
    assert [ScoreError.from_host("1", code, "").http_status for code in (999, 2000, 4000, 2113)] == [500] * 4
    assert all(ScoreError(code, "").http_status in (200, 400, 404, 500, 502, 503, 504) for code in Retcode)
