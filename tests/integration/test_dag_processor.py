"""A real DAG processor of Airflow over the drop-in folder."""

from __future__ import annotations

import json
import os
import re
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
from airfed.processes import programs
from dags_generator.acceptor import DslAcceptor
from dags_generator.dag import dags_of
from dags_generator.store import MANY, BundleStore
from federated_operators.gateway.plan import ProposedJob
from federatedml.canonical import canonical_json
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

    processor: subprocess.Popen[bytes]

    def __init__(self, root: Path) -> None:
        names = ("airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http", "serving_grpc")
        ports = {name: 21000 + position for position, name in enumerate(names)}
        (root / "party.yaml").write_text(yaml.safe_dump({"party_id": "9999", "name": "guest", "ports": ports}))
        self.home = PartyHome(root)
        configure(self.home)
        shutil.copy(prepared(AIRFLOW), self.home.airflow / "airflow.db")
        self.home.dropin.mkdir(mode=0o700)
        self.environment = {**os.environ, "AIRFLOW_HOME": str(self.home.airflow), "AIRFED_HOME": str(root)}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start one of a party's programs."""
        return self.python(*next(program for program in programs(self.home) if program.name == name).argv)

    def python(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run a module of Python."""
        with (self.home.airflow / "tests.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
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
    party.drop("first")
    party.processor = party.start("dag-processor")
    try:
        eventually(lambda: party.dag("first.guest_9999"))
        yield party
    finally:
        os.killpg(party.processor.pid, signal.SIGKILL)
        party.processor.wait()


def test_a_dropped_pair_becomes_a_dag_and_a_run_keeps_the_version_that_it_started_with(party: Party) -> None:
    saved = party.drop()
    first = eventually(lambda: party.dag(DAG))
    print(f"pair saved -> DAG visible {time.monotonic() - saved:.2f} s")
    assert party.errors() == {}

    assert party.python("-m", "airflow", "dags", "trigger", DAG).wait() == 0
    saved = party.drop(edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=7))
    second = eventually(lambda: (version := party.dag(DAG)) != first and version)
    print(f"change saved -> new version visible {time.monotonic() - saved:.2f} s")

    ((run_id, pinned),) = party.rows("select run_id, bundle_version from dag_run where dag_id = ?", DAG)
    assert re.fullmatch(JOB_ID, run_id)
    assert pinned == first
    assert max_iter(party, first) == 30
    assert max_iter(party, second) == 7
    assert party.dag("first.guest_9999") not in (first, second), "what did not change was not parsed again"


def test_broken_files_show_one_error_each_and_harm_nothing_else(party: Party) -> None:
    party.drop("short", edit=lambda conf: conf["role"].update(host=[10000, 10002]))
    (party.home.dropin / "torn.json").write_text('{"dsl": {"components"')
    (party.home.dropin / "linked.json").symlink_to(EXAMPLE / "hetero_lr_dsl.json")
    errors = eventually(lambda: len(found := party.errors()) == 3 and found)
    assert {Path(file).name: text.strip() for file, text in errors.items()} == {
        "short.py": "[FED-131] short_conf.json: role_parameters.host.dataio_0.with_label: "
        "1 values for 2 host parties (one for each of 10000, 10002)",
        "torn.py": "[FED-100] torn.json: not JSON at line 1, column 22: Expecting ':' delimiter",
        "linked.py": "[FED-160] linked.json cannot be read: Too many levels of symbolic links "
        "(a regular file is expected)",
    }
    assert party.dag(DAG)

    for file in party.home.dropin.glob("*"):
        if file.name.startswith(("short", "torn", "linked")):
            file.unlink()
    eventually(lambda: not party.errors())


def test_what_another_party_proposes_is_installed_as_a_dag_that_waits_for_it(party: Party) -> None:
    dsl = json.loads((EXAMPLE / "hetero_lr_dsl.json").read_text())
    conf = json.loads((EXAMPLE / "hetero_lr_conf.json").read_text())
    conf["initiator"]["party_id"], conf["role"]["guest"], conf["role"]["host"] = 8888, [8888], [9999]
    job = ProposedJob("8888", "2" * 21, "hetero_lr", canonical_json(dsl), canonical_json(conf))
    acceptor = DslAcceptor(party.home)
    (plan,) = acceptor.plans(job, "9999")
    assert plan.dag_id == "8888.hetero_lr.host_9999"
    assert not acceptor.installed(plan)
    acceptor.install(plan)
    saved = time.monotonic()
    version = eventually(lambda: party.dag(plan.dag_id))
    print(f"installed -> DAG visible {time.monotonic() - saved:.2f} s")
    assert acceptor.installed(plan)
    assert acceptor.installed(plan, version)
    (tags,) = party.rows(
        "select group_concat(name, ' ') from (select name from dag_tag where dag_id = ? order by 1)", plan.dag_id
    )
    assert tags == ("fed party:9999 pipeline:hetero_lr role:host",)


def test_many_pipelines_at_once_share_files_until_they_change(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"many{number}" for number in range(MANY)]
    os.killpg(party.processor.pid, signal.SIGSTOP)  # so that it finds all of them at one look
    for name in names:
        party.drop(name)
    os.killpg(party.processor.pid, signal.SIGCONT)
    eventually(lambda: all(party.dag(f"{name}.guest_9999") for name in names))
    assert party.errors() == {}
    shared = {
        str(stub) for (stub,) in party.rows("select distinct relative_fileloc from dag where dag_id like 'many%'")
    }
    assert len(shared) < MANY
    first = party.dag("many1.guest_9999")
    stub = BundleStore(party.home.bundle).current / next(name for name in shared if name.startswith("_shared_"))
    assert len(dags_of(str(stub))) > 1
    (asked, *_) = dags_of(str(stub))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", asked)
    assert list(dags_of(str(stub))) == [asked], "a task's process reads its own pipeline only"

    party.drop("many1", edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=7))
    eventually(lambda: party.dag("many1.guest_9999") != first)
    assert party.rows("select relative_fileloc from dag where dag_id = 'many1.guest_9999'") == [("many1.py",)]
    for name in names:
        for file in party.home.dropin.glob(f"{name}_*"):
            file.unlink()
    eventually(lambda: not any(party.dag(f"{name}.guest_9999") for name in names), 120.0)


def max_iter(party: Party, version: str) -> int:
    """What the DAG of a bundle version proposes, read as a task's process does."""
    script = (
        "import sys; from pathlib import Path; from dags_generator.bundle import DslDagBundle\n"
        "bundle = DslDagBundle(name='dsl', home=sys.argv[1], version=sys.argv[2]); bundle.initialize()\n"
        "from dags_generator.dag import dags_of\n"
        f"dag = dags_of(str(bundle.path / 'hetero_lr.py'))['{DAG}']\n"
        "print(dag.get_task('federate').conf['algorithm_parameters']['hetero_lr_0']['max_iter'])"
    )
    command = [sys.executable, "-c", script, str(party.home.root), version]
    done = subprocess.run(command, env=party.environment, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])
