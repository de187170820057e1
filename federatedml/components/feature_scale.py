"""FeatureScale: each column to the range 0 to 1 (``min_max_scale``) or to mean 0 and deviation 1 (``standard_scale``).

Local: no message leaves the party. What was fitted is the model, and the same ``transform`` serves training, validation
data (``input.model``), predict jobs and online scoring.

- min_max_scale: (x - low) / (high - low), x clipped to low..high: the extremes of the fitted rows, or what
  ``feat_lower`` and ``feat_upper`` leave of them. A column of one value becomes 0.
- standard_scale: (x - mean) / std with the mean and the population's standard deviation of the clipped rows; clipped
  only at a side that ``feat_lower``, ``feat_upper`` or mode cap sets. A column of one value becomes 0.
- mode cap: the bounds are quantiles, from 0 to 1: the smallest value that is not below that part of the values.

NaN counts nowhere and stays NaN; weights of rows do not count. FATE rounds the results to 6 digits; ours are exact.
FATE clips new rows under standard_scale to the range of the fitted ones; ours are clipped at the given bounds only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Component, Inputs, ModelBuffers, ModelSpec, Outputs, Params, Prediction, Scorer
from federatedml.components.column_choice import (
    GRID_ROWS,
    Indexes,
    Names,
    check_fittable,
    check_instances,
    chosen,
    distinct,
    known,
    lower_case,
    numbers,
    refuse_columns,
)
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError, ModelError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.views import Grid

META, PARAM = "ScaleMeta", "ScaleParam"
MIN_MAX, STANDARD, CAP = "min_max_scale", "standard_scale", "cap"
UNBOUNDED = "None"  # how FATE writes a bound that is not set
Bound = float | list[float] | None
Bounds = tuple[float | None, float | None]  # low, high


class ScaleParams(Params):
    """FATE's parameters: those of v1.0, and ``scale_names``."""

    aliases: ClassVar[Mapping[str, str]] = {"scale_col_indexes": "scale_column_idx"}

    method: Annotated[Literal["min_max_scale", "standard_scale"] | None, BeforeValidator(lower_case)] = Field(
        default=None, description="null: columns stay as they are"
    )
    mode: Annotated[Literal["normal", "cap"], BeforeValidator(lower_case)] = Field(
        default="normal", description="cap: feat_upper and feat_lower are quantiles, 0 to 1"
    )
    area: Literal["all", "col"] | None = Field(
        default=None,
        description="null: col if columns are named, else all. all: whatever is named",
        json_schema_extra={"fate": "all"},
    )
    scale_column_idx: Indexes = Field(
        default=None, description="positions of the columns; -1: all", json_schema_extra={"fate": []}
    )
    scale_names: Names = Field(
        default=None, description="names of columns, beside scale_column_idx", json_schema_extra={"fate": []}
    )
    feat_upper: Bound = Field(default=None, description="upper bound of all columns, or one for each column")
    feat_lower: Bound = Field(default=None, description="lower bound of all columns, or one for each column")
    with_mean: bool = Field(default=True, description="standard_scale: subtract the mean")
    with_std: bool = Field(default=True, description="standard_scale: divide by the standard deviation")
    need_run: bool = Field(default=True, description="false: pass the table on as it is")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        distinct(self.scale_column_idx, self.scale_names)
        if self.area == "col" and not self.scale_names and not isinstance(self.scale_column_idx, list):
            raise ValueError("area is col, but neither scale_column_idx nor scale_names chooses columns")
        lows, highs = _listed(self.feat_lower), _listed(self.feat_upper)
        if self.mode == CAP and any(not 0 <= bound <= 1 for bound in lows + highs):
            raise ValueError("mode cap: feat_lower and feat_upper are quantiles, 0 to 1")
        if isinstance(self.feat_lower, list) and isinstance(self.feat_upper, list) and len(lows) != len(highs):
            raise ValueError(f"feat_lower has {len(lows)} entries, feat_upper {len(highs)}: one for each column")
        if lows and highs and (np.array(lows) > np.array(highs)).any():  # one against all, or one by one
            raise ValueError("feat_lower is above feat_upper")
        return self

    @property
    def names_some(self) -> bool:
        """Whether columns are named, by position or by name."""
        return bool(self.scale_names) or (isinstance(self.scale_column_idx, list) and bool(self.scale_column_idx))

    def columns(self, header: Sequence[str]) -> list[str]:
        """The columns that are scaled, in the header's order; ``DataError`` (``FED-871``) if one is not there."""
        if self.area == "col":
            return chosen(header, self.scale_column_idx, self.scale_names)
        return list(header) if self.area == "all" else chosen(header, self.scale_column_idx or None, self.scale_names)

    def bounds(self, columns: int) -> list[Bounds]:
        """(low, high) of each of the table's columns; None where a side is not bounded.

        Raises:
            DataError: ``FED-874``, a list has not one entry per column.
        """
        low, high = (0.0, 1.0) if self.mode == CAP else (None, None)
        lows = _per_column("feat_lower", self.feat_lower, low, columns)
        highs = _per_column("feat_upper", self.feat_upper, high, columns)
        return list(zip(lows, highs, strict=True))


