"""What ``DataIO`` finds in a raw table: candidates for features, and labels, whatever the input format."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import model_pb2 as pb
from federatedml.data.cells import NAMES_SHOWN, Cells, Texts, cells, counted, equal, texts
from federatedml.data.line_cells import LineFormat, Lines, line_column, lines
from federatedml.data.table import Column, Table
from federatedml.errors import DataError

Meta = pb.DataIOMeta | pb.DataTransformMeta
Param = pb.DataIOParam | pb.DataTransformParam
TEXT = "str"
OF_LINES = ("sparse", "tag")


@dataclass(frozen=True)
class Rows:
    """A raw table.

    Attributes:
        count: of rows.
        columns: by name, of the dense format.
        lines: of the others, unless their rows come as columns, as online requests do.
        labels: (n,) by name of the label, if there are any.
        absent: of sparse and tag, the value of what is not there.
    """

    count: int
    columns: Mapping[str, Column]
    lines: Lines | None = None
    labels: Column | None = None
    absent: float | None = None

    @property
    def names(self) -> list[str]:
        """Columns that could be features, in order."""
        return list(self.lines.names if self.lines is not None else self.columns)

    def cells(self, header: Sequence[str], meta: Meta) -> dict[str, Cells | Texts]:
        """The cells of the columns in ``header``.

        Raises:
            DataError: ``FED-210``, columns of the dense format that are not there.
        """
        tokens = set(meta.imputer_meta.missing_value)
        if self.lines is not None:
            return dict(self.lines.cells(header, self.count, tokens))
        columns = self.columns if self.absent is None else _filled(self, header, self.absent)
        if absent := [name for name in header if name not in columns]:
            raise DataError(
                "FED-210", f"the table lacks {len(absent)} of the columns that are asked for", _lacks(absent, columns)
            )
        return {name: _cells(columns[name], tokens, data_type(meta, name)) for name in header}


def data_type(meta: Meta, name: str) -> str:
    """What the cells of a column are."""
    return str(meta.exclusive_data_type.get(name, meta.data_type))


def unnamed_columns(table: Table) -> int:
    """Number of columns of a table whose columns have no names: they are called 0, 1, ...; 0 if they have."""
    numbers = [str(at) for at in range(len(table.columns))]
    return len(numbers) if list(table.columns) == numbers else 0


def named(table: Table, label: str, at: int | None) -> Table:
    """A table without names, with those that FATE gives: fid0, fid1, ...; the label is the column at ``at``."""
    columns = list(table.columns.values())
    if at is not None and at >= len(columns):
        raise DataError("FED-213", f"the table has no label column at position {at}", f"it has {len(columns)} columns")
    found = {label: columns.pop(at)} if at is not None else {}
    return replace(table, columns={**found, **{f"fid{place}": column for place, column in enumerate(columns)}})


def line_rows(meta: Meta, table: Table) -> Rows:
    """Rows of the formats sparse and tag, from a column of text."""
    found = lines(line_column(table), _format(meta))
    return Rows(len(table), {}, found, found.labels)


def rows_again(meta: Meta, param: Param, table: Table) -> Rows:
    """Rows of a table to which a fitted model is applied."""
    label = param.label_name if meta.with_label else ""
    if meta.input_format in OF_LINES:
        if not set(table.columns) & {*param.header, label}:
            return line_rows(meta, table)
        return Rows(len(table), table.columns, None, table.columns.get(label), _format(meta).absent)
    if meta.unnamed and (count := unnamed_columns(table)):
        if count not in (meta.unnamed, meta.unnamed + bool(label)):
            problem = f"the table has {count} columns without names, the model's had {meta.unnamed}"
            raise DataError("FED-210", problem, "and the label" if label else "")
        table = named(table, label, meta.label_idx if count > meta.unnamed else None)
    return Rows(len(table), table.columns, None, table.columns.get(label))


def checked(meta: Meta, param: Param, rows: Rows) -> dict[str, Cells | Texts]:
    """The model's columns; cells that are neither numbers nor missing are refused."""
    found = rows.cells(param.header, meta)
    bad = {name: column.bad for name, column in found.items() if isinstance(column, Cells)}
    refuse("FED-211", "hold cells that are not numbers", bad)
    return found


def outliers(meta: Meta, column: Cells | Texts, values: Column) -> NDArray[np.bool_]:
    """(n,) which of the values, missing ones replaced, are among those that the model takes for outliers."""
    listed = meta.outlier_meta.outlier_value
    if isinstance(column, Texts):
        return np.array([value in listed for value in values], bool)
    return equal(values, listed)


def refuse(code: str, what: str, rows: Mapping[str, NDArray[np.bool_]], hint: str = "") -> None:
    """``DataError`` if any row of a column is wrong; names and counts stay at this party."""
    wrong = {name: int(mask.sum()) for name, mask in rows.items() if mask.any()}
    if wrong:
        text = counted(wrong)  # stays here: only messages go to the other parties
        raise DataError(code, f"columns that {what}: {len(wrong)}", f"{text}; {hint}" if hint else text)


def shown(names: Sequence[str]) -> str:
    """The first of some columns, for a hint."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(repr(name) for name in names[:NAMES_SHOWN]) + more


def _lacks(absent: Sequence[str], columns: Mapping[str, Column]) -> str:
    return f"{shown(absent)}; it has {shown(list(columns))}"


def _format(meta: Meta) -> LineFormat:
    sparse = meta.input_format == "sparse"
    valued = sparse or meta.tag_with_value
    # FATE: a tag without a value is missing where missing values are replaced, else zero
    absent = np.nan if not sparse and valued and meta.imputer_meta.is_imputer else 0.0
    mark = (":" if sparse else meta.tag_value_delimitor) if valued else None
    return LineFormat(meta.delimitor, mark, meta.with_label, sparse, absent)


def _filled(rows: Rows, header: Sequence[str], absent: float) -> dict[str, Column]:
    """Columns of rows in which a column, or a cell, need not be."""
    gone = np.full(rows.count, absent)
    return {name: _cells_or(rows.columns[name], absent) if name in rows.columns else gone for name in header}


def _cells_or(column: Column, absent: float) -> Column:
    return np.array([*(absent if cell is None else cell for cell in column), None], object)[:-1]


def _cells(column: Column, tokens: Collection[str], kind: str) -> Cells | Texts:
    return texts(column, tokens) if kind == TEXT else cells(column, tokens)
