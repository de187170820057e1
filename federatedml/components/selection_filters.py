"""Filters that a party applies to its own columns, by itself. Missing values (NaN) do not count.

    unique_value                            largest - smallest >= eps
    coefficient_of_variation_value_thres    |standard deviation / mean| >= value_threshold (0 is 1e-8)
    outlier_cols                            quantile at percentile < upper_threshold
    percentage_value                        share of the usual value <= upper_pct
    statistic_filter                        a number that Statistics found
    manually                                as people say

A filter that would take all columns that it judges leaves the best of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import ModelBuffers
from federatedml.components.binning_bins import chosen, finite
from federatedml.components.selection_params import FeatureSelectionParams
from federatedml.components.selection_rules import statistic_rule
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError

SMALLEST_MEAN = 1e-8
Judged = tuple[dict[str, float], list[str]]  # number of each column that was judged; those that stay


def judge(
    method: str, p: FeatureSelectionParams, table: Table, names: Sequence[str], isometric: ModelBuffers | None
) -> Judged:
    """Apply one filter to the columns ``names``.

    Raises:
        DataError: FED-831 for a column that does not hold numbers; FED-842 if Statistics has not the number.
        DslError: FED-843 without the model that a filter needs.
    """
    if not names:
        return {}, []
    if method == "manually":
        return {}, _manually(p, table.header, names)
    if method == "statistic_filter":
        values = _statistics(p, names, isometric)
        return values, statistic_rule(p).stay(values)
    number, stays, best = _FILTERS[method]
    with np.errstate(over="ignore", invalid="ignore"):  # of squares of huge numbers; they stay huge
        values = {name: float(np.nan_to_num(number(p, _known(table, name)))) for name in names}
    left = [name for name, value in values.items() if stays(p, value)]
    return values, left or [best(names, key=lambda name: values[name])]


def _known(table: Table, name: str) -> Floats:
    values = finite(name, table.columns[name])
    return values[~np.isnan(values)]


def _range(p: FeatureSelectionParams, x: Floats) -> float:
    return float(x.max() - x.min()) if len(x) else 0.0


def _variation(p: FeatureSelectionParams, x: Floats) -> float:
    if not len(x):
        return 0.0
    return abs(float(x.std()) / (float(x.mean()) or SMALLEST_MEAN))


def _quantile(p: FeatureSelectionParams, x: Floats) -> float:
    rank = max(math.ceil(p.outlier_param.percentile * len(x) - 1e-9) - 1, 0)
    return float(np.partition(x, rank)[rank]) if len(x) else 0.0


def _usual(p: FeatureSelectionParams, x: Floats) -> float:
    return float(np.unique(x, return_counts=True)[1].max() / len(x)) if len(x) else 1.0


Best = Callable[..., str]
_FILTERS: Mapping[
    str,
    tuple[Callable[[FeatureSelectionParams, Floats], float], Callable[[FeatureSelectionParams, float], bool], Best],
] = {
    "unique_value": (_range, lambda p, v: v >= p.unique_param.eps, max),
    "coefficient_of_variation_value_thres": (_variation, lambda p, v: v >= p.variance_coe_param.value_threshold, max),
    "outlier_cols": (_quantile, lambda p, v: v < p.outlier_param.upper_threshold, min),
    "percentage_value": (_usual, lambda p, v: v <= p.percentage_value_param.upper_pct, min),
}


def _manually(p: FeatureSelectionParams, header: Sequence[str], names: Sequence[str]) -> list[str]:
    m = p.manually_param
    out = chosen(header, m.filter_out_indexes, m.filter_out_names, "filter_out_indexes")
    only = chosen(header, m.left_col_indexes, m.left_col_names, "left_col_indexes")
    left = [name for name in names if name not in out and (name in only or not only)]
    return left or [names[0]]


def _statistics(p: FeatureSelectionParams, names: Sequence[str], isometric: ModelBuffers | None) -> dict[str, float]:
    found = [message for message in (isometric or {}).values() if isinstance(message, pb.StatisticParam)]
    if not found:
        raise DslError(
            "FED-843", "HeteroFeatureSelection: statistic_filter needs the model of Statistics", "input.isometric_model"
        )
    numbers, metric = found[0].self_values, p.statistic_param.metrics
    if without := [name for name in names if name not in numbers or metric not in numbers[name].values]:
        raise DataError(
            "FED-842", f"Statistics has no {metric!r} of {len(without)} columns", ", ".join(map(repr, without[:10]))
        )
    return {name: numbers[name].values[metric] for name in names}
