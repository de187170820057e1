"""Databases of a new home: made once with Airflow's and MLflow's own tools, then copied."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from airfed import databases
from airfed.airflow_config import configure
from airfed.party import init_party, party_config
from federatedml.errors import FedError


def one(path: Path, query: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    for schema in (databases.AIRFLOW, databases.MLFLOW):
        databases.prepared(schema, folder / "airfed" / "databases")
    return folder


@pytest.fixture(autouse=True)
def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


def test_a_new_home_gets_private_copies_in_wal_mode(tmp_path: Path) -> None:
    home = init_party(tmp_path / "guest", party_config("9999", "guest", 25900))
    databases.ensure(home)
    for path, table in ((home.airflow / "airflow.db", "dag_run"), (home.mlflow / "mlflow.db", "model_versions")):
        assert one(path, "PRAGMA journal_mode") == "wal"
        assert one(path, f"SELECT count(*) FROM {table}") == 0  # noqa: S608
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert one(home.mlflow / "mlflow.db", "SELECT artifact_location FROM experiments") == "mlflow-artifacts:/0"


def test_prepared_files_are_made_once_and_nothing_else_stays(cache: Path) -> None:
    folder = cache / "airfed" / "databases"
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.db")}
    databases.prepare_all()
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.db")} == before
    assert len(before) == 2
    assert {path.suffix for path in folder.iterdir()} == {".db", ".lock"}


def test_a_home_of_another_version_is_upgraded_and_keeps_its_rows(tmp_path: Path) -> None:
    home = init_party(tmp_path / "guest", party_config("9999", "guest", 25900))
    configure(home)
    databases.ensure(home)
    path = home.airflow / "airflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO variable (key, val, is_encrypted) VALUES ('kept', 'yes', 0)")
        connection.commit()
    stamp = home.airflow / "airflow.version"
    now = stamp.read_text()
    stamp.write_text("0.0")
    databases.ensure(home)
    assert stamp.read_text() == now
    assert one(path, "SELECT val FROM variable WHERE key = 'kept'") == "yes"


def test_a_database_that_cannot_be_made_is_an_error_with_the_tool_s_words(tmp_path: Path) -> None:
    broken = databases.Schema("airflow", "apache-airflow", ("-c", "raise SystemExit('disk is full')"), ())
    with pytest.raises(FedError, match="disk is full"):
        databases.prepared(broken, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.db"))
