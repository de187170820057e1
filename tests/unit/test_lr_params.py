"""FATE's parameters of logistic regression: its defaults, and names for what cannot run yet."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from federatedml.component import component
from federatedml.components.lr_agreement import params_digest
from federatedml.components.lr_params import LogisticParams


def test_defaults_are_those_that_take_effect_in_fate() -> None:
    p = LogisticParams()
    assert (p.penalty, p.eps, p.alpha, p.optimizer, p.batch_size) == ("L2", 1e-5, 0.01, "sgd", 320)
    assert (p.learning_rate, p.max_iter, p.converge_func, p.re_encrypt_batches) == (0.01, 100, "diff", 2)
    assert (p.init_param.init_method, p.init_param.fit_intercept) == ("random_normal", True)
    assert (p.predict_param.threshold, p.cv_param.n_splits, p.party_weight) == (0.5, 5, 1)


@pytest.mark.parametrize(
    ("given", "path", "names"),
    [
        ({"penalty": "l1"}, "", ["'L1'", "rmsprop"]),
        ({"protocol": "plain"}, "protocol", ["'paillier'", "'shared'"]),
        ({"penalty": "L1", "optimizer": "nesterov_momentum_sgd"}, "", ["'L1'", "rmsprop"]),
        ({"shuffle": True}, "", ["shuffle", "false", "batch_size -1"]),
        ({"batch_strategy": "random"}, "batch_strategy", ["'random'", "'full'"]),
        ({"masked_rate": -1}, "masked_rate", ["0"]),
        ({"floating_point_precision": 64}, "floating_point_precision", ["63"]),
        ({"batch_size": 9}, "batch_size", ["9", "-1", "10"]),
    ],
)
def test_what_cannot_run_is_refused_by_name_with_what_can(given: dict[str, Any], path: str, names: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        LogisticParams.model_validate(given)
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == path
    assert all(name in error["msg"] for name in names)


@pytest.mark.parametrize("module", ["HeteroLR", "HomoLR", "HeteroSecureBoost"])
@pytest.mark.parametrize("mode", ["strict", "fast", "balance", "confusion_opt", "confusion_opt_balance"])
def test_every_mode_of_fate_is_known_and_runs_as_strict(module: str, mode: str) -> None:
    declared = component(module)
    given = {"protocol": "paillier"} if module != "HomoLR" else {}
    p = declared.params.model_validate({**given, "encrypted_mode_calculator_param": {"mode": mode}})
    assert bool(declared.notes(p)) == (mode != "strict")


@pytest.mark.parametrize("module", ["HeteroLR", "HomoLR", "HeteroSecureBoost"])
def test_probabilities_are_always_there_and_a_note_says_so(module: str) -> None:
    declared = component(module)
    assert not declared.notes(declared.params.model_validate({"predict_param": {"with_proba": True}}))
    (note,) = declared.notes(declared.params.model_validate({"predict_param": {"with_proba": False}}))
    assert "with_proba has no effect" in note


@pytest.mark.parametrize(
    "given",
    [
        {"party_weight": 2},
        {"masked_rate": 5},
        {"floating_point_precision": 23},
        {"shuffle": True, "batch_size": -1},
    ],
)
def test_what_has_no_effect_is_accepted_with_a_note(given: dict[str, Any]) -> None:
    (note,) = component("HeteroLR").notes(LogisticParams.model_validate(given))
    assert f"{next(iter(given))} has no effect" in note
    assert not component("HeteroLR").notes(LogisticParams(shuffle=False, batch_strategy="full"))


def test_parties_may_weigh_their_models_differently_where_that_has_no_effect() -> None:
    one, other = LogisticParams(party_weight=1), LogisticParams(party_weight=3)
    assert params_digest(one).tobytes() == params_digest(other).tobytes()
    assert params_digest(one).tobytes() != params_digest(LogisticParams(masked_rate=5)).tobytes()


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": 0},
        {"learning_rate": "0.1"},
        {"max_iter": 0},
        {"max_iter": 3.0},
        {"eps": float("nan")},
        {"alpha": -1},
        {"penalty": "l3"},
        {"need_run": 1},
        {"unknown": 1},
        {"init_param": {"init_const": 1e6}},
        {"predict_param": {"threshold": 1.5}},
        {"learning_rate": 1.0, "alpha": 2.0},
    ],
)
def test_what_is_not_valid_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LogisticParams.model_validate(given)


@pytest.mark.parametrize(("given", "means"), [("l2", "L2"), ("None", "NONE"), (None, "NONE"), ("NONE", "NONE")])
def test_penalties_are_read_in_any_case(given: str | None, means: str) -> None:
    assert LogisticParams.model_validate({"penalty": given}).penalty == means


def test_optimisers_and_tests_of_convergence_are_read_in_any_case() -> None:
    p = LogisticParams.model_validate({"optimizer": "RMSProp", "converge_func": "Weight_Diff"})
    assert (p.optimizer, p.converge_func) == ("rmsprop", "weight_diff")


def test_numbers_may_be_integers() -> None:
    assert LogisticParams.model_validate({"learning_rate": 1, "eps": 1, "alpha": 0}).shrinkage == 0


def test_auto_is_shared_unless_an_encryption_is_chosen() -> None:
    assert LogisticParams().protocol == "shared"
    for given, protocol in (
        ({"protocol": "auto", "encrypt_param": {"key_length": 1024}}, "shared"),
        ({"encrypt_param": {"method": "Paillier"}}, "paillier"),
        ({"protocol": "auto", "encrypt_param": {"method": "paillier"}}, "paillier"),
        ({"protocol": "shared", "encrypt_param": {"method": "Paillier"}}, "shared"),
        ({"protocol": "paillier"}, "paillier"),
    ):
        assert LogisticParams.model_validate(given).protocol == protocol
    assert LogisticParams(protocol="paillier").encrypt_param.key_length == 2048


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"encrypt_param": {"method": "IterativeAffine"}}, "affine"),
        ({"encrypt_param": {"method": "RandomIterativeAffine"}}, "affine"),
        ({"encrypt_param": {"method": "Plain"}}, "encrypts nothing"),
        ({"encrypt_param": {"key_length": 1536}}, "1024, 2048, 3072 or 4096"),
        ({"optimizer": "sqn"}, "quasi-Newton"),
    ],
)
def test_what_would_be_weaker_than_it_looks_is_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        LogisticParams.model_validate(given)


def test_effective_parameters_are_valid_again() -> None:
    p = LogisticParams.model_validate({"learning_rate": 0.15})
    assert LogisticParams.model_validate(p.model_dump(mode="json")) == p


def test_the_form_offers_what_can_run() -> None:
    properties = LogisticParams.model_json_schema()["properties"]
    assert properties["optimizer"]["enum"] == ["sgd", "rmsprop", "adam", "adagrad", "nesterov_momentum_sgd"]
    assert properties["penalty"]["enum"] == ["L2", "L1", "NONE"]
    assert properties["protocol"] | {"description": ""} == {
        "default": "auto",
        "description": "",
        "enum": ["auto", "shared", "paillier"],
        "fate": "absent",
        "title": "Protocol",
        "type": "string",
    }
    assert all(field.get("description") for field in properties.values())


def test_decay_is_rate_times_alpha_under_l2_only() -> None:
    assert LogisticParams.model_validate({"learning_rate": 0.5, "alpha": 0.1}).shrinkage == 0.05
    assert LogisticParams.model_validate({"penalty": "NONE", "alpha": 0.1}).shrinkage == 0
