"""OneHotEncoder: a column of categories becomes one column of 0 and 1 per value.

Local: no message leaves the party. As in FATE, categories are whole numbers: values are cut at the decimal point (the
view counts the rows that lose something), a column has at most 1,024 of them, and the new columns ``COLUMN_VALUE``
stand, in ascending order, where the old one stood. A value that the fitted rows did not have, and NaN, is 0 in all of
them. What was fitted is the model, and the same ``transform`` serves validation data, predict jobs and online scoring.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Self, cast

import numpy as np
from pydantic import Field, model_validator

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
    numbers,
    refuse_columns,
)
from federatedml.crypto.ring import Floats
from federatedml.data.table import Column, Table
from federatedml.errors import DataError, ModelError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.views import Grid

META, PARAM = "OneHotMeta", "OneHotParam"
MOST = 1024  # categories of a column, FATE's number
WHOLE = re.compile(r"-?[0-9]{1,16}")
EXACT = 2.0**53  # up to which floats are whole numbers without gaps


class OneHotParams(Params):
    """FATE's parameters: those of v1.0, and ``transform_col_names``."""

    aliases: ClassVar[Mapping[str, str]] = {"transform_col_indexes": "cols"}

    cols: Indexes = Field(
        default=None,
        description="positions of the columns; -1: all; null: all, or those of transform_col_names only",
        json_schema_extra={"fate": -1},
    )
    transform_col_names: Names = Field(default=None, description="names of columns, beside cols")
    need_run: bool = Field(default=True, description="false: pass the table on as it is")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        distinct(self.cols, self.transform_col_names)
        return self


def party(p: OneHotParams, box: Box, inputs: Inputs) -> Outputs:
    """Fit on the table, or use the model that is given, and transform."""
    table = inputs.one("data", "train_data", "eval_data")
    check_instances("OneHotEncoder", table)
    model = inputs.model or fit(p, table)
    found = transform(model, table) if p.need_run else table
    summary = {"rows": float(len(found)), "columns": float(len(found.header))}
    return Outputs(found, model, [_grid(model, table)] if p.need_run else (), summary)


def fit(p: OneHotParams, table: Table) -> ModelBuffers:
    """The model of a table of instances; it encodes nothing if ``need_run`` is false.

    Raises:
        DataError: ``FED-871``, no such column; ``FED-872``, no rows or no values; ``FED-873``, ``FED-876``, values that
            are not finite, or too large; ``FED-875``, too many categories; ``FED-877``, a new column's name is taken.
    """
    header = table.header
    names = chosen(header, p.cols, p.transform_col_names) if p.need_run else []
    columns = numbers(table, names)
    check_fittable(columns)
    large = {name: int((np.abs(known(values)) > EXACT).sum()) for name, values in columns.items()}
    refuse_columns("FED-876", "columns with values too large to be categories", large)
    found = {name: np.unique(np.trunc(known(values))) for name, values in columns.items()}
    many = {name: len(table) for name, values in found.items() if len(values) > MOST}
    refuse_columns("FED-875", f"columns of more than {MOST} values", many)
    encoded = {name: _encoded(name, values) for name, values in found.items()}
    _check_names(table, encoded)
    return {
        META: pb.OneHotMeta(cols=names, need_run=p.need_run),
        PARAM: pb.OneHotParam(col_map=encoded, header=header),
    }


def transform(model: ModelBuffers, table: Table) -> Table:
    """The table with the model's columns encoded; other columns, their order too, as they are.

    Raises:
        DataError: ``FED-871``, a column is missing; ``FED-873``, it holds what is not a finite number; ``FED-877``, a
            new column's name is taken.
    """
    param = cast(pb.OneHotParam, model[PARAM])
    values = numbers(table, [name for name in param.header if name in param.col_map])
    _check_names(table, param.col_map)
    columns: dict[str, Column] = {}
    for name, column in table.columns.items():
        columns |= _indicators(param.col_map[name], values[name]) if name in values else {name: column}
    return replace(table, columns=columns)


def check(model: ModelBuffers) -> None:
    """``ModelError`` (``FED-609``) for categories that no column has."""
    meta, param = cast(pb.OneHotMeta, model[META]), cast(pb.OneHotParam, model[PARAM])
    if set(meta.cols) != set(param.col_map) or not set(meta.cols) <= set(param.header):
        raise ModelError("FED-609", "the model of OneHotEncoder encodes columns that it does not have")
    for entry in param.col_map.values():
        new = entry.encoded_variables
        if len(set(new)) != len(entry.values) or len(new) != len(entry.values):
            raise ModelError(
                "FED-609", f"the model of OneHotEncoder has {len(new)} columns for {len(entry.values)} values"
            )
        if not all(WHOLE.fullmatch(value) for value in entry.values):
            raise ModelError("FED-609", "the model of OneHotEncoder has categories that are not whole numbers")


def _encoded(name: str, values: Floats) -> pb.ColsMap:
    texts = [str(int(value)) for value in values]
    return pb.ColsMap(values=texts, encoded_variables=[f"{name}_{text}" for text in texts], data_type="int")


def _indicators(entry: pb.ColsMap, values: Floats) -> dict[str, Column]:
    whole = np.trunc(values)
    pairs = zip(entry.encoded_variables, entry.values, strict=True)
    return {name: (whole == float(value)).astype(np.float64) for name, value in pairs}


def _check_names(table: Table, encoded: Mapping[str, pb.ColsMap]) -> None:
    kept = [name for name in table.columns if name not in encoded]
    counts = Counter([*kept, *(name for entry in encoded.values() for name in entry.encoded_variables)])
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        problem = f"{len(twice)} of the new columns have names that are taken"
        raise DataError("FED-877", problem, ", ".join(map(repr, twice[:8])))


def _grid(model: ModelBuffers, table: Table) -> Grid:
    meta, param = cast(pb.OneHotMeta, model[META]), cast(pb.OneHotParam, model[PARAM])
    rows = [
        (name, len(param.col_map[name].values), *_lost(param.col_map[name], table.columns[name].astype(np.float64)))
        for name in meta.cols[:GRID_ROWS]
    ]
    title = f"{len(rows)} of {len(meta.cols)} encoded columns"
    return Grid("one_hot", title, ["column", "values", "unknown rows", "missing rows", "cut rows"], rows)


def _lost(entry: pb.ColsMap, values: Floats) -> tuple[int, int, int]:
    """Rows whose value has no category, rows without a value, rows that are cut at the decimal point."""
    whole, missing = np.trunc(values), np.isnan(values)
    unknown = ~missing & ~np.isin(whole, [float(text) for text in entry.values])
    return int(unknown.sum()), int(missing.sum()), int((~missing & (whole != values)).sum())


ONE_HOT = Component(
    module="OneHotEncoder",
    title="One column of 0 and 1 per category of a column",
    params=OneHotParams,
    roles={Role.GUEST: party, Role.HOST: party},
    has_model=True,
    model=ModelSpec({META: pb.OneHotMeta, PARAM: pb.OneHotParam}, check=check),
    scorer=Scorer(transform=transform),
    prediction=Prediction(),
    cost=["Time and memory grow with rows x new columns, 8 bytes each.", "No message leaves a party."],
)
