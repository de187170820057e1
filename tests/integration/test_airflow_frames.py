"""A table of a data base, by a connection of Airflow, through Airflow's own hook for SQL."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from federated_operators.airflow_frames import airflow_frame
from federatedml.components.data_io import DataIOParams, fit, transform
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.errors import DataError

NAME = TableName("bank", "clients")
BIG = 2**62 + 1  # no float has it


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    path = tmp_path / "bank.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE clients (client INTEGER, grade TEXT, y INTEGER, x REAL, odd)")
        rows = [(BIG, "a", 0, 0.5, 1), (7, "\u00fc", 1, None, "text"), (-3, None, 1, 2.5, b"\x00")]
        db.executemany("INSERT INTO clients VALUES (?, ?, ?, ?, ?)", rows)
    monkeypatch.setenv("AIRFLOW_CONN_STORE", f"sqlite:///{quote(str(path), safe='')}")
    return Catalogue(tmp_path / "data", airflow_frame)


def declare(catalogue: Catalogue, text: str) -> None:
    place = catalogue.folder / "bank"
    place.mkdir(parents=True, exist_ok=True)
    (place / "clients.yaml").write_text(text)


def test_a_query_becomes_instances(catalogue: Catalogue) -> None:
    declare(catalogue, "{kind: sql, connection: store, query: 'SELECT x, y, client FROM clients', id: client}")
    found = catalogue.read(NAME)
    assert found.ids.tolist() == [str(BIG), "7", "-3"]
    p = DataIOParams(missing_fill=True, missing_fill_method="mean")
    instances = transform(fit(p, found), found)
    assert (instances.header, instances.labels().tolist()) == (["x"], [0, 1, 1])
    assert instances.columns["x"].tolist() == [0.5, 1.5, 2.5]


def test_a_whole_table_and_one_without_rows(catalogue: Catalogue) -> None:
    declare(catalogue, "{kind: sql, connection: store, query: 'SELECT client, grade, y FROM clients WHERE y > 7'}")
    assert (len(catalogue.read(NAME)), catalogue.read(NAME).header) == (0, ["grade", "y"])
    declare(catalogue, "{kind: sql, connection: store, query: 'SELECT grade, client FROM clients', extend_sid: true}")
    found = catalogue.read(NAME)
    assert (found.ids.tolist(), found.columns["grade"].tolist()) == (["ID_0", "ID_1", "ID_2"], ["a", "\u00fc", None])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("connection: other, table: clients", "FED-856"),
        ("connection: store, table: nothing", "FED-856"),
        ("connection: store, query: 'not SQL'", "FED-856"),
        ("connection: store, table: clients", "FED-856"),  # text and bytes in one column
        ("connection: store, query: 'SELECT client, x AS a, x AS a FROM clients'", "FED-206|FED-856"),
        ("connection: store, query: 'SELECT x, y FROM clients'", "FED-204"),  # ids that are numbers with a fraction
        ("connection: store, query: 'SELECT grade, y FROM clients'", "FED-204"),
        ("connection: store, query: 'SELECT y, x FROM clients'", "FED-204"),
        ("connection: store, table: clients, id: key", "FED-857|FED-856"),
    ],
)
def test_what_gives_no_table_is_refused_without_showing_it(
    catalogue: Catalogue, asked: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    declare(catalogue, f"{{kind: sql, {asked}}}")
    with caplog.at_level(logging.ERROR), pytest.raises(DataError, match=code) as caught:
        catalogue.read(NAME)
    assert "store" not in caught.value.message
    assert str(BIG) not in str(caught.value) + caplog.text
