"""FATE's parameters of HeteroSecureBoost: defaults that take effect there, its other names, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from federatedml.components.tree_params import SecureBoostParams


def of(**given: Any) -> SecureBoostParams:
    return SecureBoostParams.model_validate(given)


def test_defaults_are_those_that_take_effect_in_fate() -> None:
    p = of()
    tree = p.tree_param
    assert (p.task_type, p.objective, p.learning_rate, p.num_trees) == ("classification", "cross_entropy", 0.1, 2)
    assert (p.subsample_feature_rate, p.n_iter_no_change, p.tol, p.bin_num) == (1.0, False, 1e-4, 50)
    assert (tree.criterion_method, tree.l2, tree.l1, tree.max_depth) == ("xgboost", 0.1, 0.0, 5)
    assert (tree.min_sample_split, tree.min_leaf_node, tree.min_impurity_split) == (2, 1, 1e-3)
    assert (tree.max_split_nodes, tree.feature_importance_type) == (1024, "split")
    assert (p.complete_secure, p.run_goss, p.validates, p.protocol) == (0, False, 0, "auto")


def test_other_names_and_forms_of_fate() -> None:
    p = of(
        task_type="Regression",
        complete_secure=True,
        tree_param={"min_imputiry_split": 0.5, "criterion_params": {"l1": 2, "l2": 1}, "criterion_method": "XGBoost"},
    )
    assert (p.task_type, p.objective, p.complete_secure) == ("regression", "lse", 1)
    assert (p.tree_param.min_impurity_split, p.tree_param.l1, p.tree_param.l2) == (0.5, 2, 1)
    assert of(complete_secure=3).complete_secure == 3


def test_the_method_of_encryption_decides_the_protocol() -> None:
    assert of(encrypt_param={"method": "Paillier"}).method_is_set
    assert not of(encrypt_param={"key_length": 1024}).method_is_set
    assert not of().method_is_set


@pytest.mark.parametrize(
    ("given", "path", "names"),
    [
        ({"objective_param": {"objective": "lse"}}, "", ["'lse'", "classification", "cross_entropy"]),
        ({"task_type": "regression", "objective_param": {"objective": "cross_entropy"}}, "", ["huber", "tweedie"]),
        (
            {"task_type": "regression", "objective_param": {"objective": "tweedie", "params": [2.0]}},
            "",
            ["tweedie", "params", "1", "2"],
        ),
        ({"task_type": "regression", "objective_param": {"objective": "fair", "params": [0]}}, "", ["fair"]),
        ({"task_type": "regression", "objective_param": {"objective": "huber", "params": None}}, "", ["huber"]),
        ({"task_type": "regression", "metrics": ["auc"]}, "", ["auc", "root_mean_squared_error"]),
        ({"zero_as_missing": True}, "", ["use_missing"]),
        ({"run_goss": True, "top_rate": 0.7, "other_rate": 0.4}, "", ["top_rate", "other_rate"]),
        ({"boosting_strategy": "mix"}, "boosting_strategy", ["'mix'", "'std'"]),
        ({"multi_mode": "multi_output"}, "multi_mode", ["'single_output'"]),
        ({"cipher_compress": False}, "cipher_compress", ["False", "True"]),
        ({"encrypt_param": {"method": "IterativeAffine"}}, "encrypt_param.method", ["affine", "Paillier"]),
        ({"tree_param": {"criterion_params": [-1]}}, "tree_param.criterion_params", ["negative"]),
        (
            {"tree_param": {"min_impurity_split": 1, "min_imputiry_split": 1}},
            "tree_param",
            ["min_imputiry_split", "min_impurity_split"],
        ),
    ],
)
def test_what_cannot_run_is_refused_by_name_with_what_can(given: dict[str, Any], path: str, names: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        of(**given)
    (error,) = caught.value.errors()
    assert ".".join(map(str, error["loc"])) == path
    assert all(name in error["msg"] for name in names)


@pytest.mark.parametrize(
    "given",
    [
        {"num_trees": 0},
        {"bin_num": 1},
        {"learning_rate": 0},
        {"subsample_feature_rate": 0},
        {"subsample_feature_rate": 1.1},
        {"tree_param": {"max_depth": 0}},
        {"tree_param": {"criterion_params": []}},
        {"tree_param": {"criterion_params": {"l1": 1}}},
        {"tree_param": {"criterion_method": "gini"}},
        {"task_type": "clustering"},
        {"num_trees": "3"},
        {"unknown": 1},
        {"metrics": ["gini"]},
    ],
)
def test_what_is_not_valid_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        of(**given)
