"""DataIO and DataTransform: a party's raw table becomes instances, with missing values and outliers replaced.

Local: no message leaves the party. What was fitted (columns, replacements) is the model, and the same ``transform``
serves training, validation data (``input.model``) and online scoring: columns are looked up by name, others are
ignored. DataTransform is the same under the name and with the messages that it has from FATE 1.6 on.

A table has typed columns (``dense``; without names they are counted), or one column of text (``sparse``, ``tag``) whose
entries become columns: those that the fitted rows name; of later rows others are ignored, and absent ones are zeros.

FATE's order is kept: missing values are replaced first, then outliers; each replacement is fitted on the values that
are not of its kind. Missing is also what the file calls null and NaN. Values that stay missing are NaN: trees and bins
know them, other components refuse them by column.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from airfed_proto.v1 import model_pb2 as pb
from federatedml.component import Component, Inputs, ModelBuffers, ModelSpec, Outputs, Prediction, Scorer
from federatedml.components.data_io_fit import fit
from federatedml.components.data_io_params import DataIOParams, DataTransformParams
from federatedml.components.data_io_rows import TEXT, Meta, Param, checked, data_type, outliers, refuse, rows_again
from federatedml.components.match_ids import by_match_id, match_column
from federatedml.data.cells import MISSING, Cells, Texts, cells, spelled
from federatedml.data.table import Column, Kind, Table
from federatedml.errors import ModelError
from federatedml.federation.box import Box
from federatedml.federation.party import Role

WHOLE = ("int", "int64", "long")


def party(p: DataIOParams, box: Box, inputs: Inputs) -> Outputs:
    """Fit on the table, or use the model that is given, and transform."""
    table = inputs.one("data", "train_data", "eval_data")
    if match := _match_column(p, inputs.model, table) if p.need_run else "":
        table = by_match_id(table, match)
    model = inputs.model or fit(p, table, match)
    found = replace(transform(model, table) if p.need_run else table, origin=box.attempt.component)
    missing = sum(int(np.isnan(column).sum()) for column in found.columns.values() if column.dtype.kind == "f")
    counts = {"rows": float(len(found)), "columns": float(len(found.header)), "missing": float(missing)}
    return Outputs(found, model, summary=counts)


def transform(model: ModelBuffers, table: Table) -> Table:
    """Instances of a table by a fitted model; the label too, where the table has it.

    Raises:
        DataError: names the columns that are missing or hold what is not a number, and how many rows.
    """
    meta, param = _messages(model)
    if not meta.need_run and not param.header:
        return table
    rows = rows_again(meta, param, table)
    columns = {name: _replaced(meta, param, name, column) for name, column in checked(meta, param, rows).items()}
    whole = {name: column for name, column in columns.items() if data_type(meta, name) in WHOLE}
    refuse("FED-211", "hold numbers that are not whole", {n: (v != np.floor(v)) & (v == v) for n, v in whole.items()})
    label = param.label_name if rows.labels is not None else None
    if label is not None and rows.labels is not None:
        columns = {label: _labels(meta.label_type, label, rows.labels), **columns}
    return replace(table, columns=columns, label=label, kind=Kind.INSTANCES)


def check(model: ModelBuffers) -> None:
    """``ModelError`` (``FED-609``) for columns of numbers whose replacements are none."""
    meta, param = _messages(model)
    for used, fills in (
        (meta.imputer_meta.is_imputer, param.imputer_param.missing_replace_value),
        (meta.outlier_meta.is_outlier, param.outlier_param.outlier_replace_value),
    ):
        numbers = [fills.get(name, "") for name in param.header if data_type(meta, name) != TEXT]
        if used and not np.isfinite([spelled(text) for text in numbers]).all():
            raise ModelError("FED-609", "the model replaces values by what is no number")


def _messages(model: ModelBuffers) -> tuple[Meta, Param]:
    name = "DataIO" if "DataIOMeta" in model else "DataTransform"
    return cast(Meta, model[f"{name}Meta"]), cast(Param, model[f"{name}Param"])


def _match_column(p: DataIOParams, model: ModelBuffers | None, table: Table) -> str:
    """Whose ids take the place of the sample ids; empty: theirs stay."""
    if model is not None:
        return (
            cast(pb.DataTransformMeta, model["DataTransformMeta"]).match_id_name if "DataTransformMeta" in model else ""
        )
    return match_column(p, table) if isinstance(p, DataTransformParams) and p.with_match_id and p.need_run else ""


def _replaced(meta: Meta, param: Param, name: str, column: Cells | Texts) -> Column:
    text = isinstance(column, Texts)
    values: Column = column.values.copy()
    if meta.imputer_meta.is_imputer:
        fill = param.imputer_param.missing_replace_value[name]
        values[column.missing] = fill if text else float(fill)
    elif not text:
        values[column.missing] = np.nan  # also what a number stands for
    if meta.outlier_meta.is_outlier:
        fill = param.outlier_param.outlier_replace_value[name]
        values[outliers(meta, column, values)] = fill if text else float(fill)
    return values


def _labels(label_type: str, name: str, column: Column) -> Column:
    if label_type == TEXT:
        refuse("FED-213", "hold missing labels", {name: np.array([cell is None for cell in column], bool)})
        return np.array([*(str(cell) for cell in column), None], dtype=object)[:-1]
    found = cells(column, MISSING)
    refuse("FED-213", "hold missing labels", {name: found.missing})
    refuse("FED-213", "hold labels that are not numbers", {name: found.bad}, "label_type str keeps text")
    if label_type not in WHOLE:
        return found.values
    refuse("FED-213", "hold labels that are not whole numbers", {name: found.values != np.floor(found.values)})
    return found.values.astype(np.int64)


DATA_IO = Component(
    module="DataIO",
    title="Read a raw table into instances: types, label, missing values, outliers",
    params=DataIOParams,
    roles={Role.GUEST: party, Role.HOST: party},
    has_model=True,
    model=ModelSpec({"DataIOMeta": pb.DataIOMeta, "DataIOParam": pb.DataIOParam}, check=check),
    scorer=Scorer(transform=transform),
    prediction=Prediction(),
    cost=(
        "time in proportion to the cells, absent ones of sparse and tag included; memory 8 bytes a cell, twice",
        "no bytes to other parties",
    ),
)
DATA_TRANSFORM = replace(
    DATA_IO,
    module="DataTransform",
    title="Read a raw table into instances, as DataIO, with FATE's newer names",
    params=DataTransformParams,
    model=ModelSpec(
        {"DataTransformMeta": pb.DataTransformMeta, "DataTransformParam": pb.DataTransformParam}, check=check
    ),
)
