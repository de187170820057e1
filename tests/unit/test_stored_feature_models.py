"""Stored models of feature components whose numbers are wrong: one coded error before a row is touched."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

from federatedml.component import ModelBuffers, component
from federatedml.components import binning_bins, binning_model, data_io_fit, feature_scale, one_hot, selection_model
from federatedml.components.binning_evidence import evidence
from federatedml.components.binning_params import FeatureBinningParams
from federatedml.components.data_io_params import DataIOParams
from federatedml.components.selection_params import FeatureSelectionParams
from federatedml.data.table import Kind
from federatedml.errors import FedError, ModelError
from tests.members import GUEST, table

TABLE = table(["a", "b", "c", "d"], x=[1.0, 2.0, 3.0, np.nan], z=[0.0, 0.0, 1.0, 5.0])
RAW = table(["a", "b", "c", "d"], kind=Kind.RAW, x=[1.0, 2.0, 3.0, np.nan], z=[0.0, 0.0, 1.0, 5.0])


def binned(kind: str) -> ModelBuffers:
    p = FeatureBinningParams(bin_num=2, transform_param={"transform_type": kind})
    bins = binning_bins.fitted(p, TABLE, 0)
    found = {name: evidence(np.minimum(of.counts, 1), of.counts, 0.5, of.has_missing) for name, of in bins.items()}
    return binning_model.model(p, GUEST, TABLE.header, bins, found)


MODELS: dict[str, tuple[str, Any]] = {
    "scale": ("FeatureScale", lambda: feature_scale.fit(feature_scale.ScaleParams(method="standard_scale"), TABLE)),
    "one_hot": ("OneHotEncoder", lambda: one_hot.fit(one_hot.OneHotParams(), TABLE)),
    "bin_num": ("HeteroFeatureBinning", lambda: binned("bin_num")),
    "woe": ("HeteroFeatureBinning", lambda: binned("woe")),
    "selection": (
        "HeteroFeatureSelection",
        lambda: selection_model.model(FeatureSelectionParams(), TABLE.header, [], TABLE.header),
    ),
    "data_io": (
        "DataIO",
        lambda: data_io_fit.fit(
            DataIOParams(with_label=False, missing_fill=True, outlier_replace=True, outlier_impute=[5]), RAW
        ),
    ),
}


def stored(model: ModelBuffers) -> dict[str, bytes]:
    return {name: message.SerializeToString(deterministic=True) for name, message in model.items()}


def refused(name: str, model: ModelBuffers) -> None:
    with pytest.raises(ModelError, match="FED-609"):
        component(MODELS[name][0]).model.parse(stored(model))  # type: ignore[union-attr]


@pytest.mark.parametrize("name", MODELS)
def test_what_a_training_leaves_is_read(name: str) -> None:
    module, made = MODELS[name]
    model = made()
    assert component(module).model.parse(stored(model)) == model  # type: ignore[union-attr]


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan"), float("inf")])
def test_scales(std: float) -> None:
    model = MODELS["scale"][1]()
    model["ScaleParam"].col_scale_param["x"].std = std
    refused("scale", model)


def test_bounds_and_methods_of_scales() -> None:
    model = MODELS["scale"][1]()
    model["ScaleParam"].col_scale_param["x"].column_lower = 9.0
    refused("scale", model)
    other = MODELS["scale"][1]()
    other["ScaleMeta"].method = "log"
    refused("scale", other)


@pytest.mark.parametrize("value", ["", "abc", "nan", "1.5", "0", "9" * 20])  # "0" is there already: its column is not
def test_categories(value: str) -> None:
    model = MODELS["one_hot"][1]()
    model["OneHotParam"].col_map["z"].values[-1] = value
    if value == "0":
        model["OneHotParam"].col_map["z"].encoded_variables[-1] = "z_0"
    refused("one_hot", model)
    gone = MODELS["one_hot"][1]()
    del gone["OneHotParam"].col_map["z"]
    refused("one_hot", gone)
    short = MODELS["one_hot"][1]()
    del short["OneHotParam"].col_map["z"].encoded_variables[-1]
    refused("one_hot", short)


@pytest.mark.parametrize("points", [[], [2.0, 1.0], [1.0, 1.0], [float("nan")], [float("inf")]])
def test_split_points(points: list[float]) -> None:
    model = MODELS["bin_num"][1]()
    model["FeatureBinningParam"].binning_result.binning_result["z"].split_points[:] = points
    refused("bin_num", model)


def test_columns_of_bins() -> None:
    for columns in ([2], [-1]):
        model = MODELS["bin_num"][1]()
        model["FeatureBinningMeta"].transform_param.transform_cols[:] = columns
        refused("bin_num", model)
    gone = MODELS["bin_num"][1]()
    del gone["FeatureBinningParam"].binning_result.binning_result["x"]
    refused("bin_num", gone)
    other = MODELS["bin_num"][1]()
    other["FeatureBinningMeta"].transform_param.transform_type = "log"
    refused("bin_num", other)


def test_evidence_of_bins() -> None:
    short, infinite = MODELS["woe"][1](), MODELS["woe"][1]()
    del short["FeatureBinningParam"].binning_result.binning_result["x"].woe_array[-1]
    infinite["FeatureBinningParam"].binning_result.binning_result["x"].woe_array[0] = float("inf")
    refused("woe", short)
    refused("woe", infinite)


def test_selected_columns() -> None:
    gone, twice = MODELS["selection"][1](), MODELS["selection"][1]()
    del gone["FeatureSelectionParam"].final_left_cols.left_cols["x"]
    twice["FeatureSelectionParam"].header.append("x")
    refused("selection", gone)
    refused("selection", twice)


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf"])
def test_replacements(text: str) -> None:
    missing, outlying = MODELS["data_io"][1](), MODELS["data_io"][1]()
    missing["DataIOParam"].imputer_param.missing_replace_value["x"] = text
    outlying["DataIOParam"].outlier_param.outlier_replace_value["x"] = text
    refused("data_io", missing)
    refused("data_io", outlying)


@pytest.mark.parametrize("name", MODELS)
def test_no_change_of_a_stored_model_is_anything_but_a_typed_error(name: str) -> None:
    module, made = MODELS[name]
    found, model = component(module), made()
    for seed in range(300):
        draw = random.Random(seed)
        copies = {key: type(message).FromString(message.SerializeToString()) for key, message in model.items()}
        change(draw.choice(list(copies.values())), draw)
        try:
            read = found.model.parse(stored(copies))  # type: ignore[union-attr]
            rows = found.scorer.transform(read, RAW if module == "DataIO" else TABLE)  # type: ignore[union-attr,misc]
        except FedError:
            continue
        assert len(rows) == 4


def change(message: Message, draw: random.Random) -> None:
    """Change something of what is set in a message."""
    field, value = draw.choice(message.ListFields() or [(None, None)])
    if field is None:
        return
    if hasattr(value, "items"):
        key = draw.choice(list(value))
        if isinstance(value[key], Message) and draw.random() < 0.8:
            change(value[key], draw)
        else:
            del value[key]
    elif hasattr(value, "append") and draw.random() < 0.6:
        place = draw.randrange(len(value))
        if isinstance(value[place], Message):
            change(value[place], draw)
        else:
            value[place] = wrong(value[place], draw)
    elif isinstance(value, Message):
        change(value, draw)
    elif isinstance(value, str | float | int) and draw.random() < 0.8:
        setattr(message, field.name, wrong(value, draw))
    else:
        message.ClearField(field.name)


def wrong(value: Any, draw: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return draw.choice(["", "x", "z", "nan", "-7", "abc"])
    return draw.choice([0, 1, 7] if isinstance(value, int) else [0.0, -1e308, float("nan"), float("inf")])
