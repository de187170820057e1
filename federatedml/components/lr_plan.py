"""What a training under protocol ``shared`` may be: sizes, steps, and how much the released weights tell.

A party's final weights are functions of the others' data, in the worst case one exact linear equation each (one step
over all rows from zeros). So a table must have clearly more rows than any party has weights; models on the same rows
add up, by components and jobs, which ``lr_release`` counts. Optimisers that divide by the root of squared gradients
need the gradient in clear at its owner: its batches then follow the rule of ``lr_batches``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from federatedml.components.lr_batches import batches, counted
from federatedml.components.lr_optimizers import MOMENTUM
from federatedml.components.lr_params import ADAPTIVE, LogisticParams
from federatedml.crypto.encoding import MAX_SCALE, Encoding, choose
from federatedml.crypto.lr_shapes import Motion, Pace, Plan
from federatedml.crypto.ring import Floats
from federatedml.crypto.shared_linear import batch_sizes
from federatedml.errors import DataError
from federatedml.federation.party import Member
from federatedml.federation.topic import MIB

log = logging.getLogger(__name__)

MAX_CELLS = 2**29  # values of all parties: the dealer keeps a mask of each in memory
MAX_COLUMNS = 2**20
LEAST_ROWS = 2  # per weight of a party: fewer are refused
SMALL_REST = 4  # times as large as a rest is a batch at most, or it takes the rest in
GOOD_ROWS = 10  # per weight of a party: fewer are warned of
FEATURES_BYTES = 1024 * MIB  # one message: a party's columns of one batch
CORRECTIONS_BYTES = 1024 * MIB
ROWS_BYTES = 256 * MIB  # one message: a word for each row of a batch
ENVELOPE = 4096  # bytes of a message besides its words


def motion_of(p: LogisticParams) -> Motion:
    """How weights move under these parameters."""
    opened = p.optimizer in ADAPTIVE
    momentum = MOMENTUM if p.optimizer == "nesterov_momentum_sgd" else 0.0
    penalty = p.alpha if p.penalty == "L2" and not opened else 0.0
    exact = not opened and bool(momentum or penalty or p.converge_func == "weight_diff")
    return Motion(momentum, penalty, exact, opened)


def training_plan(p: LogisticParams, rows: int, columns: Mapping[Member, int], validation: int = 0) -> Plan:
    """The plan of public numbers, the same at all parties.

    Args:
        rows: of the table.
        columns: weights of guest and hosts, the guest's with the intercept.
        validation: rows that are looked at during training.

    Raises:
        DataError: the table is too small, too large, or a step too small for the fixed-point numbers.
    """
    told = counted(columns)
    if rows < 1 or validation < 0 or not all(0 < count <= MAX_COLUMNS for count in columns.values()):
        raise DataError("FED-252", f"{rows} rows, {told}", "at least one of each")
    if (rows + validation) * sum(columns.values()) > MAX_CELLS:
        raise DataError("FED-252", f"{rows} rows, {told}", f"at most {MAX_CELLS} values")
    for member, weights in sorted(columns.items()):
        _check_equations(member, weights, rows)
    motion, pace = motion_of(p), Pace(p.learning_rate, p.decay, p.decay_sqrt)
    sizes = batches(p, rows, columns) if motion.opened else closed_batches(p, rows, columns)
    slowest = 1.0 if motion.opened else pace.at(p.max_iter - 1)
    wide = p.max_iter > 100 or p.learning_rate >= 1 or bool(motion.momentum) or motion.opened
    encoding = choose(slowest, rows, max(sizes), wide, p.weighs_rows)
    _check_shrinkage(motion.penalty * slowest, encoding)
    counts = tuple(columns[member] for member in sorted(columns))
    plan = Plan(
        encoding, counts, sizes, pace, motion, p.init_param.fit_intercept, validation, p.converge_func == "weight_diff"
    )
    _check_messages(plan)
    return plan


def closed_batches(p: LogisticParams, rows: int, columns: Mapping[Member, int]) -> tuple[int, ...]:
    """Rows of each batch whose gradient nobody sees: ``batch_size`` each, the rest in the last.

    A step is the mean of its batch, so that a row of a small rest counts for as many rows of the others as a batch is
    larger, and released weights would be about the rest. Then it joins the batch before it, and always below a quarter
    of a batch: whether a class has enough rows there would be chance; near the limit of rows per
    weight, all rows are one batch. Rows that are weighed, nobody but the guest knows how, get more room.
    """
    sizes = batch_sizes(rows, p.batch_size)
    joined = (*sizes[:-2], sum(sizes[-2:]))
    sizes = joined if sizes[-1] * SMALL_REST < sizes[0] else sizes
    least = (GOOD_ROWS if p.weighs_rows else LEAST_ROWS) * max(columns.values())
    return next((found for found in (sizes, joined) if _count_as(found) >= least), (rows,))


def _count_as(sizes: Sequence[int]) -> float:
    """``effective_rows`` of rows that weigh one over the rows of their batch."""
    return min(sizes) ** 2 * sum(1 / size for size in sizes)


def check_steps(plan: Plan, features: Floats) -> None:
    """Whether steps with momentum stay below what the fixed-point numbers hold, in the worst case.

    Args:
        features: (n, k) own columns in the order of the batches.

    Raises:
        DataError: the learning rate is too large for columns of this size.
    """
    if not plan.motion.momentum:
        return
    starts = np.concatenate([[0], np.cumsum(plan.batches)[:-1]])
    means = np.add.reduceat(np.abs(features), starts) / np.array(plan.batches)[:, None]
    scale = MAX_SCALE if plan.encoding.weighted else 1
    worst = plan.pace.at(0) * scale * float(means.max()) / (1 - plan.motion.momentum)
    if worst > plan.most_change:
        raise DataError(
            "FED-723",
            f"steps with momentum might pass {plan.most_change:g}, which the numbers of protocol 'shared' do not hold",
            "a smaller learning_rate, standardised columns, or optimizer sgd",
        )


def _check_shrinkage(shrinkage: float, encoding: Encoding) -> None:
    least = 4 - encoding.gradient_bits
    if 0 < shrinkage < 2.0**least:
        raise DataError(
            "FED-250",
            f"learning_rate * alpha of {shrinkage:g} is too small a shrinkage for protocol 'shared'",
            f"at least 2^{least}, or penalty NONE",
        )


def _check_equations(member: Member, weights: int, rows: int) -> None:
    if weights * LEAST_ROWS > rows:
        raise DataError(
            "FED-259",
            f"the {member.role} has {weights} weights for {rows} rows: they would tell too much of the others' data",
            f"at least {LEAST_ROWS} rows per weight: take fewer columns or more rows",
        )
    if weights * GOOD_ROWS > rows:
        text = "the %s has %d weights for %d rows: they are that many equations in the other party's data"
        log.warning(text, member.role, weights, rows)


def _check_messages(plan: Plan) -> None:
    """The largest messages, before anything is sent."""
    columns, largest = max(plan.columns), plan.batches.index(max(plan.batches))
    rows = plan.batches[largest]
    words = max(rows * columns, plan.validation * columns, plan.correction_words(largest), 4 * rows)
    if 8 * words + ENVELOPE > min(FEATURES_BYTES, CORRECTIONS_BYTES):
        raise DataError(
            "FED-252",
            f"batches of {rows} rows by {columns} columns do not fit a message",
            "a smaller batch_size",
        )
