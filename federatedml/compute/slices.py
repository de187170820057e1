"""How rows are divided among workers."""

from __future__ import annotations

WORTH_A_WORKER = 1000  # rows of some tens of microseconds: what starting a process costs


def slices(count: int, workers: int, least: int = WORTH_A_WORKER) -> list[slice]:
    """At most ``workers`` slices of nearly the same length that make up ``range(count)``.

    Args:
        least: rows that a slice has, if there are as many.
    """
    size = max(-(-count // workers), least)
    return [slice(at, min(at + size, count)) for at in range(0, count, size)]
