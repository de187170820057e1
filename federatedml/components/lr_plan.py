"""What a training under protocol ``shared`` may be: sizes, steps, and how much the released weights tell.

A party's final weights are functions of the other party's data, in the worst case one exact linear equation each (one
step over all rows from zeros). So a table must have clearly more rows than any party has weights. The rule looks at one
training only: models trained on the same two tables by several components or jobs add up, which nobody counts yet.
"""

from __future__ import annotations

import logging

from federatedml.components.lr_params import LogisticParams
from federatedml.crypto.dealer import Plan
from federatedml.crypto.encoding import choose
from federatedml.crypto.shared_linear import batch_sizes
from federatedml.errors import DataError
from federatedml.federation.topic import MIB

log = logging.getLogger(__name__)

MAX_CELLS = 2**29  # values of both parties: the dealer keeps a mask of each in memory
MAX_COLUMNS = 2**20
LEAST_ROWS = 2  # per weight of a party: fewer are refused
GOOD_ROWS = 10  # per weight of a party: fewer are warned of
FEATURES_BYTES = 1024 * MIB  # one message: a party's columns of one batch
CORRECTIONS_BYTES = 1024 * MIB
ENVELOPE = 4096  # bytes of a message besides its words


def training_plan(p: LogisticParams, rows: int, guest: int, host: int) -> Plan:
    """The plan of public numbers, the same at all three parties.

    Args:
        rows: of the table.
        guest, host: weights of the two parties, the guest's with the intercept.

    Raises:
        DataError: the table is too small, too large, or a step too small for the fixed-point numbers.
    """
    if rows < 1 or not 0 < guest <= MAX_COLUMNS or not 0 < host <= MAX_COLUMNS:
        raise DataError("FED-252", f"{rows} rows, {guest} guest and {host} host columns", "at least one of each")
    if rows * (guest + host) > MAX_CELLS:
        raise DataError("FED-252", f"{rows} rows by {guest + host} columns", f"at most {MAX_CELLS} values")
    for role, weights in (("guest", guest), ("host", host)):
        _check_equations(role, weights, rows)
    encoding = choose(p.learning_rate, rows, rows if p.batch_size == -1 else min(p.batch_size, rows), p.max_iter)
    if 0 < p.shrinkage < 2.0 ** (4 - encoding.gradient_bits):
        raise DataError(
            "FED-250",
            f"learning_rate * alpha of {p.shrinkage:g} is too small a shrinkage for protocol 'shared'",
            f"at least 2^{4 - encoding.gradient_bits}, or penalty NONE",
        )
    plan = Plan(encoding, guest, host, batch_sizes(rows, p.batch_size), p.learning_rate, p.shrinkage)
    _check_messages(plan)
    return plan


def _check_equations(role: str, weights: int, rows: int) -> None:
    if weights * LEAST_ROWS > rows:
        raise DataError(
            "FED-259",
            f"the {role} has {weights} weights for {rows} rows: they would tell too much of the other party's data",
            f"at least {LEAST_ROWS} rows per weight: take fewer columns or more rows",
        )
    if weights * GOOD_ROWS > rows:
        text = "the %s has %d weights for %d rows: they are that many equations in the other party's data"
        log.warning(text, role, weights, rows)


def _check_messages(plan: Plan) -> None:
    """The largest messages, before anything is sent."""
    columns = max(plan.guest, plan.host)
    words = max(plan.batches[0] * columns, plan.correction_words(0))
    if 8 * words + ENVELOPE > min(FEATURES_BYTES, CORRECTIONS_BYTES):
        raise DataError(
            "FED-252",
            f"batches of {plan.batches[0]} rows by {columns} columns do not fit a message",
            "a smaller batch_size",
        )
