"""The operators of three members over three real gateways with mTLS, and a real MLflow server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_kit import save
from mlflow_server import mlflow_server

from airfed.example_data import example_tables
from airfed.party import ca_of, init_party, party_config, trust
from airfed_proto.v1 import model_pb2
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.records import Run
from federated_operators.registry.rest import MlflowRest
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table, read
from federatedml.federation.home import PartyHome, Peer

pytestmark = pytest.mark.timeout(240)
BASE_PORT, MLFLOW_PORT = 23030, 23012
SCRIPT = Path(__file__).with_name("operator_party.py")
EXAMPLE = Path(__file__).parents[2] / "examples" / "hetero_lr"
PREDICT = EXAMPLE.with_name("hetero_lr_predict")
HOMO = EXAMPLE.with_name("homo_lr")
PARTIES = {"guest": "9999", "host": "10000", "arbiter": "10001"}
JOB = "2026010112000000000{:02d}"
ROWS = 300


class Federation:
    """Three parties with their gateways."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.homes = {name: self._home(name, at) for at, name in enumerate(PARTIES)}
        for home in self.homes.values():
            for peer in self.homes.values():
                if peer is not home:
                    doors = Peer(gateway=f"127.0.0.1:{peer.config.ports.gateway}")
                    trust(home, peer.config.party_id, ca_of(peer), doors)
        self._put_tables()
        self.started: list[subprocess.Popen[str]] = []
        self.gateways: dict[str, subprocess.Popen[bytes]] = {}

    def stop(self) -> None:
        """Nothing that was started outlives a failed test."""
        for process in self.started:
            process.kill()
            process.communicate()
        for gateway in self.gateways.values():
            gateway.terminate()
        for gateway in self.gateways.values():
            gateway.wait()

    def open(self, *names: str) -> None:
        """Start the gateways of these parties."""
        for name in names:
            with (self.root / f"{name}.gateway.log").open("a") as log:
                command = [sys.executable, str(SCRIPT), "gateway", str(self.homes[name].root)]
                self.gateways[name] = subprocess.Popen(command, stderr=log)
        for name in names:
            wait_for((self.homes[name].run / "gateway.ready").exists, (self.root / f"{name}.gateway.log").read_text)

    def kill(self, name: str) -> None:
        """End a party's gateway, which cannot say goodbye."""
        self.gateways[name].kill()
        self.gateways[name].wait()
        (self.homes[name].run / "gateway.ready").unlink()

    def _home(self, name: str, at: int) -> PartyHome:
        config = party_config(PARTIES[name], name, BASE_PORT + 10 * at)
        ports = config.ports.model_copy(update={"mlflow": MLFLOW_PORT})
        return init_party(self.root / name, config.model_copy(update={"ports": ports}), [PARTIES["guest"]])

    def _put_tables(self) -> None:
        rng = np.random.default_rng(7)
        x = rng.standard_normal((ROWS, 6))
        y = (x @ [1.0, -1.0, 0.5, 2.0, 0.0, -1.0] + 0.3 * rng.standard_normal(ROWS) > 0).astype(np.int64)
        ids = np.array([f"u{i:04d}" for i in range(ROWS)], dtype=object)
        guest = Table(ids, {"y": y, "a": x[:, 0], "b": x[:, 1]}, kind=Kind.RAW)
        order = rng.permutation(ROWS)
        host = Table(ids, {name: x[:, 2 + i] for i, name in enumerate("cdef")}, kind=Kind.RAW).take(order)
        for name, table in (("guest", guest), ("host", host)):
            Catalogue(self.homes[name].data).write(TableName("breast", name), table)

    def pair(self, job: dict[str, Any] | None = None, **changes: Any) -> str:
        """Path of a DSL and conf pair: the example's, with job parameters and parameters of components changed."""
        target = self.root / "hetero_lr"
        shutil.copy(EXAMPLE / "hetero_lr_dsl.json", f"{target}_dsl.json")
        conf = json.loads((EXAMPLE / "hetero_lr_conf.json").read_text())
        conf["job_parameters"] |= job or {}
        for component, values in changes.items():
            conf["algorithm_parameters"][component] |= values
        Path(f"{target}_conf.json").write_text(json.dumps(conf))
        return str(target)

    def predict_pair(self, **job: Any) -> str:
        """The example's predict pipeline, with other ``job_parameters``."""
        target = self.root / "hetero_lr_predict"
        shutil.copy(PREDICT / "hetero_lr_predict_dsl.json", f"{target}_dsl.json")
        conf = json.loads((PREDICT / "hetero_lr_predict_conf.json").read_text())
        conf["job_parameters"] |= job
        Path(f"{target}_conf.json").write_text(json.dumps(conf))
        return str(target)

    def predictions(self, job: str) -> Table:
        """The rows that a job predicted at the guest."""
        (path,) = self.homes["guest"].job_dir(PARTIES["guest"], job).glob("hetero_lr_0/guest/g1/a*/data/train.parquet")
        return read(path)

    def start(self, name: str, job: str, pair: str = "") -> subprocess.Popen[str]:
        """The tasks of a member's DAG."""
        home = self.homes[name]
        command = [sys.executable, str(SCRIPT), "tasks", str(home.root), PARTIES["guest"], f"{name}_{PARTIES[name]}"]
        environ = {**os.environ, "AIRFLOW_HOME": str(home.airflow), "AIRFED_HOME": str(home.root)}
        with (self.root / f"{name}.{job}.log").open("a") as log:
            process = subprocess.Popen(
                [*command, job, pair], stdout=subprocess.PIPE, stderr=log, text=True, env=environ
            )
        self.started.append(process)
        return process

    def log(self, name: str, job: str) -> str:
        path = self.root / f"{name}.{job}.log"
        return path.read_text() if path.exists() else ""

    def run(
        self,
        job: str,
        pair: str,
        meanwhile: Callable[[dict[str, Any]], None] = lambda _: None,
        before_last: Callable[[], None] = lambda: None,
        proposed: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """All members' tasks; the peers' begin when their gateways have admitted the job. Return codes and results."""
        processes = {"guest": self.start("guest", job, pair)}
        proposed()
        for name in ("host", "arbiter"):
            plan = self.homes[name].job_dir(PARTIES["guest"], job) / name / "plan.json"
            wait_for(plan.exists, lambda: self.log("guest", job))
            if name == "arbiter":
                before_last()
            processes[name] = self.start(name, job)
        meanwhile(processes)
        ended = {name: (process.communicate(timeout=90)[0], process.returncode) for name, process in processes.items()}
        return {name: json.loads(out.splitlines()[-1]) if code == 0 else code for name, (out, code) in ended.items()}

    def logs(self, job: str) -> str:
        return "\n".join(f"--- {name}\n{self.log(name, job)[-3000:]}" for name in PARTIES)


def wait_for(condition: Callable[[], object], explain: Callable[[], str], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, explain()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    root = tmp_path_factory.mktemp("f")
    with ExitStack() as stack:
        stack.enter_context(mlflow_server(tmp_path_factory.mktemp("mlflow"), MLFLOW_PORT))
        federation = Federation(root)
        stack.callback(federation.stop)
        federation.open(*PARTIES)
        yield federation


@pytest.fixture
def rest() -> Iterator[MlflowRest]:
    with MlflowRest(f"http://127.0.0.1:{MLFLOW_PORT}") as client:
        yield client


def tracked(rest: MlflowRest, job: str, kind: str) -> dict[tuple[str, str], Run]:
    """(role, run's name) -> run."""
    found: dict[tuple[str, str], Run] = {}
    for name in ("hetero_lr@guest-9999", "9999.hetero_lr@host-10000", "9999.hetero_lr@arbiter-10001"):
        runs: Sequence[Run] = rest.search_runs(rest.experiment(name), {"fed.job_id": job, "fed.kind": kind})
        found |= {(run.tags["fed.role"], run.name): run for run in runs}
        assert len({run.name for run in runs}) == len(runs), "a run was made twice"
    return found


def test_a_job_succeeds_at_all_members(federation: Federation, rest: MlflowRest) -> None:
    job = JOB.format(1)
    results = federation.run(job, federation.pair())
    assert all(isinstance(result, dict) for result in results.values()), federation.logs(job)
    assert results["guest"]["evaluation_0"]["outputs"]["summary"]["auc"] > 0.9
    assert results["host"]["intersection_0"]["outputs"]["data"]["train"]["rows"] == ROWS
    assert set(results["arbiter"]) == {"enrol", "hetero_lr_0", "conclude"}
    for name in ("guest", "host"):
        link = results[name]["hetero_lr_0"]["links"]["_link_MlflowRunLink"]
        assert link.startswith(f"http://{name}.localhost:{MLFLOW_PORT}/#/experiments/")
    parents, children = tracked(rest, job, "job"), tracked(rest, job, "task")
    assert {run.status for run in (*parents.values(), *children.values())} == {"FINISHED"}
    assert len(parents) == 3
    assert parents["guest", job].metrics["auc"] > 0.9
    assert ("guest", "evaluation_0") in children
    losses = [run for (_, name), run in children.items() if name == "hetero_lr_0" and "train/loss" in run.metrics]
    assert losses


def test_every_member_has_its_part_of_the_model(federation: Federation, rest: MlflowRest) -> None:
    registry = ModelRegistry(rest)
    parts = {"guest": {"dataio_0", "hetero_lr_0"}, "host": {"dataio_0", "hetero_lr_0"}, "arbiter": {"hetero_lr_0"}}
    for name, components in parts.items():
        binding = registry.resolve(f"{name}#{PARTIES[name]}#arbiter-10001#guest-9999#host-10000#breast")
        bundle = registry.load(binding)
        assert (binding.job_id, set(bundle.components)) == (JOB.format(1), components)
        pipeline = model_pb2.Pipeline.FromString(bundle.pipeline)
        assert json.loads(pipeline.train_runtime_conf)["role"] == {role: [party] for role, party in PARTIES.items()}


def test_a_predict_job_scores_with_the_model_and_leaves_it_as_it_is(federation: Federation, rest: MlflowRest) -> None:
    name = "guest#9999#arbiter-10001#guest-9999#host-10000#breast"
    before = rest.get_registered_model(name), rest.search_versions(name)
    job = JOB.format(11)
    results = federation.run(job, federation.predict_pair())
    assert all(isinstance(result, dict) for result in results.values()), federation.logs(job)
    assert set(results["arbiter"]) == {"enrol", "hetero_lr_0", "conclude"}
    assert "registered" not in results["guest"]["conclude"]["outputs"]
    assert (rest.get_registered_model(name), rest.search_versions(name)) == before
    scored, trained = federation.predictions(job), federation.predictions(JOB.format(1))
    assert set(scored.columns["type"]) == {"predict"}
    assert list(scored.ids) == list(trained.ids)
    assert np.array_equal(scored.columns["predict_score"], trained.columns["predict_score"])
    assert results["host"]["hetero_lr_0"]["outputs"]["data"] == {}
    plan = json.loads((federation.homes["host"].job_dir("9999", job) / "host" / "plan.json").read_bytes())
    assert plan["source"]["model_version"] == JOB.format(1)
    assert plan["model_digest"] == ModelRegistry(rest).resolve(f"host#10000#{name.partition('9999#')[2]}").digest
    runs = rest.search_runs(rest.experiment("hetero_lr_predict@guest-9999"), {"fed.job_id": job, "fed.kind": "job"})
    assert [(run.tags["fed.job_type"], run.tags["fed.model_version"]) for run in runs] == [("predict", JOB.format(1))]


def test_a_predict_job_of_a_version_that_nobody_trained_ends_with_its_reason(federation: Federation) -> None:
    job = JOB.format(12)
    guest = federation.start("guest", job, federation.predict_pair(model_version=JOB.format(99)))
    guest.communicate(timeout=60)
    assert guest.returncode != 0
    assert "FED-610" in federation.log("guest", job)
    assert f"has no version of job {JOB.format(99)}" in federation.log("guest", job)


def test_a_job_of_chosen_components_goes_on_from_an_earlier_one(federation: Federation, rest: MlflowRest) -> None:
    job, chosen = JOB.format(21), ["hetero_lr_0", "evaluation_0"]
    choice = {"specified_task_run": {"job_id": JOB.format(1), "components": chosen}}
    results = federation.run(job, federation.pair(choice, hetero_lr_0={"max_iter": 3}))
    assert all(isinstance(result, dict) for result in results.values()), federation.logs(job)
    assert set(results["guest"]) == {"federate", *chosen, "conclude"}
    assert results["guest"]["evaluation_0"]["outputs"]["summary"]["auc"] > 0.8
    for name in ("guest", "host"):
        binding = ModelRegistry(rest).resolve(f"{name}#{PARTIES[name]}#arbiter-10001#guest-9999#host-10000#breast")
        assert binding.job_id == job
        assert set(ModelRegistry(rest).load(binding).components) == {"dataio_0", "hetero_lr_0"}, "the model is whole"


def test_a_job_that_nothing_was_left_for_is_refused(federation: Federation) -> None:
    choice = {"specified_task_run": {"job_id": JOB.format(21), "components": ["hetero_lr_0"]}}
    guest = federation.start("guest", JOB.format(22), federation.pair(choice))
    guest.communicate(timeout=90)
    assert guest.returncode != 0
    assert "[FED-174]" in federation.log("guest", JOB.format(22))
    assert "intersection_0 left no data 'train' in it" in federation.log("guest", JOB.format(22))


def test_no_checkpoint_outlives_its_commit(federation: Federation) -> None:
    for home in federation.homes.values():
        assert not list(home.job_dir(PARTIES["guest"], JOB.format(1)).glob("*/*/g*/a*/ckpt/*"))


def test_a_failure_at_one_member_ends_all_with_its_reason(federation: Federation, rest: MlflowRest) -> None:
    job, table = JOB.format(2), TableName("breast", "host")
    catalogue = Catalogue(federation.homes["host"].data)
    kept = catalogue.path(table).read_bytes()
    whole = catalogue.read(table)
    broken = {**whole.columns, "c": np.array(["?"] * len(whole), dtype=object)}
    catalogue.write(table, Table(whole.ids, broken, kind=Kind.RAW))
    try:
        results = federation.run(job, federation.pair())
    finally:
        catalogue.path(table).write_bytes(kept)
    assert all(isinstance(code, int) and code != 0 for code in results.values()), results
    for name in ("guest", "host"):
        assert "AirflowFailException" in federation.log(name, job), federation.logs(job)
        assert "dataio_0" in federation.log(name, job)
    assert "intersection_0 did not succeed" in federation.log("arbiter", job), "its one step was skipped"
    closed = [tracked(rest, job, kind) for kind in ("job", "task")]
    wait_for(
        lambda: "RUNNING" not in {run.status for kind in ("job", "task") for run in tracked(rest, job, kind).values()},
        lambda: str(closed),
    )
    assert {run.status for run in tracked(rest, job, "job").values()} == {"FAILED"}


@pytest.mark.parametrize(("number", "how"), [(3, signal.SIGKILL), (4, signal.SIGTERM)])
def test_a_killed_task_comes_back_and_the_curve_has_no_doubles(
    federation: Federation, rest: MlflowRest, number: int, how: signal.Signals
) -> None:
    job = JOB.format(number)

    def kill_host(processes: dict[str, Any]) -> None:
        folder = federation.homes["host"].job_dir(PARTIES["guest"], job) / "hetero_lr_0"
        wait_for(lambda: any(folder.glob("host/g1/a1/ckpt/[3-9]")), lambda: federation.logs(job))
        processes["host"].send_signal(how)
        processes["host"].communicate(timeout=20)  # Airflow would kill it after 5, on a machine that is not busy
        assert processes["host"].returncode != 0
        processes["host"] = federation.start("host", job)

    results = federation.run(job, federation.pair(hetero_lr_0={"max_iter": 80, "eps": 1e-12}), kill_host)
    assert all(isinstance(result, dict) for result in results.values()), federation.logs(job)
    assert "attempt 2 of generation 1 starts" in federation.log("guest", job)
    assert "dataio_0 is committed already" in federation.log("host", job)
    assert "algorithm" not in results["host"]["dataio_0"]["seconds"]
    for (_, name), run in tracked(rest, job, "task").items():
        if name == "hetero_lr_0":
            steps = history(rest, run)
            assert steps == sorted(set(steps))


def test_who_waits_for_a_late_member_gives_its_process_back(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = JOB.format(5)
    monkeypatch.setenv("PATIENCE_S", "0.5")

    def both_wait() -> None:
        for name in ("guest", "host"):
            wait_for(
                lambda name=name: "waits without a process" in federation.log(name, job), lambda: federation.logs(job)
            )

    results = federation.run(job, federation.pair(), before_last=both_wait)
    assert all(isinstance(result, dict) for result in results.values()), federation.logs(job)
    for name in ("guest", "host"):
        waited, _, joined = federation.log(name, job).partition("waits without a process")
        assert "hetero_lr" not in waited, "nothing had started"
        assert "attempt 1 of generation 1 starts" in joined


def test_a_proposal_to_a_party_that_is_away_is_waited_for_without_a_process(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, waits = JOB.format(6), "waits without a process: party 10001: [FED-401] party 10001 does not answer"
    monkeypatch.setenv("PATIENCE_S", "0.5")
    federation.kill("arbiter")

    def own_gateway_restarts_then_the_arbiter_comes() -> None:
        wait_for(lambda: federation.log("guest", job).count(waits) == 1, lambda: federation.logs(job))
        federation.kill("guest")
        federation.open("guest")
        wait_for(lambda: federation.log("guest", job).count(waits) == 2, lambda: federation.logs(job))
        federation.open("arbiter")

    results = federation.run(job, federation.pair(), proposed=own_gateway_restarts_then_the_arbiter_comes)
    assert all(isinstance(result, dict) for result in results.values()), federation.logs(job)
    assert results["guest"]["federate"]["members"] == ["arbiter_10001", "guest_9999", "host_10000"]


def history(rest: MlflowRest, run: Run) -> list[int]:
    """Steps of the loss, as often as they were logged."""
    import httpx

    query = {"run_id": run.run_id, "metric_key": "train/loss"}
    body = httpx.get(f"{rest.url}/api/2.0/mlflow/metrics/get-history", params=query, trust_env=False).json()
    return sorted(int(metric.get("step", 0)) for metric in body.get("metrics", []))


def test_a_peer_that_has_spent_its_budget_gets_no_intersection(federation: Federation) -> None:
    job, policy = JOB.format(31), federation.homes["host"].policy
    rules = policy.read_text()
    save(policy, rules.replace("psi_ids: {most: 10000000,", f"psi_ids: {{most: {ROWS - 1},"))
    try:
        results = federation.run(job, federation.pair())
    finally:
        save(policy, rules)
    assert not any(isinstance(results[name], dict) for name in ("guest", "host"))
    for name in ("guest", "host"):
        assert "[FED-747]" in federation.log(name, job), federation.logs(job)
        assert "policy budgets.psi_ids of party 10000: party 9999 has spent" in federation.log(name, job)


def test_two_parties_sum_their_models_where_all_policies_allow_it(federation: Federation) -> None:
    """The keys of the sums are signed with the parties' certificates, by the tasks themselves."""
    for party, name, table in example_tables():
        if (name.namespace, party) in (("breast_homo", PARTIES["guest"]), ("breast_homo", PARTIES["host"])):
            home = federation.homes["guest" if party == PARTIES["guest"] else "host"]
            Catalogue(home.data).write(name, table)
    pair, refused, job = str(HOMO / "homo_lr"), JOB.format(41), JOB.format(42)
    guest = federation.start("guest", refused, pair)
    guest.communicate(timeout=90)
    assert guest.returncode != 0
    assert "floors.contributors: homo_lr_0 has min_contributors 2" in federation.log("guest", refused)
    kept = {home: home.policy.read_text() for home in federation.homes.values()}
    try:
        for home, text in kept.items():
            home.policy.write_text(text.replace("contributors: 3", "contributors: 2"))
        results = federation.run(job, pair)
    finally:
        for home, text in kept.items():
            home.policy.write_text(text)
    assert all(isinstance(result, dict) for result in results.values()), federation.logs(job)
    assert results["guest"]["evaluation_0"]["outputs"]["summary"]["auc"] > 0.95
    summaries = [results[name]["homo_lr_0"]["outputs"]["summary"] for name in PARTIES]
    assert [found["epochs"] for found in summaries] == [10, 10, 10]
