"""The process that worker processes are forked from: young, without threads, started by ``compute.processes``.

A process that has spoken gRPC must not fork. So one small process is started, imports what the first kernel needs, and
forks the workers: importing is paid once. It waits at the end of a pipe that its starter holds; when that process ends,
be it by SIGKILL, the pipe ends, the nursery ends, and the kernel kills the workers with it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from federatedml.compute.line import Frames, Line, packed
from federatedml.compute.names import Spelled
from federatedml.errors import FedError

PR_SET_PDEATHSIG = 1
KEEP, USE, DROP, CALL = "keep", "use", "drop", "call"
DONE, FAILED, BROKEN = "done", "failed", "broken"


def main(module: str, descriptors: Sequence[int]) -> None:
    """Fork a worker for each descriptor and wait for the starter's end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the starter decides
    with suppress(Exception):  # whoever calls the kernel is told
        importlib.import_module(module)
    nursery = os.getpid()
    for mine in descriptors:
        if os.fork() == 0:
            _worker(mine, descriptors, nursery)
    for descriptor in descriptors:
        os.close(descriptor)
    sys.stdin.buffer.read()
    os._exit(0)


def _worker(mine: int, descriptors: Sequence[int], nursery: int) -> None:
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == nursery:
            for other in set(descriptors) - {mine}:
                os.close(other)
            _serve(Line(mine))
            status = 0
    except (EOFError, OSError):
        status = 0
    finally:
        os._exit(status)


def _serve(line: Line) -> None:
    """Answer one request after the other until the line ends."""
    parts: dict[int, Any] = {}
    while True:
        line.send(_answer(line.recv(), parts))


def _answer(request: tuple[str, int, Spelled, tuple[Any, ...]], parts: dict[int, Any]) -> Frames:
    try:
        return packed((DONE, _done(request, parts)))
    except FedError as error:
        return packed((FAILED, error))
    except BaseException as error:
        return packed((BROKEN, type(error).__name__, traceback.format_exc()))


def _done(request: tuple[str, int, Spelled, tuple[Any, ...]], parts: dict[int, Any]) -> Any:
    what, key, kernel, arguments = request
    if what == KEEP:
        parts[key] = kernel(*arguments)
    elif what == USE:
        return kernel(parts[key], *arguments)
    elif what == DROP:
        parts.pop(key, None)
    else:
        return kernel(*arguments)
    return None
