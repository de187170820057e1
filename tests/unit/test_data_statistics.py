"""DataStatistics: the same as NumPy, SciPy and pandas; missing and abnormal values, what cannot be computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy import stats

from federatedml.component import Inputs
from federatedml.components.data_statistics import BASIC, DATA_STATISTICS, StatisticsParams, fit
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, table

NAN = float("nan")
ALL = ["count", "variance", "5%", "50%", "100%"]


def params(**given: Any) -> StatisticsParams:
    return StatisticsParams.model_validate(given)


def found(p: StatisticsParams, *values: float, dtype: Any = np.float64) -> dict[str, float]:
    data = Table(np.array([f"u{i}" for i in range(len(values))], object), {"x": np.array(values, dtype)})
    return dict(fit(p, data)["StatisticParam"].self_values["x"].values)


def samples(least: int) -> Any:
    numbers = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: round(x, 2))
    return arrays(np.float64, st.integers(least, 30), elements=numbers)


@settings(max_examples=60, deadline=None)
@given(samples(5), st.booleans(), st.sampled_from([0, 1]))
def test_numbers_are_those_of_pandas_and_scipy(values: np.ndarray, bias: bool, ddof: int) -> None:
    mine = found(params(statistics=ALL, bias=bias, ddof=ddof), *values)
    series = pd.Series(values)
    expected = {
        "count": len(values),
        "sum": series.sum(),
        "mean": series.mean(),
        "stddev": series.std(ddof=ddof),
        "variance": series.var(ddof=ddof),
        "min": series.min(),
        "max": series.max(),
        "median": np.sort(values)[(len(values) - 1) // 2],
        "5%": np.quantile(values, 0.05, method="inverted_cdf"),
        "100%": series.max(),
        "missing_count": 0.0,
        "missing_ratio": 0.0,
    }
    assert {name: mine[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert mine["50%"] == mine["median"]
    if np.ptp(values) > 1:
        assert mine["skewness"] == pytest.approx(stats.skew(values, bias=bias), rel=1e-6, abs=1e-6)
        assert mine["kurtosis"] == pytest.approx(stats.kurtosis(values, bias=bias), rel=1e-6, abs=1e-6)
    if abs(expected["mean"]) > 1e-3:
        assert mine["coefficient_of_variance"] == pytest.approx(abs(expected["stddev"] / expected["mean"]))


def test_missing_and_abnormal_values_do_not_count() -> None:
    mine = found(params(statistics="count", abnormal_list=[-999, "7"]), 1.0, NAN, -999.0, 3.0, 7.0)
    assert (mine["count"], mine["mean"], mine["max"]) == (2.0, 2.0, 3.0)
    assert (mine["missing_count"], mine["missing_ratio"]) == (1.0, 0.2)


def test_a_constant_column_has_fates_numbers() -> None:
    mine = found(params(statistics="variance"), 0.1, 0.1, 0.1)
    assert (mine["stddev"], mine["variance"], mine["skewness"], mine["kurtosis"]) == (0.0, 0.0, 0.0, -3.0)
    assert mine["coefficient_of_variance"] == 0.0
    assert found(params(), -1.0, 1.0)["coefficient_of_variance"] == 1e8


def test_what_cannot_be_computed_is_left_out() -> None:
    assert set(found(params(statistics=ALL), NAN, NAN)) == {"count", "sum", "missing_count", "missing_ratio"}
    assert set(found(params())) == {"sum", "missing_count"}
    one = found(params(ddof=1), 5.0)
    assert "stddev" not in one
    assert (one["mean"], one["median"]) == (5.0, 5.0)
    huge = found(params(), -1.5e308, 1.5e308)
    assert "stddev" not in huge
    assert huge["max"] == 1.5e308


def test_columns_may_be_whole_numbers() -> None:
    assert found(params(), 1, 2, 6, dtype=np.int64)["mean"] == 3.0


@pytest.mark.parametrize(("given", "names"), [({}, BASIC), ({"statistics": "summary"}, BASIC)])
def test_the_summary_is_fates(given: dict, names: list[str]) -> None:
    assert params(**given).wanted == names
    assert names == [
        "sum",
        "mean",
        "stddev",
        "median",
        "min",
        "max",
        "coefficient_of_variance",
        "missing_count",
        "missing_ratio",
        "skewness",
        "kurtosis",
    ]


def test_what_is_asked_comes_beside_the_summary_once() -> None:
    assert params(statistics=["mean", "25%", "25%"]).wanted == [*BASIC, "25%"]


@pytest.mark.parametrize("given", [{"statistics": ["105%"]}, {"statistics": "mode"}, {"statistics": ["5.5%"]}])
def test_other_statistics_are_refused_with_those_that_there_are(given: dict) -> None:
    with pytest.raises(ValidationError, match=r"is no statistic; allowed: summary, count, .*0% to 100%"):
        params(**given)


def test_parameters_survive_json() -> None:
    p = params(statistics="95%", column_indexes=[0], abnormal_list=["x", 1])
    assert StatisticsParams.model_validate_json(p.model_dump_json()) == p


def test_only_the_chosen_columns_are_looked_at(tmp_path: Path) -> None:
    data = table(["a", "b"], "y", y=[0, 1], u=[1, 2], v=[3, 4], w=[5, 6])
    model = fit(params(column_indexes=[0], column_names=["w"]), data)
    assert list(model["StatisticMeta"].static_columns) == ["u", "w"]
    assert set(model["StatisticParam"].self_values) == {"u", "w"}
    with pytest.raises(DataError, match="FED-871"):
        fit(params(column_names=["q"]), data)


def test_tables_that_are_none_of_instances_are_refused(tmp_path: Path) -> None:
    data = replace(table(["a"], x=[1]), kind=Kind.PREDICTIONS)
    with pytest.raises(DataError, match=r"FED-870.*DataStatistics"):
        Case(DATA_STATISTICS, {GUEST: params()}, {GUEST: Inputs({"data": [data]})}).run(tmp_path)
    with pytest.raises(DataError, match="FED-873"):
        fit(params(), table(["a"], x=[np.inf]))


def test_the_table_passes_and_the_grid_shows_what_there_is(tmp_path: Path) -> None:
    data = {GUEST: table(["a", "b"], "y", y=[0, 1], x=[1.0, NAN], z=[NAN, NAN]), HOST: table(["a"], q=[2.0])}
    case = Case(
        DATA_STATISTICS, dict.fromkeys(data, params()), {member: Inputs({"data": [t]}) for member, t in data.items()}
    )
    outputs = conforms(case, tmp_path / "fit").outputs
    assert outputs[GUEST].data is data[GUEST]
    grid = outputs[GUEST].views[0]
    assert [row[:3] for row in grid.rows] == [["x", 1.0, 1.0], ["z", 0.0, None]]
    again = replace(case, inputs={m: Inputs({"data": [t]}, outputs[m].model) for m, t in data.items()})
    assert again.run(tmp_path / "again").outputs[HOST].model == outputs[HOST].model


def test_many_columns_are_found_and_the_grid_stays_readable(tmp_path: Path) -> None:
    data = table(["a", "b"], **{f"x{i}": [i, i + 2] for i in range(1200)})
    out = Case(DATA_STATISTICS, {GUEST: params()}, {GUEST: Inputs({"data": [data]})}).run(tmp_path).outputs[GUEST]
    assert len(out.model["StatisticParam"].self_values) == 1200
    assert (len(out.views[0].rows), out.summary["columns"]) == (1000, 1200.0)


def test_a_table_without_rows_has_counts_only() -> None:
    found = fit(params(statistics="count"), table([], x=np.zeros(0)))["StatisticParam"].self_values["x"].values
    assert dict(found) == {"count": 0.0, "sum": 0.0, "missing_count": 0.0}


def test_without_need_run_nothing_is_found() -> None:
    model = fit(params(need_run=False), table(["a"], x=["text"]))
    assert not model["StatisticParam"].self_values
    assert model["StatisticMeta"].need_run is False
