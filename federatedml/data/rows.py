"""Rows of a declared file, as the raw table that components read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from federatedml.data.descriptor import Csv, InFile, Parquet
from federatedml.data.table import Table, raw, read, read_arrow, schema_names
from federatedml.data.text_tables import first_row, read_csv, read_lines
from federatedml.errors import DataError

SAMPLE_ID = "sample_id"  # name of the ids that are made


def rows_of(file: Path, declared: InFile) -> Table:
    """The table in a file.

    Raises:
        DataError: the file is not what is declared, or its ids are null, empty, repeated or not exact.
    """
    if isinstance(declared, Parquet) and declared.id is None and not declared.extend_sid:
        return read(file)  # perhaps one that airfed wrote
    arrow, sid = _arrow(file, declared)
    return with_ids(arrow, file.name, sid, declared.extend_sid)


def with_ids(arrow: pa.Table, where: str, sid: str | None, extend: bool) -> Table:
    """The raw table of ``arrow``: its ids are column ``sid`` (None: the first) or, ``extend``, made."""
    if not extend:
        return raw(arrow, where, sid)
    if SAMPLE_ID in arrow.column_names:
        raise DataError("FED-206", f"{where} has a column {SAMPLE_ID!r}, as extend_sid makes one", "rename it")
    made = pa.array([f"ID_{row}" for row in range(len(arrow))], pa.string())
    return raw(arrow.add_column(0, SAMPLE_ID, made), where, SAMPLE_ID)


def column_count(file: Path, declared: Parquet | Csv) -> int:
    """Number of columns beside the id; ``DataError`` if the file is not what is declared."""
    names = first_row(file, declared) if isinstance(declared, Csv) else schema_names(file)
    return len(names) - (not declared.extend_sid)


def _arrow(file: Path, declared: InFile) -> tuple[pa.Table, str | None]:
    if isinstance(declared, Parquet):
        return read_arrow(file), declared.id
    return read_csv(file, declared) if isinstance(declared, Csv) else read_lines(file, declared)
