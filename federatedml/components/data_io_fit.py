"""The model of ``DataIO`` and ``DataTransform``: what was read, and what replaces missing values and outliers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import model_pb2 as pb
from federatedml.component import ModelBuffers
from federatedml.components.data_io_params import DataIOParams, DataTransformParams, Value
from federatedml.components.data_io_rows import (
    OF_LINES,
    Meta,
    Param,
    Rows,
    checked,
    line_rows,
    named,
    outliers,
    shown,
    unnamed_columns,
)
from federatedml.data.cells import MISSING, Cells, Method, Texts, replacement
from federatedml.data.table import Column, Table
from federatedml.errors import DataError


@dataclass(frozen=True)
class _Fill:
    """How one kind of cells is replaced."""

    method: Method | None
    values: Value | list[Value]

    def of(self, at: int, known: NDArray[np.float64]) -> float:
        """What replaces them in the column at ``at`` of the header."""
        value = self.values[at] if isinstance(self.values, list) else self.values
        if isinstance(value, str):
            raise DataError("FED-214", "a replacement that is text", "it is a column of numbers")
        return replacement(known, self.method, value)

    def text(self, at: int) -> str:
        """The same in a column of text."""
        if self.method not in (None, "designated"):
            raise DataError("FED-214", f"text, which has no {self.method}")
        return str(self.values[at] if isinstance(self.values, list) else self.values)


def fit(p: DataIOParams, table: Table, match_id: str = "") -> ModelBuffers:
    """The model of a raw table.

    Args:
        match_id: the column that became its ids, for tables that are read later.

    Raises:
        DataError: a column is missing, or holds cells that are neither numbers nor missing.
    """
    meta, param = _messages(p, table)
    if isinstance(meta, pb.DataTransformMeta):
        meta.with_match_id, meta.match_id_name = bool(match_id), match_id
    if p.need_run:
        rows = _first_rows(p, meta, param, table)
        header = p.columns or [name for name in rows.names if rows.lines is not None or name != param.label_name]
        if wrong := {param.label_name, param.sid_name} & set(header):
            problem = "a feature column has the name of the label or of the ids"
            raise DataError("FED-213", problem, f"{shown(sorted(wrong))}: columns names the features")
        param.header.extend(header)
        _fit_columns(p, meta, param, rows)
    return {type(meta).__name__: meta, type(param).__name__: param}


def _messages(p: DataIOParams, table: Table) -> tuple[Meta, Param]:
    """The messages as the parameters say them."""
    tokens = [str(token).lower() for token in p.missing_impute] if p.missing_impute is not None else list(MISSING)
    values: dict[str, Any] = {
        "input_format": p.input_format,
        "delimitor": p.delimitor,
        "data_type": p.data_type,
        "tag_with_value": p.tag_with_value,
        "tag_value_delimitor": p.tag_value_delimitor,
        "with_label": p.with_label,
        "label_idx": p.label_idx,
        "label_type": p.label_type,
        "output_format": p.output_format,
        "imputer_meta": pb.ImputerMeta(
            is_imputer=p.missing_fill, strategy=p.missing_fill_method or "", missing_value=tokens
        ),
        "outlier_meta": pb.OutlierMeta(
            is_outlier=p.outlier_replace,
            strategy=p.outlier_replace_method or "",
            outlier_value=[str(token) for token in p.outlier_impute or []],
        ),
        "need_run": p.need_run,
        "exclusive_data_type": p.exclusive_data_type or {},
    }
    if isinstance(p, DataTransformParams):
        meta = pb.DataTransformMeta(**values, label_name=p.label_name or "")
        return meta, pb.DataTransformParam(sid_name=table.sid_name)
    return pb.DataIOMeta(**values), pb.DataIOParam(sid_name=table.sid_name)


def _first_rows(p: DataIOParams, meta: Meta, param: Param, table: Table) -> Rows:
    """The rows that a model is fitted to; names the label in ``param``, and the number of columns without names."""
    if p.input_format in OF_LINES:
        rows = line_rows(meta, table)
        if p.with_label and rows.labels is None:
            raise DataError("FED-213", "the lines have no labels", "with_label: false at a party without labels")
        param.label_name = (p.label_name or "y") if p.with_label else ""
        return rows
    if count := unnamed_columns(table):
        param.label_name = (p.label_name or "y") if p.with_label else ""
        meta.unnamed = count - p.with_label
        table = named(table, param.label_name, p.label_idx if p.with_label else None)
    elif p.with_label:
        param.label_name = _label_name(p, table)
    return Rows(len(table), table.columns, None, table.columns.get(param.label_name) if p.with_label else None)


def _label_name(p: DataIOParams, table: Table) -> str:
    names = list(table.columns)
    if p.label_name is None and p.label_idx < len(names):
        return names[p.label_idx]
    if p.label_name in names:
        return p.label_name
    wanted = f"{p.label_name!r}" if p.label_name is not None else f"at position {p.label_idx}"
    raise DataError(
        "FED-213",
        "the table has no label column",
        f"no {wanted}, it has {shown(names)}; set label_name, or with_label to false at a party without labels",
    )


def _fit_columns(p: DataIOParams, meta: Meta, param: Param, rows: Rows) -> None:
    if unknown := sorted(set(meta.exclusive_data_type) - set(param.header)):
        raise DataError(
            "FED-210", f"exclusive_data_type names {len(unknown)} columns that are not there", shown(unknown)
        )
    for values in (p.default_value, p.outlier_replace_value):
        if isinstance(values, list) and len(values) != len(param.header):
            problem = f"a list of {len(values)} replacements for {len(param.header)} columns"
            raise DataError("FED-214", problem, "one for each column, in their order")
    missing = _Fill(p.missing_fill_method, p.default_value)
    outlying = _Fill(p.outlier_replace_method, p.outlier_replace_value)
    for at, (name, column) in enumerate(checked(meta, param, rows).items()):
        try:
            filled = _fit_missing(meta, param, name, column, missing, at)
            _fit_outliers(meta, param, name, column, filled, outlying, at)
        except DataError as error:
            problem = f"a column has {error.message}"
            raise DataError(error.code, problem, f"{name!r}: set the method to designated") from None


def _fit_missing(meta: Meta, param: Param, name: str, column: Cells | Texts, fill: _Fill, at: int) -> Column:
    """Note what replaces missing cells; the column with it."""
    values: Column = column.values.copy()
    if meta.imputer_meta.is_imputer:
        found = fill.text(at) if isinstance(column, Texts) else fill.of(at, values[~column.missing])
        values[column.missing] = found
        param.imputer_param.missing_replace_value[name] = str(found)
        param.imputer_param.missing_value_ratio[name] = _share(column.missing)
    elif isinstance(column, Cells):
        values[column.missing] = np.nan
    return values


def _fit_outliers(
    meta: Meta, param: Param, name: str, column: Cells | Texts, values: Column, fill: _Fill, at: int
) -> None:
    if meta.outlier_meta.is_outlier:
        wrong = outliers(meta, column, values)
        found = fill.text(at) if isinstance(column, Texts) else fill.of(at, values[~wrong & ~np.isnan(values)])
        param.outlier_param.outlier_replace_value[name] = str(found)
        param.outlier_param.outlier_value_ratio[name] = _share(wrong)


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else 0.0
