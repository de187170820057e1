"""The bundle as Airflow's DAG processor uses it, and the DAGs that come out."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from dags_generator.store import plans_file
from federated_operators.gateway.policy import default_policy
from federatedml.errors import DslError
from federatedml.federation.home import PartyHome
from tests.pipeline_example import Edit, conf, dsl, unchanged


@pytest.fixture(scope="module", autouse=True)
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Airflow reads its configuration when it is first imported: from here, not from the user's home."""
    folder = str(tmp_path_factory.mktemp("airflow"))
    values = {"AIRFLOW_HOME": folder, "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": f"{folder}/bundles"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    names = ("airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http", "serving_grpc")
    ports = {name: 21010 + position for position, name in enumerate(names)}
    (tmp_path / "party.yaml").write_text(yaml.safe_dump({"party_id": "9999", "name": "guest", "ports": ports}))
    (tmp_path / "pipelines").mkdir()
    return PartyHome(tmp_path)


def drop(home: PartyHome, name: str = "lr", edit: Edit = unchanged) -> None:
    (home.dropin / f"{name}_dsl.json").write_text(json.dumps(dsl()))
    (home.dropin / f"{name}_conf.json").write_text(json.dumps(conf(edit)))


def bundle_of(home: PartyHome, version: str | None = None):
    from dags_generator.bundle import DslDagBundle

    bundle = DslDagBundle(name=home.root.name, home=str(home.root), refresh_interval=1, version=version)
    bundle.initialize()
    return bundle


def dags(folder: Path) -> dict:
    from dags_generator.dag import dags_of

    return {dag_id: dag for stub in sorted(folder.glob("*.py")) for dag_id, dag in dags_of(str(stub)).items()}


def stubs(folder: Path) -> set[str]:
    """What Airflow finds there."""
    from airflow.utils.file import list_py_file_paths

    return {str(Path(path).relative_to(folder)) for path in list_py_file_paths(folder, safe_mode=False)}


def test_airflow_looks_at_the_stubs_alone(home: PartyHome) -> None:
    from airflow._shared.module_loading import find_path_from_directory

    bundle = bundle_of(home)
    drop(home)
    bundle.refresh()
    (bundle.path / "__pycache__").mkdir()
    (bundle.path / "__pycache__" / "lr.cpython-311.pyc").write_bytes(b"code")
    found = find_path_from_directory(bundle.path, ".airflowignore")
    assert list(found) == [str(bundle.path / "lr.py")]
    assert set(dags(bundle.path)) == {"lr.guest_9999"}


def test_a_valid_pair_is_taken_up_at_once_and_a_broken_one_at_the_second_refresh(home: PartyHome) -> None:
    bundle = bundle_of(home)
    assert stubs(bundle.path) == set()
    drop(home)
    drop(home, "broken", lambda conf: conf.clear())
    bundle.refresh()
    assert stubs(bundle.path) == {"lr.py"}
    bundle.refresh()
    assert stubs(bundle.path) == {"lr.py", "broken.py"}
    with pytest.raises(DslError, match=r"FED-102.*broken_conf\.json: key 'role' is missing"):
        dags(bundle.path)


def test_a_file_that_changes_between_two_looks_is_taken_up_when_it_no_longer_does(
    home: PartyHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dags_generator import bundle as module

    bundle = bundle_of(home)
    drop(home)
    monkeypatch.setattr(module.time, "sleep", lambda _: drop(home, edit=lambda conf: conf.pop("initiator")))
    bundle.refresh()
    assert stubs(bundle.path) == set()
    monkeypatch.setattr(module.time, "sleep", lambda _: (home.dropin / "lr.json").write_text("{}"))
    drop(home)
    bundle.refresh()
    assert stubs(bundle.path) == set(), "there is a file more now"
    (home.dropin / "lr.json").unlink()
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    bundle.refresh()
    assert stubs(bundle.path) == {"lr.py"}


def test_a_restart_changes_nothing(home: PartyHome) -> None:
    drop(home)
    first = bundle_of(home)
    first.refresh()
    before = {path: path.stat().st_mtime_ns for path in first.path.rglob("*.*")}
    again = bundle_of(home)
    for _ in range(3):
        again.refresh()
    assert {path: path.stat().st_mtime_ns for path in again.path.rglob("*.*")} == before
    assert again.get_current_version() == first.get_current_version()


def test_what_is_removed_is_gone_at_the_second_refresh(home: PartyHome) -> None:
    drop(home)
    bundle = bundle_of(home)
    bundle.refresh()
    for file in list(home.dropin.iterdir()):
        file.unlink()
    bundle.refresh()
    assert set(dags(bundle.path)) == {"lr.guest_9999"}, "an editor may be writing it anew"
    bundle.refresh()
    assert stubs(bundle.path) == set()
    drop(home)
    bundle.refresh()
    assert set(dags(bundle.path)) == {"lr.guest_9999"}


def test_a_version_stays_what_it_was(home: PartyHome) -> None:
    drop(home)
    bundle = bundle_of(home)
    bundle.refresh()
    first = bundle.get_current_version().version
    drop(home, edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=7))
    bundle.refresh()
    assert bundle.get_current_version().version != first
    old = bundle_of(home, first)
    iterations = [
        dags(folder)["lr.guest_9999"].params["algorithm_parameters.hetero_lr_0"]["max_iter"]
        for folder in (old.path, bundle.path)
    ]
    assert iterations == [30, 7]
    with pytest.raises(RuntimeError):
        old.refresh()


def test_a_run_whose_version_was_removed_says_so(home: PartyHome) -> None:
    with pytest.raises(DslError, match=r"FED-164.*version 0{32} of the pipelines.*was removed.*submit the job again"):
        bundle_of(home, "0" * 32)


def _initialize(home: PartyHome, version: str, barrier) -> None:
    barrier.wait()
    bundle = bundle_of(home, version)
    os._exit(0 if set(dags(bundle.path)) == {"lr.guest_9999"} else 1)


def test_several_processes_may_build_a_version_at_once(home: PartyHome) -> None:
    drop(home)
    bundle = bundle_of(home)
    bundle.refresh()
    version = bundle.get_current_version().version
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    racing = [context.Process(target=_initialize, args=(home, version, barrier)) for _ in range(4)]
    for process in racing:
        process.start()
    for process in racing:
        process.join(30)
    assert [process.exitcode for process in racing] == [0] * 4


def test_five_hundred_hostile_files_are_errors_and_one_good_one_a_dag(home: PartyHome) -> None:
    for number in range(500):
        (home.dropin / f"x{number}.json").write_text("{" * (number % 7) + "\"__import__('os').abort()\"")
        (home.dropin / f"x{number}.py").write_text("import os; os.abort()")
    drop(home)
    bundle = bundle_of(home)
    bundle.refresh()
    bundle.refresh()
    assert len(list(bundle.path.glob("*.py"))) == 501
    assert {path.read_bytes() for path in bundle.path.glob("*.py")} == {(bundle.path / "lr.py").read_bytes()}


def test_the_dag_of_the_initiator(home: PartyHome) -> None:
    drop(home, edit=lambda conf: conf["algorithm_parameters"]["hetero_lr_0"].update(penalty="l2"))
    bundle = bundle_of(home)
    bundle.refresh()
    dag = dags(bundle.path)["lr.guest_9999"]
    assert {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks} == {
        "federate": [],
        "dataio_0": ["federate"],
        "intersection_0": ["dataio_0"],
        "hetero_lr_0": ["intersection_0"],
        "evaluation_0": ["hetero_lr_0"],
        "conclude": ["evaluation_0"],
    }
    assert dag.tags == {"fed", "party:9999", "pipeline:lr", "role:guest"}
    assert dag.get_task("hetero_lr_0").custom_operator_name == "HeteroLR"
    assert {task.retries for task in dag.tasks} == {20}
    tolerant = {task.task_id for task in dag.tasks if task.trigger_rule.value == "all_done"}
    assert tolerant == {"intersection_0", "hetero_lr_0", "evaluation_0", "conclude"}, "edges between steps only order"
    assert "Who learns what" in dag.doc_md
    assert dag.params["algorithm_parameters.hetero_lr_0"]["penalty"] == "L2", "in the case that the schema lists"


def test_the_first_of_all_runs_ends_after_the_pipeline_came() -> None:
    from airflow.sdk import timezone
    from airflow.timetables.base import TimeRestriction

    from dags_generator.timetable import JobIdCron

    nightly, now = JobIdCron("0 3 * * *", "Europe/Zurich"), timezone.utcnow()

    def first(earliest: datetime | None, catchup: bool) -> datetime:
        restriction = TimeRestriction(earliest and timezone.coerce_datetime(earliest), None, catchup)
        found = nightly.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
        assert found is not None
        return found.run_after

    assert timedelta(minutes=-1) <= first(datetime(2020, 1, 1, tzinfo=UTC), False) - now <= timedelta(hours=25)
    assert first(now + timedelta(days=30), False) - now >= timedelta(days=30, hours=23), "a day may have 23 hours"
    assert first(datetime(2024, 7, 1, tzinfo=UTC), True) == datetime(2024, 7, 2, 1, tzinfo=UTC)
    assert re.fullmatch("20[0-9]{19}", nightly.generate_run_id(run_type="scheduled"))


def test_the_dag_of_a_schedule(home: PartyHome) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    from dags_generator.timetable import JobIdCron, JobIdOnAssets

    cron = {"cron": "0 3 * * *", "timezone": "Europe/Zurich", "start": "2026-01-01", "catchup": True}
    drop(home, "nightly", edit=lambda conf: conf.update(schedule=cron))
    drop(home, "arrival", edit=lambda conf: conf.update(schedule={"assets": ["s3://sales/today", "stock"]}))
    bundle = bundle_of(home)
    bundle.refresh()
    found = {name: DagSerialization.from_dict(DagSerialization.to_dict(dag)) for name, dag in dags(bundle.path).items()}
    nightly, arrival = found["nightly.guest_9999"], found["arrival.guest_9999"]
    assert (type(nightly.timetable), nightly.timetable.summary, nightly.catchup) == (JobIdCron, "0 3 * * *", True)
    assert nightly.start_date == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert type(arrival.timetable) is JobIdOnAssets
    assert {asset.uri for _, asset in arrival.timetable.asset_condition.iter_assets()} == {"s3://sales/today", "stock"}
    assert not arrival.catchup
    for dag in (nightly, arrival):
        kinds = {task.task_id: task.task_type for task in dag.tasks}
        assert kinds["federate"] == "StartingFederateOperator"
        assert kinds["conclude"] == "StartingConcludeOperator"
        assert not [name for name in dag.params if "schedule" in name]


def test_the_dag_of_a_peer_begins_with_enrol_and_has_no_form(home: PartyHome) -> None:
    drop(home)
    home.installed.mkdir()
    parties = {"initiator": {"role": "guest", "party_id": "1"}, "role": {"guest": ["1"], "host": ["2"]}}
    parties["role"]["arbiter"] = ["9999"]
    (home.installed / "1.lr.json").write_text(json.dumps({"dsl": dsl(), "parties": parties}))
    bundle = bundle_of(home)
    bundle.refresh()
    dag = dags(bundle.path)["1.lr.arbiter_9999"]
    assert [task.task_id for task in dag.topological_sort()] == ["enrol", "hetero_lr_0", "conclude"]
    assert len(dag.params) == 0
    assert (
        dag.get_task("enrol").spec_digest
        == json.loads(plans_file(bundle.path / "1.lr.py").read_bytes())[0]["spec_digest"]
    )


def test_runs_are_named_by_job_ids() -> None:
    from airflow_plugins.plugin import AirfedPlugin
    from dags_generator.timetable import JobIdCron, JobIdOnAssets, JobIdTimetable

    assert AirfedPlugin.timetables == [JobIdTimetable, JobIdCron, JobIdOnAssets]
    ids = [JobIdTimetable().generate_run_id(run_type="manual") for _ in range(1000)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"20[0-9]{19}", run_id) for run_id in ids)


