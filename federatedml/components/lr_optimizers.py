"""FATE's optimisers. All are element-wise: each party runs its own on its own gradient, as one would on all of them.

Formulas are those of FATE 1.11 (``federatedml/optim/optimizer.py``): g the mean gradient of a batch, r the rate of the
epoch, m and v what is remembered, every operation per weight.

    sgd                     w - r g
    rmsprop                 v = .99 v + .01 g^2                      w - r g / sqrt(v + 1e-6)
    adagrad                 v = v + g^2                              w - r g / (sqrt(v) + 1e-7)
    adam                    m = .9 m + .1 g, v = .999 v + .001 g^2   w - r M / (sqrt(V) + 1e-8), M and V without bias
    nesterov_momentum_sgd   u = .9 m - r g                           w - (.9 m - 1.9 u), then m = u

L2 also takes r alpha w off, L1 moves each weight r alpha towards zero and not beyond; the intercept is free of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federatedml.components.lr_params import LogisticTraining
from federatedml.crypto.lr_shapes import Pace
from federatedml.crypto.ring import Floats

MOMENTUM = 0.9
MEAN_KEPT, SQUARE_KEPT = 0.9, 0.999  # adam
RMS_KEPT = 0.99


@dataclass(frozen=True)
class Memory:
    """What an optimiser keeps between steps; a checkpoint holds it.

    Attributes:
        mean: (k,) of gradients (adam), or the last move (nesterov).
        square: (k,) of squared gradients.
        steps: so far.
    """

    mean: Floats
    square: Floats
    steps: int = 0

    @classmethod
    def blank(cls, count: int) -> Memory:
        """Before the first step."""
        return cls(np.zeros(count), np.zeros(count))

    def state(self) -> dict[str, Floats | int]:
        """For ``Box.checkpoint``."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    @classmethod
    def of(cls, state: Mapping[str, object]) -> Memory:
        """What ``state`` gave."""
        return cls(np.asarray(state["mean"], float), np.asarray(state["square"], float), int(str(state["steps"])))


def rate(p: LogisticTraining, epoch: int) -> float:
    """The rate of an epoch, counted from 0."""
    return Pace(p.learning_rate, p.decay, p.decay_sqrt).at(epoch)


def stepped(
    p: LogisticTraining, weights: Floats, gradient: Floats, epoch: int, memory: Memory, intercept: bool
) -> tuple[Floats, Memory]:
    """Weights after a step, and what the optimiser keeps.

    Args:
        weights, gradient: (k,) of this party, the mean over the batch.
        intercept: whether the last weight is one.
    """
    r = rate(p, epoch)
    change, memory = _change(p.optimizer, r, gradient, memory)
    shrink = np.full(len(weights), r * p.alpha)
    if intercept:
        shrink[-1] = 0.0
    moved = weights - change
    if p.penalty == "L2":
        moved = moved - shrink * weights
    if p.penalty == "L1":
        moved = np.sign(moved) * np.maximum(np.abs(moved) - shrink, 0.0)
    return moved, memory


def penalty_loss(p: LogisticTraining, weights: Floats, intercept: bool) -> float:
    """What the penalty of these weights adds to the mean loss, as FATE reports it."""
    free = weights[:-1] if intercept else weights
    if p.penalty == "L2":
        return float(p.alpha * (free @ free) / 2)
    return float(p.alpha * np.abs(free).sum()) if p.penalty == "L1" else 0.0


def _change(optimizer: str, r: float, g: Floats, memory: Memory) -> tuple[Floats, Memory]:
    m, v, steps = memory.mean, memory.square, memory.steps + 1
    match optimizer:
        case "rmsprop":
            v = RMS_KEPT * v + (1 - RMS_KEPT) * g * g
            return r * g / np.sqrt(v + 1e-6), Memory(m, v, steps)
        case "adagrad":
            v = v + g * g
            return r * g / (np.sqrt(v) + 1e-7), Memory(m, v, steps)
        case "adam":
            m, v = MEAN_KEPT * m + (1 - MEAN_KEPT) * g, SQUARE_KEPT * v + (1 - SQUARE_KEPT) * g * g
            mean, square = m / (1 - MEAN_KEPT**steps), v / (1 - SQUARE_KEPT**steps)
            return r * mean / (np.sqrt(square) + 1e-8), Memory(m, v, steps)
        case "nesterov_momentum_sgd":
            u = MOMENTUM * m - r * g
            return MOMENTUM * m - (1 + MOMENTUM) * u, Memory(u, v, steps)
        case _:
            return r * g, Memory(m, v, steps)
