"""Where our default is not the one that takes effect in FATE 1.0, the declaration, and so the docs, say what is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from federatedml.component import component

LINEAR: Mapping[str, Any] = {
    "penalty": "L2",
    "eps": 1e-5,
    "alpha": 0.01,
    "optimizer": "sgd",
    "party_weight": 1,
    "batch_size": 320,
    "learning_rate": 0.01,
    "init_param.init_method": "random_normal",
    "init_param.init_const": 1,
    "init_param.fit_intercept": True,
    "init_param.random_seed": None,
    "max_iter": 100,
    "converge_func": "diff",
    "encrypt_param.method": "Paillier",
    "encrypt_param.key_length": 1024,
    "re_encrypt_batches": 2,
    "encrypted_mode_calculator_param.mode": "strict",
    "encrypted_mode_calculator_param.re_encrypted_rate": 1,
    "need_run": True,
    "predict_param.with_proba": True,
    "predict_param.threshold": 0.5,
    "cv_param.n_splits": 5,
    "cv_param.mode": "hetero",
    "cv_param.role": "guest",
    "cv_param.shuffle": True,
    "cv_param.random_seed": 1,
    "cv_param.need_cv": False,
    "one_vs_rest_param.need_one_vs_rest": False,
    "one_vs_rest_param.has_arbiter": True,
}
FATE: Mapping[str, Mapping[str, Any]] = {
    "DataIO": {
        "input_format": "dense",
        "delimitor": ",",
        "data_type": "float64",
        "tag_with_value": False,
        "tag_value_delimitor": ":",
        "missing_fill": False,
        "default_value": 0,
        "missing_fill_method": None,
        "missing_impute": None,
        "outlier_replace": False,
        "outlier_replace_method": None,
        "outlier_impute": None,
        "outlier_replace_value": 0,
        "with_label": True,
        "label_idx": 0,
        "label_type": "int",
        "output_format": "dense",
    },
    "Intersection": {
        "intersect_method": "rsa",
        "random_bit": 128,
        "is_send_intersect_ids": True,
        "is_get_intersect_ids": True,
        "join_role": "guest",
        "with_encode": False,
        "encode_params.salt": "",
        "encode_params.encode_method": "none",
        "encode_params.base64": False,
        "only_output_key": False,
        "rsa_params.key_length": 1024,
    },
    "FederatedSample": {
        "mode": "random",
        "method": "downsample",
        "fractions": 0.9,
        "random_state": None,
        "task_type": "hetero",
        "need_run": True,
    },
    "FeatureScale": {
        "method": None,
        "mode": "normal",
        "area": "all",
        "scale_column_idx": [],
        "feat_upper": None,
        "feat_lower": None,
        "with_mean": True,
        "with_std": True,
        "need_run": True,
    },
    "HeteroFeatureBinning": {
        "method": "quantile",
        "compress_thres": 10_000,
        "head_size": 10_000,
        "error": 0.001,
        "bin_num": 10,
        "cols": -1,
        "adjustment_factor": 0.5,
        "transform_param.transform_cols": -1,
        "transform_param.transform_type": "bin_num",
        "local_only": False,
        "need_run": True,
        "encrypt_param.key_length": 1024,
    },
    "HeteroFeatureSelection": {
        "filter_methods": ["unique_value"],
        "select_cols": -1,
        "local_only": False,
        "unique_param.eps": 1e-5,
        "iv_value_param.value_threshold": 0.0,
        "iv_percentile_param.percentile_threshold": 1.0,
        "variance_coe_param.value_threshold": 1.0,
        "outlier_param.percentile": 1.0,
        "outlier_param.upper_threshold": 1.0,
        "need_run": True,
    },
    "OneHotEncoder": {"cols": -1, "need_run": True},
    "HeteroLR": LINEAR,
    "HomoLR": LINEAR,
    "HeteroSecureBoost": {
        "task_type": "classification",
        "tree_param.criterion_method": "xgboost",
        "tree_param.criterion_params": [0.1],
        "tree_param.max_depth": 5,
        "tree_param.min_sample_split": 2,
        "tree_param.min_leaf_node": 1,
        "tree_param.min_impurity_split": 1e-3,
        "tree_param.max_split_nodes": 1024,
        "tree_param.feature_importance_type": "split",
        "objective_param.objective": "cross_entropy",
        "objective_param.params": [1.5],
        "learning_rate": 0.1,
        "num_trees": 2,
        "subsample_feature_rate": 1,
        "n_iter_no_change": False,
        "tol": 1e-4,
        "encrypt_param.method": "Paillier",
        "encrypt_param.key_length": 1024,
        "bin_num": 50,
        "encrypted_mode_calculator_param.mode": "strict",
        "predict_param.threshold": 0.5,
    },
    "Evaluation": {"eval_type": "binary", "pos_label": 1},
    "SecureAddExample": {"seed": 123, "data_num": 10_000, "partition": 1},
}
OURS = {
    "DataIO": ["columns"],
    "Intersection": ["min_intersection"],
    "HeteroFeatureBinning": ["protocol", "min_bin_rows"],
    "HeteroLR": ["protocol", "batch_rows_per_column", "feature_bits"],
    "HomoLR": ["min_contributors"],
    "HeteroSecureBoost": ["protocol", "min_cell_rows"],
}


def flat(
    schema: Mapping[str, Any], defs: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(dotted name, schema) of parameters, those of groups too."""
    for name, spec in schema.get("properties", {}).items():
        yield prefix + name, spec
        if group := defs.get(spec.get("$ref", "").rpartition("/")[2]):
            yield from flat(group, defs, f"{prefix}{name}.")


def declared(module: str) -> dict[str, Mapping[str, Any]]:
    schema = component(module).params.model_json_schema()
    return dict(flat(schema, schema.get("$defs", {})))


def default(module: str, name: str) -> Any:
    found: Any = component(module).defaults().model_dump()
    for part in name.split("."):
        found = found[part]
    return found


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in FATE.items() for name in names])
def test_a_default_is_fates_or_says_what_fates_is(module: str, name: str) -> None:
    fates, spec = FATE[module][name], declared(module)[name]
    if default(module, name) == fates:
        assert "fate" not in spec
    else:
        assert spec["fate"] == fates


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in OURS.items() for name in names])
def test_what_fate_does_not_have_says_so(module: str, name: str) -> None:
    assert declared(module)[name]["fate"] == "absent"


def test_a_party_is_told_where_the_label_is_in_fate() -> None:
    assert "label_idx" in declared("DataIO")["label_name"]["fate"]
