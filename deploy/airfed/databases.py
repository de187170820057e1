"""Prepared databases: the schemas of Airflow and MLflow are made once per version and copied into every new home.

Migrating an empty database costs seconds of CPU per party; copying one costs none. The prepared files lie in the
user's cache folder, named by the versions that made them. Where that cannot be written to, every home makes its own.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from airfed.proc import environment
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome


@dataclass(frozen=True)
class Schema:
    """A database that a party needs.

    Attributes:
        package: whose version names the schema.
        create, upgrade: arguments to Python; ``{path}`` is the SQLite file.
    """

    name: str
    package: str
    create: Sequence[str]
    upgrade: Sequence[str]


AIRFLOW = Schema("airflow", "apache-airflow", ("-m", "airflow", "db", "migrate"), ("-m", "airflow", "db", "migrate"))
MLFLOW = Schema(
    "mlflow", "mlflow", ("-m", "airfed.mlflow_schema", "{path}"), ("-m", "mlflow", "db", "upgrade", "sqlite:///{path}")
)


def ensure(home: PartyHome) -> None:
    """Give the home its databases, or bring those that an older version made up to date."""
    for schema, path in ((AIRFLOW, home.airflow / "airflow.db"), (MLFLOW, home.mlflow / "mlflow.db")):
        stamp = path.with_suffix(".version")
        version = importlib.metadata.version(schema.package)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                _copy(prepared(schema), path)
            except (OSError, RuntimeError):  # a service account has no home, or none to write to
                _make(schema, path)
        elif not stamp.exists() or stamp.read_text() != version:
            _run(schema, schema.upgrade, path, home.root)
        stamp.write_text(version)


def prepared(schema: Schema, folder: Path | None = None) -> Path:
    """The prepared database of the installed version; made now if it is not there."""
    folder = folder or _cache()
    path = folder / f"{schema.name}-{importlib.metadata.version(schema.package)}.db"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder / f"{schema.name}.lock"):
        if not path.exists():
            _make(schema, path)
    return path


def prepare_all() -> None:
    """Make every prepared database that is missing; the first start of a party would do it otherwise."""
    for schema in (AIRFLOW, MLFLOW):
        with suppress(OSError, RuntimeError):  # parties do without: see ``ensure``
            prepared(schema)


def _make(schema: Schema, path: Path) -> None:
    """A new database, whole or not at all."""
    with TemporaryDirectory(dir=path.parent) as scratch:
        fresh = Path(scratch) / "airflow.db"
        _run(schema, schema.create, fresh, Path(scratch))
        _settle(fresh)
        fresh.rename(path)


def _run(schema: Schema, command: Sequence[str], path: Path, home: Path) -> None:
    """Run a schema command with AIRFLOW_HOME beside the database, so that Airflow finds (or guesses) its settings."""
    env = environment(home, {"AIRFLOW_HOME": str(path.parent)})
    (home / "run" / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = [sys.executable, *(part.format(path=path) for part in command)]
    done = subprocess.run(argv, env=env, cwd=path.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FedError("FED-903", f"{schema.name}'s database {path} could not be made: {done.stderr[-2000:].strip()}")


def _settle(path: Path) -> None:
    """One file without a log beside it, that every reader opens in WAL mode."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.chmod(path, 0o600)


def _copy(source: Path, path: Path) -> None:
    temporary = path.with_suffix(".new")
    shutil.copyfile(source, temporary)
    os.chmod(temporary, 0o600)
    temporary.rename(path)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airfed" / "databases"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
