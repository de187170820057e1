"""The tables that ``examples/`` runs on: scikit-learn's small data sets, split between parties.

| namespace | what | guest | host |
|---|---|---|---|
| ``breast`` | two classes, standardised; the demo's tables | ``y``, x0..x9 | x0..x19 |
| ``breast_units`` | the same as it was measured | ``y``, x0..x9 | x0..x19 |
| ``breast_homo`` | two classes, all 30 columns at each party | some rows | other rows |
| ``wine`` | three classes | ``y``, x0..x5 | x0..x6 |
| ``diabetes`` | a number to predict | ``y``, x0..x3 | x0..x5 |

Each namespace has the tables ``guest`` and ``host``, and their rows once more as ``guest_train`` and ``guest_valid``
(``host_train``, ``host_valid``). A second host, party 10002, has the last ten columns of the first one's ``breast`` and
rows of ``breast_homo``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from airfed.demo_data import GUEST_COLUMNS, breast, data_set
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Column, Kind, Table

GUEST, HOST, OTHER_HOST = "9999", "10000", "10002"
VALID_SHARE = 64  # of 256 digests: a quarter of the rows
SEED = 20260801


def write_example_data(folder: Path) -> list[Path]:
    """Write all tables as ``PARTY_ID/NAMESPACE/NAME.parquet`` and return their files."""
    written = []
    for party, name, table in example_tables():
        catalogue = Catalogue(folder / party)
        catalogue.write(name, table)
        written.append(catalogue.path(name))
    return written


def example_tables() -> Iterator[tuple[str, TableName, Table]]:
    """(party, name, table) of every table; the same in every run."""
    demo, homo = breast(), _rows_apart()
    for namespace, guest, host in (
        ("breast", demo.guest, demo.host),
        ("breast_units", *_columns_apart("breast_cancer", GUEST_COLUMNS)),
        ("breast_homo", homo[0], homo[1]),
        ("wine", *_columns_apart("wine", 6)),
        ("diabetes", *_columns_apart("diabetes", 4)),
    ):
        yield from _named(GUEST, namespace, "guest", guest)
        yield from _named(HOST, namespace, "host", host)
    last = dict(list(demo.host.columns.items())[-10:])
    yield from _named(OTHER_HOST, "breast", "host", replace(demo.host, columns=last))
    yield from _named(OTHER_HOST, "breast_homo", "host", homo[2])


def _named(party: str, namespace: str, name: str, table: Table) -> Iterator[tuple[str, TableName, Table]]:
    valid = np.array([hashlib.sha256(str(sample).encode()).digest()[0] < VALID_SHARE for sample in table.ids])
    yield party, TableName(namespace, name), table
    yield party, TableName(namespace, f"{name}_train"), table.take(np.flatnonzero(~valid))
    yield party, TableName(namespace, f"{name}_valid"), table.take(np.flatnonzero(valid))


def _columns_apart(source: str, guest_columns: int) -> tuple[Table, Table]:
    """Guest and host with the same rows, each in an order of its own."""
    features, label = _loaded(source)
    random = np.random.default_rng(SEED)
    ids = np.array([f"row-{number:05d}" for number in random.permutation(10_000)[: len(label)]], dtype=object)
    guest: Mapping[str, Column] = {"y": label, **_columns(features[:, :guest_columns])}
    host = _columns(features[:, guest_columns:])
    whole = (Table(ids, columns, kind=Kind.RAW) for columns in (guest, host))
    one, other = (table.take(random.permutation(len(label))) for table in whole)
    return one, other


def _rows_apart() -> list[Table]:
    """Guest and two hosts with the same columns, standardised alike, and different rows."""
    features, label = _loaded("breast_cancer")
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    order = np.random.default_rng(SEED).permutation(len(label))
    ids = np.array([f"row-{number:05d}" for number in range(len(label))], dtype=object)
    whole = Table(ids, {"y": label, **_columns(scaled)}, kind=Kind.RAW)
    return [whole.take(rows) for rows in np.array_split(order, 3)]


def _loaded(source: str) -> tuple[NDArray[np.float64], Column]:
    features, label = data_set(source)
    whole = (label == np.floor(label)).all() and len(np.unique(label)) < 10
    return features, label.astype(np.int64) if whole else label.astype(np.float64)


def _columns(values: NDArray[np.float64]) -> Mapping[str, Column]:
    return {f"x{at}": np.ascontiguousarray(values[:, at]) for at in range(values.shape[1])}
