"""The party's tables: (namespace, name) -> a file in its data folder, or what a descriptor there declares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from federatedml.data.descriptor import Csv, Declared, InFile, Lines, Parquet, Sql, read_descriptor
from federatedml.data.rows import column_count, rows_of, with_ids
from federatedml.data.table import Table, write
from federatedml.errors import DataError

YAML = ".yaml"
BY_ENDING: dict[str, Declared] = {".parquet": Parquet(), ".csv": Csv()}
ENDINGS = (YAML, *BY_ENDING)
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


class Frames(Protocol):
    """What reads data frames over the party's own connections: Airflow's, which this package does not know."""

    def __call__(self, declared: Sql) -> pa.Table:
        """The rows of a connection; ``DataError`` if it cannot be had."""
        ...


@dataclass(frozen=True)
class Source:
    """Where a table is.

    Attributes:
        declared: how it is read.
        file: the file with the rows, or of a connection the descriptor: a table whose file is the same has not changed.
    """

    declared: Declared
    file: Path


class Catalogue:
    """Tables of one party below ``FOLDER/NAMESPACE``: ``NAME.parquet``, ``NAME.csv``, or as ``NAME.yaml`` declares.

    Args:
        folder: the party's data folder; no table is read from outside of it.
        frames: reads over connections; None: tables of connections cannot be read in this process.
    """

    def __init__(self, folder: Path, frames: Frames | None = None) -> None:
        self.folder, self.frames = folder, frames

    def path(self, name: TableName) -> Path:
        """Where ``write`` puts the table."""
        return self._beside(name, ".parquet")

    def has(self, name: TableName) -> bool:
        """Whether there is such a table."""
        return any(self._beside(name, ending).is_file() for ending in ENDINGS)

    def source(self, name: TableName) -> Source:
        """Where the table comes from.

        Raises:
            DataError: ``FED-201``, there is no such table; ``FED-850``, its descriptor is not one; ``FED-851``, it or
                the file is not in the data folder; ``FED-852``, two files could be it.
        """
        there = [path for ending in ENDINGS if (path := self._beside(name, ending)).is_file()]
        if not there:
            raise DataError("FED-201", f"table {name} does not exist at this party")
        if there[0].suffix == YAML:
            self._check_inside(name, there[0])
        declared = read_descriptor(there[0]) if there[0].suffix == YAML else BY_ENDING[there[0].suffix]
        file = there[0] if isinstance(declared, Sql) else self._file(name, declared)
        if others := [path.name for path in there if path != file and path.suffix != YAML]:
            raise DataError("FED-852", f"two files could be table {name}", f"keep {file.name} or {others[0]}")
        return Source(declared, file)

    def read(self, name: TableName) -> Table:
        """The table, raw unless airfed wrote it.

        Raises:
            DataError: as ``source``; or the rows cannot be read.
        """
        found = self.source(name)
        if not isinstance(found.declared, Sql):
            with _file_unnamed(name, found.file, found.declared):
                return rows_of(found.file, found.declared)
        if self.frames is None:
            raise DataError("FED-855", f"table {name} is of a connection, which only a task of Airflow can read")
        return with_ids(self.frames(found.declared), str(name), found.declared.id, found.declared.extend_sid)

    def columns(self, name: TableName) -> int | None:
        """Number of its columns beside the id; None: nobody knows before it is read."""
        found = self.source(name)
        if isinstance(found.declared, Sql | Lines):
            return None
        with _file_unnamed(name, found.file, found.declared):
            return column_count(found.file, found.declared)

    def write(self, name: TableName, table: Table) -> None:
        """Store the table under that name."""
        write(table, self.path(name))

    def names(self) -> list[TableName]:
        """All tables, sorted."""
        found = {(path.parent.name, path.stem) for ending in ENDINGS for path in self.folder.glob(f"*/*{ending}")}
        return sorted(TableName(*pair) for pair in found if all(NAME.fullmatch(part) for part in pair))

    def _beside(self, name: TableName, ending: str) -> Path:
        return self.folder / name.namespace / f"{name.name}{ending}"

    def _file(self, name: TableName, declared: InFile) -> Path:
        """The file with the rows, links followed: nothing outside of the data folder is read."""
        folder = self.folder / name.namespace
        path = folder / (declared.path or f"{name.name}.{declared.kind}")
        if not self._check_inside(name, path).is_file():
            raise DataError("FED-851", f"table {name}: there is no file for it", f"no {path.name}")
        return path

    def _check_inside(self, name: TableName, path: Path) -> Path:
        """The file that is meant, links followed."""
        try:
            found, inside = path.resolve(), self.folder.resolve()
        except (OSError, ValueError, RuntimeError):
            raise DataError("FED-851", f"table {name}: path is not a file's") from None
        if not found.is_relative_to(inside):
            raise DataError("FED-851", f"table {name}: path leaves the party's data folder")
        return found


@contextmanager
def _file_unnamed(name: TableName, file: Path, declared: InFile) -> Iterator[None]:
    """Errors, which other parties hear, do not say which file a descriptor names."""
    try:
        yield
    except DataError as error:
        if declared.path is None:
            raise
        message, there = error.message.replace(file.name, f"table {name}"), f"{file.name}: {error.hint}"
        raise DataError(error.code, message, there) from None
