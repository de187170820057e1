"""The supervisor with real processes: whatever is killed, nothing stays and what should run runs again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airfed import control, proc, state
from airfed.party import init_party, party_config
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome

TOYS = str(Path(__file__).with_name("party_of_toys.py"))
DEADLINE = 60.0
Start = Callable[..., subprocess.Popen[bytes]]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.02)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    return init_party(tmp_path / "home", party_config("9999", "guest", 25100))


@pytest.fixture
def run(home: PartyHome) -> Iterator[Start]:
    """Start a supervisor of toys at a port; whatever it does, nothing of it stays after the test."""
    with contextlib.ExitStack() as stack:

        def start(port: str) -> subprocess.Popen[bytes]:
            child = subprocess.Popen([sys.executable, TOYS, str(home.root), port], stderr=subprocess.DEVNULL)
            stack.callback(child.wait, DEADLINE)
            stack.callback(child.kill)
            return child

        yield start
    until(lambda: not proc.of_home(home.root), "an empty machine")


@pytest.fixture
def start(home: PartyHome, port: int, run: Start) -> Start:
    """Start and wait until ready."""

    def started() -> subprocess.Popen[bytes]:
        child = run(str(port))
        until(lambda: state.read(home).pid == child.pid and state.read(home).ready, "ready")
        until(lambda: len(session_of(home, "scheduler")) == 3, "the scheduler's worker and task")
        return child

    return started


def record_of(home: PartyHome, name: str) -> state.Record:
    return next(record for record in state.read(home).records if record.name == name)


def session_of(home: PartyHome, name: str) -> list[proc.Process]:
    return proc.members(record_of(home, name).pid, home.root)


def left_in(home: PartyHome) -> list[Path]:
    return list((home.run / "tmp").iterdir())


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_stop_leaves_no_process_and_no_port(home: PartyHome, port: int, start: Start) -> None:
    child = start()
    assert len(proc.of_home(home.root)) == 5
    assert control.stop(home)
    assert child.wait(DEADLINE) == 0
    assert proc.of_home(home.root) == []
    assert is_free(port)
    assert left_in(home) == []
    assert not control.stop(home)


def test_ctrl_c_ends_a_party_in_the_foreground(home: PartyHome, start: Start) -> None:
    child = start()
    child.send_signal(signal.SIGINT)
    assert child.wait(DEADLINE) == 0
    assert proc.of_home(home.root) == []


def test_killed_supervisor_leaves_nothing_and_the_party_starts_again(home: PartyHome, port: int, start: Start) -> None:
    first = start()
    assert left_in(home) != []
    first.kill()
    first.wait(DEADLINE)
    until(lambda: not proc.of_home(home.root) and not left_in(home), "the guard's work")
    assert is_free(port)
    second = start()
    assert control.stop(home)
    assert second.wait(DEADLINE) == 0


def test_leftovers_of_a_killed_supervisor_and_guard_are_ended_by_the_next_start(home: PartyHome, start: Start) -> None:
    first = start()
    for child in children_of(first.pid):  # the guard is the one that is not of the home
        if child not in {process.pid for process in proc.of_home(home.root)}:
            os.kill(child, signal.SIGKILL)
    orphan = session_of(home, "scheduler")[-1]
    first.kill()
    first.wait(DEADLINE)
    assert proc.alive(orphan.pid, orphan.started)
    start()
    assert not proc.alive(orphan.pid, orphan.started)
    control.stop(home)


@pytest.mark.parametrize("victim", [0, 2])
def test_what_dies_is_started_again_without_a_leftover(home: PartyHome, start: Start, victim: int) -> None:
    start()
    before = session_of(home, "scheduler")
    os.kill(before[victim].pid, signal.SIGKILL)
    until(lambda: record_of(home, "scheduler").restarts == 1 and len(session_of(home, "scheduler")) == 3, "a restart")
    assert not any(proc.alive(process.pid, process.started) for process in before)
    assert record_of(home, "server").restarts == 0
    control.stop(home)


def test_what_lives_and_is_stuck_is_replaced_with_all_that_it_started(home: PartyHome, start: Start) -> None:
    start()
    before = session_of(home, "scheduler")
    (home.root / "stuck").touch()
    until(lambda: record_of(home, "scheduler").restarts == 1 and len(session_of(home, "scheduler")) == 3, "a new one")
    assert not any(proc.alive(process.pid, process.started) for process in before)
    assert not (home.root / "stuck").exists()
    assert record_of(home, "server").restarts == 0
    control.stop(home)


def test_second_supervisor_of_a_home_is_refused(home: PartyHome, start: Start) -> None:
    start()
    second = subprocess.run([sys.executable, TOYS, str(home.root), "1"], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "FED-910" in second.stderr
    assert state.read(home).ready
    control.stop(home)


def test_a_taken_port_is_named(home: PartyHome, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        done = subprocess.run(
            [sys.executable, TOYS, str(home.root), str(port)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"port {port} for server of party 9999" in done.stderr


def test_status_names_every_process_with_its_memory(home: PartyHome, port: int, start: Start) -> None:
    start()
    rows = {row.name: row for row in control.status(home)}
    assert set(rows) == {"server", "scheduler", "stubborn"}
    assert rows["scheduler"].processes == 3
    assert rows["server"].ports == (port,)
    assert all(row.state == "ready" and row.memory > 0 and row.pid > 0 for row in rows.values())
    control.stop(home)
    assert {row.state for row in control.status(home)} == {"stopped"}


def test_a_program_that_cannot_start_is_reported_with_its_log(home: PartyHome, run: Start) -> None:
    child = run("not-a-port")
    (home.logs / "supervisor.log").write_text("what the supervisor said\n")
    with pytest.raises(FedError, match="what the supervisor said"):
        control.wait_ready([control.Starting(home, child)])


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
