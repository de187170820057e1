"""What batches a training that opens gradients may have, and what the gradients of a batch tell.

Each party reads the plain gradient of its own columns, batch by batch: as many linear equations in the residuals of the
batch's rows as it has columns, and residuals tell labels. With as many columns as rows they are solved. So a batch must
have many times more rows than any party has columns, and no column may single out a few rows of a batch.

Batches depend on the rows' ids and on the shapes alone, never on values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from federatedml.components.linear_model import telling
from federatedml.components.lr_params import LogisticParams
from federatedml.crypto.ring import Floats
from federatedml.crypto.shared_linear import batch_sizes
from federatedml.errors import DataError
from federatedml.federation.party import Member

MAX_ROWS = 2**24


def batches(p: LogisticParams, rows: int, columns: Mapping[Member, int]) -> tuple[int, ...]:
    """Rows of each batch: ``batch_size`` each; a rest that is too small for the rule joins the last one.

    Args:
        columns: weights of every party, the guest's with the intercept.

    Raises:
        DataError: a batch has fewer than ``batch_rows_per_column`` rows for each column of a party.
    """
    if not 0 < rows <= MAX_ROWS or not all(0 < count < rows + 1 for count in columns.values()):
        allowed = f"up to {MAX_ROWS} rows; from one column to one for each row"
        raise DataError("FED-252", f"{rows} rows, {counted(columns)}", allowed)
    widest = max(columns, key=lambda member: columns[member])
    least = p.batch_rows_per_column * columns[widest]
    sizes = batch_sizes(rows, p.batch_size)
    if len(sizes) > 1 and sizes[-1] < least:
        sizes = (*sizes[:-2], sizes[-2] + sizes[-1])
    if min(sizes) < least:
        raise DataError(
            "FED-725",
            f"batches of {min(sizes)} rows for the {columns[widest]} columns of {widest}: "
            "their gradients would tell that party what is known of single rows",
            f"batch_rows_per_column asks for {least:g} rows at least: a larger batch_size, or fewer columns",
        )
    return sizes


def check_columns(
    p: LogisticParams,
    names: Sequence[str],
    parts: Sequence[Floats],
    copies: int = 1,
    weights: Sequence[Floats] | None = None,
) -> None:
    """Whether no column's gradient is about a few rows of a batch only.

    Args:
        names: of the columns; a column that is further right (the intercept) is not looked at.
        parts: per batch (rows, columns).
        copies: rows that may be of one sample.
        weights: per batch (rows,) of rows, where they are known.

    Raises:
        DataError: names the column.
    """
    least = p.batch_rows_per_column * copies
    of_rows = [None] * len(parts) if weights is None else weights
    for column, name in enumerate(names):
        if min(telling(part[:, column], w) for part, w in zip(parts, of_rows, strict=True)) < least:
            raise DataError(
                "FED-726",
                "in some batch a column is not zero, or not as usual, in fewer than "
                f"{least:g} rows: its gradient would tell what is known of them",
                f"{name!r}: a larger batch_size, or without the column",
            )


def counted(columns: Mapping[Member, int]) -> str:
    """How many columns the parties have, for errors."""
    return ", ".join(f"{count} columns of {member}" for member, count in sorted(columns.items()))


def cut(values: Floats, sizes: Sequence[int]) -> list[Floats]:
    """Rows of each batch."""
    return np.split(values, np.cumsum(sizes)[:-1])
