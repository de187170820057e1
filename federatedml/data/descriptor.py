"""Where a table comes from if it is not Parquet: ``FOLDER/NAMESPACE/NAME.yaml``, written by the party itself.

A descriptor names a file below the party's data folder, or a connection of its Airflow and what to read from it. It is
the only way to SQL: neither a conf nor a peer can name a connection, a query or a path.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from federatedml.errors import DataError

SHOWN = 5  # errors of a descriptor
SQL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}")
OneCharacter = Annotated[str, Field(min_length=1, max_length=1)]


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    extend_sid: bool = Field(
        default=False,
        description="make unique sample ids ID_0, ID_1, ... of ids that repeat; the id column stays as an ordinary one",
    )


class _File(_Source):
    path: str | None = Field(
        default=None, min_length=1, description="of the file, from the descriptor's folder; null: NAME.KIND"
    )


class Parquet(_File):
    """A Parquet file."""

    kind: Literal["parquet"] = "parquet"
    id: str | None = Field(default=None, min_length=1, description="the id column; null: the first")


class Csv(_File):
    """Text with one row a line, cells may be quoted; UTF-8. Ids stay as they are written: ``007`` is not ``7``."""

    kind: Literal["csv"] = "csv"
    id: str | None = Field(default=None, min_length=1, description="the id column; null: the first")
    delimiter: OneCharacter = ","
    quote: OneCharacter = '"'
    header: bool = Field(
        default=True, description="whether the first line names the columns; if not, the first is the id"
    )

    @model_validator(mode="after")
    def _no_name_without_header(self) -> Self:
        if self.id is not None and not self.header:
            raise ValueError("id names a column, but header is false: then the first column is the id")
        if self.delimiter == self.quote or {self.delimiter, self.quote} & {"\n", "\r"}:
            raise ValueError("delimiter and quote are two characters, and no ends of lines")
        return self


class Lines(_File):
    """Text with an id and the rest of the line, which DataIO reads by ``input_format`` ``sparse`` or ``tag``."""

    kind: Literal["libsvm", "tag"]
    delimiter: OneCharacter | None = Field(
        default=None, description="after the id; null: a space for libsvm, a comma for tag"
    )
    with_id: bool = Field(default=True, description="false: there are no ids; rows are numbered from 0")

    @property
    def separator(self) -> str:
        """What ends the id."""
        return self.delimiter or {"libsvm": " ", "tag": ","}[self.kind]


class Sql(_Source):
    """What a connection of this party's Airflow yields as a data frame."""

    kind: Literal["sql"]
    connection: str = Field(min_length=1, max_length=250, description="its id in Airflow")
    query: str | None = Field(default=None, min_length=1, description="SELECT; or table")
    table: str | None = Field(default=None, pattern=rf"^{SQL_NAME.pattern}$", description="all rows of it; or query")
    id: str | None = Field(default=None, min_length=1, description="the id column; null: the first")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.query is None) == (self.table is None):
            raise ValueError("one of query and table is needed")
        return self

    @property
    def statement(self) -> str:
        """What the connection is asked."""
        return self.query or f"SELECT * FROM {self.table}"  # noqa: S608 - the party's own name, a word by its pattern


InFile = Parquet | Csv | Lines
Declared = InFile | Sql
_DESCRIPTOR: TypeAdapter[Declared] = TypeAdapter(Annotated[Declared, Field(discriminator="kind")])


def read_descriptor(path: Path) -> Declared:
    """The descriptor in a file.

    Raises:
        DataError: ``FED-850``, it is not one; names the keys that are wrong.
    """
    try:
        return declaration(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise DataError("FED-850", f"{path.name} is not YAML{f' in line {mark.line + 1}' if mark else ''}") from None
    except (OSError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DataError("FED-850", f"{path.name} cannot be read: {type(error).__name__}") from None


def declaration(values: object, where: str) -> Declared:
    """What keys and values declare; ``where`` they are from, for the error."""
    try:
        return _DESCRIPTOR.validate_python(values)
    except ValidationError as error:
        raise DataError("FED-850", f"{where}: {_wrong(error)}", "docs/data.md has all keys") from None


def _wrong(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    texts = [f"{'.'.join(map(str, each['loc'])) or 'the descriptor'}: {each['msg']}" for each in found[:SHOWN]]
    return "; ".join(texts)
