"""CPU seconds of one operation: what floors are made of."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 0.1  # that an operation is repeated for


def cost(operation: Callable[[], object]) -> float:
    """CPU seconds of one call, after a first one that is not counted."""
    operation()
    calls, start = 0, time.process_time()
    while time.process_time() - start < SECONDS:
        operation()
        calls += 1
    return (time.process_time() - start) / calls
