"""Which columns of a table of instances a local component works on, as FATE's parameters name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from federatedml.crypto.ring import Floats
from federatedml.data.cells import NAMES_SHOWN, counted
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError

Indexes = Literal[-1] | list[Annotated[int, Field(ge=0)]] | None
Names = list[str] | None
GRID_ROWS = 1000  # columns that a grid for people shows


def lower_case(value: object) -> object:
    """A word as FATE takes it: in any case. For pydantic."""
    return value.lower() if isinstance(value, str) else value


def distinct(indexes: Indexes, names: Names) -> None:
    """Refuse a column that is named twice, and a choice beside -1, which means all.

    Raises:
        ValueError: for pydantic.
    """
    if indexes == -1 and names:
        raise ValueError("the indexes are -1, which means all columns, but some are named too: give one of them")
    for given in (indexes, names):
        if isinstance(given, list) and len(set(given)) != len(given):
            raise ValueError("a column is given twice")


def chosen(header: Sequence[str], indexes: Indexes, names: Names) -> list[str]:
    """The chosen columns, in the order of ``header``; all of them if neither is given.

    Args:
        indexes: positions in ``header``, -1 for all, null for those that ``names`` has.

    Raises:
        DataError: ``FED-871``, there is no such column.
    """
    if indexes == -1 or (indexes is None and not names):
        return list(header)
    beyond = [index for index in indexes or () if index >= len(header)]
    if beyond:
        last = f"0 to {len(header) - 1}" if header else "it has no columns"
        raise DataError("FED-871", f"the table has no column at {len(beyond)} of the given positions", last)
    wanted = {header[index] for index in indexes or ()} | set(names or ())
    _present(wanted, header)
    return [name for name in header if name in wanted]


def check_instances(module: str, table: Table) -> None:
    """Refuse a table that is not of instances (``FED-870``): raw cells, or predictions."""
    if table.kind is not Kind.INSTANCES:
        raise DataError("FED-870", f"{module} takes instances, the table is of kind {table.kind}", "run DataIO before")


def numbers(table: Table, names: Sequence[str]) -> dict[str, Floats]:
    """(n,) float64 values of each of the named columns; NaN is kept.

    Raises:
        DataError: ``FED-871``, a column is not there; ``FED-873``, it holds text or infinity.
    """
    _present(names, table.columns)
    text = [name for name in names if table.columns[name].dtype.kind not in "fiub"]
    refuse_columns("FED-873", "columns that are not numeric", dict.fromkeys(text, len(table)))
    found = {name: table.columns[name].astype(np.float64) for name in names}
    infinite = {name: int(np.isinf(values).sum()) for name, values in found.items()}
    refuse_columns("FED-873", "columns with values that are not finite", infinite)
    return found


def known(values: Floats) -> Floats:
    """(k,) the values without those that are missing."""
    present: Floats = values[~np.isnan(values)]
    return present


def check_fittable(columns: Mapping[str, NDArray[np.float64]]) -> None:
    """Refuse (``FED-872``) columns without a single value: nothing can be fitted to them."""
    empty = {name: len(values) for name, values in columns.items() if not len(known(values))}
    rows = max((len(values) for values in columns.values()), default=0)
    if columns and not rows:
        raise DataError("FED-872", "the table has no rows: nothing can be fitted to it")
    refuse_columns("FED-872", "columns without any value", empty)


def refuse_columns(code: str, what: str, rows: Mapping[str, int]) -> None:
    """Raise ``DataError`` if any column has rows that are wrong; names stay at this party, the number of columns not.

    Args:
        rows: column -> how many of its rows.
    """
    wrong = {name: count for name, count in rows.items() if count}
    if wrong:
        raise DataError(code, f"{what}: {len(wrong)}", counted(wrong))


def _present(wanted: Iterable[str], there: Iterable[str]) -> None:
    absent = sorted(set(wanted) - set(there))
    if absent:
        more = f" and {len(absent) - NAMES_SHOWN} more" if len(absent) > NAMES_SHOWN else ""
        shown = ", ".join(map(repr, absent[:NAMES_SHOWN])) + more
        raise DataError("FED-871", f"the table lacks {len(absent)} of the columns that are needed", shown)
