"""DataIO: columns by name, labels, missing values, outliers, one transform for training and serving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airfed_proto.v1 import model_pb2 as pb
from federatedml.component import Inputs, Outputs
from federatedml.components.data_io import DATA_IO, DataIOParams, fit, transform
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, table


def params(**given: Any) -> DataIOParams:
    return DataIOParams.model_validate(given)


def raw(**columns: list) -> Table:
    rows = len(next(iter(columns.values())))
    return table([f"u{i}" for i in range(rows)], kind=Kind.RAW, **columns)


def run(p: DataIOParams, data: Table) -> tuple[Table, pb.DataIOMeta, pb.DataIOParam]:
    model = fit(p, data)
    return transform(model, data), model["DataIOMeta"], model["DataIOParam"]


def test_typed_and_text_columns_become_features_and_label() -> None:
    data = raw(x0=[1, 2, 3], y=["0", "1", " 1 "], x1=["1.5", " -2e3", "7"], x2=[True, False, True])
    found, meta, param = run(params(), data)
    assert (found.label, found.kind, found.header) == ("y", Kind.INSTANCES, ["x0", "x1", "x2"])
    assert found.features().tolist() == [[1, 1.5, 1], [2, -2000, 0], [3, 7, 1]]
    assert found.labels().tolist() == [0, 1, 1]
    assert (found.labels().dtype, found.features().dtype) == (np.int64, np.float64)
    assert list(param.header) == ["x0", "x1", "x2"]
    assert (param.label_name, param.sid_name, meta.with_label, meta.data_type) == ("y", "id", True, "float64")


def test_defaults_are_those_of_fates_confs() -> None:
    assert DataIOParams().model_dump() == {
        "input_format": "dense",
        "delimitor": ",",
        "data_type": "float64",
        "exclusive_data_type": None,
        "tag_with_value": False,
        "tag_value_delimitor": ":",
        "columns": None,
        "missing_fill": False,
        "default_value": 0.0,
        "missing_fill_method": None,
        "missing_impute": None,
        "outlier_replace": False,
        "outlier_replace_method": None,
        "outlier_impute": None,
        "outlier_replace_value": 0.0,
        "with_label": True,
        "label_name": "y",
        "label_idx": 0,
        "label_type": "int",
        "output_format": "dense",
        "need_run": True,
    }


@pytest.mark.parametrize(
    ("given", "label"),
    [({}, "y"), ({"label_name": "x0"}, "x0"), ({"label_idx": 1}, "y"), ({"label_idx": 2}, "x1")],
)
def test_the_label_is_found_by_name_or_as_fate_does_by_position(given: dict, label: str) -> None:
    found, _, param = run(params(**given), raw(x0=[1, 2], y=[0, 1], x1=[3, 4]))
    assert found.label == label == param.label_name
    assert label not in found.header


def test_effective_parameters_mean_the_same_when_read_again() -> None:
    once = params(label_idx=2)
    again = DataIOParams.model_validate_json(once.model_dump_json())
    assert once == again == DataIOParams.model_validate_json('{"label_idx": 2}')
    assert again.label_name is None


@pytest.mark.parametrize("given", [{"label_name": "label"}, {"label_idx": 3}])
def test_a_label_that_is_not_there_is_named_with_what_is(given: dict) -> None:
    with pytest.raises(DataError, match=r"FED-213.*no label column .*it has 'x0', 'y', 'x1'.*with_label"):
        fit(params(**given), raw(x0=[1], y=[0], x1=[3]))


def test_without_label_every_column_is_a_feature() -> None:
    found, meta, param = run(params(with_label=False), raw(y=[0.5], x=[1]))
    assert (found.label, found.header, meta.with_label, param.label_name) == (None, ["y", "x"], False, "")


def test_only_the_named_columns_are_used_in_their_order() -> None:
    data = raw(x0=[1, 2], text=["a", "b"], y=[0, 1], x1=[3, 4])
    found, _, _ = run(params(columns=["x1", "x0"]), data)
    assert found.header == ["x1", "x0"]


@pytest.mark.parametrize("columns", [["x1", "x1"], []])
def test_columns_named_twice_or_none_are_refused(columns: list[str]) -> None:
    with pytest.raises(ValidationError, match="columns"):
        params(columns=columns)


def test_the_label_among_the_columns_is_refused() -> None:
    with pytest.raises(DataError, match=r"FED-213.*name of the label.*'y'"):
        fit(params(columns=["x", "y"]), raw(x=[1], y=[1]))


def test_a_missing_column_is_named_in_training_and_serving() -> None:
    with pytest.raises(DataError, match=r"FED-210.*lacks 1 of the columns.*\('x5'; it has 'x0', 'y'\)"):
        fit(params(columns=["x0", "x5"]), raw(x0=[1], y=[0]))
    model = fit(params(), raw(x0=[1], x1=[2], y=[0]))
    with pytest.raises(DataError, match=r"FED-210.*lacks 1 of the columns.*'x1'"):
        transform(model, raw(x0=[1]))


def test_serving_needs_no_label_and_ignores_further_columns() -> None:
    model = fit(params(), raw(x0=[1, 2], y=[0, 1]))
    found = transform(model, raw(other=["text"], x0=["4"]))
    assert (found.label, found.header, found.features().tolist()) == (None, ["x0"], [[4.0]])


def test_other_parties_hear_of_a_number_of_columns_only() -> None:
    with pytest.raises(DataError) as caught:
        fit(params(), raw(secret=["text", "1"], y=[0, 1]))
    assert caught.value.message == "columns that hold cells that are not numbers: 1"
    assert "secret (1 row)" in caught.value.hint


def test_cells_that_are_no_numbers_are_counted_never_shown() -> None:
    data = raw(x0=["1", "secret", "secret", "4"], x1=[1.0, np.inf, 2.0, 3.0], y=[0, 0, 1, 1])
    with pytest.raises(DataError) as caught:
        fit(params(), data)
    assert "x0 (2 rows), x1 (1 row)" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_many_bad_columns_are_summed_up() -> None:
    data = raw(**{f"x{i}": ["bad"] for i in range(12)})
    with pytest.raises(DataError, match=r"x7 \(1 row\) and 4 more"):
        fit(params(with_label=False), data)


def test_missing_values_without_fill_stay_missing() -> None:
    data = raw(x0=[1.0, np.nan], x1=["NA", None], x2=[1, -9], y=[0, 1])
    found, _, _ = run(params(data_type="int", missing_impute=["na", -9]), data)
    np.testing.assert_array_equal(found.features(), [[1, np.nan, 1], [np.nan, np.nan, np.nan]])


@pytest.mark.parametrize(
    ("method", "expected"), [("min", 1.0), ("max", 7.0), ("mean", 4.0), ("designated", -1.0), (None, -1.0)]
)
def test_missing_values_are_filled_from_the_others(method: str | None, expected: float) -> None:
    data = raw(x=[1.0, np.nan, 7.0, np.nan], t=["none", "1", "NULL ", "7"], y=[0, 1, 0, 1])
    p = params(missing_fill=True, missing_fill_method=method, default_value=-1.0)
    found, meta, param = run(p, data)
    assert found.columns["x"].tolist() == [1.0, expected, 7.0, expected]
    assert found.columns["t"].tolist() == [expected, 1.0, expected, 7.0]
    assert dict(param.imputer_param.missing_replace_value) == {"x": repr(expected), "t": repr(expected)}
    assert dict(param.imputer_param.missing_value_ratio) == {"x": 0.5, "t": 0.5}
    assert (meta.imputer_meta.is_imputer, meta.imputer_meta.strategy) == (True, method or "")
    assert list(meta.imputer_meta.missing_value) == ["", "none", "null", "na"]


def test_the_mean_of_numbers_whose_sum_is_too_large() -> None:
    found, _, _ = run(
        params(missing_fill=True, missing_fill_method="mean"), raw(x=[1.5e308, None, 1.7e308], y=[0, 1, 0])
    )
    assert found.columns["x"][1] == pytest.approx(1.6e308)


def test_own_tokens_mean_missing_in_text_and_numbers() -> None:
    p = params(missing_fill=True, missing_fill_method="max", missing_impute=[-999, "?"])
    found, _, _ = run(p, raw(x=[5, -999], t=["?", "3"], u=["-999.0", "2"], y=[0, 1]))
    assert found.features().tolist() == [[5, 3, 2], [5, 3, 2]]


def test_a_column_without_any_value_has_no_mean() -> None:
    with pytest.raises(DataError, match=r"a column has no value to take the mean of \('x'"):
        fit(params(missing_fill=True, missing_fill_method="mean"), raw(x=[None, "na"], y=[0, 1]))


def test_outliers_are_replaced_after_missing_values() -> None:
    p = params(
        missing_fill=True,
        default_value=9999.0,
        outlier_replace=True,
        outlier_impute=[9999, "-1"],
        outlier_replace_method="mean",
    )
    found, meta, param = run(p, raw(x=[2.0, 4.0, np.nan, -1.0], y=[0, 1, 0, 1]))
    assert found.columns["x"].tolist() == [2, 4, 3, 3]
    assert dict(param.outlier_param.outlier_replace_value) == {"x": "3.0"}
    assert dict(param.outlier_param.outlier_value_ratio) == {"x": 0.5}
    assert list(meta.outlier_meta.outlier_value) == ["9999", "-1"]


def test_a_model_is_applied_never_fitted_again(tmp_path: Path) -> None:
    p = params(missing_fill=True, missing_fill_method="mean", with_label=False)
    model = fit(p, raw(x=[1.0, 3.0]))
    stored = DATA_IO.model.parse({name: message.SerializeToString() for name, message in model.items()})
    other = raw(x=[100.0, np.nan])
    result = Case(DATA_IO, {HOST: p}, {HOST: Inputs({"data": [other]}, model=stored)}).run(tmp_path)
    outputs = result.outputs[HOST]
    assert outputs.data.columns["x"].tolist() == [100.0, 2.0]
    assert outputs.model == stored


@pytest.mark.parametrize(
    ("label_type", "labels", "expected"),
    [
        ("int", ["-1", "1"], [-1, 1]),
        ("long", [0.0, 1.0], [0, 1]),
        ("float64", ["0.5", "2"], [0.5, 2.0]),
        ("str", ["good", "bad"], ["good", "bad"]),
    ],
)
def test_labels_have_the_type_that_is_asked_for(label_type: str, labels: list, expected: list) -> None:
    found, _, _ = run(params(label_type=label_type), raw(x=[1, 2], y=labels))
    assert found.labels().tolist() == expected


@pytest.mark.parametrize(
    ("label_type", "labels"), [("int", [0.5, 1]), ("int", [None, "1"]), ("float", ["x", "1"]), ("str", [None, "a"])]
)
def test_labels_of_another_type_are_counted(label_type: str, labels: list) -> None:
    with pytest.raises(DataError, match=r"FED-213.*y \(1 row\)"):
        run(params(label_type=label_type), raw(x=[1, 2], y=labels))


def test_whole_numbers_are_required_where_the_type_says_so() -> None:
    assert run(params(data_type="int"), raw(x=["2", "3.0"], y=[0, 1]))[0].columns["x"].tolist() == [2, 3]
    with pytest.raises(DataError, match=r"not whole: 1 \(x \(1 row\)\)"):
        run(params(data_type="int"), raw(x=["2", "3.5"], y=[0, 1]))


@pytest.mark.parametrize(
    "given",
    [
        {"input_format": "libsvm"},
        {"output_format": "text"},
        {"tag_with_value": 1},
        {"data_type": "text"},
        {"delimitor": ""},
        {"exclusive_data_type": {"x": "text"}},
        {"missing_fill_method": "designate"},
        {"missing_fill_method": "median"},
        {"label_idx": -1},
        {"default_value": float("nan")},
        {"with_label": "true"},
        {"no_such": 1},
    ],
)
def test_what_is_not_offered_is_refused_by_name(given: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(given))):
        params(**given)


@given(st.lists(st.one_of(st.none(), st.text(max_size=6), st.floats().map(repr)), min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_column_becomes_finite_numbers_or_one_typed_error(column: list[str | None]) -> None:
    p = params(with_label=False, missing_fill=True, missing_fill_method="mean")
    try:
        found, _, _ = run(p, raw(x=column))
    except DataError as error:
        wrong = error.code
    else:
        wrong = "" if np.isfinite(found.features()).all() else "not finite"
    assert wrong in ("", "FED-211", "FED-214")


def test_component_conforms(tmp_path: Path) -> None:
    guest = raw(x0=[1.0, np.nan, 3.0], y=[0, 1, 1])
    host = replace(raw(x1=["4", "5"]), sid_name="key")
    p = params(missing_fill=True, missing_fill_method="min")
    no_label = params(with_label=False)
    case = Case(
        DATA_IO,
        {GUEST: p, HOST: no_label},
        {GUEST: Inputs({"data": [guest]}), HOST: Inputs({"data": [host]})},
        "dataio_0",
    )
    outputs: dict[Any, Outputs] = conforms(case, tmp_path).outputs
    assert outputs[GUEST].summary == {"rows": 3.0, "columns": 1.0, "missing": 0.0}
    assert outputs[HOST].data.origin == "dataio_0"
    assert outputs[HOST].data.sid_name == "key"
