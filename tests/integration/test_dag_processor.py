"""A real DAG processor of Airflow over the drop-in folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from airfed.airflow_config import configure
from airfed.databases import AIRFLOW, prepared
from federatedml.federation.home import PartyHome

EXAMPLE = Path(__file__).parents[2] / "examples" / "hetero_lr"
DAG = "hetero_lr.guest_9999"
JOB_ID = r"[0-9]{21}"


def eventually(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return answer


class Party:
    """A home whose DAG processor runs."""

    def __init__(self, root: Path) -> None:
        names = ("airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http", "serving_grpc")
        ports = {name: 21000 + position for position, name in enumerate(names)}
        (root / "party.yaml").write_text(yaml.safe_dump({"party_id": "9999", "name": "guest", "ports": ports}))
        self.home = PartyHome(root)
        configure(self.home)
        shutil.copy(prepared(AIRFLOW), self.home.airflow / "airflow.db")
        self.home.dropin.mkdir(mode=0o700)
        self.home.installed.mkdir(mode=0o700)
        self.environment = {**os.environ, "AIRFLOW_HOME": str(self.home.airflow), "AIRFED_HOME": str(root)}

    def airflow(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start an Airflow command."""
        with (self.home.airflow / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def rows(self, query: str, *arguments: str) -> list[tuple[Any, ...]]:
        """Read Airflow's database."""
        with closing(sqlite3.connect(f"file:{self.home.airflow}/airflow.db?mode=ro", uri=True)) as database:
            return database.execute(query, arguments).fetchall()

    def dag(self, dag_id: str) -> str | None:
        """Bundle version of an active DAG."""
        rows = self.rows("select bundle_version from dag where dag_id = ? and not is_stale", dag_id)
        return rows[0][0] if rows else None

    def errors(self) -> dict[str, str]:
        """Import errors by file."""
        return dict(self.rows("select filename, stacktrace from import_error"))

    def drop(self, name: str = "hetero_lr", edit: Callable[[dict[str, Any]], Any] = lambda _: None) -> float:
        """Put the example into the folder, its conf edited; returns when."""
        conf = json.loads((EXAMPLE / "hetero_lr_conf.json").read_text())
        edit(conf)
        shutil.copy(EXAMPLE / "hetero_lr_dsl.json", self.home.dropin / f"{name}_dsl.json")
        (self.home.dropin / f"{name}_conf.json").write_text(json.dumps(conf))
        return time.monotonic()


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    party = Party(tmp_path_factory.mktemp("guest"))
    processor = party.airflow("dag-processor")
    try:
        eventually((party.home.bundle / "version").exists)
        yield party
    finally:
        os.killpg(processor.pid, signal.SIGKILL)
        processor.wait()


def test_a_dropped_pair_becomes_a_dag_and_a_changed_one_a_new_version(party: Party) -> None:
    saved = party.drop()
    first = eventually(lambda: party.dag(DAG))
    print(f"saved -> visible {time.monotonic() - saved:.2f} s")
    assert party.errors() == {}

    saved = party.drop(edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=7))
    second = eventually(lambda: (version := party.dag(DAG)) != first and version)
    print(f"changed -> visible {time.monotonic() - saved:.2f} s")
    assert second != first
