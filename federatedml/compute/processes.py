"""Kernels in worker processes of this machine: for those that hold the interpreter lock, as gmpy2's loops do.

The workers are forked from a young process (``compute.nursery``), never from this one. Every worker has a line and a
thread here that tends it; parts that are held stay at one worker, all others go to whoever is free. If one worker is
lost, all are ended and whoever waits is told; the next call starts new ones.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from federatedml.compute.engine import Partitions
from federatedml.compute.line import Frames, Line, packed, pair
from federatedml.compute.names import Spelled
from federatedml.compute.nursery import BROKEN, CALL, DROP, FAILED, KEEP, USE
from federatedml.compute.threads import in_order
from federatedml.errors import ComputeError, FedError, ProtocolError

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_IO_THREADS"), "1"
)
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from federatedml.compute.nursery import main; "
_START += "main(sys.argv[2], [int(fd) for fd in sys.argv[3:]])"


class Processes:
    """``workers`` processes, started at the first call and shared by all who call, from any thread."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._lock = threading.Lock()
        self._crew: _Crew | None = None

    def map(self, kernel: Callable[[A], R], parts: Sequence[A]) -> list[R]:
        """See ``Compute``.

        Raises:
            FedError: the kernel's own; ``FED-752`` for any other exception of it, whose trace is a note of the error.
            ComputeError: ``FED-750``, a worker was lost.
            ProtocolError: ``FED-751``, the kernel has no name; ``FED-753``, an argument or a result cannot travel.
        """
        spelled = Spelled.of(kernel)
        crew = self._working(spelled)
        return in_order([crew.submit(CALL, 0, spelled, (part,)) for part in parts])

    def hold(self, load: Callable[[A], S], parts: Sequence[A]) -> Partitions:
        """See ``Compute``, and ``map`` for errors."""
        spelled = Spelled.of(load)
        crew = self._working(spelled)
        return _Held(crew, crew.keep(spelled, parts))

    def close(self) -> None:
        """End the processes; a later call starts new ones."""
        with self._lock:
            crew, self._crew = self._crew, None
        if crew is not None:
            crew.end()
            crew.gone()

    def _working(self, first: Spelled) -> _Crew:
        with self._lock:
            if self._crew is None or self._crew.ended:
                if self._crew is not None:
                    self._crew.gone()
                self._crew = _Crew(self.workers, first.module)
            return self._crew


@dataclass
class _Task:
    kernel: str
    frames: Frames
    future: Future[Any] = field(default_factory=Future)


class _Crew:
    """Worker processes that live and die together."""

    def __init__(self, workers: int, module: str) -> None:
        lines = [pair() for _ in range(workers)]
        theirs = [there for _, there in lines]
        try:
            self._nursery = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path), module, *map(str, theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
                pass_fds=theirs,
            )
        except OSError as error:
            for here, _ in lines:
                os.close(here)
            raise ComputeError("FED-750", f"no worker process can be started: {type(error).__name__}") from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self.ended = False
        self._changed = threading.Condition()
        self._free: deque[_Task] = deque()
        self._bound: list[deque[_Task]] = [deque() for _ in lines]
        self._keys = itertools.count()
        self._threads = [
            threading.Thread(target=self._tend, args=(Line(here), index), name="airfed-worker", daemon=True)
            for index, (here, _) in enumerate(lines)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, what: str, key: int, kernel: Spelled, arguments: tuple[Any, ...], worker: int | None = None
    ) -> Future[Any]:
        """A request to a worker, or to whichever is free first."""
        try:
            frames = packed((what, key, kernel, arguments))
        except Exception as error:
            text = f"an argument of {kernel.name} is no value that can travel: {type(error).__name__}"
            raise ProtocolError("FED-753", text) from error
        task = _Task(kernel.name, frames)
        with self._changed:
            if self.ended:
                raise _lost()
            (self._free if worker is None else self._bound[worker]).append(task)
            self._changed.notify_all()
        return task.future

    def keep(self, load: Spelled, parts: Sequence[Any]) -> list[tuple[int, int]]:
        """Worker and key of every part, once all are loaded."""
        keys = [next(self._keys) for _ in parts]
        where = [(key % len(self._bound), key) for key in keys]
        loading = zip(where, parts, strict=True)
        in_order([self.submit(KEEP, key, load, (part,), worker) for (worker, key), part in loading])
        return where

    def end(self) -> None:
        """Fail whoever waits, and end the processes."""
        with self._changed:
            self.ended = True
            waiting = [task for tasks in (self._free, *self._bound) for task in tasks]
            for tasks in (self._free, *self._bound):
                tasks.clear()
            self._changed.notify_all()
        self._nursery.kill()  # and the kernel kills the workers
        for task in waiting:
            if task.future.set_running_or_notify_cancel():
                task.future.set_exception(_lost())

    def gone(self) -> None:
        """Wait for the processes to be gone, and free what they took."""
        if self._nursery.stdin is not None:
            self._nursery.stdin.close()
        self._nursery.wait()
        for thread in self._threads:
            thread.join()

    def _tend(self, line: Line, worker: int) -> None:
        while (task := self._next(worker)) is not None:
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                line.send(task.frames)
                answer = line.recv()
            except (EOFError, OSError):
                task.future.set_exception(_lost())
                self.end()
                break
            _settle(task, answer)
        line.close()

    def _next(self, worker: int) -> _Task | None:
        with self._changed:
            while not (self.ended or self._bound[worker] or self._free):
                self._changed.wait()
            if self.ended:
                return None
            return (self._bound[worker] or self._free).popleft()


class _Held:
    """Parts at the workers of one crew; they forget them when this is closed, or forgotten here."""

    def __init__(self, crew: _Crew, where: list[tuple[int, int]]) -> None:
        self._crew, self._where = crew, where
        self._forget = weakref.finalize(self, _forget, crew, where)
        self._forget.atexit = False

    def map(self, kernel: Callable[..., R], *arguments: Any) -> list[R]:
        ask = partial(self._crew.submit, USE, kernel=Spelled.of(kernel), arguments=arguments)
        return in_order([ask(key=key, worker=worker) for worker, key in self._where])

    def close(self) -> None:
        self._where = []
        self._forget()


def _forget(crew: _Crew, where: list[tuple[int, int]]) -> None:
    with suppress(ComputeError):  # gone with the workers
        for worker, key in where:
            crew.submit(DROP, key, Spelled(""), (), worker)


def _settle(task: _Task, answer: tuple[Any, ...]) -> None:
    state, *rest = answer
    if state == FAILED:
        task.future.set_exception(rest[0])
    elif state == BROKEN:
        error = FedError("FED-752", f"unexpected {rest[0]} in {task.kernel}")
        error.add_note(rest[1])
        task.future.set_exception(error)
    else:
        task.future.set_result(rest[0])


def _lost() -> ComputeError:
    return ComputeError("FED-750", "a worker process of this party is gone", "killed, or out of memory")
