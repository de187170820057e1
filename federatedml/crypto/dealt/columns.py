"""The counter of used columns: a mask hides one message, once, over all attempts and jobs that a seed lives through."""

from __future__ import annotations

import threading
from collections.abc import Callable

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
