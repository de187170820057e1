"""Kernels in threads of this process: for those that leave the interpreter lock to others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

from federatedml.compute.engine import Partitions

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class Threads:
    """``workers`` threads, started at the first call and shared by all who call."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def map(self, kernel: Callable[[A], R], parts: Sequence[A]) -> list[R]:
        """See ``Compute``. Raises what the first part in order raised."""
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(self.workers, "airfed-compute")
            futures = [self._pool.submit(kernel, part) for part in parts]
        return in_order(futures)

    def hold(self, load: Callable[[A], S], parts: Sequence[A]) -> Partitions:
        """See ``Compute``."""
        return _Held(self, self.map(load, parts))

    def close(self) -> None:
        """End the threads; a later call starts new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)


class _Held(Generic[S]):
    def __init__(self, threads: Threads, parts: list[S]) -> None:
        self._threads, self._parts = threads, parts

    def map(self, kernel: Callable[..., R], *arguments: Any) -> list[R]:
        return self._threads.map(partial(_apply, kernel, arguments), self._parts)

    def close(self) -> None:
        self._parts = []


def _apply(kernel: Callable[..., R], arguments: tuple[Any, ...], part: Any) -> R:
    return kernel(part, *arguments)


def in_order(futures: Sequence[Future[R]]) -> list[R]:
    """Results of all; after the first error in order, what has not begun is given up."""
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        raise
