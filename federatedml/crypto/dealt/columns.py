"""The counter of used columns: a mask hides one message, once, over all attempts and jobs that a seed lives through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from federatedml.errors import ProtocolError


class Columns:
    """Columns of one map, handed out in order.

    Args:
        planned: how many the plan allows.
        used: the count that was stored last; 0 for a map that is new.
        store: makes the new count durable. It is called *before* the columns are handed out, so nothing that they mask
            has been sent if it fails, and a run that starts again from the stored count never meets a used one.
    """

    def __init__(self, planned: int, used: int = 0, store: Callable[[int], None] = lambda _: None) -> None:
        self.planned, self._used, self._store = planned, used, store
        self._turn = threading.Lock()

    @property
    def used(self) -> int:
        """Columns that must not be used again."""
        return self._used

    def take(self, count: int) -> range:
        """The next columns.

        Raises:
            ProtocolError: FED-714, the plan does not allow as many.
        """
        with self._turn:
            columns = range(self._used, self._used + count)
            if count < 1 or columns.stop > self.planned:
                raise ProtocolError("FED-714", f"{count} vectors more than {self._used}, planned are {self.planned}")
            self._store(columns.stop)
            self._used = columns.stop
            return columns

    def start(self, column: int) -> None:
        """Leave all columns before ``column`` unused, for good.

        Raises:
            ProtocolError: FED-714, it is behind the next one, or beyond the plan.
        """
        with self._turn:
            if not self._used <= column <= self.planned:
                raise ProtocolError("FED-714", f"no start at column {column}: used {self._used} of {self.planned}")
            self._store(column)
            self._used = column


class Ledger(Protocol):
    """Where the counts of maps are kept as long as their seed lives."""

    def columns(self, name: bytes, planned: int) -> Columns:
        """The counter of the map with this name."""
        ...


class OneAttempt:
    """For seeds that end with the attempt: every map is new."""

    def columns(self, name: bytes, planned: int) -> Columns:
        """See ``Ledger``."""
        return Columns(planned)


ONE_ATTEMPT = OneAttempt()
