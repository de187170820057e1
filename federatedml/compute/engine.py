"""Where the parts of one task's work run: here, in a pool of local processes, on the party's Dask cluster.

A *kernel* is a function of an installed module, or a ``functools.partial`` of one; its arguments and results are bytes,
arrays and plain values, and it does not change its arguments (arrays that travelled are read-only). What a kernel
computes does not depend on the engine, the number of workers or the order in which parts are done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class EngineName(StrEnum):
    """Values of ``compute.engine``."""

    AUTO = "auto"
    SERIAL = "serial"
    THREADS = "threads"
    PROCESSES = "processes"
    DASK = "dask"


class Partitions(Protocol):
    """Parts that stay where they are worked on, each at one worker."""

    def map(self, kernel: Callable[..., R], *arguments: Any) -> list[R]:
        """``kernel(part, *arguments)`` for every part, in the order of the parts."""
        ...

    def close(self) -> None:
        """Let the workers forget the parts."""
        ...


class Compute(Protocol):
    """An engine. It starts nothing before the first call that needs it.

    Attributes:
        workers: how many kernels run at once.
    """

    @property
    def workers(self) -> int: ...  # noqa: D102 - see Attributes

    def map(self, kernel: Callable[[A], R], parts: Sequence[A]) -> list[R]:
        """``kernel(part)`` for every part, in the order of the parts."""
        ...

    def hold(self, load: Callable[[A], S], parts: Sequence[A]) -> Partitions:
        """``load(part)`` for every part, kept at the worker that did it (a packed buffer is parsed once)."""
        ...


class _Here(Generic[S]):
    def __init__(self, parts: list[S]) -> None:
        self._parts = parts

    def map(self, kernel: Callable[..., R], *arguments: Any) -> list[R]:
        return [kernel(part, *arguments) for part in self._parts]

    def close(self) -> None:
        self._parts = []


class Serial:
    """Everything in the calling thread."""

    workers = 1

    def map(self, kernel: Callable[[A], R], parts: Sequence[A]) -> list[R]:
        """See ``Compute``."""
        return [kernel(part) for part in parts]

    def hold(self, load: Callable[[A], S], parts: Sequence[A]) -> Partitions:
        """See ``Compute``."""
        return _Here([load(part) for part in parts])


SERIAL = Serial()
