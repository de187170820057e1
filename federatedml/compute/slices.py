"""How rows are divided: among workers, into messages."""

from __future__ import annotations


def slices(count: int, workers: int) -> list[slice]:
    """At most ``workers`` slices of nearly the same length that make up ``range(count)``."""
    return chunks(count, max(-(-count // workers), 1))


def chunks(count: int, size: int) -> list[slice]:
    """Slices of ``size`` rows, the last of what is left, that make up ``range(count)``."""
    return [slice(at, min(at + size, count)) for at in range(0, count, size)]
