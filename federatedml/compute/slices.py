"""How rows are divided: among workers, into messages."""

from __future__ import annotations

WORTH_A_WORKER = 1000  # rows of some tens of microseconds: what starting a process costs


def slices(count: int, workers: int, least: int = WORTH_A_WORKER) -> list[slice]:
    """At most ``workers`` slices of nearly the same length that make up ``range(count)``.

    Args:
        least: rows that a slice has, if there are as many.
    """
    return chunks(count, max(-(-count // workers), least))


def chunks(count: int, size: int) -> list[slice]:
    """Slices of ``size`` rows, the last of what is left, that make up ``range(count)``."""
    return [slice(at, min(at + size, count)) for at in range(0, count, size)]
