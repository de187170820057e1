"""Rows that are text, ``label index:value index:value`` or ``tag,tag``, as the cells of columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federatedml.data.cells import Cells, cells
from federatedml.data.table import Column, Table
from federatedml.errors import DataError

INDEX = re.compile(r"[0-9]{1,9}")
MOST_CELLS = 2**28  # of one table, 8 bytes each: absent values are stored, too


@dataclass(frozen=True)
class LineFormat:
    """How a line is written.

    Attributes:
        delimiter: between entries.
        mark: between the name of a column and its value; None: an entry is a name, its value 1.
        with_label: whether the first entry is the label; not in lines whose first entries all have values, as they are
            where there are no labels yet.
        indices: names are numbers and mean columns ``fid0``, ``fid1``, ...
        absent: the value of columns that a line does not name.
    """

    delimiter: str
    mark: str | None
    with_label: bool
    indices: bool
    absent: float


@dataclass(frozen=True)
class Lines:
    """What lines say, entry by entry.

    Attributes:
        labels: (n,) text, if there are any.
        names: of columns, each once, sorted: by number if they are indices.
        rows, columns: (m,) where an entry is: its line, and its column's place in ``names``.
        texts: (m,) of values.
        absent: the value elsewhere.
    """

    labels: Column | None
    names: Sequence[str]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    texts: Column
    absent: float

    def cells(self, header: Sequence[str], count: int, tokens: Collection[str]) -> dict[str, Cells]:
        """The cells of the columns in ``header`` of all ``count`` lines; columns that no line names are absent in all.

        Raises:
            DataError: ``FED-859``, they do not fit into memory.
        """
        if count * len(header) > MOST_CELLS:
            problem = f"{count} rows of {len(header)} columns: absent values are stored, at most {MOST_CELLS} are"
            raise DataError("FED-859", problem, "name the columns that are needed: columns")
        places = {name: at for at, name in enumerate(self.names)}
        order = np.argsort(self.columns, kind="stable")
        ends = np.searchsorted(self.columns[order], np.arange(len(self.names) + 1))
        found = cells(self.texts, tokens)
        return {
            name: self._column(found, order[ends[places[name]] : ends[places[name] + 1]], count)
            if name in places
            else self._column(found, order[:0], count)
            for name in header
        }

    def _column(self, found: Cells, at: NDArray[np.int64], count: int) -> Cells:
        column = Cells(np.full(count, self.absent), np.full(count, bool(np.isnan(self.absent))), np.zeros(count, bool))
        rows = self.rows[at]
        column.values[rows], column.missing[rows], column.bad[rows] = found.values[at], found.missing[at], found.bad[at]
        return column


def line_column(table: Table) -> Column:
    """The one column of text; ``DataError`` if the table has others."""
    names = list(table.columns)
    if len(names) != 1 or (len(table) and table.columns[names[0]].dtype.kind in "biuf"):
        raise DataError(
            "FED-858",
            f"the input format reads one column of text, the table has {len(names)} columns",
            "dense reads columns; docs/data.md says how lines are declared",
        )
    return table.columns[names[0]]


def lines(column: Column, form: LineFormat) -> Lines:
    """Entries of lines.

    Raises:
        DataError: ``FED-858``, lines that are not of the format or that name a column twice; says how many.
    """
    split = [[entry.strip() for entry in ("" if line is None else str(line)).split(form.delimiter)] for line in column]
    firsts = [entries[0] for entries in split if entries[0]]  # a line may name no column
    labelled = form.with_label and not (form.mark and firsts and all(form.mark in first for first in firsts))
    labels = np.array([*(entries[0] for entries in split), None], object)[:-1] if labelled else None
    entries = [each[1:] if labelled else each for each in split]
    rows = np.repeat(np.arange(len(entries)), [sum(map(bool, each)) for each in entries])
    flat = [entry for each in entries for entry in each if entry]
    written, texts = _parts(flat, form)
    known = {each: _name(each, form) for each in set(written)}
    _refuse(rows, [known[each] is None for each in written], _wanted(form))
    order: Callable[[str], Any] = (lambda name: int(name[3:])) if form.indices else str
    names = sorted({name for name in known.values() if name is not None}, key=order)
    places = {name: at for at, name in enumerate(names)}
    at_of = {each: places[name] for each, name in known.items() if name is not None}
    columns = np.array([at_of[each] for each in written], np.int64)
    if form.mark is not None:  # a tag that a line has twice is there, a value that it has twice is not clear
        keys = rows * max(len(names), 1) + columns
        _, first = np.unique(keys, return_index=True)
        _refuse(rows, ~np.isin(np.arange(len(keys)), first), "lines in which no column is named twice")
    return Lines(labels, names, rows.astype(np.int64), columns, np.array([*texts, None], object)[:-1], form.absent)


def _parts(entries: Sequence[str], form: LineFormat) -> tuple[Sequence[str], Sequence[str]]:
    """Of entries, the name as it is written and the value; a name without a value is empty."""
    if form.mark is None:
        return entries, ["1"] * len(entries)
    parts = [entry.rpartition(form.mark) for entry in entries]
    return [name for name, _, _ in parts], [value for _, _, value in parts]


def _name(written: str, form: LineFormat) -> str | None:
    """The column that is meant; None: no column can be."""
    if not form.indices:
        return written or None
    return f"fid{int(written)}" if INDEX.fullmatch(written) else None


def _wanted(form: LineFormat) -> str:
    entry = "index:value" if form.indices else "tag" if form.mark is None else f"tag{form.mark}value"
    label = "a label and " if form.with_label else ""
    return f"{label}{entry}, separated by {form.delimiter!r}"


def _refuse(rows: NDArray[np.int64], wrong: Sequence[bool] | NDArray[np.bool_], wanted: str) -> None:
    found = np.unique(rows[np.asarray(wrong, bool)]) if len(rows) else rows
    if len(found):
        raise DataError("FED-858", f"{len(found)} lines are not {wanted}", f"the first is that of row {found[0] + 1}")
