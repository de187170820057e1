"""Engines: the same results everywhere, errors in the same words, nothing that hangs or stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.compute.choice import Auto, EngineName, compute_engine
from federatedml.compute.engine import SERIAL, Compute
from federatedml.compute.names import Spelled, is_lock_free
from federatedml.compute.processes import Processes
from federatedml.compute.slices import slices
from federatedml.compute.threads import Threads
from federatedml.errors import ComputeError, DataError, FedError, ProtocolError
from tests import compute_kernels as kernels
from tests import running_engines
from tests.running_engines import assert_gone, running

LOCAL = [EngineName.SERIAL, EngineName.THREADS, EngineName.PROCESSES, EngineName.AUTO]
VALUES = st.lists(st.lists(st.integers(-(2**62), 2**62), max_size=5).map(lambda x: np.array(x, np.int64)), max_size=6)


@pytest.fixture(scope="module", params=LOCAL)
def engine(request: pytest.FixtureRequest) -> Iterator[Compute]:
    with compute_engine(request.param, workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    started = Processes(2)
    yield started
    started.close()


def plain(found: list[Any]) -> list[Any]:
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in found]


@given(parts=VALUES, number=st.integers(0, 9))
@settings(max_examples=25)
def test_all_engines_give_what_a_loop_gives(engine: Compute, parts: list[Any], number: int) -> None:
    for kernel in (kernels.running_sum, kernels.scaled, partial(kernels.scaled, factor=number)):
        assert plain(engine.map(kernel, parts)) == plain([kernel(part) for part in parts])
        held = engine.hold(kernel, parts)
        for _ in range(2):
            assert plain(held.map(kernels.plus, number)) == plain([kernel(part) + number for part in parts])
        held.close()


def test_parts_of_any_size_and_kind_come_back(engine: Compute) -> None:
    parts = [
        b"bytes",
        "text",
        None,
        1.5,
        {"a": [1]},
        np.arange(300_000),
        np.zeros((0, 3)),
        np.arange(12).reshape(3, 4).T,
    ]
    for sent, found in zip(parts, engine.map(kernels.owner, parts), strict=True):
        assert np.array_equal(sent, found[1]) if isinstance(sent, np.ndarray) else sent == found[1]


def test_the_first_error_in_order_is_raised_with_its_own_code(engine: Compute) -> None:
    with pytest.raises(DataError, match=r"FED-299.*part 3 is odd") as caught:
        engine.map(kernels.refused, [2, 3, 5, 4])
    assert (caught.value.message, caught.value.hint) == ("part 3 is odd", "made for a test")
    assert engine.map(kernels.refused, [2, 4]) == [2, 4], "an error ends the call, not the engine"


def test_an_engine_tells_how_many_run_at_once(engine: Compute) -> None:
    assert engine.workers == (1 if engine is SERIAL else 2)


def test_another_exception_of_a_worker_is_named_and_its_trace_stays_here(processes: Processes) -> None:
    with pytest.raises(FedError, match=r"FED-752.*IndexError in tests.compute_kernels:broken") as caught:
        processes.map(kernels.broken, [1])
    assert "list index out of range" in caught.value.__notes__[0]
    assert "out of range" not in caught.value.message


def test_values_that_cannot_travel_are_refused(processes: Processes) -> None:
    with pytest.raises(ProtocolError, match=r"FED-753.*argument of tests.compute_kernels:scaled"):
        processes.map(kernels.scaled, [threading.Lock()])
    with pytest.raises(FedError, match=r"FED-752.*unsendable"):
        processes.map(kernels.unsendable, [1])


def local_function(part: Any) -> Any:
    return part


@pytest.mark.parametrize(
    "kernel",
    [lambda part: part, print, partial(lambda part: part), [].append],
    ids=["lambda", "builtin", "partial", "method"],
)
def test_only_functions_with_a_name_in_a_module_travel(processes: Processes, kernel: Any) -> None:
    with pytest.raises(ProtocolError, match="FED-751"):
        processes.map(kernel, [1])
    with pytest.raises(ProtocolError, match="FED-751"):
        processes.hold(kernel, [1])


def test_a_name_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "scaled", kernels.plus)
    assert Spelled.of(kernels.plus).name == "tests.compute_kernels:plus"
    impostor = type("impostor", (), {"__module__": "tests.compute_kernels", "__qualname__": "plus"})
    with pytest.raises(ProtocolError, match="FED-751"):
        Spelled.of(impostor)
    with pytest.raises(ProtocolError, match="FED-751"):
        Spelled("tests.compute_kernels:absent")()


def test_held_parts_stay_at_one_worker_each_and_both_workers_have_some(processes: Processes) -> None:
    held = processes.hold(kernels.owner, list(range(6)))
    for _ in range(3):
        found = held.map(kernels.who_holds)
        assert [value for _, _, value in found] == list(range(6))
        assert all(loaded_by == used_by for loaded_by, used_by, _ in found)
    assert len({pid for pid, _, _ in found}) == 2
    held.close()


def test_a_part_is_loaded_once(engine: Compute, tmp_path: Path) -> None:
    held = engine.hold(kernels.loaded_once, [tmp_path / "a", tmp_path / "b"])
    assert [held.map(kernels.times_loaded) for _ in range(3)] == [[1, 1]] * 3
    held.close()
    assert held.map(kernels.times_loaded) == []


@pytest.mark.parametrize("closed", [True, False])
def test_workers_forget_what_is_closed_or_forgotten(closed: bool) -> None:
    with compute_engine(EngineName.PROCESSES, workers=2) as engine:
        counter = engine.hold(kernels.scaled, [0, 1])  # one part at each worker
        held = engine.hold(kernels.new_held, list(range(10)))
        assert counter.map(kernels.held_here) == [5, 5]
        if closed:
            held.close()
        del held
        assert counter.map(kernels.held_here) == [0, 0]


def test_a_killed_worker_ends_the_call_with_an_error_that_may_be_tried_again(tmp_path: Path) -> None:
    with compute_engine(EngineName.PROCESSES, 2) as engine:
        held = engine.hold(kernels.owner, [1, 2])
        with pytest.raises(ComputeError, match=r"FED-750.*worker process") as caught:
            engine.map(kernels.dies, [tmp_path / str(number) for number in range(5)])
        assert caught.value.retryable
        with pytest.raises(ComputeError, match="FED-750"):
            held.map(kernels.who_holds)
        held.close()
        assert engine.map(kernels.scaled, [1, 2, 3]) == [2, 4, 6], "the next call starts new workers"


def test_a_worker_killed_from_outside_while_idle_is_noticed() -> None:
    with compute_engine(EngineName.PROCESSES, 1 + 1) as engine:
        for pid in set(engine.map(kernels.process, list(range(20)))):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ComputeError, match="FED-750"):
            engine.map(kernels.process, list(range(4)))


def test_workers_that_cannot_be_started_are_an_error_that_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    me = psutil.Process()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = me.num_fds()
    for _ in range(3):
        with pytest.raises(ComputeError, match=r"FED-750.*FileNotFoundError"):
            Processes(2).map(kernels.scaled, [1, 2])
    assert me.num_fds() <= before


def test_many_threads_share_one_pool(processes: Processes) -> None:
    found: dict[int, list[int]] = {}

    def caller(number: int) -> None:
        found[number] = processes.map(partial(kernels.plus, number=number), list(range(50)))

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [part + number for part in range(50)] for number in range(8)}


def test_nothing_is_started_before_a_kernel_needs_it_and_nothing_stays() -> None:
    before = running()
    with compute_engine(workers=2) as engine:
        assert isinstance(engine, Auto)
        assert engine.map(kernels.process, [1]) == [os.getpid()], "one part is done here"
        assert running() == before
        engine.map(kernels.running_sum, [np.arange(3)] * 2)
        assert not any(name.startswith("process") for name in running() - before), "threads are enough"
        pids = set(engine.map(kernels.process, list(range(20))))
        assert os.getpid() not in pids
        assert running() > before
        workers = running_engines.processes(pids)
        assert workers
    assert running() == before
    assert_gone(workers)


def test_small_work_is_not_divided() -> None:
    assert [len(slices(count, 4)) for count in (0, 1, 1000, 1001, 2500, 10**6)] == [0, 1, 1, 2, 3, 4]
    assert [at.indices(10) for at in slices(10, 3, least=1)] == [(0, 4, 1), (4, 8, 1), (8, 10, 1)]


def test_auto_tells_kernels_apart() -> None:
    assert is_lock_free(partial(kernels.running_sum))
    assert not is_lock_free(kernels.scaled)


@pytest.mark.parametrize("name", LOCAL)
def test_one_worker_needs_no_engine(name: EngineName) -> None:
    with compute_engine(name, workers=1) as engine:
        assert engine is SERIAL


def test_workers_know_modules_of_this_process_and_only_need_the_kernels() -> None:
    with compute_engine(EngineName.PROCESSES, 2) as engine:
        found = engine.map(kernels.modules, ["tests.compute_kernels", "pytest", "grpc", "airflow", "pyarrow"])
    assert found == [True, False, False, False, False]


ORPHANS = """
import sys
from federatedml.compute.processes import Processes
from tests import compute_kernels as kernels
from tests import running_engines
from tests.running_engines import assert_gone, running
engine = Processes(2)
print(*set(engine.map(kernels.process, list(range(20)))), flush=True)
engine.map(kernels.sleeps, [600, 600])
"""


def test_workers_end_with_a_process_that_is_killed() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", ORPHANS],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert starter.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]
    nursery = workers[0].parent()
    assert nursery is not None
    starter.kill()
    starter.wait()
    starter.stdout.close()
    assert_gone([nursery, *workers])


def test_an_interrupt_of_the_group_is_the_starters_business() -> None:
    with compute_engine(EngineName.PROCESSES, 2) as engine:
        worker = psutil.Process(engine.map(kernels.process, [1])[0])
        for process in (worker, worker.parent()):
            assert process is not None
            process.send_signal(signal.SIGINT)
        assert engine.map(kernels.scaled, [1, 2]) == [2, 4]


def test_threads_pass_errors_and_give_up_what_waits() -> None:
    engine = Threads(1 + 1)
    with pytest.raises(IndexError):
        engine.map(kernels.broken, [1] * 10)
    engine.close()
    assert engine.map(kernels.scaled, [2]) == [4]
    engine.close()
