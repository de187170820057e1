"""Tracking against a real MLflow server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from mlflow_server import mlflow_server

from airfed_proto.v1 import common_pb2, job_pb2
from federated_operators.gateway.plan import JobPlan, StepPlan
from federated_operators.outputs import StepOutputs
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.records import Run
from federated_operators.registry.rest import MlflowRest
from federated_operators.tracking.close import close_runs, drain
from federated_operators.tracking.last_words import LastWords
from federated_operators.tracking.publish import finish_job, publish_job, store_views
from federated_operators.tracking.runs import JobRuns
from federated_operators.tracking.tracker import StepTracker
from federatedml.errors import ModelError, PeerError
from federatedml.federation.box import MetricPoint
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member, Role
from federatedml.views import Curve, Grid, Series
from tests.model_halves import bundle

PORT, DEAD_PORT = 23010, 23011
JOBS = count(1)
GUEST, HOST = Member(Role.GUEST, "9999"), Member(Role.HOST, "10000")
ROC = Curve(
    "lr_roc", "ROC", "fpr", "tpr", [Series("lr", [0, 0.1, 1], [0, 0.9, 1])], "validate", "ROC_EVALUATION", {"auc": 0.9}
)
SCORES = Grid("lr", "Scores", ["metric", "value"], [["auc", 0.9]], "validate")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), PORT) as url:
        yield url


class Party:
    """A party's home with the plan of one job."""

    def __init__(self, root: Path, job_id: str, me: Member = GUEST, port: int = PORT) -> None:
        names = ("airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http", "serving_grpc")
        ports = {name: port if name == "mlflow" else 23020 + i for i, name in enumerate(names)}
        root.mkdir(exist_ok=True)
        (root / "party.yaml").write_text(yaml.safe_dump({"party_id": me.party, "name": "guest", "ports": ports}))
        self.home = PartyHome(root)
        self.step = StepPlan("lr_0", "HeteroLR", "1", (GUEST, HOST), {"max_iter": 3, "sgd": {"alpha": 0.1}}, {})
        self.plan = JobPlan(
            initiator=GUEST,
            job_id=job_id,
            pipeline="credit",
            me=me,
            members=(GUEST, HOST),
            model_key="model",
            digest="00",
            spec_digest="00",
            dag_id=f"credit.{me}",
            steps={"lr_0": self.step},
            all_steps={"lr_0": (GUEST, HOST)},
            modules={"lr_0": "HeteroLR"},
            dsl={"components": {}},
            conf={"role": {}},
            disclosure={"lr_0": {}},
        )
        self.job_dir = self.home.job_dir("9999", job_id)

    def attempt(self, number: int) -> Path:
        folder = self.job_dir / "lr_0" / str(self.plan.me.role) / "g1" / f"a{number}"
        folder.mkdir(parents=True)
        return folder

    def outputs(self, attempt_dir: Path) -> StepOutputs:
        store_views(attempt_dir, [ROC, SCORES])
        return StepOutputs(summary={"auc": 0.9}, folder=str(attempt_dir.relative_to(self.job_dir)))

    def tracker(self) -> StepTracker:
        return StepTracker(self.home, self.plan, self.step, self.job_dir)

    def runs(self, rest: MlflowRest) -> JobRuns:
        return JobRuns(rest, self.home, self.plan)

    def found(self, rest: MlflowRest, kind: str) -> list[Run]:
        runs = self.runs(rest)
        return rest.search_runs(runs.experiment(), runs.identity(kind))


@pytest.fixture
def rest(server: str) -> Iterator[MlflowRest]:
    with MlflowRest(server) as client:
        yield client


@pytest.fixture
def party(tmp_path: Path) -> Party:
    return Party(tmp_path / "guest", f"2026010100000000{next(JOBS):05d}")


def history(rest: MlflowRest, run: Run, key: str) -> list[tuple[int, float]]:
    query = {"run_id": run.run_id, "metric_key": key}
    body = httpx.get(f"{rest.url}/api/2.0/mlflow/metrics/get-history", params=query, trust_env=False).json()
    return sorted((int(m.get("step", 0)), m["value"]) for m in body["metrics"])


