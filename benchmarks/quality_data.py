"""The data sets of ``quality``: tables of the parties, and the same rows pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airfed.demo_data import breast, joined
from benchmarks.lr_runs import GUEST, HOST, Floats
from federatedml.components.cross_validation import CvParam, folds
from federatedml.data.table import Table
from federatedml.federation.party import Member

HALVES = CvParam(n_splits=2, random_seed=1)


@dataclass(frozen=True)
class DataSet:
    """Pooled rows.

    Attributes:
        kind: ``binary``, ``multi`` or ``regression``.
        x: (n, k) the guest's columns first.
        guest: how many columns are the guest's.
    """

    name: str
    kind: str
    x: Floats
    y: Floats
    guest: int

    def by_columns(self) -> Mapping[Member, Table]:
        """Label and some columns at the guest, the others at the host."""
        return {GUEST: self._table(slice(0, self.guest), True), HOST: self._table(slice(self.guest, None), False)}

    def by_rows(self) -> Mapping[Member, Table]:
        """Half of the rows at each party, with all columns and the label."""
        whole = self._table(slice(0, None), True)
        return {
            member: whole.take(rows) for member, rows in zip((GUEST, HOST), folds(len(self.y), HALVES), strict=True)
        }

    def standardised(self) -> DataSet:
        """With columns of mean 0 and deviation 1."""
        return DataSet(self.name, self.kind, (self.x - self.x.mean(0)) / self.x.std(0), self.y, self.guest)

    def halved(self) -> DataSet:
        """Of numbers to predict two classes: above the median or not."""
        return DataSet(f"{self.name} above median", "binary", self.x, 1.0 * (self.y > np.median(self.y)), self.guest)

    def _table(self, columns: slice, labelled: bool) -> Table:
        ids = np.array([f"r{i}" for i in range(len(self.y))], dtype=object)
        named = {"y": self.y} if labelled else {}
        named |= {f"x{j}": column for j, column in enumerate(self.x[:, columns].T)}
        return Table(ids, named, "y" if labelled else None)


def data_set(name: str, folder: Path | None) -> DataSet:
    """One of ``NAMES``, from a folder with FATE's CSV files or made with the same shape."""
    return _read(name, folder) if folder is not None else MADE[name]()


FILES = {  # kind, stem of the files, label
    "breast": ("binary", "breast_hetero", "y"),
    "default_credit": ("binary", "default_credit_hetero", "y"),
    "vehicle": ("multi", "vehicle_scale_hetero", "y"),
    "student": ("regression", "student_hetero", "y"),
    "motor": ("regression", "motor_hetero", "motor_speed"),
}
NAMES = tuple(FILES)


def _read(name: str, folder: Path) -> DataSet:
    import pandas as pd

    kind, stem, label = FILES[name]
    guest, host = (pd.read_csv(folder / f"{stem}_{side}.csv") for side in ("guest", "host"))
    key = guest.columns[0]
    both = guest.merge(host, on=key, suffixes=("", "_host"))
    y = both.pop(label).to_numpy(np.float64)
    return DataSet(name, kind, both.drop(columns=key).to_numpy(np.float64), y, guest.shape[1] - 2)


def _made(name: str, rows: int, columns: int, guest: int) -> DataSet:
    """Rows whose label is a sum, a product and noise: no model is perfect."""
    random = np.random.default_rng(len(name))
    x = random.standard_normal((rows, columns))
    signal = x @ random.normal(0, 0.5, columns) + x[:, 0] * x[:, -1] + random.standard_normal(rows)
    kind = FILES[name][0]
    ranks = signal.argsort().argsort() / rows
    y = {"binary": 1.0 * (ranks > 0.78), "multi": np.floor(ranks * 4), "regression": signal}[kind]
    return DataSet(f"{name} (made up)", kind, x, y, guest)


def _breast() -> DataSet:
    x, y, _ = joined(breast())
    return DataSet("breast", "binary", x, y.astype(np.float64), 10)


MADE: Mapping[str, Callable[[], DataSet]] = {
    "breast": _breast,
    "default_credit": lambda: _made("default_credit", 30_000, 23, 13),
    "vehicle": lambda: _made("vehicle", 846, 18, 9),
    "student": lambda: _made("student", 395, 13, 6),
    "motor": lambda: _made("motor", 800, 11, 4),
}
