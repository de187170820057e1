"""The model of HeteroFeatureSelection, what it does to a table, and how people see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import ModelBuffers
from federatedml.components.selection_params import FeatureSelectionParams
from federatedml.components.selection_rules import iv_rule, statistic_rule
from federatedml.data.table import Table
from federatedml.errors import DataError, ModelError
from federatedml.views import Grid

META, PARAM = "FeatureSelectionMeta", "FeatureSelectionParam"
DIGITS = 6
NAMES = {  # the first five are FATE's
    "unique_value": "UNIQUE FILTER",
    "iv_value_thres": "IV_VALUE_FILTER",
    "iv_percentile": "IV_PERCENTILE",
    "coefficient_of_variation_value_thres": "COEFFICIENT OF VARIANCE",
    "outlier_cols": "OUTLIER",
    "iv_top_k": "IV_TOP_K",
    "iv_filter": "IV_FILTER",
    "percentage_value": "PERCENTAGE_VALUE",
    "statistic_filter": "STATISTIC_FILTER",
    "manually": "MANUALLY",
}


@dataclass(frozen=True)
class Step:
    """What one filter did.

    Attributes:
        values: number of each own column that it judged, where it has one.
        judged, left: own columns before and after.
        of_hosts: at the guest, by host and anonymous name: the number, and whether the column stays.
    """

    method: str
    values: Mapping[str, float]
    judged: Sequence[str]
    left: Sequence[str]
    of_hosts: Mapping[str, Mapping[str, tuple[float, bool]]] = field(default_factory=dict)


def model(p: FeatureSelectionParams, header: Sequence[str], steps: Sequence[Step], left: Iterable[str]) -> ModelBuffers:
    """What a party selected."""
    final = _left(header, left)
    param = pb.FeatureSelectionParam(results=map(_result, steps), final_left_cols=final, header=header)
    return {META: _meta(p, header), PARAM: param}


def transform(fitted: ModelBuffers, table: Table) -> Table:
    """The table with the columns that stay (label and weight besides), in the model's order.

    Raises:
        DataError: FED-846, one of them is missing.
    """
    meta, param = cast(pb.FeatureSelectionMeta, fitted[META]), cast(pb.FeatureSelectionParam, fitted[PARAM])
    if not meta.need_run:
        return table
    names = [name for name in param.header if param.final_left_cols.left_cols[name]]
    if absent := [name for name in names if name not in table.columns]:
        raise DataError("FED-846", f"the table lacks {len(absent)} selected columns", ", ".join(map(repr, absent[:10])))
    kept = [name for name in (table.label, table.weight) if name is not None]
    return replace(table, columns={name: table.columns[name] for name in [*kept, *names]})


def check(fitted: ModelBuffers) -> None:
    """``ModelError`` (``FED-609``) for a selection that is not of the model's columns."""
    param = cast(pb.FeatureSelectionParam, fitted[PARAM])
    if set(param.header) != set(param.final_left_cols.left_cols) or len(set(param.header)) < len(param.header):
        raise ModelError("FED-609", "the model of HeteroFeatureSelection selects among other columns than it has")


def grid(steps: Sequence[Step], header: Sequence[str], left: Sequence[str]) -> Grid:
    """Columns by filters: the number, and where a column went."""
    heads = ("column", *(NAMES[step.method] for step in steps), "stays")
    rows = [(name, *(_cell(step, name) for step in steps), name in left) for name in header]
    others = {name: stays for step in steps for of in step.of_hosts.values() for name, (_, stays) in of.items()}
    rows += [(name, *(_cell(step, name) for step in steps), stays) for name, stays in others.items()]
    return Grid("selection", "Columns and filters", heads, rows)


def _cell(step: Step, name: str) -> str | float | None:
    told = next((of[name] for of in step.of_hosts.values() if name in of), None)
    if told is None and name not in step.judged:
        return None
    value, stays = told or (step.values.get(name), name in step.left)
    if value is None:
        return "stays" if stays else "goes"
    return round(value, DIGITS) if stays else f"{value:.{DIGITS}g}, goes"


def _result(step: Step) -> pb.FeatureSelectionFilterParam:
    found = pb.FeatureSelectionFilterParam(
        feature_values=step.values, left_cols=_left(step.judged, step.left), filter_name=NAMES[step.method]
    )
    for host, columns in step.of_hosts.items():
        for name, (value, _) in columns.items():
            found.host_feature_values[host].feature_values[name] = value
        left = _left(list(columns), [name for name, (_, stays) in columns.items() if stays])
        found.host_left_cols[host].CopyFrom(left)
    return found


def _left(names: Sequence[str], left: Iterable[str]) -> pb.LeftCols:
    staying = set(left)
    return pb.LeftCols(original_cols=names, left_cols={name: name in staying for name in names})


def _meta(p: FeatureSelectionParams, header: Sequence[str]) -> pb.FeatureSelectionMeta:
    return pb.FeatureSelectionMeta(
        filter_methods=p.filter_methods,
        local_only=p.local_only,
        cols=header,
        unique_meta=pb.UniqueValueMeta(eps=p.unique_param.eps),
        iv_value_meta=pb.IVValueSelectionMeta(value_threshold=p.iv_value_param.value_threshold),
        iv_percentile_meta=pb.IVPercentileSelectionMeta(
            percentile_threshold=p.iv_percentile_param.percentile_threshold
        ),
        variance_coe_meta=pb.VarianceOfCoeSelectionMeta(value_threshold=p.variance_coe_param.value_threshold),
        outlier_meta=pb.OutlierColsSelectionMeta(
            percentile=p.outlier_param.percentile, upper_threshold=p.outlier_param.upper_threshold
        ),
        need_run=p.need_run,
        filter_metas=[_later(method, p) for method in p.filter_methods if method in LATER],
    )


LATER = ("iv_top_k", "iv_filter", "percentage_value", "statistic_filter", "manually")


def _later(method: str, p: FeatureSelectionParams) -> pb.FilterMeta:
    """A filter that FATE got after v1.0."""
    if method == "manually":
        return pb.FilterMeta(metrics=method, filter_out_names=p.manually_param.filter_out_names)
    if method == "percentage_value":
        return pb.FilterMeta(metrics=method, filter_type="threshold", threshold=p.percentage_value_param.upper_pct)
    rule = statistic_rule(p) if method == "statistic_filter" else iv_rule(method, p)
    return pb.FilterMeta(
        metrics=p.statistic_param.metrics if method == "statistic_filter" else "iv",
        filter_type=rule.kind,
        take_high=rule.high,
        threshold=rule.value,
        select_federated=rule.federated,
    )
