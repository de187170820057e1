"""DataStatistics: numbers about each column of a party's table, for people and for feature selection.

Local: no message leaves the party; the table passes as it is. Missing values (NaN) and those of ``abnormal_list`` are
left out of everything but ``missing_count`` and ``missing_ratio``, which count the missing ones.

With n values v, their mean m and central moments m_k = sum (v - m)^k / n:

- variance = sum (v - m)^2 / (n - ddof); stddev is its root; coefficient_of_variance = |stddev / m|, for m = 0 with
  1e-8 in its place, as in FATE
- skewness = m_3 / m_2^1.5, kurtosis = m_4 / m_2^2 - 3 (0 and -3 for a constant column); with ``bias`` false the usual
  corrections for samples of more than 2 and 3 values
- median and quantiles ("5%"): the smallest value that is not below that part of the values; exact, no sketch

What cannot be computed, as the mean of no value, is left out. Weights of rows do not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal, Self, cast

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Component, Inputs, ModelBuffers, ModelSpec, Outputs, Params, Prediction, Scorer
from federatedml.components.column_choice import (
    GRID_ROWS,
    Indexes,
    Names,
    check_instances,
    chosen,
    distinct,
    numbers,
)
from federatedml.crypto.ring import Floats
from federatedml.data.cells import equal
from federatedml.data.table import Table
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.views import Grid

META, PARAM = "StatisticMeta", "StatisticParam"
QUANTILE = re.compile(r"(100|[1-9]?[0-9])%")
ZERO_MEAN = 1e-8


@dataclass(frozen=True)
class _Values:
    """The values of one column that count.

    Attributes:
        values: (n,) finite.
        missing, rows: of the column.
    """

    values: Floats
    missing: int
    rows: int
    ddof: int
    bias: bool

    @cached_property
    def mean(self) -> float:
        return float(self.values.mean()) if len(self.values) else np.nan

    def moment(self, power: int) -> np.float64:
        """The central moment; 0 for a constant column, whatever rounding says. Overflows to infinity."""
        if not len(self.values):
            return np.float64(np.nan)
        if self.values.min() == self.values.max():
            return np.float64(0)
        return np.float64(((self.values - self.mean) ** power).mean())

    def variance(self) -> float:
        n = len(self.values)
        return self.moment(2) * n / (n - self.ddof) if n > self.ddof else np.nan

    def variation(self) -> float:
        return float(abs(np.sqrt(self.variance()) / (self.mean if abs(self.mean) >= ZERO_MEAN else ZERO_MEAN)))

    def skewness(self) -> float:
        n, m2 = len(self.values), self.moment(2)
        plain = self.moment(3) / m2**1.5 if m2 else m2
        return plain if self.bias or n < 3 else plain * np.sqrt(n * (n - 1.0)) / (n - 2)

    def kurtosis(self) -> float:
        n, m2 = len(self.values), self.moment(2)
        plain = self.moment(4) / m2**2 if m2 else m2
        if self.bias or n < 4 or not m2:
            return plain - 3
        return ((n**2 - 1) * plain - 3 * (n - 1) ** 2) / ((n - 2) * (n - 3))

    def quantile(self, part: float) -> float:
        return float(np.quantile(self.values, part, method="inverted_cdf")) if len(self.values) else np.nan


STATISTICS: Mapping[str, Callable[[_Values], float]] = {
    "count": lambda v: float(len(v.values)),
    "sum": lambda v: float(v.values.sum()),
    "mean": lambda v: v.mean,
    "stddev": lambda v: np.sqrt(v.variance()),
    "median": lambda v: v.quantile(0.5),
    "min": lambda v: float(v.values.min(initial=np.inf)),
    "max": lambda v: float(v.values.max(initial=-np.inf)),
    "variance": _Values.variance,
    "coefficient_of_variance": _Values.variation,
    "missing_count": lambda v: float(v.missing),
    "missing_ratio": lambda v: v.missing / v.rows if v.rows else np.nan,
    "skewness": _Values.skewness,
    "kurtosis": _Values.kurtosis,
}
BASIC = [name for name in STATISTICS if name not in ("count", "variance")]  # FATE finds them whatever else is asked


def _listed(value: Any) -> Any:
    if value == "summary":
        return []
    return [value] if isinstance(value, str) else value


def _known(names: list[str]) -> list[str]:
    wrong = [name for name in names if name not in STATISTICS and not QUANTILE.fullmatch(name)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no statistic; allowed: summary, {', '.join(STATISTICS)}, 0% to 100%")
    return names


class StatisticsParams(Params):
    """FATE's parameters and ``ddof``."""

    statistics: Annotated[list[str], BeforeValidator(_listed), AfterValidator(_known)] = Field(
        default=[], description=f"beside {', '.join(BASIC)}: count, variance, quantiles as '95%'; 'summary': none"
    )
    column_names: Names = Field(default=None, description="names of columns, beside column_indexes")
    column_indexes: Indexes = Field(
        default=None,
        description="positions of the columns; -1: all; null: all, or those of column_names only",
        json_schema_extra={"fate": -1},
    )
    abnormal_list: list[int | float | str] | None = Field(default=None, description="values that do not count")
    quantile_error: float = Field(default=1e-4, gt=0, lt=1, description="of FATE's sketch; ours is exact")
    bias: bool = Field(default=True, description="false: skewness and kurtosis are corrected for small samples")
    ddof: Literal[0, 1] = Field(default=0, description="what variance takes off the number of values")
    need_run: bool = Field(default=True, description="false: find nothing")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        distinct(self.column_indexes, self.column_names)
        return self

    @property
    def wanted(self) -> list[str]:
        """Names of all statistics, each once."""
        return list(dict.fromkeys([*BASIC, *self.statistics]))


