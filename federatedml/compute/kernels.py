"""Compiled loops: numba without the interpreter lock, so that threads share the cores.

The machine code is kept beside the source, or in the user's cache folder where the installation is read-only. Every
compiled kernel has a twin in NumPy, with which tests compare it. To import numba takes half a second and most processes
never compute, so it waits for the first call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from types import FunctionType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Kernel:
    """A function that is compiled at its first call. It may call other kernels by their global names."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        update_wrapper(self, function)
        self.__lock_free__ = True  # see ``names.lock_free``

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        return self.machine(*arguments)

    @cached_property
    def machine(self) -> Callable[..., Any]:
        """What numba makes of it, for the types that come."""
        import numba

        source = self._function
        known = source.__globals__
        called = {name: known[name].machine for name in source.__code__.co_names if isinstance(known.get(name), Kernel)}
        linked = FunctionType(source.__code__, {**known, **called}, source.__name__, source.__defaults__)
        linked.__module__, linked.__qualname__ = source.__module__, source.__qualname__
        return cast(Callable[..., Any], numba.njit(linked, nogil=True, cache=True))


def compiled(function: F) -> F:
    """Compile ``function``. Integers wrap; nothing is checked: check shapes before."""
    return cast(F, Kernel(cast(FunctionType, function)))