SINCE = datetime(2026, 7, 1, tzinfo=UTC)
BEFORE, AFTER = SINCE - timedelta(days=1), SINCE + timedelta(days=1)


def rows_of_airflow():
    """A session on DAGs, versions and runs of two bundles."""
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagrun import DagRun
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    session = Session(create_engine("sqlite://"))
    kinds = {"dags": DagModel, "versions": DagVersion, "runs": DagRun}
    for kind in kinds.values():
        kind.__table__.create(session.connection())

    def add(kind: str, **values: object) -> None:
        table = kinds[kind].__table__
        needed = [column for column in table.c if not (column.nullable or column.default or column.primary_key)]
        rest = {column.name: 0 for column in needed}
        session.execute(table.insert().values({**rest, **values}))

    for bundle in ("own", "other"):
        dag = {"dag_id": bundle, "bundle_name": bundle, "bundle_version": f"{bundle} parsed"}
        add("dags", **dag)
        for number, at in enumerate((BEFORE, AFTER), 1):
            version = {"dag_id": bundle, "version_number": number, "bundle_name": bundle, "created_at": at}
            add("versions", **version, bundle_version=f"{bundle} version of {at:%d}", last_updated=at)
    for name, end in (("running", None), ("ended long ago", BEFORE), ("ended lately", AFTER)):
        run = {
            "dag_id": "own",
            "run_id": name,
            "log_template_id": 1,
            "run_type": "manual",
            "run_after": BEFORE,
            "end_date": end,
        }
        add("runs", **run, bundle_version=name)
    return session


