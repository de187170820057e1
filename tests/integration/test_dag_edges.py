"""What Airflow's own scheduling makes of the edges and rules inside one party's DAG."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from airfed.databases import AIRFLOW, prepared
from airfed.proc import environment
from dags_generator.roleplan import dump_role_plans, role_plans
from tests.pipeline_example import at, spec

SCHEDULER = '''
import json, sys
from datetime import UTC, datetime
from pathlib import Path

from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

from dags_generator.dag import build_dag
from dags_generator.roleplan import load_role_plans


def schedule(session, folder, scenario):
    """Let Airflow decide what may run, and end the tasks in the order and states of the scenario."""
    dag = build_dag(*load_role_plans((folder / f"{scenario['name']}.json").read_bytes()))
    session.merge(DagModel(dag_id=dag.dag_id, bundle_name="dsl", fileloc="x", is_stale=False))
    session.flush()
    SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name="dsl", session=session)
    session.flush()
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    run = stored.create_dagrun(
        run_id="202611221651119128390",
        run_after=datetime.now(UTC),
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )
    run.dag = stored
    running, started, before = {}, [], None
    while True:
        ready, _ = run.update_state(session=session, execute_callbacks=False)
        for task in sorted(ready, key=lambda task: task.task_id):
            task.state = "running"
            running[task.task_id] = session.merge(task)
            started.append(task.task_id)
        session.flush()
        states = {task.task_id: task.state for task in run.get_task_instances(session=session)}
        if run.state in ("success", "failed") or (not running and states == before):
            return {"run": run.state, "started": started, "states": states}
        before = states
        if running and not ready:
            ended = min(running, key=lambda name: (name in scenario["slow"], name))
            running.pop(ended).state = scenario["ends"].get(ended, "success")
            started.append("/" + ended)
            session.flush()


folder = Path(sys.argv[1])
with create_session() as session:
    session.merge(DagBundleModel(name="dsl"))
    session.flush()
    scenarios = json.loads((folder / "scenarios.json").read_text())
    found = {scenario["name"]: schedule(session, folder, scenario) for scenario in scenarios}
    (folder / "found.json").write_text(json.dumps(found))
'''


@dataclass(frozen=True)
class Scenario:
    """How tasks of the guest's DAG end; ``slow`` ones end after all others that run."""

    name: str
    ends: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    slow: Sequence[str] = ()

    def edit(self, components: dict[str, Any]) -> None:
        """The example, with a second DataIO, and an intersection that reads both."""
        components["dataio_1"] = {**components["dataio_0"], "need_deploy": False}
        at("intersection_0", "input", isometric_model=["dataio_1.dataio"])(components)
        for component, rule in self.rules.items():
            components[component]["trigger_rule"] = rule


LATER = ("intersection_0", "hetero_lr_0", "evaluation_0")
SCENARIOS = (
    Scenario("all_well"),
    Scenario("refused", {"federate": "failed", "conclude": "failed", **dict.fromkeys(LATER, "skipped")}),
    Scenario("one_failed", {"dataio_1": "failed", "conclude": "failed"}),
    Scenario("one_is_enough", {"dataio_1": "failed"}, {"intersection_0": "one_success"}, slow=("dataio_0",)),
    Scenario("some_do_not_run", dict.fromkeys(("dataio_0", "dataio_1", "intersection_0"), "skipped")),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow did in each scenario: what it started and what ended (``/TASK``), states at the end."""
    folder = tmp_path_factory.mktemp("edges")
    shutil.copy(prepared(AIRFLOW), folder / "airflow.db")
    for scenario in SCENARIOS:
        pipeline = spec(scenario.edit)
        plans = role_plans(pipeline.graph, "9999", pipeline)
        named = [{**plan, "dag_id": scenario.name} for plan in json.loads(dump_role_plans(plans))]
        (folder / f"{scenario.name}.json").write_text(json.dumps(named))
    (folder / "scenarios.json").write_text(json.dumps([asdict(scenario) for scenario in SCENARIOS]))
    (folder / "run" / "tmp").mkdir(parents=True)
    env = environment(folder, {"AIRFLOW_HOME": str(folder)})
    subprocess.run([sys.executable, "-c", SCHEDULER, str(folder)], env=env, check=True, timeout=110)
    result: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return result


def after(started: list[str], task: str) -> list[str]:
    """What had ended when ``task`` was started."""
    return [name[1:] for name in started[: started.index(task)] if name.startswith("/")]


def test_components_start_after_those_that_they_read_and_independent_ones_at_once(found: dict[str, Any]) -> None:
    run = found["all_well"]
    assert run["run"] == "success"
    assert after(run["started"], "dataio_0") == after(run["started"], "dataio_1") == ["federate"]
    assert set(after(run["started"], "intersection_0")) == {"federate", "dataio_0", "dataio_1"}
    assert run["started"][-2:] == ["conclude", "/conclude"]
    assert len(after(run["started"], "conclude")) == 6


def test_a_job_that_was_refused_starts_no_component_that_waits_for_nothing_and_ends_as_failed(
    found: dict[str, Any],
) -> None:
    run = found["refused"]
    assert run["run"] == "failed"
    assert run["states"]["dataio_0"] == run["states"]["dataio_1"] == "upstream_failed"
    assert None not in run["states"].values()


def test_a_failed_component_keeps_nobody_from_asking_the_coordinator(found: dict[str, Any]) -> None:
    run = found["one_failed"]
    assert "/intersection_0" in run["started"]
    assert run["run"] == "failed"


def test_one_success_starts_after_the_first_end_and_conclude_waits_for_all(found: dict[str, Any]) -> None:
    run = found["one_is_enough"]
    assert after(run["started"], "intersection_0") == ["federate", "dataio_1"]
    assert "dataio_0" in after(run["started"], "conclude")
    assert run["run"] == "success"


def test_components_that_are_not_part_of_a_job_stop_none_of_those_that_are(found: dict[str, Any]) -> None:
    run = found["some_do_not_run"]
    assert run["states"]["hetero_lr_0"] == run["states"]["evaluation_0"] == "success"
    assert run["states"]["intersection_0"] == "skipped"
    assert run["run"] == "success"