def track(party: Party) -> StepOutputs:
    """A component with three rounds, the last not checkpointed."""
    tracker, attempt_dir = party.tracker(), party.attempt(1)
    tracker.begin(attempt_dir)
    for round in range(3):
        tracker.point(MetricPoint("train", "loss", round, 1.0 / (round + 1), round))
        if round < 2:
            tracker.covered(round)
    outputs = party.outputs(attempt_dir)
    tracker.summarise(outputs.summary)
    assert tracker.finish(outputs, wait=30)
    return outputs


def test_a_component_is_a_child_run_with_everything_of_it(party: Party, rest: MlflowRest) -> None:
    track(party)
    (parent,), (child,) = party.found(rest, "job"), party.found(rest, "task")
    assert (parent.name, child.name, child.status) == (party.plan.job_id, "lr_0", "FINISHED")
    assert child.tags["mlflow.parentRunId"] == parent.run_id
    assert child.params == {"max_iter": "3", "sgd": '{"alpha": 0.1}'}
    assert child.metrics == {"train/loss": pytest.approx(1 / 3), "auc": 0.9}
    assert history(rest, child, "train/loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    files = rest.files(child.artifact_uri)
    assert set(files) == {
        "params.json",
        "metrics/validate/lr_roc.json",
        "curves.html",
        "tables/validate/lr.json",
    }
    assert json.loads(rest.download(child.artifact_uri, "metrics/validate/lr_roc.json")) == json.loads(
        json.dumps(ROC.json())
    )
    assert json.loads(child.tags["fed.metrics"]) == {"validate": ["lr_roc", "lr"]}


def test_mlflows_page_gets_the_pictures(party: Party, rest: MlflowRest) -> None:
    track(party)
    (child,) = party.found(rest, "task")
    query = {"run_uuid": child.run_id, "path": "curves.html"}
    answer = httpx.get(f"{rest.url}/get-artifact", params=query, trust_env=False)
    assert answer.status_code == 200
    assert answer.text.count("<svg") == 1
    assert "<script" not in answer.text


def test_publishing_again_doubles_nothing(party: Party, rest: MlflowRest) -> None:
    outputs = track(party)
    (party.job_dir / outputs.folder / "tracked").unlink()  # a death just before the end of tracking
    assert party.tracker().finish(outputs, wait=30)
    (child,) = party.found(rest, "task")
    assert len(history(rest, child, "train/loss")) == 3
    assert len(history(rest, child, "auc")) == 1


def test_tasks_that_come_at_once_make_one_run_each(party: Party, rest: MlflowRest) -> None:
    found: list[str] = []

    def work() -> None:
        with MlflowRest(rest.url) as own:
            found.append(party.runs(own).child("lr_0", 1).run_id)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == len(party.found(rest, "job")) == len(party.found(rest, "task")) == 1


class LostAnswer(MlflowRest):
    """Every new run is made, and nobody hears of it."""

    def create_run(self, *args: Any, **kwargs: Any) -> Run:
        super().create_run(*args, **kwargs)
        raise PeerError("FED-480", "the answer was lost")


def test_a_run_whose_answer_was_lost_is_found_again(party: Party, rest: MlflowRest) -> None:
    with LostAnswer(rest.url) as lossy, pytest.raises(PeerError):
        party.runs(lossy).parent()
    (made,) = party.found(rest, "job")
    assert party.runs(rest).parent().run_id == made.run_id


def test_doubles_of_a_run_are_folded_into_the_oldest(party: Party, rest: MlflowRest) -> None:
    with LostAnswer(rest.url) as lossy, pytest.raises(PeerError):
        party.runs(lossy).parent()
    runs = party.runs(rest)
    rest.create_run(runs.experiment(), "sent twice by a proxy", runs.identity("job"))
    (oldest, _) = party.found(rest, "job")
    assert runs.parent().run_id == oldest.run_id
    assert [run.run_id for run in party.found(rest, "job")] == [oldest.run_id]


def test_a_resumed_attempt_continues_the_curve(party: Party, rest: MlflowRest) -> None:
    tracker = party.tracker()
    for attempt, rounds in ((1, range(4)), (2, range(2, 6))):  # the second attempt goes back to round 1
        folder = party.attempt(attempt)
        tracker.begin(folder)
        for round in rounds:
            tracker.point(MetricPoint("train", "loss", round, float(attempt), round))
            tracker.covered(round)
    assert tracker.finish(party.outputs(folder), wait=30)
    (child,) = party.found(rest, "task")
    assert history(rest, child, "train/loss") == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0)]


