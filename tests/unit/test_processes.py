"""What a party runs, in which environment, and what Linux says about it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airfed import proc, state
from airfed.party import init_party, party_config
from airfed.processes import environment_of, programs
from airfed.state import Condition, Record, Supervision
from airfed.supervisor import put_aside
from federatedml.federation.home import PartyHome

SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]
SAYS_SO = [sys.executable, "-c", "import time; print(flush=True); time.sleep(1000)"]


def make(tmp_path: Path, serving: bool = True) -> PartyHome:
    return init_party(tmp_path / "guest", party_config("9999", "guest", 25900, serving))


def test_a_party_runs_its_programs_on_ports_of_its_own(tmp_path: Path) -> None:
    found = programs(make(tmp_path))
    airflow = ["api-server", "scheduler", "dag-processor", "triggerer"]
    assert [p.name for p in found] == [*airflow, "mlflow", "gateway", "serving"]
    ports = [port for program in found for port in program.ports]
    assert len(ports) == len(set(ports)) == 5


def test_a_party_without_serving_has_no_serving(tmp_path: Path) -> None:
    assert "serving" not in {program.name for program in programs(make(tmp_path, serving=False))}


def test_environment_names_the_home_and_drops_settings_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AIRFLOW__CORE__FERNET_KEY", "MLFLOW_TRACKING_URI", "AIRFED_HOME", "_MLFLOW_SERVER_FILE_STORE"):
        monkeypatch.setenv(name, "of someone else")
    monkeypatch.setenv("PATH_OF_MINE", "kept")
    home = make(tmp_path)
    for program in programs(home):
        env = environment_of(program, home)
        assert "of someone else" not in env.values()
        assert env["AIRFED_HOME"] == str(home.root)
        assert env["TMPDIR"].startswith(str(home.root))
        assert env["PATH_OF_MINE"] == "kept"


def test_no_proxy_at_all_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    env = proc.environment(tmp_path, {})
    assert env["no_proxy"] == env["NO_PROXY"] == "*", "beside other names a star means nothing"
    assert env["no_grpc_proxy"] == "127.0.0.1,localhost", "gRPC knows no star"


def test_no_proxy_stands_between_processes_of_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "corp.example")
    monkeypatch.setenv("no_grpc_proxy", "grpc.example")
    env = proc.environment(tmp_path, {}, "192.0.2.7")
    assert env["no_proxy"] == env["NO_PROXY"] == "corp.example,127.0.0.1,localhost,192.0.2.7"
    assert env["no_grpc_proxy"] == "grpc.example,127.0.0.1,localhost,192.0.2.7"
    assert env["http_proxy"] == env["HTTPS_PROXY"] == "http://proxy.example:3128"
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_grpc_proxy")
    env = proc.environment(tmp_path, {})
    assert env["no_proxy"] == "127.0.0.1,localhost"
    assert "no_grpc_proxy" not in env


def test_a_proxy_by_socks_does_not_keep_tasks_from_airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    monkeypatch.setenv("https_proxy", "socks5h://proxy.example:1080")
    env = proc.environment(tmp_path, {})
    assert not {"ALL_PROXY", "https_proxy"} & env.keys()


def test_what_people_run_with_airfed_home_set_is_no_process_of_the_party(tmp_path: Path) -> None:
    env = {**os.environ, "AIRFED_HOME": str(tmp_path)}
    with subprocess.Popen(SAYS_SO, env=env, start_new_session=True, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        found = proc.of_home(tmp_path)
        child.kill()
    assert found == []


def test_mlflow_runs_no_jobs_and_listens_on_loopback(tmp_path: Path) -> None:
    home = make(tmp_path)
    mlflow = next(program for program in programs(home) if program.name == "mlflow")
    assert environment_of(mlflow, home)["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert mlflow.argv[mlflow.argv.index("--host") + 1] == "127.0.0.1"


def test_a_closed_terminal_ends_what_was_not_started_by_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert proc.ending() == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert proc.ending() == [signal.SIGINT, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    home = make(tmp_path)
    assert state.read(home) == Supervision()
    records = (Record("gateway", Condition.READY, 7, 8, 1.5, 2, (25902,)), Record("mlflow"))
    state.write(home, Supervision(1, 2, 3.0, records))
    assert state.read(home) == Supervision(1, 2, 3.0, records)


def test_a_party_is_ready_when_its_supervisor_lives_and_all_is_ready() -> None:
    me = proc.process(os.getpid())
    assert me is not None
    ready, starting = Record("a", Condition.READY), Record("b", Condition.STARTING)
    assert Supervision(me.pid, me.started, records=(ready,)).ready
    assert not Supervision(me.pid, me.started, records=(ready, starting)).ready
    assert not Supervision(me.pid, me.started).ready
    assert not Supervision(me.pid, me.started + 1, records=(ready,)).ready


def test_process_is_known_by_pid_and_start() -> None:
    with subprocess.Popen(SLEEP) as child:
        found = proc.process(child.pid)
        assert found is not None
        assert proc.alive(child.pid, found.started)
        assert not proc.alive(child.pid, found.started - 1)
        assert proc.memory([found]) > 0
        assert 0 <= proc.age(found.started) < 60
        child.kill()
    assert not proc.alive(child.pid, found.started)
    proc.send(child.pid, signal.SIGTERM)  # gone: nothing happens


def test_a_session_is_ended_only_for_the_home_it_belongs_to(tmp_path: Path) -> None:
    env = proc.environment(tmp_path, {})
    with subprocess.Popen(SAYS_SO, env=env, start_new_session=True, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()  # it runs: before that, Linux may not show its environment yet
        proc.kill_session(child.pid, tmp_path / "other", patience=0.1)
        assert [p.pid for p in proc.members(child.pid, tmp_path)] == [child.pid]
        proc.kill_session(child.pid, tmp_path)
    assert child.returncode == -signal.SIGKILL


def test_child_dies_with_its_parent() -> None:
    code = (
        "import subprocess, sys\nfrom airfed.proc import dying_with_parent\n"
        f"print(subprocess.Popen(dying_with_parent({SLEEP!r})).pid, flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        descriptor = os.pidfd_open(child)
        parent.kill()
    with os.fdopen(descriptor) as gone:
        import select

        assert select.select([gone], [], [], 100.0)[0]


def test_launcher_refuses_a_parent_that_has_died() -> None:
    command = proc.dying_with_parent(SLEEP)
    command[command.index(str(os.getpid()))] = "1"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert "parent" in done.stderr


def test_a_large_log_is_put_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "gateway.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"old" * 10)
        put_aside(path, limit=100)
        assert path.stat().st_size == 30
        put_aside(path, limit=20)
        writer.write(b"new")
    assert path.read_bytes() == b"new"
    assert (tmp_path / "gateway.log.1").read_bytes() == b"old" * 10
