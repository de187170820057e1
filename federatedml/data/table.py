"""A table of samples: string ids and named columns. Arrow (Parquet) at rest, NumPy in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from federatedml.data.durable import written
from federatedml.errors import DataError

Column = NDArray[Any]
Ids = NDArray[Any]  # strings
IDS_AT_ONCE = 2**16  # that are Python objects while they are read or written
META = b"airfed"


class Kind(StrEnum):
    """What the rows of a table are."""

    RAW = "raw"  # as the party keeps it: any types, first column is the id
    INSTANCES = "instances"  # float64 features, label if the party has one
    PREDICTIONS = "predictions"  # label, predict_result, predict_score, predict_detail, type


@dataclass(frozen=True)
class Table:
    """Rows by sample id.

    Attributes:
        ids: (n,) strings, unique. Read from a file they are NumPy's ``StringDType``, 16 bytes each if they are short:
            a fifth of what Python's objects take. Objects do as well.
        columns: name -> (n,) array; float64 for features, object for text.
        label: name of the label column within ``columns``, if this party has it.
        kind: raw, instances or predictions.
        sid_name: name of the id column.
        origin: name of the component that wrote it (evaluation names its curves by it).
        weight: name of the column within ``columns`` that weighs the rows, if there is one; it is no feature.
        copies: how many of the rows may be of one sample. What protects a party by a number of rows asks for as many
            times more.
    """

    ids: Ids
    columns: Mapping[str, Column]
    label: str | None = None
    kind: Kind = Kind.INSTANCES
    sid_name: str = "id"
    origin: str = ""
    weight: str | None = None
    copies: int = 1

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def header(self) -> list[str]:
        """Names of the feature columns, in order."""
        return [name for name in self.columns if name not in (self.label, self.weight)]

    def features(self) -> NDArray[np.float64]:
        """(n, k) matrix of the feature columns, C order; ``DataError`` (``FED-860``) if any holds text."""
        names = self.header
        if not names:
            return np.zeros((len(self), 0))
        if text := [name for name in names if self.columns[name].dtype.kind not in "fiub"]:
            shown = ", ".join(map(repr, text[:8]))
            raise DataError(
                "FED-860", f"{len(text)} feature columns are not numeric", f"{shown}: see DataIO's data_type"
            )
        return np.ascontiguousarray(np.column_stack([self.columns[name] for name in names]).astype(np.float64))

    def labels(self) -> Column:
        """(n,) label column; ``DataError`` if this party has none."""
        if self.label is None:
            raise DataError("FED-203", "the table has no label", f"columns: {', '.join(self.columns)}")
        return self.columns[self.label]

    def take(self, positions: NDArray[np.int64]) -> Table:
        """The rows at ``positions``, in that order."""
        return replace(self, ids=self.ids[positions], columns={k: v[positions] for k, v in self.columns.items()})

    def digest(self) -> bytes:
        """SHA-256 over ids, column names, order, types and values."""
        named = [self.label, str(self.kind), self.sid_name, list(self.columns), *([self.weight] if self.weight else [])]
        sha = hashlib.sha256(json.dumps(named).encode())
        for array in (self.ids, *self.columns.values()):
            if array.dtype.kind in ("O", "T"):
                array = np.array([str(v) for v in array], dtype="U")
            sha.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return sha.digest()


def write(table: Table, path: Path) -> None:
    """Store as Parquet, durably and whole."""
    with written(path) as file:
        put(table, file)


def put(table: Table, file: IO[bytes]) -> None:
    """As Parquet into an open file."""
    meta = {
        "label": table.label,
        "kind": str(table.kind),
        "sid_name": table.sid_name,
        "origin": table.origin,
        "weight": table.weight,
        "copies": table.copies,
    }
    if table.sid_name in table.columns:
        raise DataError("FED-206", "a column has the name of the ids", f"{table.sid_name!r}: rename one of them")
    arrow = pa.table({table.sid_name: _strings(table.ids), **{k: pa.array(v) for k, v in table.columns.items()}})
    pq.write_table(arrow.replace_schema_metadata({META: json.dumps(meta).encode()}), file)


def read(path: Path) -> Table:
    """A stored table, or any Parquet file whose first column is the id (then ``Kind.RAW``).

    Raises:
        DataError: as ``read_arrow`` and ``raw``.
    """
    return _described(read_arrow(path), path.name)


def get(file: IO[bytes], where: str) -> Table:
    """The same of an open file; ``where`` it is from, for errors."""
    return _described(_arrow(file, where), where)


def read_arrow(path: Path) -> pa.Table:
    """What a Parquet file holds; ``DataError`` if there is none."""
    try:
        with path.open("rb") as file:
            return _arrow(file, path.name)
    except FileNotFoundError:
        raise DataError("FED-201", f"no table at {path.name}") from None
    except OSError as error:
        raise DataError("FED-202", f"{path.name} cannot be read") from error


def schema_names(path: Path) -> list[str]:
    """Names of the columns of a Parquet file; ``DataError`` if it is none."""
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError("FED-202", f"{path.name} is not a Parquet table") from error


def _arrow(file: IO[bytes], where: str) -> pa.Table:
    try:
        with pq.ParquetFile(file) as parquet:
            return parquet.read()
    except (pa.ArrowException, OSError) as error:
        raise DataError("FED-202", f"{where} is not a Parquet table") from error


def _described(arrow: pa.Table, where: str) -> Table:
    stored = (arrow.schema.metadata or {}).get(META)
    if not stored:
        return raw(arrow, where)
    try:
        meta = json.loads(stored)
        sid, label, weight = str(meta["sid_name"]), meta["label"], meta.get("weight")
        kind, origin, copies = Kind(meta["kind"]), str(meta["origin"]), int(meta.get("copies", 1))
        known = {label, weight} <= {None, *arrow.column_names} - {sid}
    except (ValueError, LookupError, TypeError, AttributeError):
        known = False
    if not known:
        raise DataError("FED-202", f"{where} is not a table as airfed writes them")
    found = raw(arrow, where, sid)
    return replace(found, label=label, kind=kind, origin=origin, weight=weight, copies=max(copies, 1))


def raw(arrow: pa.Table, where: str, sid: str | None = None) -> Table:
    """Rows as a party keeps them.

    Args:
        where: what the rows are from, for errors.
        sid: the id column; None: the first.

    Raises:
        DataError: no column, two columns of one name, no id column, or ids that are null, repeated or not exact.
    """
    names = arrow.column_names
    if not names or len(set(names)) != len(names):
        raise DataError("FED-206", f"{where} has {len(names)} columns of {len(set(names))} names")
    sid = names[0] if sid is None else sid
    if sid not in names:
        raise DataError("FED-857", f"{where} has {len(names)} columns, not the one of the ids", f"{sid!r} is asked for")
    ids = _ids(arrow.column(sid), where, sid)
    columns = {name: _column(arrow.column(name)) for name in names if name != sid}
    return Table(ids, columns, kind=Kind.RAW, sid_name=sid)


def _strings(ids: Ids) -> pa.ChunkedArray:
    starts = range(0, len(ids), IDS_AT_ONCE)
    return pa.chunked_array([pa.array(ids[at : at + IDS_AT_ONCE].tolist(), pa.string()) for at in starts], pa.string())


def _ids(values: pa.ChunkedArray, where: str, sid: str) -> Ids:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    exact = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    if not exact and len(values):  # of no rows the type is not known
        allowed = "ids are text or whole numbers; cast others to text"
        raise DataError("FED-204", f"{where}: ids are of type {kind}", f"column {sid!r}; {allowed}")
    text = values.cast(kind).cast(pa.large_string())
    repeated = len(text) - text.null_count - pc.count_distinct(text).as_py()
    if text.null_count or repeated:
        found = f"{where}: {text.null_count} ids are null, {repeated} are repeated"
        raise DataError("FED-204", found, f"column {sid!r}; each row needs its own id, see docs/data.md")
    ids = np.empty(len(text), np.dtypes.StringDType())
    for at in range(0, len(text), IDS_AT_ONCE):
        ids[at : at + IDS_AT_ONCE] = text[at : at + IDS_AT_ONCE].to_pylist()
    return ids


def _numbers(values: pa.ChunkedArray) -> Column:
    """Numbers; where some are missing, floats with NaN. Without gaps straight from Arrow's buffers: Arrow's own way
    imports pandas, which takes longer than many a small job."""
    if values.null_count or pa.types.is_float16(values.type):
        return np.asarray(values.to_numpy())
    kind = np.dtype(f"{'f' if pa.types.is_floating(values.type) else str(values.type)[0]}{values.type.bit_width // 8}")
    chunks = [chunk for chunk in values.chunks if len(chunk)]
    parts = [np.frombuffer(part.buffers()[1], kind, len(part), part.offset * kind.itemsize) for part in chunks]
    return np.concatenate([np.empty(0, kind), *parts])


def _column(values: pa.ChunkedArray) -> Column:
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numbers(values)
    if pa.types.is_boolean(kind) and not values.null_count:
        return np.asarray(values.to_numpy())
    return np.array([*values.to_pylist(), None], dtype=object)[:-1]  # the last entry keeps lists from becoming a matrix


def aligned(tables: Sequence[Table]) -> bool:
    """Whether all tables have the same ids in the same order."""
    return all(len(t) == len(tables[0]) and bool((t.ids == tables[0].ids).all()) for t in tables[1:])
