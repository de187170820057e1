"""What the operators owe to Airflow, without a gateway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest


def python(code: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ})


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_importing_the_operators_costs_no_more_than_airflows_sdk(tmp_path: Path) -> None:
    code = """
        import json, sys
        import airflow.sdk
        before = set(sys.modules)
        import federated_operators.operator
        print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
    """
    with python(code, AIRFLOW_HOME=str(tmp_path)) as process:
        out, _ = process.communicate(timeout=60)
    assert set(json.loads(out)) <= {"airflow", "federated_operators", "ctypes"}


def test_a_task_dies_with_its_supervisor(tmp_path: Path) -> None:
    code = """
        import os, time
        from federated_operators.operator import die_with_parent
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            die_with_parent()
            print(os.getpid(), flush=True)
            time.sleep(300)
    """
    with python(code, AIRFLOW_HOME=str(tmp_path)) as supervisor:
        assert supervisor.stdout is not None
        task = int(supervisor.stdout.readline())
        os.kill(supervisor.pid, signal.SIGKILL)
        supervisor.wait()
        until = time.monotonic() + 60
        while not gone(task):
            assert time.monotonic() < until, "the task outlived its supervisor"
            time.sleep(0.01)


TASKS = """
    import json, os
    from pathlib import Path
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException
    from federated_operators import operator
    from airflow.serialization.serialized_objects import DagSerialization

    parties = {"initiator": {"role": "guest", "party_id": "9999"}, "role": {"guest": ["9999"]}}
    with DAG("credit.guest_9999") as dag:
        first = operator.FederateOperator(
            task_id="federate", pipeline="credit", dsl={}, parties=parties, conf={}, spec_digest="00"
        )
        enrol = operator.EnrolOperator(task_id="enrol", initiator="9999", member="host_10000", spec_digest="00")
        lr = operator.FederatedOperator(
            task_id="lr_0", component="lr_0", module="HeteroLR", member="guest_9999", initiator="9999"
        )
    class Task:
        id, try_number = "ti", 1
        def xcom_push(self, key, value): pass
"""


def run(code: str, tmp_path: Path) -> str:
    with python(textwrap.dedent(TASKS) + textwrap.dedent(code), AIRFLOW_HOME=str(tmp_path)) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out


def test_airflow_shows_the_module_and_the_button(tmp_path: Path) -> None:
    code = "print(json.dumps([t['__var'] for t in DagSerialization.to_dict(dag)['dag']['tasks']], default=str))"
    tasks = {task["task_id"]: task for task in json.loads(run(code, tmp_path))}
    assert tasks["lr_0"]["_operator_name"] == "HeteroLR"
    assert tasks["lr_0"]["_operator_extra_links"] == {"MLflow run": "_link_MlflowRunLink"}


@pytest.mark.parametrize(
    ("task", "words"), [("first", "typed by hand is refused"), ("enrol", "is started by party 9999")]
)
def test_a_run_id_that_is_no_job_id_fails_for_good(tmp_path: Path, task: str, words: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code = f"""
    os.environ["AIRFED_HOME"] = {str(home)!r}
    try:
        {task}.execute({{"run_id": "manual__2026", "params": {{}}, "ti": Task()}})
    except AirflowFailException as error:
        print(error)
    """
    assert words in run(code, tmp_path)


def test_a_component_of_a_job_that_was_not_admitted_is_skipped_and_its_conclude_fails_for_good(tmp_path: Path) -> None:
    code = f"""
    os.environ["AIRFED_HOME"] = {str(tmp_path)!r}
    from airflow.sdk.exceptions import AirflowSkipException
    conclude = operator.ConcludeOperator(task_id="conclude", member="guest_9999", initiator="9999")
    for task in (lr, conclude):
        try:
            task.execute({{"run_id": "202601010000000000001", "ti": Task()}})
        except (AirflowSkipException, AirflowFailException) as error:
            print(type(error).__name__, error)
    """
    skipped, failed = (line for line in run(code, tmp_path).splitlines() if line.startswith("Airflow"))
    assert skipped.startswith("AirflowSkipException [FED-390] job 202601010000000000001 of party 9999 was not admitted")
    assert failed.startswith("AirflowFailException [FED-390] job 202601010000000000001 of party 9999 was not admitted")


STARTING = """
    from airflow.sdk.exceptions import TaskDeferred
    from federated_operators import federate
    from federated_operators.starting import StartingFederateOperator

    asked = []
    def waits_and_refuses(home, pipeline, dag_id, job_id, params):
        asked.append([pipeline.name, dag_id, job_id, dict(params)])
        if len(asked) == 1:
            raise federate.AdmissionWaits("for party 10000")
        raise federate.DslError("FED-999", "refused after all")
    federate.federate = waits_and_refuses

    class Run:
        run_type, run_id = "manual", "202601010000000000001"
    with DAG("started.guest_9999"):
        started = StartingFederateOperator(
            task_id="federate", pipeline="started", dsl={}, parties=parties, conf={}, spec_digest="00"
        )
