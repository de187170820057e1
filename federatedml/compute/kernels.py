"""Compiled loops: numba without the interpreter lock, so that threads share the cores.

The machine code is kept beside the source, or in the user's cache folder where the installation is read-only. Every
compiled kernel has a twin in NumPy, with which tests compare it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile at the first call for the types that come. Integers wrap; nothing is checked: check shapes before."""
    return cast(F, numba.njit(function, nogil=True, cache=True))