def party(p: ScaleParams, box: Box, inputs: Inputs) -> Outputs:
    """Fit on the table, or use the model that is given, and transform."""
    table = inputs.one("data", "train_data", "eval_data")
    check_instances("FeatureScale", table)
    model = inputs.model or fit(p, table)
    found = transform(model, table) if p.need_run else table
    param = cast(pb.ScaleParam, model[PARAM])
    summary = {"rows": float(len(found)), "scaled_columns": float(len(param.col_scale_param))}
    return Outputs(found, model, [_grid(model)], summary)


def fit(p: ScaleParams, table: Table) -> ModelBuffers:
    """The model of a table of instances; it scales nothing if ``need_run`` is false or ``method`` is null.

    Raises:
        DataError: ``FED-871``, no such column; ``FED-872``, no rows or no values; ``FED-873``, values that are not
            finite, or too large; ``FED-874``, as many bounds as columns are needed.
    """
    header = table.header
    names = p.columns(header) if p.need_run and p.method else []
    bounds = p.bounds(len(header)) if names else []
    meta = pb.ScaleMeta(
        method=p.method or "",
        mode=p.mode,
        area=p.area or ("all" if names == header else "col"),
        scale_column=names,
        feat_lower=[_text(low) for low, _ in bounds],
        feat_upper=[_text(high) for _, high in bounds],
        with_mean=p.with_mean,
        with_std=p.with_std,
    )
    columns = numbers(table, names)
    check_fittable(columns)
    side = dict(zip(header, bounds, strict=bool(bounds)))
    fitted = {name: _fitted(p, known(values), side[name]) for name, values in columns.items()}
    large = {name: len(table) for name, scale in fitted.items() if not all(map(np.isfinite, _numbers_of(scale)))}
    refuse_columns("FED-873", "columns with values too large to be scaled", large)
    return {META: meta, PARAM: pb.ScaleParam(col_scale_param=fitted, header=header, need_run=p.need_run)}


def transform(model: ModelBuffers, table: Table) -> Table:
    """The table with the model's columns scaled; other columns as they are.

    Raises:
        DataError: ``FED-871``, a column is missing; ``FED-873``, it holds what is not a finite number.
    """
    meta, param = cast(pb.ScaleMeta, model[META]), cast(pb.ScaleParam, model[PARAM])
    lows, highs = (dict(zip(param.header, texts, strict=False)) for texts in (meta.feat_lower, meta.feat_upper))
    columns = dict(table.columns)
    for name, values in numbers(table, list(param.col_scale_param)).items():
        scale = param.col_scale_param[name]
        if meta.method == MIN_MAX:
            columns[name] = _between(scale, values)
        else:
            clipped = _clipped(scale, values, lows.get(name) != UNBOUNDED, highs.get(name) != UNBOUNDED)
            with np.errstate(over="ignore"):  # what becomes infinite is refused by whoever works on it
                columns[name] = (clipped - scale.mean) / (scale.std or 1.0)
    return replace(table, columns=columns)


