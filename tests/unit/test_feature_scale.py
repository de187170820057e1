"""FeatureScale: the same as scikit-learn on whole tables; bounds, caps, NaN, chosen columns, one transform for all."""

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
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Inputs
from federatedml.components.feature_scale import FEATURE_SCALE, ScaleParams, fit, transform
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from federatedml.views import parsed
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, table

NAN = float("nan")


def params(**given: Any) -> ScaleParams:
    return ScaleParams.model_validate({"method": "min_max_scale", **given})


def of(matrix: Any) -> Table:
    rows = np.asarray(matrix, np.float64)
    return Table(
        np.array([f"u{i}" for i in range(len(rows))], object), {f"x{j}": rows[:, j] for j in range(rows.shape[1])}
    )


def scaled(p: ScaleParams, matrix: Any, new: Any = None) -> np.ndarray:
    model = fit(p, of(matrix))
    return transform(model, of(matrix if new is None else new)).features()


def values(rows: int, columns: int) -> Any:
    numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))
    return arrays(np.float64, (rows, columns), elements=numbers)


@settings(max_examples=40, deadline=None)
@given(values(7, 3), values(4, 3))
def test_min_max_is_what_scikit_learn_makes_of_clipped_rows(fitted: np.ndarray, new: np.ndarray) -> None:
    reference = MinMaxScaler(clip=True).fit(fitted)
    assert np.allclose(scaled(params(), fitted), reference.transform(fitted), atol=1e-9)
    constant = np.ptp(fitted, axis=0) == 0  # scikit-learn lets new values of such a column through, up to 1
    expected = np.where(constant, 0.0, reference.transform(new))
    assert np.allclose(scaled(params(), fitted, new), expected, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(values(7, 3), values(4, 3), st.booleans(), st.booleans())
def test_standard_is_what_scikit_learn_makes(
    fitted: np.ndarray, new: np.ndarray, with_mean: bool, with_std: bool
) -> None:
    p = params(method="standard_scale", with_mean=with_mean, with_std=with_std)
    reference = StandardScaler(with_mean=with_mean, with_std=with_std).fit(fitted)
    assert np.allclose(scaled(p, fitted, new), reference.transform(new), rtol=1e-9, atol=1e-6)


def test_missing_values_stay_and_count_nowhere() -> None:
    rows = np.array([[1.0, NAN], [NAN, 4.0], [3.0, 8.0], [5.0, 6.0]])
    for p, reference in ((params(), MinMaxScaler()), (params(method="standard_scale"), StandardScaler())):
        assert np.allclose(scaled(p, rows), reference.fit_transform(rows), equal_nan=True)


def test_integer_columns_and_their_label_and_weight_are_kept_apart() -> None:
    data = table(["a", "b", "c"], "y", x=[1, 2, 3], y=[0, 1, 1], w=[1.0, 2.0, 1.0])
    data = replace(data, weight="w")
    found = transform(fit(params(), data), data)
    assert found.columns["x"].tolist() == [0.0, 0.5, 1.0]
    assert (found.label, found.weight, found.labels().tolist()) == ("y", "w", [0, 1, 1])
    assert found.columns["w"].tolist() == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("method", ["min_max_scale", "standard_scale"])
@pytest.mark.parametrize("constant", [0.1, 0.0, -3e5, 1e300])
def test_a_column_of_one_value_becomes_zero(method: str, constant: float) -> None:
    assert scaled(params(method=method), [[constant]] * 3).tolist() == [[0.0]] * 3


def test_one_row_is_enough() -> None:
    assert scaled(params(), [[5.0, -2.0]]).tolist() == [[0.0, 0.0]]
    assert scaled(params(method="standard_scale"), [[5.0, -2.0]]).tolist() == [[0.0, 0.0]]


def test_a_table_without_columns_passes() -> None:
    data = table(["a", "b"], "y", y=[0, 1])
    assert list(transform(fit(params(), data), data).columns) == ["y"]


def test_bounds_cut_values_before_they_are_scaled() -> None:
    rows = [[-5.0], [0.0], [5.0], [100.0]]
    assert scaled(params(feat_upper=10, feat_lower=0), rows)[:, 0].tolist() == [0.0, 0.0, 0.5, 1.0]
    assert scaled(params(feat_upper=1000, feat_lower=-1000), rows).max() == 1.0  # bounds only ever narrow
    standard = scaled(params(method="standard_scale", feat_upper=10, feat_lower=0), rows)
    assert np.allclose(standard, StandardScaler().fit_transform(np.clip(rows, 0, 10)))


def test_bounds_may_differ_by_column() -> None:
    rows = [[0.0, 0.0], [10.0, 10.0]]
    assert scaled(params(feat_upper=[5.0, 20.0]), [*rows], [[2.5, 5.0]]).tolist() == [[0.5, 0.5]]
    with pytest.raises(DataError, match=r"FED-874.*feat_upper has 3 entries, the table 2 columns"):
        scaled(params(feat_upper=[1.0, 2.0, 3.0]), rows)


def test_cap_takes_quantiles_for_bounds() -> None:
    rows = np.arange(1.0, 101.0)[::-1, None]
    model = fit(params(mode="CAP", feat_upper=0.9, feat_lower=0.1), of(rows))
    scale = model["ScaleParam"].col_scale_param["x0"]
    assert (scale.column_lower, scale.column_upper) == (10.0, 90.0)
    whole = fit(params(mode="cap"), of(rows))["ScaleParam"].col_scale_param["x0"]
    assert (whole.column_lower, whole.column_upper) == (1.0, 100.0)


def test_new_rows_are_cut_under_standard_scale_at_given_bounds_only() -> None:
    fitted, new = [[0.0], [2.0]], [[-100.0], [100.0]]
    assert scaled(params(method="standard_scale"), fitted, new)[:, 0].tolist() == [-101.0, 99.0]
    assert scaled(params(method="standard_scale", feat_upper=5), fitted, new)[:, 0].tolist() == [-101.0, 1.0]
    assert scaled(params(method="standard_scale", mode="cap"), fitted, new)[:, 0].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    "given",
    [
        {"scale_column_idx": [1]},
        {"scale_col_indexes": [1]},
        {"area": "col", "scale_names": ["x1"]},
        {"scale_column_idx": [1], "scale_names": ["x1"]},
    ],
)
def test_only_the_chosen_columns_are_scaled(given: dict) -> None:
    rows = [[10.0, 10.0], [20.0, 20.0]]
    model = fit(params(**given), of(rows))
    assert transform(model, of(rows)).features().tolist() == [[10.0, 0.0], [20.0, 1.0]]
    assert list(model["ScaleMeta"].scale_column) == ["x1"]


