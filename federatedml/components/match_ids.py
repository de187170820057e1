"""Ids to match by in another column than the sample ids: ``with_match_id`` of DataTransform.

FATE lets a match id have several rows at one party, and repeats the other parties' rows for them. Here it has one row:
what protects a party counts its rows (a weight shows fewer than ten, a batch needs ten for each column), and rows that
repeat one person's would count as many.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federatedml.components.data_io_params import DataTransformParams
from federatedml.components.data_io_rows import shown, unnamed_columns
from federatedml.data.table import Column, Ids, Table
from federatedml.errors import DataError


def match_column(p: DataTransformParams, table: Table) -> str:
    """Name of the column whose ids the parties compare.

    Raises:
        DataError: ``FED-861``, the table has none.
    """
    names = list(table.columns)
    if p.match_id_name in names:
        return p.match_id_name
    if p.match_id_name is None and p.match_id_index < len(names) and not unnamed_columns(table):
        return names[p.match_id_index]
    wanted = p.match_id_name or f"at position {p.match_id_index} of columns that have names"
    raise DataError("FED-861", "the table has no column of match ids", f"no {wanted}; it has {shown(names)}")


def by_match_id(table: Table, name: str) -> Table:
    """The table with the column ``name`` as its ids.

    Raises:
        DataError: ``FED-861``, there is no such column, or its cells are no ids, are empty, or repeat.
    """
    if name not in table.columns:
        raise DataError("FED-861", "the table has no column of match ids", f"no {name!r}")
    ids = _ids(table.columns[name], name)
    if repeated := len(ids) - len(set(ids.tolist())):
        hint = "make one row of an id's rows, for example with their sums and counts"
        raise DataError("FED-861", f"{repeated} match ids are repeated, each needs one row", hint)
    columns = {each: column for each, column in table.columns.items() if each != name}
    return replace(table, ids=ids, columns=columns, sid_name=name)


def _ids(column: Column, name: str) -> Ids:
    if column.dtype.kind in "iu":
        return np.array([*map(str, column.tolist()), None], object)[:-1]
    cells = column.tolist()
    wrong = sum(not isinstance(cell, str | int) or isinstance(cell, bool) or not str(cell) for cell in cells)
    if wrong:
        found = f"{wrong} match ids are empty, or neither text nor whole numbers"
        raise DataError("FED-861", found, f"column {name!r}; cast others to text")
    return np.array([*map(str, cells), None], object)[:-1]
