"""Compiled loops: numba without the interpreter lock, so that threads share the cores.

The machine code is kept beside the source, or in the user's cache folder where the installation is read-only; where
that is read-only too, every process compiles for itself. Every compiled kernel has a twin in NumPy, with which tests
compare it.

To import numba takes half a second of processor time, more than many a job's whole arithmetic. A kernel that small jobs
need therefore has its twin in the product: it runs until the twins of a process have cost about as much as loading,
so that no process pays more than twice what it had to (the ski rental rule).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property, update_wrapper
from types import FunctionType
from typing import Any, TypeVar, cast

LOADING = 0.5  # seconds of processor time until the first kernel runs

F = TypeVar("F", bound=Callable[..., Any])


class Kernel:
    """A function that is compiled at its first call. It may call other kernels by their global names.

    Args:
        function: what is compiled.
        twin: does the same without numba, to the last bit.
        seconds: estimate of the twin's time, of the same arguments.
    """

    spent = 0.0  # seconds, about, in twins of this process

    def __init__(
        self, function: FunctionType, twin: Callable[..., Any] | None, seconds: Callable[..., float] | None
    ) -> None:
        self._function, self.twin, self._seconds = function, twin, seconds
        update_wrapper(self, function)
        self.__lock_free__ = True  # see ``names.lock_free``

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        if self.twin is None or self._seconds is None or "numba" in sys.modules:
            return self.machine(*arguments)
        Kernel.spent += self._seconds(*arguments)
        return self.twin(*arguments) if Kernel.spent < LOADING else self.machine(*arguments)

    @cached_property
    def machine(self) -> Callable[..., Any]:
        """What numba makes of it, for the types that come."""
        import numba

        source = self._function
        known = source.__globals__
        called = {name: known[name].machine for name in source.__code__.co_names if isinstance(known.get(name), Kernel)}
        linked = FunctionType(source.__code__, {**known, **called}, source.__name__, source.__defaults__)
        linked.__module__, linked.__qualname__ = source.__module__, source.__qualname__
        try:
            return cast(Callable[..., Any], numba.njit(linked, nogil=True, cache=True))
        except RuntimeError:  # nowhere to keep it
            return cast(Callable[..., Any], numba.njit(linked, nogil=True))


def compiled(function: F) -> F:
    """Compile ``function``. Integers wrap; nothing is checked: check shapes before."""
    return cast(F, Kernel(cast(FunctionType, function), None, None))


def compiled_unless_little(twin: Callable[..., Any], seconds: Callable[..., float]) -> Callable[[F], F]:
    """The same, with what runs instead as long as it is not worth while to load numba: see ``Kernel``."""

    def kernel(function: F) -> F:
        return cast(F, Kernel(cast(FunctionType, function), twin, seconds))

    return kernel
