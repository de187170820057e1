"""The party's tables: (namespace, name) -> Parquet file in its data folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from federatedml.data.table import Table, read, write
from federatedml.errors import DataError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, order=True)
class TableName:
    """FATE's address of a table."""

    namespace: str
    name: str

    def __post_init__(self) -> None:
        for value in (self.namespace, self.name):
            if not NAME.fullmatch(value):
                raise DataError(
                    "FED-205", f"{value[:40]!r} is not a table name", "letters, digits, '_', '.', '-', at most 128"
                )

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Catalogue:
    """Tables of one party in ``FOLDER/NAMESPACE/NAME.parquet``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: TableName) -> Path:
        """Where the table is or would be."""
        return self.folder / name.namespace / f"{name.name}.parquet"

    def read(self, name: TableName) -> Table:
        """The table; the error lists what there is."""
        if not self.path(name).is_file():
            raise DataError("FED-201", f"table {name} does not exist at this party")
        return read(self.path(name))

    def write(self, name: TableName, table: Table) -> None:
        """Store the table under that name."""
        write(table, self.path(name))

    def names(self) -> list[TableName]:
        """All tables, sorted."""
        return sorted(TableName(path.parent.name, path.stem) for path in self.folder.glob("*/*.parquet"))
