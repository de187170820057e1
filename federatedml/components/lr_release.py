"""What released weights and predictions tell, counted over jobs before it is told.

The final weights of a party are up to as many linear equations in the others' data as it has columns. Models that are
trained on the same rows add up, whatever job or component trains them: with as many equations as rows, labels are
solved by least squares (threats T9, T10). So each party counts, per peer and stored table, the weights that the peer
learns, and stops above half as many as there are rows (the guest, who knows: as rows count by their weights, or above
the rows of the rarer class); per set of rows, where it is not known which table they are of.
Predictions are counted in rows.
"""

from __future__ import annotations

import logging

from federatedml.components.lr_counted_rows import Counted
from federatedml.components.lr_plan import GOOD_ROWS, LEAST_ROWS
from federatedml.crypto.shared_linear import ids_digest
from federatedml.data.table import Table
from federatedml.federation.box import Box
from federatedml.federation.budget import accounts
from federatedml.federation.party import Member, Role

EQUATIONS, ROWS = "equations", "predicted_rows"
log = logging.getLogger(__name__)


def count_weights(box: Box, table: Table, columns: dict[Member, int], counted: Counted | None = None) -> int:
    """Before final shares are sent: each other party learns the weights of its own columns.

    Args:
        counted: what the rows count as, at the guest: with few that weigh, or few of a class, fewer weights are enough.

    Returns:
        the largest sum that a party has learned of the own tables, this model included.

    Raises:
        PolicyError: a sum would pass half the rows, or the policy's own limit.
    """
    subjects = accounts(box.tables) or [ids_digest(sorted(table.ids.tolist())).hex()]
    rows = len(table) if counted is None else counted.of_host
    most, sums = len(table) // (LEAST_ROWS * table.copies) if counted is None else counted.most, [0]
    for member, count in sorted(columns.items()):
        if member != box.me:
            sums += [box.budget.spend(EQUATIONS, member.party, subject, count, most) for subject in subjects]
            if counted is not None and counted.group:
                box.budget.spend(EQUATIONS, member.party, counted.group, count, int(counted.of_class))
    if max(sums) * GOOD_ROWS > rows:
        log.warning("all models on these %d rows have told a party %d equations in the others' data", rows, max(sums))
    return max(sums)


def count_rows(box: Box, rows: int) -> None:
    """Before the own part of scores is sent to the guest: a linear view of the own columns, row by row.

    Raises:
        PolicyError: the policy's limit of rows is passed.
    """
    for member in box.members:
        if member.role is Role.GUEST and rows:
            box.budget.spend(ROWS, member.party, "", rows)
