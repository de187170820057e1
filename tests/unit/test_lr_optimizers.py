"""Each optimiser against its formula written out in scalars, penalties, rates that decay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from federatedml.components.lr_optimizers import Memory, penalty_loss, rate, stepped
from federatedml.components.lr_params import LogisticParams

RATE, GRADIENTS = 0.1, (2.0, -1.0, 0.5)


def params(**given: Any) -> LogisticParams:
    usual = {"penalty": "NONE", "learning_rate": RATE, "alpha": 0.5}
    return LogisticParams().model_copy(update=usual | given)


def scalar(optimizer: str) -> float:
    """A weight that starts at 1 and goes through the gradients."""
    w, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, 1):
        if optimizer == "sgd":
            w -= RATE * g
        elif optimizer == "rmsprop":
            v = 0.99 * v + 0.01 * g**2
            w -= RATE * g / math.sqrt(v + 1e-6)
        elif optimizer == "adagrad":
            v += g**2
            w -= RATE * g / (math.sqrt(v) + 1e-7)
        elif optimizer == "adam":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            w -= RATE * m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        else:
            u = 0.9 * m - RATE * g
            w, m = w + 1.9 * u - 0.9 * m, u
    return w


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adam", "nesterov_momentum_sgd"])
def test_every_optimiser_follows_its_formula(optimizer: str) -> None:
    p, w, memory = params(optimizer=optimizer), np.array([1.0, 5.0]), Memory.blank(2)
    for g in GRADIENTS:
        w, memory = stepped(p, w, np.array([g, 0.0]), 0, memory, intercept=False)
    assert w == pytest.approx([scalar(optimizer), 5.0], rel=1e-12)
    assert memory.steps == 3


def test_l2_takes_off_rate_times_alpha_of_each_weight_but_the_intercept() -> None:
    w, _ = stepped(params(penalty="L2"), np.array([2.0, 2.0]), np.array([1.0, 1.0]), 0, Memory.blank(2), intercept=True)
    assert w == pytest.approx([2 - RATE - RATE * 0.5 * 2, 2 - RATE])


def test_l1_moves_weights_to_zero_and_not_beyond() -> None:
    start, still = np.array([0.04, -0.04, 1.0, -1.0, 0.04]), np.zeros(5)
    w, _ = stepped(params(penalty="L1"), start, still, 0, Memory.blank(5), intercept=True)
    assert w == pytest.approx([0, 0, 0.95, -0.95, 0.04])


def test_the_rate_decays_with_the_epochs() -> None:
    assert [rate(params(), t) for t in (0, 9)] == [RATE, RATE]
    assert rate(params(decay=1.0), 3) == pytest.approx(RATE / 2)
    assert rate(params(decay=1.0, decay_sqrt=False), 3) == pytest.approx(RATE / 4)
    w, _ = stepped(params(decay=1.0, penalty="L2"), np.ones(1), np.ones(1), 3, Memory.blank(1), intercept=False)
    assert w == pytest.approx([1 - RATE / 2 - RATE / 2 * 0.5])


def test_penalties_count_in_the_loss_without_the_intercept() -> None:
    w = np.array([1.0, -2.0, 7.0])
    found = {penalty: penalty_loss(params(penalty=penalty), w, intercept=True) for penalty in ("L1", "L2", "NONE")}
    assert found == {"L1": 1.5, "L2": 1.25, "NONE": 0.0}


def test_memory_is_what_a_checkpoint_gives_back() -> None:
    memory = Memory(np.array([1.0]), np.array([2.0]), 3)
    assert Memory.of(memory.state()) == memory
