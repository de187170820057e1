"""What a party lets a peer learn over many jobs: sums that are kept beyond the step, with a limit each.

One intersection tells little, a thousand on changing lists tell all; one released model is a few equations in the
labels, a hundred models on the same rows are enough to solve them. Whoever computes says what is about to be spent,
*before* the message that tells it leaves, and stops if the answer is an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Protocol


class Budget(Protocol):
    """The party's own account, kept over jobs."""

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        """Note that ``peer`` learns ``amount`` more.

        Args:
            kind: what is spent, a key of the policy's ``budgets``, for example ``psi_ids`` or ``equations``.
            peer: the party that learns.
            subject: digest of what it is about (a table, a pair of tables); sums are kept per subject.
            amount: at least 1. A repeated attempt of the same step spends nothing again.
            most: limit that the computation itself states; the policy's own limit holds besides.

        Returns:
            The sum so far, with this amount.

        Raises:
            PolicyError: the sum would pass a limit; nothing is noted.
        """
        ...


def accounts(tables: Sequence[str]) -> list[str]:
    """Subjects of a party's stored tables, one each: neither a changed table nor one more of them is a new account."""
    return [hashlib.sha256(json.dumps([name]).encode()).hexdigest() for name in sorted(tables)]


class Unlimited:
    """Counts nothing: simulation, notebooks."""

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        """See ``Budget``."""
        return amount


UNLIMITED = Unlimited()
