"""The DAG processor that a party runs is Airflow's, but for what it does at every change."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Airflow reads its configuration when it is first imported: from here, not from the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        yield


def test_dags_are_looked_through_when_a_file_is_gone_and_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager

    from airfed.dag_processor import DropInProcessor

    looked: list[set[str]] = []
    monkeypatch.setattr(
        DagFileProcessorManager,
        "deactivate_deleted_dags",
        lambda self, bundle_name, present: looked.append({str(file.rel_path) for file in present}),
    )
    processor, other = (DropInProcessor.__new__(DropInProcessor) for _ in range(2))
    for names in ("", "a", "ab", "ab", "b", "b", "bc", "a", ""):
        processor.deactivate_deleted_dags(
            "dsl", {DagFileInfo(rel_path=Path(name), bundle_name="dsl", bundle_path=Path("/x")) for name in names}
        )
    assert looked == [set(), {"b"}, {"a"}, set()]
    assert other._present == {}, "nothing is shared between processors"


def test_files_are_looked_at_when_there_may_be_something_new(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.manager import DagFileInfo, DagFileProcessorManager

    from airfed import dag_processor

    now, looked = 100.0, []
    monkeypatch.setattr(dag_processor.time, "monotonic", lambda: now)
    monkeypatch.setattr(DagFileProcessorManager, "prepare_file_queue", lambda self, known_files: looked.append(now))
    processor = dag_processor.DropInProcessor.__new__(dag_processor.DropInProcessor)
    processor._bundle_versions, processor._processors = {}, {}

    def looks() -> bool:
        looked.clear()
        processor.prepare_file_queue({})
        return bool(looked)

    assert looks()
    assert not looks()
    processor._bundle_versions["dsl"] = "1"
    assert looks()
    processor._bundle_versions["dsl"] = "2"
    assert looks()
    assert not looks()
    file = DagFileInfo(rel_path=Path("a.py"), bundle_name="dsl", bundle_path=Path("/x"))
    processor._processors[file] = None
    assert looks(), "a file is being parsed"
    assert not looks()
    del processor._processors[file]
    assert looks(), "it may have changed since"
    assert not looks()
    now += dag_processor.LOOK_S
    assert looks()
    assert not looks()


def test_the_command_runs_this_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.cli.commands import dag_processor_command

    from airfed import dag_processor

    made = []

    def main() -> None:
        runner = dag_processor_command._create_dag_processor_job_runner(Namespace(bundle_name=None, num_runs=-1))
        made.append((type(runner.processor), sys.argv))

    own = dag_processor_command.DagFileProcessorManager
    monkeypatch.setattr(dag_processor_command, "DagFileProcessorManager", own)  # put back afterwards
    monkeypatch.setattr(dag_processor.DropInProcessor, "__init__", lambda self, **kwargs: None)
    monkeypatch.setattr(sys, "argv", ["dag_processor.py", "--num-runs", "1"])
    monkeypatch.setattr(dag_processor, "main", main)
    dag_processor.run()
    assert made == [(dag_processor.DropInProcessor, ["airflow", "dag-processor", "--num-runs", "1"])]