"""


@pytest.mark.parametrize("task", ["first", "started"])
def test_a_proposal_that_waits_gives_its_process_back_and_is_made_again_as_it_was(tmp_path: Path, task: str) -> None:
    code = f"""
    os.environ["AIRFED_HOME"] = {str(tmp_path)!r}
    def context():
        form = {{"job_parameters": {{"model_key": "m"}}}} | ({{"starter": {{}}}} if {task} is started else {{}})
        return {{"run_id": "202601010000000000001", "params": form, "ti": Task(), "dag_run": Run()}}
    try:
        {task}.execute(context())
    except TaskDeferred as deferred:
        print(json.dumps([deferred.trigger.serialize(), deferred.method_name, deferred.kwargs]))
    try:
        {task}.resume_execution("resume", {{"event": "federate"}}, context())
    except AirflowFailException as refused:
        print(refused)
    print(json.dumps(asked))
    """
    deferred, refused, asked = run(textwrap.dedent(STARTING) + textwrap.dedent(code), tmp_path).splitlines()[-3:]
    job = "202601010000000000001"
    trigger = ["federated_operators.trigger.AdmissionTrigger", {"initiator": "9999", "job_id": job}]
    assert json.loads(deferred) == [trigger, "resume", None]
    assert refused == "[FED-999] refused after all"
    name = {"first": "credit", "started": "started"}[task]
    assert json.loads(asked) == [[name, f"{name}.guest_9999", job, {"job_parameters": {"model_key": "m"}}]] * 2


def test_what_nobody_expected_is_not_tried_again(tmp_path: Path) -> None:
    code = """
        from airflow.sdk.exceptions import AirflowFailException, AirflowRuntimeError, ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse
        from federated_operators.operator import EnrolOperator
        from federatedml.errors import PeerError
        task = EnrolOperator(task_id="enrol", initiator="9999", member="host_10000", spec_digest="")
        away = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        for error in (KeyError("a value of the data"), PeerError("FED-401", "not there"), away):
            try:
                with task._task():
                    raise error
            except AirflowFailException as final:
                print("final", final)
            except (PeerError, AirflowRuntimeError) as again:
                print("again", again)
    """
    with python(code, AIRFLOW_HOME=str(tmp_path), AIRFED_HOME=str(tmp_path)) as process:
        out, _ = process.communicate(timeout=60)
    assert out.splitlines()[-3:] == [
        "final [FED-900] unexpected KeyError: see the trace above",
        "again [FED-401] not there",
        "again API_SERVER_ERROR: None",
    ]


def test_a_task_goes_on_without_its_link_where_the_api_server_is_away(tmp_path: Path) -> None:
    code = """
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse
    class Away:
        def xcom_push(self, key, value):
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
    lr._show_run({"ti": Away()}, "http://guest.localhost/#/runs/1")
    print(lr.mlflow_url)
    """
    assert run(code, tmp_path).splitlines()[-1] == "http://guest.localhost/#/runs/1"


def test_a_step_that_waits_gives_its_process_back_and_joins_again_with_the_same_id(tmp_path: Path) -> None:
    code = f"""
    os.environ["AIRFED_HOME"] = {str(tmp_path)!r}
    from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
    from federated_operators.step import StepWaits
    from federatedml.errors import Skipped

    class Step(operator.FederatedOperator):
        answers = [StepWaits("for host_10000"), Skipped("FED-999", "nothing to do")]
        def _work(self, seat, on_run):
            raise self.answers.pop(0)

    step = Step(task_id="x", component="x", module="Sum", member="guest_9999", initiator="9999", dag=dag)
    context = {{"run_id": "202601010000000000001", "ti": Task()}}
    try:
        step.execute(context)
    except TaskDeferred as deferred:
        print(json.dumps([deferred.trigger.serialize(), deferred.method_name, deferred.kwargs]))
    try:
        step.resume_execution("resume", {{"event": "x"}}, context)
    except AirflowSkipException as skipped:
        print(skipped)
    """
    deferred, skipped = run(code, tmp_path).splitlines()[-2:]
    seat = {"initiator": "9999", "job_id": "202601010000000000001", "component": "x", "member": "guest_9999"}
    trigger = ["federated_operators.trigger.StepTrigger", {**seat, "task_instance_id": "ti"}]
    assert json.loads(deferred) == [trigger, "resume", None]
    assert skipped == "[FED-999] nothing to do"


def test_what_cannot_be_done_now_is_given_time(tmp_path: Path) -> None:
    """A step may lose five processes: a server that restarts must not use them up within seconds."""
    code = f"""
    os.environ["AIRFED_HOME"] = {str(tmp_path)!r}
    from federatedml.errors import ComputeError, DataError
    from airflow.sdk.exceptions import AirflowFailException
    pauses = []
    operator.time.sleep = pauses.append

    class Step(operator.FederatedOperator):
        def _work(self, seat, on_run):
            raise error

    step = Step(task_id="x", component="x", module="Sum", member="guest_9999", initiator="9999", dag=dag)
    for number in (1, 3, 20):
        for error in (ComputeError("FED-998", "the cluster restarts"), DataError("FED-997", "no")):
            task = Task()
            task.try_number = number
            try:
                step.execute({{"run_id": "202601010000000000001", "ti": task}})
            except (ComputeError, AirflowFailException):
                pass
    print(pauses)
    """
    assert run(code, tmp_path).splitlines()[-1] == "[2.0, 8.0, 30.0]"
