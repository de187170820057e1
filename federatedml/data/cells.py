"""Cells of a raw column: which are missing, which are numbers, what replaces a kind of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from federatedml.data.table import Column
from federatedml.errors import DataError

Method = Literal["min", "max", "mean", "designated"]
MISSING = ("", "none", "null", "na")  # FATE's tokens, in any case
NAMES_SHOWN = 8


def mean(values: NDArray[np.float64]) -> np.float64:
    """The mean of finite values, finite also where their sum is not."""
    with np.errstate(over="ignore"):
        found = values.mean()
    return np.float64(found if np.isfinite(found) else (values / len(values)).sum())


STATISTICS: Mapping[str, Callable[[NDArray[np.float64]], np.float64]] = {"min": np.min, "max": np.max, "mean": mean}


@dataclass(frozen=True)
class Cells:
    """One column as numbers.

    Attributes:
        values: (n,) float64, meaningless where ``missing`` or ``bad``.
        missing: (n,) null, NaN or one of the tokens.
        bad: (n,) neither missing nor a finite number.
    """

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]
    bad: NDArray[np.bool_]


def cells(column: Column, tokens: Collection[str]) -> Cells:
    """The cells of a column; ``tokens`` (lower case) mark missing ones, as text or as the number that they spell."""
    if column.dtype.kind in "fiub":
        values, missing = column.astype(np.float64), np.zeros(len(column), bool)
    elif (whole := _spelled(column)) is not None:
        values, missing = whole, np.zeros(len(column), bool)
    else:
        texts = ["" if cell is None else _text(cell) for cell in column]
        missing = np.array([cell is None or text in tokens for cell, text in zip(column, texts, strict=True)], bool)
        values = np.array([spelled(text) for text in texts], np.float64)
    missing = missing | np.isnan(values) | equal(values, tokens)
    return Cells(values, missing, ~missing & ~np.isfinite(values))


@dataclass(frozen=True)
class Texts:
    """One column as text.

    Attributes:
        values: (n,) str, None where missing.
    """

    values: Column

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(n,) which cells are missing."""
        return np.array([cell is None for cell in self.values], bool)


def texts(column: Column, tokens: Collection[str]) -> Texts:
    """The cells of a column as text; ``tokens`` (lower case) and NaN are missing."""
    found = [None if cell is None or cell != cell else str(cell) for cell in column.tolist()]
    known = [None if text is None or text.strip().lower() in tokens else text for text in found]
    return Texts(np.array([*known, None], object)[:-1])


def equal(values: NDArray[np.float64], tokens: Iterable[str]) -> NDArray[np.bool_]:
    """(n,) whether the value is a number that one of the tokens spells."""
    found = [spelled(token) for token in tokens]
    return np.isin(values, [number for number in found if math.isfinite(number)])


def replacement(values: NDArray[np.float64], method: Method | None, designated: float) -> float:
    """What replaces cells of a kind, from the values that are not of it; ``designated`` also where no method is set.

    Raises:
        DataError: no value is left to take the minimum, maximum or mean of.
    """
    if method is None or method == "designated":
        return designated
    if not len(values):
        raise DataError("FED-214", f"no value to take the {method} of")
    return float(STATISTICS[method](values))


def counted(rows: dict[str, int]) -> str:
    """Columns and how many of their rows are meant, for a message: ``x1 (3 rows), x7 (1 row)``."""
    shown = [f"{name} ({n} row{'s' * (n != 1)})" for name, n in list(rows.items())[:NAMES_SHOWN]]
    return ", ".join(shown) + (f" and {len(rows) - NAMES_SHOWN} more" if len(rows) > NAMES_SHOWN else "")


def _spelled(column: Column) -> NDArray[np.float64] | None:
    """The numbers of a column in which every cell is a text that spells one: the usual case, at a tenth of the time."""
    listed = column.tolist()
    if any(type(cell) is not str or "_" in cell for cell in listed):
        return None
    try:
        return np.array(listed, dtype=object).astype(np.float64)
    except ValueError:
        return None


def _text(cell: object) -> str:
    """As tokens are compared; true and false are the numbers that a column of them alone has."""
    return str(int(cell) if isinstance(cell, bool | np.bool_) else cell).strip().lower()


def spelled(text: str) -> float:
    """The number that a text spells; infinity if it spells none, which no later check takes for a number."""
    try:
        return math.inf if "_" in text else float(text)
    except ValueError:
        return math.inf
