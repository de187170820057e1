import pytest

from federated_operators.federate import check_job_id, conf_of
from federatedml.errors import DslError

PARTIES = {"initiator": {"role": "guest", "party_id": "9999"}, "role": {"guest": ["9999"], "host": ["10000"]}}


def test_the_form_becomes_a_conf() -> None:
    params = {
        "job_parameters": {"model_key": "breast"},
        "role_parameters": {"guest": {"args": {"data": {}}}},
        "algorithm_parameters.hetero_lr_0": {"max_iter": 30},
        "algorithm_parameters.evaluation_0": {},
    }
    assert conf_of(PARTIES, params) == {
        **PARTIES,
        "job_parameters": {"model_key": "breast"},
        "role_parameters": {"guest": {"args": {"data": {}}}},
        "algorithm_parameters": {"hetero_lr_0": {"max_iter": 30}, "evaluation_0": {}},
    }


def test_a_component_may_have_a_dot_in_its_name() -> None:
    assert conf_of(PARTIES, {"algorithm_parameters.lr.v2_0": {"a": 1}})["algorithm_parameters"] == {"lr.v2_0": {"a": 1}}


@pytest.mark.parametrize("name", ["role", "initiator", "role.guest"])
def test_the_form_cannot_change_the_parties(name: str) -> None:
    with pytest.raises(DslError, match="FED-139"):
        conf_of(PARTIES, {name: {"guest": ["1"]}})


@pytest.mark.parametrize("value", ["d", 3, None, ["a"], [("a", 1)]])
def test_what_is_no_object_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(DslError, match=r"FED-139.*'digest'.*job_parameters, role_parameters, algorithm_parameters"):
        conf_of(PARTIES, {"job_parameters": {}, "digest": value})


@pytest.mark.parametrize("run_id", ["20190817182119744719120", "2019081718211974471912"])
def test_a_job_id_is_taken(run_id: str) -> None:
    assert check_job_id(run_id) == run_id


@pytest.mark.parametrize("run_id", ["", "manual__2026-01-01T00:00:00+00:00", "my run", "1234", "20190817182119744719x"])
def test_a_run_id_typed_by_hand_is_refused(run_id: str) -> None:
    with pytest.raises(DslError, match="is not a job id"):
        check_job_id(run_id)