@pytest.mark.parametrize(
    "given",
    [
        {"scale_column_idx": -1},
        {"area": "all"},
        {"scale_col_indexes": -1},
        {"area": "all", "scale_column_idx": []},
        {"scale_column_idx": []},
    ],
)
def test_all_columns_are_scaled(given: dict) -> None:
    assert scaled(params(**given), [[1.0, 1.0], [2.0, 2.0]]).tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert not FEATURE_SCALE.notes(params(**given))


@pytest.mark.parametrize("given", [{"scale_names": ["x0"]}, {"scale_column_idx": [0]}])
def test_area_all_counts_more_than_columns_that_are_named_and_a_note_says_so(given: dict) -> None:
    p = params(area="all", **given)
    assert scaled(p, [[1.0, 1.0], [2.0, 2.0]]).tolist() == [[0.0, 0.0], [1.0, 1.0]]
    (note,) = FEATURE_SCALE.notes(p)
    assert "area is all" in note


def test_area_col_without_any_column_scales_none() -> None:
    rows = [[1.0], [2.0]]
    assert scaled(params(area="col", scale_column_idx=[]), rows).tolist() == rows


@pytest.mark.parametrize("given", [{"method": None}, {"need_run": False}])
def test_nothing_is_scaled_and_the_model_says_so(given: dict) -> None:
    rows = [[1.0, NAN], [2.0, NAN]]
    model = fit(params(**given), of(rows))
    assert np.array_equal(transform(model, of(rows)).features(), rows, equal_nan=True)
    assert not model["ScaleParam"].col_scale_param
    assert model["ScaleParam"].need_run is given.get("need_run", True)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"area": "col"}, "area is col"),
        ({"scale_column_idx": -1, "scale_names": ["x0"]}, "-1"),
        ({"scale_column_idx": [0, 0]}, "twice"),
        ({"scale_names": ["a", "a"]}, "twice"),
        ({"scale_column_idx": [-2]}, "greater than or equal to 0"),
        ({"mode": "cap", "feat_upper": 1.5}, "quantiles"),
        ({"feat_upper": 1, "feat_lower": 2}, "above"),
        ({"feat_upper": [3.0, 1.0], "feat_lower": 2}, "above"),
        ({"feat_upper": [1.0, 2.0], "feat_lower": [1.0]}, "entries"),
        ({"method": "log"}, "min_max_scale"),
        ({"scale_column_idx": [0], "scale_col_indexes": [0]}, "two names"),
        ({"feat_upper": float("inf")}, "finite"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(given: dict, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        params(**given)


def test_effective_parameters_mean_the_same_when_read_again() -> None:
    p = params(scale_col_indexes=[1], feat_upper=[1.0, 2.0])
    assert ScaleParams.model_validate_json(p.model_dump_json()) == p


def test_columns_that_are_not_there_are_named_at_home_only() -> None:
    with pytest.raises(DataError, match="FED-871") as caught:
        scaled(params(scale_names=["secret"]), [[1.0]])
    assert "secret" not in caught.value.message
    with pytest.raises(DataError, match=r"FED-871.*0 to 1"):
        scaled(params(scale_column_idx=[2]), [[1.0, 2.0]])
    model = fit(params(), of([[1.0, 2.0], [3.0, 4.0]]))
    with pytest.raises(DataError, match=r"FED-871.*'x1'"):
        transform(model, of([[1.0]]))


@pytest.mark.parametrize("method", ["min_max_scale", "standard_scale"])
def test_what_cannot_be_scaled_is_refused(method: str) -> None:
    p = params(method=method)
    with pytest.raises(DataError, match=r"FED-872.*no rows"):
        scaled(p, np.zeros((0, 2)))
    with pytest.raises(DataError, match=r"FED-872.*without any value: 1 \(x1"):
        scaled(p, [[1.0, NAN], [2.0, NAN]])
    with pytest.raises(DataError, match=r"FED-873.*not finite: 1 \(x0 \(1 row\)"):
        scaled(p, [[np.inf], [1.0]])
    with pytest.raises(DataError, match=r"FED-873.*too large"):
        scaled(p, [[-1.7e308], [1.7e308]])
    with pytest.raises(DataError, match=r"FED-873.*not numeric"):
        fit(p, table(["a"], x=["text"]))


@pytest.mark.parametrize("kind", [Kind.RAW, Kind.PREDICTIONS])
def test_only_instances_are_taken(kind: Kind, tmp_path: Path) -> None:
    data = replace(of([[1.0]]), kind=kind)
    with pytest.raises(DataError, match=f"FED-870.*{kind}"):
        Case(FEATURE_SCALE, {GUEST: params()}, {GUEST: Inputs({"data": [data]})}).run(tmp_path)


def test_the_model_has_fates_fields() -> None:
    model = fit(params(feat_upper=[7.0, 8.0], scale_column_idx=[0]), of([[1.0, 1.0], [9.0, 9.0]]))
    meta, param = model["ScaleMeta"], model["ScaleParam"]
    assert (meta.method, meta.mode, meta.area) == ("min_max_scale", "normal", "col")
    assert (list(meta.feat_upper), list(meta.feat_lower)) == (["7.0", "8.0"], ["None", "None"])
    assert list(param.header) == ["x0", "x1"]
    assert param.col_scale_param["x0"] == pb.ColumnScaleParam(column_upper=7.0, column_lower=1.0, mean=0.0, std=1.0)


def test_a_row_alone_is_scaled_to_the_bit_as_among_others() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(50, 8))
    model = fit(params(method="standard_scale"), of(rows))
    together = transform(model, of(rows)).features()
    assert all((transform(model, of(rows[i : i + 1])).features() == together[i]).all() for i in range(50))


def test_many_columns_are_scaled_and_the_grid_stays_readable(tmp_path: Path) -> None:
    rows = np.arange(6000.0).reshape(2, 3000)
    result = Case(FEATURE_SCALE, {GUEST: params()}, {GUEST: Inputs({"data": [of(rows)]})}).run(tmp_path)
    out = result.outputs[GUEST]
    assert out.data is not None
    assert out.data.features().sum() == 3000
    assert (len(out.views[0].rows), out.views[0].title) == (1000, "min_max_scale: 1000 of 3000 scaled columns")
    assert out.summary == {"rows": 2.0, "scaled_columns": 3000.0}


def test_each_party_scales_its_own_table_or_uses_its_model(tmp_path: Path) -> None:
    data = {GUEST: of([[1.0], [3.0]]), HOST: of([[10.0], [30.0], [20.0]])}
    case = Case(FEATURE_SCALE, {GUEST: params(), HOST: params()}, {m: Inputs({"data": [t]}) for m, t in data.items()})
    fitted = conforms(case, tmp_path / "fit").outputs
    new = {m: Inputs({"eval_data": [of([[2.0]])]}, fitted[m].model) for m in data}
    used = replace(case, inputs=new).run(tmp_path / "use").outputs
    assert [used[m].data.features().tolist() for m in (GUEST, HOST)] == [[[0.5]], [[0.0]]]
    assert used[HOST].model == fitted[HOST].model


def test_a_model_leaves_the_table_where_nothing_need_run() -> None:
    data = table(["a", "b"], x=[1.0, 2.0])
    model = fit(ScaleParams(method="standard_scale"), data)
    found = FEATURE_SCALE.roles[GUEST.role](ScaleParams(need_run=False), None, Inputs({"data": [data]}, model))
    assert found.data is data


@pytest.mark.parametrize("method", ["min_max_scale", "standard_scale", None])
def test_the_grid_has_fates_name_type_and_method(method: str | None, tmp_path: Path) -> None:
    p = params(method=method)
    result = Case(FEATURE_SCALE, {GUEST: p}, {GUEST: Inputs({"data": [of([[1.0], [2.0]])]})}).run(tmp_path)
    (view,) = result.outputs[GUEST].views
    assert (view.namespace, view.name, view.metric_type, view.meta) == ("train", "scale", "SCALE", {"method": method})
    assert parsed(view.json()) == view
