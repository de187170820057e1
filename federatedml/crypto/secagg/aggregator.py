"""The aggregator's side of plain pairwise masks: it adds, one message at a time, and sees nothing before the last."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.errors import ProtocolError
from federatedml.federation.party import Member


class Sum:
    """The sum of one topic and round.

    Args:
        length: words of a contribution.

    Attributes:
        missing: contributors whose words have not come.
        total: of the words that came; uniform while the masks of somebody are missing.
    """

    def __init__(self, contributors: Iterable[Member], length: int) -> None:
        self.missing, self.total = set(contributors), np.zeros(length, np.uint64)

    def add(self, member: Member, words: Words) -> None:
        """Take one contribution; ``ProtocolError`` (``FED-766``) unless it is the first of a contributor, of the right
        length and kind."""
        if member not in self.missing:
            raise ProtocolError("FED-766", f"{member} contributes twice, or does not contribute")
        if words.shape != self.total.shape or words.dtype != np.uint64:
            text = f"{member} sent {words.dtype} words of shape {words.shape}, {self.total.shape} were agreed on"
            raise ProtocolError("FED-766", text)
        self.missing.remove(member)
        np.add(self.total, words, out=self.total)

    def numbers(self, fixed: FixedPoint) -> Floats:
        """The sum, (length,); ``ProtocolError`` (``FED-766``) while a contribution is missing: it means nothing."""
        if self.missing:
            absent = ", ".join(sorted(map(str, self.missing)))
            raise ProtocolError("FED-766", f"{absent} did not contribute: masks do not cancel without")
        return fixed.decode(self.total)
