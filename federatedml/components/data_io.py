"""DataIO: a party's raw table becomes float64 instances with a label, missing values and outliers replaced.

Local: no message leaves the party. What was fitted (columns, replacements) is the model, and the same ``transform``
serves training, validation data (``input.model``) and online scoring: columns are looked up by name, a missing one is
an error, others are ignored.

Parameters and defaults are FATE's, except that our tables have typed columns instead of lines of text: ``delimitor``
has no effect, and missing is also what the file calls null and NaN. FATE's order is kept: missing values are replaced
first, then outliers; each replacement is fitted on the values that are not of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from airfed_proto.v1 import model_pb2 as pb
from federatedml.component import Component, Inputs, ModelBuffers, ModelSpec, Outputs, Params, Prediction, Scorer
from federatedml.data.cells import MISSING, NAMES_SHOWN, Cells, Method, cells, counted, equal, replacement
from federatedml.data.table import Column, Kind, Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Role

Tokens = list[str | int | float]
WHOLE = ("int", "int64", "long")


class DataIOParams(Params):
    """FATE's parameters and ``columns``."""

    input_format: Literal["dense"] = Field("dense", description="sparse and tag are not offered yet")
    delimitor: str = Field(",", description="of FATE's text lines; no effect on typed tables")
    data_type: Literal["float64", "float", "int", "int64", "long"] = Field(
        "float64", description="int, int64 and long require whole numbers; stored as float64"
    )
    tag_with_value: Literal[False] = Field(False, description="of FATE's tag format")
    tag_value_delimitor: str = Field(":", description="of FATE's tag format; no effect")
    columns: list[str] | None = Field(None, min_length=1, description="use exactly these feature columns; null: all")
    missing_fill: bool = Field(False, description="replace missing values; otherwise they are an error")
    default_value: float = Field(0.0, description="replaces missing values if no method, or designated, is set")
    missing_fill_method: Method | None = None
    missing_impute: Tokens | None = Field(None, description="values that mean missing; null: '', none, null, na")
    outlier_replace: bool = Field(False, description="replace the values that outlier_impute lists")
    outlier_replace_method: Method | None = None
    outlier_impute: Tokens | None = Field(None, description="values that are outliers; null: none")
    outlier_replace_value: float = Field(0.0, description="replaces outliers if no method, or designated, is set")
    with_label: bool = Field(True, description="whether this party's table holds the label; hosts set false")
    label_name: str | None = Field("y", description="the label's column; null: the one at label_idx")
    label_idx: int = Field(0, ge=0, description="position of the label, the id column not counted, by FATE v1.0")
    label_type: Literal["int", "int64", "long", "float", "float64", "str"] = "int"
    output_format: Literal["dense"] = Field("dense", description="sparse is not offered yet")

    @model_validator(mode="before")
    @classmethod
    def _label_by_position(cls, data: Any) -> Any:
        """A conf of FATE v1.0 gives ``label_idx`` alone: then it is what counts."""
        if isinstance(data, Mapping) and "label_idx" in data and "label_name" not in data:
            return {**data, "label_name": None}
        return data

    @field_validator("columns")
    @classmethod
    def _distinct(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError("a column is named twice")
        return value


def party(p: DataIOParams, box: Box, inputs: Inputs) -> Outputs:
    """Fit on the table, or use the model that is given, and transform."""
    table = inputs.one("data", "train_data", "eval_data")
    model = inputs.model or fit(p, table)
    found = replace(transform(model, table), origin=box.attempt.component)
    return Outputs(found, model, summary={"rows": float(len(found)), "columns": float(len(found.header))})


def fit(p: DataIOParams, table: Table) -> ModelBuffers:
    """The model of a raw table.

    Raises:
        DataError: a column is missing, or holds cells that are neither numbers nor, with ``missing_fill``, missing.
    """
    label = _label_name(p, table) if p.with_label else ""
    header = p.columns or [name for name in table.columns if name != label]
    if label in header:
        raise DataError("FED-213", f"column {label!r} is the label and among the feature columns")
    tokens = [str(token).lower() for token in p.missing_impute] if p.missing_impute is not None else list(MISSING)
    outliers = [str(token) for token in p.outlier_impute or []]
    meta = pb.DataIOMeta(
        input_format=p.input_format,
        delimitor=p.delimitor,
        data_type=p.data_type,
        tag_value_delimitor=p.tag_value_delimitor,
        with_label=p.with_label,
        label_idx=p.label_idx,
        label_type=p.label_type,
        output_format=p.output_format,
        imputer_meta=pb.ImputerMeta(
            is_imputer=p.missing_fill, strategy=p.missing_fill_method or "", missing_value=tokens
        ),
        outlier_meta=pb.OutlierMeta(
            is_outlier=p.outlier_replace, strategy=p.outlier_replace_method or "", outlier_value=outliers
        ),
        need_run=True,
    )
    param = pb.DataIOParam(header=header, sid_name=table.sid_name, label_name=label)
    for name, column in _cells(meta, param, table).items():
        _fit_column(p, name, column, outliers, param)
    return {"DataIOMeta": meta, "DataIOParam": param}


def transform(model: ModelBuffers, table: Table) -> Table:
    """Instances of a table by a fitted model; the label too, where the table has it.

    Raises:
        DataError: names the columns that are missing or hold what is not a number, and how many rows.
    """
    meta, param = cast(pb.DataIOMeta, model["DataIOMeta"]), cast(pb.DataIOParam, model["DataIOParam"])
    columns = {name: _replaced(meta, param, name, column) for name, column in _cells(meta, param, table).items()}
    if meta.data_type in WHOLE:
        _refuse("FED-211", "hold numbers that are not whole", {name: v != np.floor(v) for name, v in columns.items()})
    label = param.label_name if meta.with_label and param.label_name in table.columns else None
    if label is not None:
        columns = {label: _labels(meta.label_type, label, table.columns[label]), **columns}
    return replace(table, columns=columns, label=label, kind=Kind.INSTANCES)


def _label_name(p: DataIOParams, table: Table) -> str:
    names = list(table.columns)
    if p.label_name is None and p.label_idx < len(names):
        return names[p.label_idx]
    if p.label_name in names:
        return p.label_name
    wanted = f"{p.label_name!r}" if p.label_name is not None else f"at position {p.label_idx}"
    raise DataError(
        "FED-213",
        f"the table has no label column {wanted}",
        f"it has {_shown(names)}; set label_name, or with_label to false at a party without labels",
    )


def _cells(meta: pb.DataIOMeta, param: pb.DataIOParam, table: Table) -> dict[str, Cells]:
    """The model's columns as numbers; missing cells only if they can be replaced."""
    absent = [name for name in param.header if name not in table.columns]
    if absent:
        raise DataError("FED-210", f"the table lacks column {_shown(absent)}", f"it has {_shown(list(table.columns))}")
    tokens = set(meta.imputer_meta.missing_value)
    found = {name: cells(table.columns[name], tokens) for name in param.header}
    _refuse("FED-211", "hold cells that are not numbers", {name: column.bad for name, column in found.items()})
    if not meta.imputer_meta.is_imputer:
        missing = {name: column.missing for name, column in found.items()}
        _refuse("FED-212", "hold missing values", missing, "set missing_fill to replace them")
    return found


def _fit_column(p: DataIOParams, name: str, column: Cells, outliers: Sequence[str], param: pb.DataIOParam) -> None:
    values = column.values.copy()
    try:
        if p.missing_fill:
            fill = replacement(values[~column.missing], p.missing_fill_method, p.default_value)
            values[column.missing] = fill
            param.imputer_param.missing_replace_value[name] = repr(fill)
            param.imputer_param.missing_value_ratio[name] = float(column.missing.mean())
        if p.outlier_replace:
            outlying = equal(values, outliers)
            fill = replacement(values[~outlying], p.outlier_replace_method, p.outlier_replace_value)
            param.outlier_param.outlier_replace_value[name] = repr(fill)
            param.outlier_param.outlier_value_ratio[name] = float(outlying.mean())
    except DataError as error:
        raise DataError(
            error.code, f"a column has {error.message}", f"{name!r}: set the method to designated"
        ) from None


def _replaced(meta: pb.DataIOMeta, param: pb.DataIOParam, name: str, column: Cells) -> NDArray[np.float64]:
    values = column.values.copy()
    if meta.imputer_meta.is_imputer:
        values[column.missing] = float(param.imputer_param.missing_replace_value[name])
    if meta.outlier_meta.is_outlier:
        fill = float(param.outlier_param.outlier_replace_value[name])
        values[equal(values, meta.outlier_meta.outlier_value)] = fill
    return values


def _labels(label_type: str, name: str, column: Column) -> Column:
    if label_type == "str":
        _refuse("FED-213", "hold missing labels", {name: np.array([cell is None for cell in column], bool)})
        return np.array([str(cell) for cell in column], dtype=object)
    found = cells(column, MISSING)
    _refuse("FED-213", "hold missing labels", {name: found.missing})
    _refuse("FED-213", "hold labels that are not numbers", {name: found.bad}, "label_type str keeps text")
    if label_type not in WHOLE:
        return found.values
    _refuse("FED-213", "hold labels that are not whole numbers", {name: found.values != np.floor(found.values)})
    return found.values.astype(np.int64)


def _refuse(code: str, what: str, rows: Mapping[str, NDArray[np.bool_]], hint: str = "") -> None:
    wrong = {name: int(mask.sum()) for name, mask in rows.items() if mask.any()}
    if wrong:
        shown = counted(wrong)  # names and counts stay here: only messages go to the other parties
        raise DataError(code, f"columns that {what}: {len(wrong)}", f"{shown}; {hint}" if hint else shown)


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(repr(name) for name in names[:NAMES_SHOWN]) + more


DATA_IO = Component(
    module="DataIO",
    title="Read a raw table into instances: types, label, missing values, outliers",
    params=DataIOParams,
    roles={Role.GUEST: party, Role.HOST: party},
    has_model=True,
    model=ModelSpec({"DataIOMeta": pb.DataIOMeta, "DataIOParam": pb.DataIOParam}),
    scorer=Scorer(transform=transform),
    prediction=Prediction(),
)
