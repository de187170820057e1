"""Three whole parties: the demo's job, a job that cannot work, and what they leave behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from airfed import proc
from airfed.airflow_config import PEOPLE
from airfed.airflow_rest import AirflowRest
from airfed.cli import app
from airfed.demo import main_job
from airfed.demo_data import breast
from airfed.demo_job import Finished, run_job
from airfed.demo_parties import make_homes, put_tables, running
from airfed.demo_score import curl, example_folder, predictions, run_curl, score_request
from airfed.demo_screen import Screen
from airfed.example_data import example_tables
from airfed.job import Submitted, view
from airfed.party import passwords
from airfed_proto.v1 import job_pb2, local_pb2
from dags_generator.parse import parse_paths
from dags_generator.spec import dag_id
from federated_operators.gateway.history.check import check
from federated_operators.gateway.history.facts import read_party
from federated_operators.gateway.history.job import Finding
from federated_operators.registry.rest import MlflowRest
from federatedml.data.catalogue import Catalogue
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member, party_model_id
from federatedml.metrics.binary import Counts
from tests.e2e.footprints import Footprints, listening

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
BASE_PORT, OTHER_BASE_PORT = 25400, 25500
AGREE = 30.0  # seconds for final states to reach all parties


@dataclass(frozen=True)
class Done:
    """What the parties did; they still run."""

    homes: dict[str, PartyHome]
    good: bool
    job: Finished
    failed: Finished
    steps: Footprints


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    root = tmp_path_factory.mktemp("demo")
    homes, data, screen = make_homes(root, BASE_PORT), breast(), Screen()
    put_tables(homes, data)
    with running(homes, lambda *_: None):
        with Footprints(homes) as steps:
            job, good = main_job(homes, data, screen)
            failed = run_job(homes["guest"], without_a_column(root / "broken"), screen)
        yield Done(homes, good, job, failed, steps)
    assert not [process for home in homes.values() for process in proc.of_home(home.root)]


def without_a_column(folder: Path) -> Path:
    """The example, with a column at the host that its table does not have."""

    def edit(conf: dict[str, Any]) -> None:
        conf["role_parameters"]["host"]["dataio_0"]["columns"] = [["x0", "no_such_column"]]
        conf["job_parameters"]["model_key"] = "broken"

    changed_example(folder, "broken", edit)
    return folder


def changed_example(folder: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> tuple[Path, Path]:
    """The example under another name, with another conf."""
    folder.mkdir(exist_ok=True)
    dsl, conf = (folder / f"{name}_{part}.json" for part in ("dsl", "conf"))
    dsl.write_bytes((example_folder() / "hetero_lr_dsl.json").read_bytes())
    value = json.loads((example_folder() / "hetero_lr_conf.json").read_text())
    edit(value)
    conf.write_text(json.dumps(value))
    return dsl, conf


def until(condition: Callable[[], bool], what: str, patience: float = AGREE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.1)


def job_command(done: Done, party: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["job", *arguments, "--home", str(done.homes[party].root)])


def runs_of(done: Done, job: Finished | Submitted) -> dict[str, dict[str, Any]]:
    """Party -> its DAG run, once Airflow has ended it."""
    found = {}
    for member in job.spec.parties.members:
        home = done.homes[str(member.role)]
        airflow = AirflowRest(home, PEOPLE, passwords(home)[PEOPLE])
        dag = dag_id(job.spec.pipeline, job.spec.parties.initiator, member)
        until(lambda a=airflow, d=dag: a.run(d, job.job_id)["state"] in ("success", "failed"), f"the end of {dag}")
        found[str(member.role)] = airflow.run(dag, job.job_id)
        airflow.close()
    return found


def model_of(job: Finished, member: Member) -> str:
    return party_model_id(member, job.spec.parties.members, job.spec.model_key)


def test_demo_finds_everything_as_it_should_be(done: Done) -> None:
    assert done.good
    assert done.job.success


def test_every_member_has_committed_every_step(done: Done) -> None:
    assert [step.component for step in done.job.view.steps][-1] == "conclude"
    states = {job_pb2.StepState.Name(member.state) for step in done.job.view.steps for member in step.members}
    assert states == {"COMMITTED"}


def test_success_at_all_parties(done: Done) -> None:
    runs = runs_of(done, done.job)
    assert {name: run["state"] for name, run in runs.items()} == dict.fromkeys(done.homes, "success")
    assert {run["dag_run_id"] for run in runs.values()} == {done.job.job_id}


def test_model_is_in_the_registries_of_guest_and_host(done: Done) -> None:
    for member in done.job.spec.parties.members:
        home = done.homes[str(member.role)]
        if not home.config.serving:
            continue
        with MlflowRest(home.mlflow_url) as rest:
            version = rest.get_by_alias(model_of(done.job, member), "product")
        assert done.job.job_id in version.tags.values()


def test_a_missing_column_fails_the_job_at_all_parties_with_one_reason(done: Done) -> None:
    assert done.failed.view.state == "failed"
    failure = done.failed.view.failure
    assert failure.message == "the table lacks 1 of the columns that are asked for"
    assert failure.component == "dataio_0"
    assert (failure.member.role, failure.member.party_id) == ("host", "10000")
    runs = runs_of(done, done.failed)
    assert {name: run["state"] for name, run in runs.items()} == dict.fromkeys(done.homes, "failed")
    for name in done.homes:
        until(lambda n=name: failure.message in str(runs_of(done, done.failed)[n]["note"]), f"the reason at {name}")


def test_a_failed_job_leaves_no_output_and_no_model(done: Done) -> None:
    for member in done.failed.spec.parties.members:
        home = done.homes[str(member.role)]
        folder = home.job_dir(done.failed.spec.parties.initiator.party, done.failed.job_id)
        until(lambda f=folder: not [*f.glob("**/*.parquet"), *f.glob("**/*.pb")], f"no output in {folder}")
        tables = {path.name for path in home.data.glob("**/*") if path.is_file()}
        assert tables <= {"guest.parquet", "host.parquet"}
        with MlflowRest(home.mlflow_url) as rest:
            assert rest.registered_models(f"%{done.failed.spec.model_key}%") == []


def test_jobs_are_listed_with_their_verdicts(done: Done) -> None:
    for name in done.homes:
        listed = {each["job_id"]: each for each in json.loads(job_command(done, name, "list", "--json").stdout)}
        assert listed[done.job.job_id]["state"] == "succeeded"
        assert "lacks 1 of the columns" in listed[done.failed.job_id]["failure"]
        assert done.job.job_id in job_command(done, name, "list").stdout


def test_every_party_stored_the_same_dsl_and_conf(done: Done) -> None:
    found = [json.loads(job_command(done, name, "config", done.job.job_id).stdout) for name in done.homes]
    assert found[0]["dsl"]["components"].keys() == done.job.spec.graph.components.keys()
    assert found[0] == found[1] == found[2]


def test_logs_are_those_of_the_own_party(done: Done) -> None:
    found = json.loads(job_command(done, "host", "logs", done.job.job_id, "dataio_0", "--json").stdout)
    (log,) = found["logs"]
    assert (log["dag_id"], log["task"], log["state"]) == ("9999.hetero_lr.host_10000", "dataio_0", "success")
    assert all(entry["event"] is not None for entry in log["log"])
    assert len(log["log"]) > 3
    assert found["elsewhere"].keys() == {"9999", "10001"}
    text = job_command(done, "guest", "logs", done.job.job_id).stdout
    assert "== hetero_lr.guest_9999 federate, try 1: success" in text
    assert "== party 10000 keeps its own logs: http" in text
    assert "no_such_column" in job_command(done, "host", "logs", done.failed.job_id, "dataio_0").stdout
    missing = job_command(done, "arbiter", "logs", done.job.job_id, "dataio_0")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error: [FED-934]")


def test_a_job_that_a_host_kills_is_cancelled_at_all_parties(done: Done, tmp_path: Path) -> None:
    def longer(conf: dict[str, Any]) -> None:
        conf["job_parameters"]["model_key"] = "killed"
        conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=1000, eps=1e-12)

    dsl, conf = changed_example(tmp_path, "killed", longer)
    submitted = job_command(done, "guest", "submit", str(dsl), str(conf), "--json")
    assert submitted.exit_code == 0, submitted.stderr
    found = json.loads(submitted.stdout)
    assert all(f"/runs/{found['job_id']}" in url for role in found["job_url"].values() for url in role)
    assert Path(found["job_dsl_path"]).is_file()
    job = Submitted(found["job_id"], found["dag_id"], parse_paths(dsl, conf), 0.0)
    killed = job_command(done, "host", "kill", job.job_id, "--reason", "wrong table")
    assert killed.exit_code == 0, killed.stdout + killed.stderr
    assert "cancelled by party 10000" in killed.stdout
    assert "wrong table" in killed.stdout
    for name, home in done.homes.items():
        until(lambda h=home: view(h, job.job_id).state == "cancelled", f"the verdict at {name}")
        assert view(home, job.job_id).by == "party 10000"
        until(lambda n=name: "wrong table" in str(runs_of(done, job)[n]["note"]), f"the reason at {name}")
    assert {name: run["state"] for name, run in runs_of(done, job).items()} == dict.fromkeys(done.homes, "failed")


def by_hand(done: Done, party: str, method: str, path: str, body: dict[str, Any]) -> None:
    """What a person does in the web UI of a party: the same request."""
    home = done.homes[party]
    with httpx.Client(base_url=home.airflow_url, trust_env=False) as client:
        login = {"username": PEOPLE, "password": passwords(home)[PEOPLE]}
        token = client.post("/auth/token", json=login).json()["access_token"]
        answer = client.request(method, f"/api/v2{path}", json=body, headers={"authorization": f"Bearer {token}"})
    assert answer.is_success, answer.text


def test_what_a_person_does_in_a_hosts_ui_holds_at_all_parties(done: Done, tmp_path: Path) -> None:
    """Mark a running task failed: the job is cancelled everywhere. Clear it: it runs again everywhere."""

    def longer(conf: dict[str, Any]) -> None:
        conf["job_parameters"]["model_key"] = "again"
        conf["algorithm_parameters"]["hetero_lr_0"].update(max_iter=200, eps=1e-12)

    dsl, conf = changed_example(tmp_path, "again", longer)
    found = json.loads(job_command(done, "guest", "submit", str(dsl), str(conf), "--json").stdout)
    job = Submitted(found["job_id"], found["dag_id"], parse_paths(dsl, conf), 0.0)

    def step(name: str, component: str) -> local_pb2.StepView:
        steps = view(done.homes[name], job.job_id).steps
        return next(step for step in steps if step.component == component)

    until(lambda: step("host", "hetero_lr_0").state == job_pb2.STARTED, "the step's start at the host", 60.0)
    dag = "/dags/9999.again.host_10000"
    by_hand(done, "host", "PATCH", f"{dag}/dagRuns/{job.job_id}/taskInstances/hetero_lr_0", {"new_state": "failed"})
    for name, home in done.homes.items():
        until(lambda h=home: view(h, job.job_id).state == "cancelled", f"the verdict at {name}")
        assert f"by {PEOPLE}" in view(home, job.job_id).failure.message
    assert {name: run["state"] for name, run in runs_of(done, job).items()} == dict.fromkeys(done.homes, "failed")

    clear = {"dry_run": False, "dag_run_id": job.job_id, "task_ids": ["hetero_lr_0"], "only_failed": False}
    by_hand(done, "host", "POST", f"{dag}/clearTaskInstances", clear)
    for name, home in done.homes.items():
        until(lambda h=home: view(h, job.job_id).state == "succeeded", f"success at {name}", 90.0)
        assert view(home, job.job_id).generation == 2
        assert (step(name, "intersection_0").generation, step(name, "hetero_lr_0").generation) == (1, 2)
    assert {name: run["state"] for name, run in runs_of(done, job).items()} == dict.fromkeys(done.homes, "success")


def test_a_chain_of_nine_modules_and_four_models_runs_at_all_parties(done: Done) -> None:
    catalogues = {home.config.party_id: Catalogue(home.data) for home in done.homes.values()}
    for party, name, table in example_tables():
        if party in catalogues:
            catalogues[party].write(name, table)
    job = run_job(done.homes["guest"], example_folder().with_name("multi_model_pipeline"), Screen())
    assert job.success
    assert {name: run["state"] for name, run in runs_of(done, job).items()} == dict.fromkeys(done.homes, "success")
    guest = done.homes["guest"]
    for component in ("hetero_lr_0", "hetero_lr_1", "hetero_secureboost_0", "hetero_secureboost_1"):
        scores = predictions(guest, job.job_id, component).columns
        counts = Counts.of(np.asarray(scores["label"]) == 1, np.asarray(scores["predict_score"], np.float64))
        assert counts.auc() > 0.95, component
    with MlflowRest(guest.mlflow_url) as rest:
        version = rest.get_by_alias(model_of(job, job.spec.parties.initiator), "product")
    assert job.job_id in version.tags.values()


def test_the_history_of_all_jobs_holds(done: Done) -> None:
    def findings() -> list[Finding]:
        return check([read_party(home.gateway_db, home.config.party_id) for home in done.homes.values()])

    until(lambda: not findings(), "a history that holds")


def test_a_predict_job_scores_as_batch_training_and_rest_do(done: Done) -> None:
    guest, folder = done.homes["guest"], example_folder().with_name("hetero_lr_predict")
    conf = folder / "hetero_lr_predict_conf.json"
    result = CliRunner().invoke(app, ["predict", str(conf), "--home", str(guest.root), "--follow", "--json"])
    assert result.exit_code == 0, result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert (found["state"], found["model_version"]) == ("succeeded", done.job.job_id)
    pair = parse_paths(folder / "hetero_lr_predict_dsl.json", conf)
    job = Submitted(found["job_id"], found["dag_id"], pair, 0.0)
    assert {name: run["state"] for name, run in runs_of(done, job).items()} == dict.fromkeys(done.homes, "success")
    scored, trained = (predictions(guest, each.job_id, "hetero_lr_0") for each in (job, done.job))
    assert list(scored.ids) == list(trained.ids)
    assert list(scored.columns["predict_score"]) == list(trained.columns["predict_score"])
    request = score_request(breast(), str(scored.ids[0]), done.job.spec.model_key)
    answer = run_curl(curl(f"{guest.serving_url}/federation/v1/inference", request))
    assert answer["data"]["score"] == scored.columns["predict_score"][0]
    for member in done.job.spec.parties.members:
        home = done.homes[str(member.role)]
        with MlflowRest(home.mlflow_url) as rest:
            assert len(rest.search_versions(model_of(done.job, member))) == 1


def test_no_process_touches_another_party(done: Done) -> None:
    assert done.steps.looks > 5
    assert done.steps.sockets > 0
    assert done.steps.trespasses == set()


def test_no_port_faces_the_network(done: Done) -> None:
    for home in done.homes.values():
        found = [address for process in proc.of_home(home.root) for address in listening(process.pid)]
        assert len(found) >= 3
        assert {address.removeprefix("::ffff:") for address in found} == {home.config.host}


def test_demo_starts_again_after_kill_9(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "airfed", "demo", "--home", str(tmp_path), "--base-port", str(OTHER_BASE_PORT)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as first:
        until(lambda: len(proc.of_home((tmp_path / "arbiter").resolve())) > 3, "processes", 60.0)
        first.send_signal(signal.SIGKILL)
    again = subprocess.run([*command, "--once"], capture_output=True, text=True, check=False, timeout=400)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "equal" in again.stdout
    assert not [process for name in ("guest", "host", "arbiter") for process in proc.of_home(tmp_path / name)]
