"""The engine that a party's configuration names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from federatedml.compute.cluster import Cluster, Tls
from federatedml.compute.engine import SERIAL, Compute, EngineName, Partitions
from federatedml.compute.names import is_lock_free
from federatedml.compute.processes import Processes
from federatedml.compute.threads import Threads

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class Auto:
    """Threads for kernels that leave the interpreter lock to others, processes for those that hold it. One part alone
    is done where it is."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.threads, self.processes = Threads(workers), Processes(workers)

    def map(self, kernel: Callable[[A], R], parts: Sequence[A]) -> list[R]:
        """See ``Compute``."""
        return self._fit(kernel, parts).map(kernel, parts)

    def hold(self, load: Callable[[A], S], parts: Sequence[A]) -> Partitions:
        """See ``Compute``; the kind of ``load`` decides where the parts stay."""
        return self._fit(load, parts).hold(load, parts)

    def close(self) -> None:
        """End what was started."""
        self.threads.close()
        self.processes.close()

    def _fit(self, kernel: Callable[..., object], parts: Sequence[object]) -> Compute:
        if len(parts) < 2:
            return SERIAL
        return self.threads if is_lock_free(kernel) else self.processes


_LOCAL: dict[EngineName, Callable[[int], Auto | Threads | Processes]] = {
    EngineName.AUTO: Auto,
    EngineName.THREADS: Threads,
    EngineName.PROCESSES: Processes,
}


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def compute_engine(
    name: EngineName = EngineName.AUTO, workers: int | None = None, address: str = "", tls: Tls | None = None
) -> Iterator[Compute]:
    """The engine, until the block ends. Nothing is started before a kernel needs it.

    Args:
        workers: kernels at once; None: the cores of this machine, or what the cluster has.
        address, tls: of the scheduler of a Dask cluster.
    """
    engine: Auto | Threads | Processes | Cluster
    if name is EngineName.DASK:
        engine = Cluster(address, tls, workers)
    elif name is EngineName.SERIAL or (workers or cores()) == 1:
        yield SERIAL
        return
    else:
        engine = _LOCAL[name](workers or cores())
    try:
        yield engine
    finally:
        engine.close()