def party(p: StatisticsParams, box: Box, inputs: Inputs) -> Outputs:
    """The table as it is, and numbers about its columns; with a model, that model."""
    table = inputs.one("data", "train_data", "eval_data")
    check_instances("DataStatistics", table)
    model = inputs.model or fit(p, table)
    meta = cast(pb.StatisticMeta, model[META])
    summary = {"rows": float(len(table)), "columns": float(len(meta.static_columns))}
    return Outputs(table, model, [_grid(model)], summary)


def fit(p: StatisticsParams, table: Table) -> ModelBuffers:
    """The numbers about each chosen column.

    Raises:
        DataError: ``FED-871``, no such column; ``FED-873``, values that are not finite.
    """
    names = chosen(table.header, p.column_indexes, p.column_names) if p.need_run else []
    found = {name: _found(p, values) for name, values in numbers(table, names).items()}
    meta = pb.StatisticMeta(
        statistics=p.wanted, static_columns=names, quantile_error=p.quantile_error, need_run=p.need_run
    )
    values = {name: pb.StatisticOneFeatureValues(values=entries) for name, entries in found.items()}
    return {META: meta, PARAM: pb.StatisticParam(self_values=values, model_name="StatisticParam", header=table.header)}


def _found(p: StatisticsParams, column: Floats) -> dict[str, float]:
    missing = np.isnan(column)
    counts = ~missing & ~equal(column, map(str, p.abnormal_list or ()))
    values = _Values(column[counts], int(missing.sum()), len(column), p.ddof, p.bias)
    with np.errstate(all="ignore"):
        found = {name: _one(values, name) for name in p.wanted}
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def _one(values: _Values, name: str) -> float:
    return STATISTICS[name](values) if name in STATISTICS else values.quantile(float(name[:-1]) / 100)


def _grid(model: ModelBuffers) -> Grid:
    meta, param = cast(pb.StatisticMeta, model[META]), cast(pb.StatisticParam, model[PARAM])
    shown, rows = meta.static_columns[:GRID_ROWS], []
    for name in shown:
        values = param.self_values[name].values
        rows.append([name, *(values.get(statistic) for statistic in meta.statistics)])
    title = f"{len(shown)} of {len(meta.static_columns)} columns"
    return Grid("statistics", title, ["column", *meta.statistics], rows, metric_type="STATISTIC")


DATA_STATISTICS = Component(
    module="DataStatistics",
    title="Numbers about each column: mean, deviation, quantiles, missing values",
    params=StatisticsParams,
    roles={Role.GUEST: party, Role.HOST: party},
    has_model=True,
    model=ModelSpec({META: pb.StatisticMeta, PARAM: pb.StatisticParam}),
    scorer=Scorer(),
    prediction=Prediction(),
    need_deploy=False,
    cost=["Each column is sorted: rows x log rows x columns.", "No message leaves a party."],
)

STATISTICS_OF_V2 = replace(DATA_STATISTICS, module="Statistics")  # its name in FATE 2
