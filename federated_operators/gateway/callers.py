"""Which party a certificate stands for. Checking a signature takes a fraction of a millisecond: not on every call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from federatedml.federation.identity import verify_leaf

FRESH_S = 30.0  # for which a leaf that was valid is believed
MOST = 64  # leaves that are remembered


class Callers:
    """Leaf certificates that were checked lately.

    Args:
        pinned: party id -> PEM of that party's CA.
        clock: monotonic seconds.
    """

    def __init__(self, pinned: Mapping[str, bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._pinned, self._clock = pinned, clock
        self._known: dict[bytes, tuple[str, float]] = {}

    def party(self, leaf: bytes) -> str:
        """The party of a leaf (PEM); ``PolicyError`` as ``verify_leaf``."""
        now = self._clock()
        party, until = self._known.get(leaf, ("", now))
        if until > now:
            return party
        party = verify_leaf(leaf, self._pinned)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[leaf] = (party, now + FRESH_S)
        return party
