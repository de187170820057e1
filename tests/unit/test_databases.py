"""Databases of a new home, with toys for Airflow's and MLflow's commands."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from airfed import databases
from airfed.databases import Schema, ensure
from airfed.party import init_party, party_config

CREATE = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('create table made (x)')"


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIRFLOW", "MLFLOW"):
        toy = Schema(name.lower(), "numpy", ("-c", CREATE, "{path}"), ("-c", "pass"))
        monkeypatch.setattr(databases, name, toy)


def tables(path: Path) -> list[tuple[str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("select name from sqlite_master").fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("writable", [True, False])
def test_a_home_gets_databases_with_a_cache_folder_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache") if writable else "/dev/null")
    home = init_party(tmp_path / "home", party_config("9999", "guest", 25900))
    databases.prepare_all()
    ensure(home)
    for path in (home.airflow / "airflow.db", home.mlflow / "mlflow.db"):
        assert tables(path) == [("made",)]
        assert path.stat().st_mode & 0o077 == 0
        assert {each.name for each in path.parent.iterdir()} == {path.name, path.with_suffix(".version").name}
    assert (tmp_path / "cache").exists() is writable
