"""How rows are divided among workers."""

from __future__ import annotations


def slices(count: int, workers: int) -> list[slice]:
    """At most ``workers`` slices of nearly the same length that make up ``range(count)``."""
    size = max(-(-count // workers), 1)
    return [slice(at, min(at + size, count)) for at in range(0, count, size)]
