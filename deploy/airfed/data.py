"""Tables of a party: put one into its data folder, look at those that are there. Nothing of this leaves the party."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow.parquet as pq

from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.cells import MISSING, cells
from federatedml.data.descriptor import Declared, InFile, Parquet, declaration
from federatedml.data.rows import rows_of
from federatedml.data.table import Column, Ids, Table
from federatedml.errors import DataError, FedError

KINDS = ("parquet", "csv", "libsvm", "tag")


@dataclass(frozen=True)
class ColumnReport:
    """One column.

    Attributes:
        holds: ``numbers``, ``text``, or ``nothing``.
        missing: cells that DataIO takes for missing.
    """

    name: str
    holds: str
    missing: int


@dataclass(frozen=True)
class TableReport:
    """A table that can be read. ``notes``: what about its ids or columns people usually did not mean."""

    table: str
    rows: int
    id_column: str
    columns: Sequence[ColumnReport]
    notes: Sequence[str]


@dataclass(frozen=True)
class Listed:
    """A table that is there; ``rows`` and ``columns`` None: only reading it would tell."""

    table: str
    kind: str
    file: str
    rows: int | None
    columns: int | None
    problem: str = ""


def declared_as(
    file: Path, kind: str | None, sid: str | None, delimiter: str | None, header: bool, extend: bool
) -> InFile:
    """How a file is read, by its ending if no kind is given; ``DataError`` if that cannot be."""
    ending = file.suffix[1:].lower()
    kind = kind or {"svm": "libsvm"}.get(ending, ending)
    if kind not in KINDS:
        problem = f"{file.name} is of no kind that can be put"
        raise DataError("FED-862", problem, f"kinds: {', '.join(KINDS)}; tables of connections are declared by a file")
    given: dict[str, object] = {
        "kind": kind,
        "extend_sid": extend,
        "id": sid,
        "delimiter": delimiter,
        "header": None if header else False,
    }
    return cast(InFile, declaration({key: value for key, value in given.items() if value is not None}, file.name))


def put_table(catalogue: Catalogue, file: Path, name: TableName, declared: InFile, replace: bool) -> TableReport:
    """Read a file whole, and store what it holds under a name.

    Raises:
        DataError: the file is not a table; there is one of that name and ``replace`` is false, or it is declared.
    """
    if catalogue.has(name):
        if catalogue.source(name).file != catalogue.path(name):
            raise DataError("FED-863", f"table {name} is declared by another file", "remove that file before")
        if not replace:
            raise DataError("FED-863", f"there is a table {name}", "--replace puts the new one in its place")
    table = rows_of(file, declared)
    found = report(name, table)
    catalogue.write(name, table)
    return found


def report(name: TableName, table: Table) -> TableReport:
    """What is in a table: counts, no cells."""
    columns = [_column(each, column) for each, column in table.columns.items()]
    notes = [*_notes(table.ids), *(f"column {each.name} holds nothing" for each in columns if each.holds == "nothing")]
    return TableReport(str(name), len(table), table.sid_name, columns, notes)


def listed(catalogue: Catalogue) -> list[Listed]:
    """All tables, with what keeps one from being read as far as that can be seen from outside."""
    return [_listed(catalogue, name) for name in catalogue.names()]


def _listed(catalogue: Catalogue, name: TableName) -> Listed:
    try:
        source = catalogue.source(name)
        columns = catalogue.columns(name)
    except FedError as error:
        return Listed(str(name), "?", "", None, None, str(error))
    inside = source.file.is_relative_to(catalogue.folder)  # a path may take another way there
    place = (source.file.relative_to(catalogue.folder) if inside else source.file).as_posix()
    return Listed(str(name), source.declared.kind, place, _row_count(source.file, source.declared), columns)


def _row_count(file: Path, declared: Declared) -> int | None:
    return int(pq.read_metadata(file).num_rows) if isinstance(declared, Parquet) else None


def _column(name: str, column: Column) -> ColumnReport:
    found = cells(column, MISSING)
    holds = "nothing" if found.missing.all() else "text" if found.bad.any() else "numbers"
    return ColumnReport(name, holds, int(found.missing.sum()))


def _notes(ids: Ids) -> list[str]:
    """Ids that differ from another party's only by how they are written are the usual reason for few common ones."""
    texts = [str(each) for each in ids]
    whole = np.array([text.isascii() and text.removeprefix("-").isdigit() for text in texts], bool)
    counts = {
        "ids begin or end with a space": sum(text != text.strip() for text in texts),
        "ids are whole numbers written with '.0'": sum(text.endswith(".0") for text in texts),
        "ids are whole numbers, the others are not": int(whole.sum()) if not whole.all() else 0,
        "ids are whole numbers with leading zeros": sum(
            len(text) > 1 and text.startswith("0") for text, number in zip(texts, whole, strict=True) if number
        ),
    }
    return [f"{count} of {len(texts)} {what}" for what, count in counts.items() if count]
