"""Kernels by name: what a worker process or a cluster is told to run, never the code itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from federatedml.errors import ProtocolError

F = TypeVar("F", bound=Callable[..., Any])
NO_KERNELS = ("__main__", "__mp_main__", "builtins")  # the first two are other modules in another process


def lock_free(kernel: F) -> F:
    """Mark a kernel that spends its time without the interpreter lock (AES, X25519, compiled loops): the engine
    ``auto`` gives it to threads, all others to processes. Functions under ``@compiled`` need no mark."""
    kernel.__lock_free__ = True  # type: ignore[attr-defined]
    return kernel


def is_lock_free(kernel: Callable[..., Any]) -> bool:
    """Whether threads can run the kernel side by side."""
    while isinstance(kernel, partial):
        kernel = kernel.func
    return bool(getattr(kernel, "__lock_free__", False))


@dataclass(frozen=True)
class Spelled:
    """A kernel as it travels: ``package.module:function``, and the arguments that a ``functools.partial`` bound.

    Raises:
        ProtocolError: the function cannot be found again under its name (a lambda, a closure, a script's function).
    """

    name: str
    first: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kernel: Callable[..., Any]) -> Spelled:
        """Name a kernel; what it is bound to must be values, as all arguments."""
        first: tuple[Any, ...] = ()
        named: dict[str, Any] = {}
        while isinstance(kernel, partial):
            first, named = (*kernel.args, *first), {**kernel.keywords, **named}
            kernel = kernel.func
        name = f"{getattr(kernel, '__module__', '')}:{getattr(kernel, '__qualname__', '')}"
        if _found(name) is not kernel:
            text = f"kernel {name!r} cannot be found by its name"
            raise ProtocolError("FED-751", text, "kernels are functions on the top level of an installed module")
        return cls(name, first, named)

    @property
    def module(self) -> str:
        """The module that a worker imports."""
        return self.name.partition(":")[0]

    def __call__(self, *arguments: Any) -> Any:
        """Run it here."""
        kernel = _found(self.name)
        if kernel is None:
            raise ProtocolError("FED-751", f"kernel {self.name!r} is not installed where it should run")
        return kernel(*self.first, *arguments, **self.named)


def _found(name: str) -> Any:
    module, _, path = name.partition(":")
    if not module or module in NO_KERNELS:
        return None
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found if callable(found) else None
