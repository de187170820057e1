"""What was refused, in the record of events: the first of a kind at once, what follows as a number.

Whoever has a certificate could fill the disk otherwise: every refusal is a synced write.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from federated_operators.gateway.store import Store
from federatedml.errors import FedError

EVERY_S = 60.0  # a kind of refusal is written at most so often
_Kind = tuple[str, str, str]  # event, party, code: all from short lists of our own


@dataclass
class _Seen:
    written: float  # monotonic
    more: int = 0
    last: str = ""


class Refusals:
    """Refusals of one gateway.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._seen: dict[_Kind, _Seen] = {}

    def note(self, event: str, error: FedError, party: str = "") -> None:
        """Something of ``party`` (empty: of somebody unknown) was refused."""
        kind, now = (event, party, error.code), self._clock()
        seen = self._seen.get(kind)
        if seen is None or (now - seen.written >= EVERY_S and not seen.more):
            self._store.event(event, party=party, reason=str(error))
            self._seen[kind] = _Seen(now)
        else:
            seen.more, seen.last = seen.more + 1, str(error)

    def write(self) -> None:
        """Write the numbers of what came since, where it is time."""
        now = self._clock()
        for (event, party, _), seen in self._seen.items():
            if seen.more and now - seen.written >= EVERY_S:
                reason = f"{seen.more} more within {now - seen.written:.0f} s, the last one: {seen.last}"
                self._store.event(event, party=party, reason=reason)
                seen.written, seen.more = now, 0