def test_a_component_does_not_wait_for_an_mlflow_that_is_away(party: Party, rest: MlflowRest, tmp_path: Path) -> None:
    """Points stay on disk; ``conclude`` brings them, or says that it cannot."""
    away = Party(tmp_path / "guest", party.plan.job_id, port=DEAD_PORT)
    tracker, attempt_dir = away.tracker(), away.attempt(1)
    tracker.begin(attempt_dir)
    tracker.point(MetricPoint("train", "loss", 0, 0.7, 0))
    outputs = away.outputs(attempt_dir)
    assert not tracker.finish(outputs, wait=0)
    tracker.stop()
    committed = {"lr_0": outputs}
    with MlflowRest(away.home.mlflow_url, tries=1) as dead, pytest.raises(ModelError, match="FED-482"):
        drain(away.runs(dead), committed, away.job_dir, patience=0)
    drain(party.runs(rest), committed, party.job_dir, patience=0)
    (child,) = party.found(rest, "task")
    assert history(rest, child, "train/loss") == [(0, 0.7)]
    assert child.status == "FINISHED"


def test_the_end_of_a_good_job_is_a_finished_run_with_its_scores(party: Party, rest: MlflowRest) -> None:
    outputs, runs = track(party), party.runs(rest)
    publish_job(runs)
    finish_job(runs, {"lr_0": outputs.summary, "other_0": {"ks": 0.8}, "third_0": {"ks": 0.7}})
    (parent,) = party.found(rest, "job")
    assert parent.status == "FINISHED"
    assert parent.end_time >= parent.start_time > 0
    assert parent.metrics == {"auc": 0.9, "lr_0/auc": 0.9, "other_0/ks": 0.8, "third_0/ks": 0.7}
    assert set(rest.files(parent.artifact_uri)) == {
        f"pipeline/{name}.json" for name in ("dsl", "conf", "disclosure", "predict_dsl")
    }


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(job_pb2.JOB_FAILED, "FAILED"), (job_pb2.CANCELLED, "KILLED"), (job_pb2.TIMED_OUT, "KILLED")],
)
def test_a_job_that_ends_early_closes_its_runs_with_the_reason(
    party: Party, rest: MlflowRest, verdict: job_pb2.Verdict, status: str
) -> None:
    plan = replace(party.plan, steps={**party.plan.steps}, modules={**party.plan.modules, "eval_0": "Evaluation"})
    track(party)
    JobRuns(rest, party.home, plan).child("eval_0", 1)
    where = common_pb2.Member(role="host", party_id="10000")
    failure = common_pb2.Failure(code="FED-203", message="column x9 is missing", member=where, component="eval_0")
    for _ in range(2):  # after a restart of the gateway once more
        close_runs(party.home, plan, verdict, failure)
    (parent,) = party.found(rest, "job")
    states = {run.name: run.status for run in party.found(rest, "task")}
    assert (parent.status, states) == (status, {"lr_0": "FINISHED", "eval_0": status})
    assert parent.tags["fed.reason"] == "column x9 is missing"
    assert parent.tags["fed.failed_at"] == "host_10000"