def _fitted(p: ScaleParams, values: Floats, bounds: Bounds) -> pb.ColumnScaleParam:
    """The scale of one column; ``values``: (k,) finite, k > 0."""
    low, high = _range(p, values, bounds)
    scale = pb.ColumnScaleParam(column_lower=low, column_upper=high, mean=0.0, std=1.0)
    if p.method == STANDARD:
        values = _clipped(scale, values, bounds[0] is not None, bounds[1] is not None)
        with np.errstate(over="ignore", invalid="ignore"):
            constant = values.min() == values.max()  # whose computed mean may be off by a rounding
            scale.mean = float(values[0] if constant else np.mean(values)) if p.with_mean else 0.0
            scale.std = float(np.std(values)) or 1.0 if p.with_std and not constant else 1.0
    return scale


def _range(p: ScaleParams, values: Floats, bounds: Bounds) -> tuple[float, float]:
    if p.mode == CAP:
        found = np.quantile(values, np.array(bounds, np.float64), method="inverted_cdf")
    else:
        found = np.clip([values.min(), values.max()], *bounds)
    return float(found[0]), float(found[1])


def _clipped(scale: pb.ColumnScaleParam, values: Floats, below: bool, above: bool) -> Floats:
    limited: Floats = np.clip(values, scale.column_lower if below else -np.inf, scale.column_upper if above else np.inf)
    return limited


def _between(scale: pb.ColumnScaleParam, values: Floats) -> Floats:
    span = scale.column_upper - scale.column_lower
    return (_clipped(scale, values, below=True, above=True) - scale.column_lower) / (span or 1.0)


def check(model: ModelBuffers) -> None:
    """``ModelError`` (``FED-609``) for scales that no column has."""
    meta, param = cast(pb.ScaleMeta, model[META]), cast(pb.ScaleParam, model[PARAM])
    scales = param.col_scale_param.values()
    good = set(meta.scale_column) == set(param.col_scale_param) and all(
        scale.column_lower <= scale.column_upper and scale.std > 0 and all(map(np.isfinite, _numbers_of(scale)))
        for scale in scales
    )
    if not good or (scales and meta.method not in (MIN_MAX, STANDARD)):
        raise ModelError("FED-609", "the model of FeatureScale has scales that no column has")


def _numbers_of(scale: pb.ColumnScaleParam) -> tuple[float, ...]:
    return scale.column_upper - scale.column_lower, scale.mean, scale.std


def _listed(bound: Bound) -> list[float]:
    return [] if bound is None else bound if isinstance(bound, list) else [bound]


def _per_column(name: str, bound: Bound, default: float | None, columns: int) -> Sequence[float | None]:
    if isinstance(bound, list):
        if len(bound) != columns:
            raise DataError("FED-874", f"{name} has {len(bound)} entries, the table {columns} columns")
        return bound
    return [default if bound is None else bound] * columns


def _text(bound: float | None) -> str:
    return UNBOUNDED if bound is None else repr(bound)


def _grid(model: ModelBuffers) -> Grid:
    meta, param = cast(pb.ScaleMeta, model[META]), cast(pb.ScaleParam, model[PARAM])
    scales = [(name, param.col_scale_param[name]) for name in meta.scale_column[:GRID_ROWS]]
    rows = [(name, scale.column_lower, scale.column_upper, scale.mean, scale.std) for name, scale in scales]
    title = f"{meta.method or 'no method'}: {len(rows)} of {len(meta.scale_column)} scaled columns"
    columns = ["column", "lower", "upper", "mean", "std"]
    return Grid("scale", title, columns, rows, metric_type="SCALE", meta={"method": meta.method or None})


def _notes(p: ScaleParams) -> Iterator[str]:
    if p.need_run and p.method is None:
        yield "method is null: columns stay as they are"
    if p.area == "all" and p.names_some:
        yield "scale_column_idx and scale_names have no effect: area is all"


FEATURE_SCALE = Component(
    module="FeatureScale",
    title="Scale features by their range or by mean and standard deviation",
    params=ScaleParams,
    roles={Role.GUEST: party, Role.HOST: party},
    has_model=True,
    model=ModelSpec({META: pb.ScaleMeta, PARAM: pb.ScaleParam}, check=check),
    scorer=Scorer(transform=transform),
    prediction=Prediction(),
    notes=lambda p: list(_notes(p)),
    cost=["Time grows with rows x columns; mode cap sorts each column.", "No message leaves a party."],
)
