"""Union: the rows of several tables of one party, one below the other.

Local: no message leaves the party. Tables must have the same columns (in any order: the first table's counts), label,
weight and kind; those without rows are skipped.

Of rows with the same id the first one stays, as in FATE. With ``keep_duplicate`` all stay: every id becomes
``ID_TABLE``, TABLE being the component that the table comes from (``ID_TABLE.1``, ``ID_TABLE.2``, ... if several come
from it), so that parties that unite the same outputs give the same rows the same ids. One sample may then have as many
rows as there are tables: what protects a party by a number of rows asks for as many times more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import Field

from federatedml.component import Component, Inputs, Outputs, Params
from federatedml.data.table import Column, Ids, Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.views import Grid

NUMERIC = "fiub"


class UnionParams(Params):
    """FATE's parameters."""

    allow_missing: bool = Field(default=False, description="of FATE's rows of various lengths; no effect on our tables")
    keep_duplicate: bool = Field(default=False, description="keep all rows of one id, under new ids")
    need_run: bool = Field(default=True, description="false: pass the first table on")


def party(p: UnionParams, box: Box, inputs: Inputs) -> Outputs:
    """All tables as one."""
    tables = inputs.all("data")
    if not p.need_run:
        return Outputs(tables[0])
    names = _names(tables)
    found = united(tables, names if p.keep_duplicate else None)
    counts = [*zip(names, map(len, tables), strict=True), ("Total", len(found))]
    for position, (_, count) in enumerate(counts):
        box.metric("train", "union", position, count)
    repeated = sum(map(len, tables)) - len(found)
    grid = Grid("union", f"Rows; {repeated} with repeated ids left out", ["table", "rows"], counts, metric_type="UNION")
    return Outputs(found, views=[grid], summary={"rows": float(len(found)), "repeated": float(repeated)})


def united(tables: Sequence[Table], suffixes: Sequence[str] | None) -> Table:
    """The rows of all tables, in their order.

    Args:
        suffixes: of the ids of each table; None: only the first row of each id stays.

    Raises:
        DataError: ``FED-882``, tables that do not fit together; ``FED-883``, new ids that are not distinct.
    """
    filled = [place for place, table in enumerate(tables) if len(table)] or [0]
    first = tables[filled[0]]
    for place in filled[1:]:
        _check_alike(first, tables[place], place)
    copies = [tables[place].copies for place in filled]
    if suffixes is not None or max(copies) > 1:  # of new ids nobody can tell whether they mean one sample
        first = replace(first, copies=max(sum(copies), 2))
    columns = {name: _stacked(name, [tables[place].columns[name] for place in filled]) for name in first.columns}
    if suffixes is None:
        whole = replace(first, ids=_joined([tables[place].ids for place in filled]), columns=columns)
        return whole.take(_first_rows(whole.ids))
    ids = [f"{sid}_{suffixes[place]}" for place in filled for sid in tables[place].ids.tolist()]
    if len(set(ids)) < len(ids):
        raise DataError("FED-883", f"{len(ids) - len(set(ids))} of the new ids come twice", "keep_duplicate: false")
    return replace(first, ids=np.array([*ids, None], object)[:-1], columns=columns)


def _names(tables: Sequence[Table]) -> list[str]:
    """A distinct name for each table."""
    given = [table.origin or "table" for table in tables]
    often = Counter(given)
    count: Counter[str] = Counter()
    names = []
    for name in given:
        count[name] += 1
        names.append(f"{name}.{count[name]}" if often[name] > 1 else name)
    return names


def _check_alike(first: Table, table: Table, place: int) -> None:
    for what in ("kind", "label", "weight"):
        if getattr(table, what) != getattr(first, what):
            raise DataError("FED-882", f"table {place + 1} has another {what} than the first")
    differing = set(first.columns) ^ set(table.columns)
    if differing:
        shown = ", ".join(map(repr, sorted(differing)[:8]))
        raise DataError("FED-882", f"table {place + 1} and the first differ in {len(differing)} columns", shown)


def _stacked(name: str, columns: Sequence[Column]) -> Column:
    if len({column.dtype.kind in NUMERIC for column in columns}) > 1:
        raise DataError("FED-882", "a column is text in one table and numbers in another", repr(name))
    return np.concatenate(columns)


def _joined(ids: Sequence[Ids]) -> Ids:
    same = len({part.dtype for part in ids}) == 1
    return np.concatenate(ids if same else [part.astype(object) for part in ids])


def _first_rows(ids: Ids) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(k,) position of the first row of each id, ascending."""
    seen: dict[str, int] = {}
    for position, sid in enumerate(ids.tolist()):
        seen.setdefault(sid, position)
    return np.fromiter(seen.values(), np.int64, len(seen))


UNION = Component(
    module="Union",
    title="The rows of several tables as one table",
    params=UnionParams,
    roles={Role.GUEST: party, Role.HOST: party},
    inputs=("data",),
    several=True,
    cost=["Time and memory grow with rows x columns of all tables.", "No message leaves a party."],
)