def test_versions_of_dags_and_of_runs_that_may_be_looked_at_again_are_needed() -> None:
    from dags_generator.needed import needed_versions

    with rows_of_airflow() as session:
        found = needed_versions(session, "own", SINCE)
    assert found == {"own parsed", "own version of 02", "running", "ended lately"}


def test_old_versions_are_removed_by_the_policy_once_an_hour(home: PartyHome, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from dags_generator import bundle as module

    asked: list[datetime] = []
    home.policy.write_text(default_policy("9999", []))
    bundle = bundle_of(home)
    monkeypatch.setattr(module, "create_session", contextmanager(lambda: iter([None])))
    monkeypatch.setattr(module, "needed_versions", lambda session, name, since: asked.append(since) or {"none"})
    monkeypatch.setattr(bundle.store, "superseded", lambda before: [before])
    monkeypatch.setattr(bundle.store, "prune", lambda needed, before: [])
    drop(home)
    bundle.refresh()
    drop(home, "again")
    bundle.refresh()
    (first,) = asked
    assert abs(datetime.now(UTC) - timedelta(days=30) - first) < timedelta(minutes=5)
    home.policy.write_text("retention_days: null\n")
    bundle._pruned = 0.0
    drop(home, "third")
    bundle.refresh()
    assert len(asked) == 1
    assert "third.py" in {path.name for path in bundle.path.iterdir()}
