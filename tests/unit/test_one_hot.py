"""OneHotEncoder: the same as scikit-learn, names and order of the columns, unseen and missing values, limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from sklearn.preprocessing import OneHotEncoder

from federatedml.component import Inputs
from federatedml.components.one_hot import ONE_HOT, OneHotParams, fit, transform
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, table

NAN = float("nan")


def params(**given: Any) -> OneHotParams:
    return OneHotParams.model_validate(given)


def ids(rows: int) -> list[str]:
    return [f"u{i}" for i in range(rows)]


def encoded(p: OneHotParams, data: Table, new: Table | None = None) -> Table:
    return transform(fit(p, data), data if new is None else new)


@settings(max_examples=40, deadline=None)
@given(arrays(np.int64, (9, 2), elements=st.integers(-5, 5)), arrays(np.int64, (4, 2), elements=st.integers(-5, 5)))
def test_it_is_what_scikit_learn_makes(fitted: np.ndarray, new: np.ndarray) -> None:
    tables = [table(ids(len(rows)), x=rows[:, 0].astype(float), z=rows[:, 1]) for rows in (fitted, new)]
    found = encoded(params(), *tables)
    reference = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(fitted)
    assert found.features().tolist() == reference.transform(new).tolist()
    names = [f"{name}_{int(v)}" for name, values in zip("xz", reference.categories_, strict=True) for v in values]
    assert found.header == names


def test_new_columns_stand_where_the_old_one_stood() -> None:
    data = table(ids(3), "y", y=[0, 1, 1], a=[0.5, 1.5, 2.5], x=[2.0, 1.0, 2.0], b=[7.0, 8.0, 9.0])
    found = encoded(params(transform_col_names=["x"]), data)
    assert list(found.columns) == ["y", "a", "x_1", "x_2", "b"]
    assert (found.header, found.label) == (["a", "x_1", "x_2", "b"], "y")
    assert found.columns["x_2"].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("given", [{"cols": [1]}, {"transform_col_indexes": [1]}, {"transform_col_names": ["x"]}])
def test_positions_count_features_only(given: dict) -> None:
    data = table(ids(2), "y", y=[0, 1], a=[1.0, 2.0], x=[1.0, 2.0])
    assert encoded(params(**given), data).header == ["a", "x_1", "x_2"]


@pytest.mark.parametrize("given", [{}, {"cols": -1}, {"cols": None}])
def test_all_columns_by_default(given: dict) -> None:
    assert encoded(params(**given), table(ids(1), a=[1], x=[2])).header == ["a_1", "x_2"]


def test_a_value_that_was_not_there_is_zero_everywhere() -> None:
    found = encoded(params(), table(ids(2), x=[1.0, 2.0]), table(ids(3), x=[3.0, NAN, -1e300]))
    assert found.features().tolist() == [[0.0, 0.0]] * 3


def test_missing_values_have_no_category() -> None:
    found = encoded(params(), table(ids(3), x=[1.0, NAN, 1.0]))
    assert (found.header, found.features().tolist()) == (["x_1"], [[1.0], [0.0], [1.0]])


def test_values_are_cut_at_the_decimal_point_and_that_is_shown(tmp_path: Path) -> None:
    data = table(ids(5), x=[1.2, 1.9, -0.5, 0.5, NAN], z=[1, 1, 1, 1, 1])
    out = Case(ONE_HOT, {GUEST: params()}, {GUEST: Inputs({"data": [data]})}).run(tmp_path).outputs[GUEST]
    assert out.data.header == ["x_0", "x_1", "z_1"]
    assert out.data.columns["x_0"].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]
    assert [tuple(row) for row in out.views[0].rows] == [("x", 2, 0, 1, 4), ("z", 1, 0, 0, 0)]


def test_without_need_run_the_table_passes() -> None:
    data = table(ids(2), x=[1.5, 2.0])
    model = fit(params(need_run=False), data)
    assert transform(model, data).columns == data.columns
    assert (model["OneHotMeta"].need_run, list(model["OneHotMeta"].cols)) == (False, [])


def test_too_many_values_are_refused_and_as_many_as_allowed_are_not() -> None:
    assert len(encoded(params(), table(ids(1024), x=np.arange(1024))).header) == 1024
    with pytest.raises(DataError, match=r"FED-875.*more than 1024 values: 1 \(x ") as caught:
        fit(params(), table(ids(1025), x=np.arange(1025)))
    assert "x" not in caught.value.message.split(": ")[-1]


def test_many_columns_are_encoded_and_the_grid_stays_readable(tmp_path: Path) -> None:
    data = table(ids(3), **{f"x{i}": [i, i + 1, i] for i in range(1200)})
    out = Case(ONE_HOT, {GUEST: params()}, {GUEST: Inputs({"data": [data]})}).run(tmp_path).outputs[GUEST]
    assert len(out.data.header) == 2400
    assert out.data.features().sum() == 3600
    assert (len(out.views[0].rows), out.views[0].title) == (1000, "1000 of 1200 encoded columns")


def test_names_that_are_taken_are_refused() -> None:
    with pytest.raises(DataError, match=r"FED-877.*1 of the new columns.*'x_1'"):
        fit(params(cols=[0]), table(ids(1), x=[1], x_1=[5]))
    with pytest.raises(DataError, match="FED-877"):
        fit(params(), table(ids(1), "x_1", x=[1], x_1=[0]))


def test_what_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(DataError, match=r"FED-872.*no rows"):
        fit(params(), table([], x=np.zeros(0)))
    with pytest.raises(DataError, match=r"FED-872.*without any value"):
        fit(params(), table(ids(2), x=[NAN, NAN]))
    with pytest.raises(DataError, match="FED-873"):
        fit(params(), table(ids(1), x=[np.inf]))
    with pytest.raises(DataError, match=r"FED-873.*not numeric"):
        fit(params(), table(ids(1), x=["red"]))
    with pytest.raises(DataError, match=r"FED-876.*too large"):
        fit(params(), table(ids(1), x=[1e17]))
    with pytest.raises(DataError, match=r"FED-871.*'z'"):
        fit(params(transform_col_names=["z"]), table(ids(1), x=[1]))
    with pytest.raises(DataError, match=r"FED-871.*'x'"):
        encoded(params(), table(ids(1), x=[1]), table(ids(1), z=[1]))


@pytest.mark.parametrize(
    "given", [{"cols": -1, "transform_col_names": ["x"]}, {"cols": [1, 1]}, {"cols": [-3]}, {"cols": "x"}]
)
def test_parameters_that_make_no_sense_are_refused(given: dict) -> None:
    with pytest.raises(ValidationError):
        params(**given)


@pytest.mark.parametrize("kind", [Kind.RAW, Kind.PREDICTIONS])
def test_only_instances_are_taken(kind: Kind, tmp_path: Path) -> None:
    inputs = {GUEST: Inputs({"data": [table(ids(1), kind=kind, x=[1])]})}
    with pytest.raises(DataError, match=f"FED-870.*{kind}"):
        Case(ONE_HOT, {GUEST: params()}, inputs).run(tmp_path)


def test_the_model_has_fates_fields() -> None:
    model = fit(params(), table(ids(3), x=[10, -2, 10]))
    entry = model["OneHotParam"].col_map["x"]
    assert (list(entry.values), list(entry.encoded_variables)) == (["-2", "10"], ["x_-2", "x_10"])
    assert (entry.data_type, list(model["OneHotMeta"].cols), list(model["OneHotParam"].header)) == ("int", ["x"], ["x"])


def test_each_party_encodes_its_own_table_or_uses_its_model(tmp_path: Path) -> None:
    data = {GUEST: table(ids(2), "y", y=[0, 1], x=[1, 2]), HOST: table(ids(3), z=[5, 6, 5])}
    case = Case(ONE_HOT, {GUEST: params(), HOST: params()}, {m: Inputs({"data": [t]}) for m, t in data.items()})
    fitted = conforms(case, tmp_path / "fit").outputs
    new = {m: Inputs({"data": [t.take(np.array([1]))]}, fitted[m].model) for m, t in data.items()}
    used = replace(case, inputs=new).run(tmp_path / "use").outputs
    assert used[HOST].data.features().tolist() == [[0.0, 1.0]]
    assert (used[GUEST].data.header, used[GUEST].data.label) == (["x_1", "x_2"], "y")


def test_a_later_table_with_a_column_of_a_new_ones_name_is_refused() -> None:
    data = table(ids(2), x=[1.0, 2.0])
    model = fit(params(), data)
    later = replace(data, columns={**data.columns, "x_1": np.array([7.0, 8.0])})
    with pytest.raises(DataError, match="FED-877"):
        transform(model, later)


def test_a_model_leaves_the_table_where_nothing_need_run(tmp_path: Path) -> None:
    data = table(ids(2), x=[1.0, 2.0])
    found = ONE_HOT.roles[GUEST.role](params(need_run=False), None, Inputs({"data": [data]}, fit(params(), data)))
    assert found.data is data