def unsaid(party: Party, rest: MlflowRest) -> dict[str, Any]:
    """The job as ``conclude`` leaves it: published, its model registered without alias."""
    publish_job(party.runs(rest))
    made = ModelRegistry(rest).register(bundle(GUEST, party.plan.job_id), "unsaid")
    return {"summary": {"lr_0": {"auc": 0.9}}, "registered": {"name": made.name, "version": made.version}}


def test_the_gateway_tells_mlflow_what_a_task_has_left_unsaid(party: Party, rest: MlflowRest) -> None:
    """MLflow was away, or the task was killed, after the verdict: a model is at all parties or at none."""
    outputs = unsaid(party, rest)
    with MlflowRest(f"http://127.0.0.1:{DEAD_PORT}", tries=1) as dead, LastWords(party.runs(dead)) as task:
        task.keep(outputs)
        with pytest.raises(PeerError, match="FED-481"):  # the task is there: it is its turn
            close_runs(party.home, party.plan, job_pb2.SUCCEEDED)
        with pytest.raises(PeerError, match="FED-480"):
            task.say(outputs)
    (parent,) = party.found(rest, "job")
    assert parent.status == "RUNNING"
    for _ in range(2):
        close_runs(party.home, party.plan, job_pb2.SUCCEEDED)
    (parent,) = party.found(rest, "job")
    assert (parent.status, parent.metrics["auc"]) == ("FINISHED", 0.9)
    registered = outputs["registered"]
    assert rest.get_by_alias(registered["name"], "product").version == registered["version"]


def test_what_the_task_said_the_gateway_does_not_repeat(party: Party, rest: MlflowRest) -> None:
    """People may have given the alias to another version meanwhile, or ended the run."""
    outputs = unsaid(party, rest)
    with LastWords(party.runs(rest)) as task:
        task.keep(outputs)
        task.say(outputs)
    (parent,) = party.found(rest, "job")
    rest.update_run(parent.run_id, "KILLED")
    close_runs(party.home, party.plan, job_pb2.SUCCEEDED)
    (parent,) = party.found(rest, "job")
    assert parent.status == "KILLED"


def test_last_words_that_come_late_do_not_bring_an_older_model_back(party: Party, rest: MlflowRest) -> None:
    """The next job of the pipeline was registered as soon as MLflow was back."""
    outputs = unsaid(party, rest)
    with LastWords(party.runs(rest)) as task:
        task.keep(outputs)
    registry = ModelRegistry(rest)
    newer = registry.register(bundle(GUEST, f"{party.plan.job_id}9"), "unsaid")
    registry.promote(newer.name, newer.version)
    close_runs(party.home, party.plan, job_pb2.SUCCEEDED)
    assert rest.get_by_alias(newer.name, "product").version == newer.version
    (parent,) = party.found(rest, "job")
    assert parent.status == "FINISHED"


def test_closing_what_was_never_tracked_makes_nothing(party: Party, rest: MlflowRest) -> None:
    plan = replace(party.plan, pipeline="never")
    close_runs(party.home, plan, job_pb2.JOB_FAILED, None)
    names = {"experiment_name": "never@guest-9999"}
    url = f"{rest.url}/api/2.0/mlflow/experiments/get-by-name"
    assert httpx.get(url, params=names, trust_env=False).status_code == 404


def test_a_run_that_is_made_after_the_end_is_ended(party: Party, rest: MlflowRest) -> None:
    """The job failed elsewhere while this party's first task was about to make its run."""
    close_runs(party.home, party.plan, job_pb2.JOB_FAILED, None)
    party.runs(rest).parent()
    (parent,) = party.found(rest, "job")
    assert parent.status == "FAILED"


def test_two_roles_of_one_party_have_their_own_runs(tmp_path: Path, rest: MlflowRest) -> None:
    guest, host = (Party(tmp_path / "both", "202601010000000000001", me) for me in (GUEST, HOST))
    names = {party.runs(rest).experiment_name for party in (guest, host)}
    assert names == {"credit@guest-9999", "9999.credit@host-10000"}
    assert guest.runs(rest).parent().run_id != host.runs(rest).parent().run_id
