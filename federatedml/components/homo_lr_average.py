"""The rounds of HomoLR at the arbiter: it adds what the contributors hand in, and learns averages only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from federatedml.components.homo_lr_agreement import told_columns
from federatedml.components.homo_lr_looks import judge
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.homo_lr_rounds import AVERAGE, UPDATE, scale
from federatedml.components.lr_validation import Patience
from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.steps import take_sum, take_weights
from federatedml.federation.box import Box
from federatedml.federation.checkpoint import State
from federatedml.federation.wire import Array


@dataclass
class Averages:
    """What the arbiter keeps: the newest average, and what was decided."""

    weights: Floats
    losses: list[float] = field(default_factory=list)
    stopped: bool = False
    converged: bool = False


def aggregate(p: HomoLogisticParams, box: Box) -> Averages:
    """At the arbiter: average each round, tell all, and test for convergence."""
    found, patience = Averages(np.zeros(0)), Patience(p)
    if box.resume is not None:
        found = _restored(box.resume.state)
        patience.restore(np.atleast_1d(np.asarray(box.resume.state["looks"], float)).tolist())
    count = told_columns(p, box) + p.init_param.fit_intercept
    if found.stopped:
        return found
    take_weights(box)
    while not found.stopped:
        round = len(found.losses)
        mean = take_sum(box, UPDATE, count + 1, scale(box), round)
        _advance(p, found, mean[:-1], float(mean[-1]))
        stop: Array = np.array([found.stopped, found.converged], np.uint8)
        box.send(AVERAGE, {"weights": found.weights, "loss": mean[-1:], "stop": stop}, round)
        now = p.epochs_after(round + 1)
        box.metric("train", "loss", now, found.losses[-1], round=round + 1)
        if p.early_stopping_rounds is not None and p.looks_after(round + 1):
            found.stopped |= judge(p, box, patience, now, round + 1).ended
        box.checkpoint(round + 1, {**_kept(found), "looks": patience.state()})
        box.progress(now / p.max_iter, f"epoch {now} of at most {p.max_iter}")
    return found


def _advance(p: HomoLogisticParams, found: Averages, weights: Floats, loss: float) -> None:
    """A round's averages, and whether training goes on: FATE's three tests."""
    before = found.losses[-1] if found.losses else np.inf
    moved = float(np.linalg.norm(weights - found.weights)) if found.losses else np.inf
    found.converged = {
        "diff": abs(before - loss) < p.eps,
        "abs": abs(loss) <= p.eps,
        "weight_diff": moved < p.eps,
    }[p.converge_func]
    found.weights = weights
    found.losses.append(loss)
    found.stopped = found.converged or len(found.losses) >= p.rounds


def _kept(found: Averages) -> State:
    return {
        "weights": found.weights,
        "losses": found.losses,
        "stopped": int(found.stopped),
        "converged": int(found.converged),
    }


def _restored(state: State) -> Averages:
    losses = np.atleast_1d(np.asarray(state["losses"], float)).tolist()
    stopped, converged = (bool(int(str(state[name]))) for name in ("stopped", "converged"))
    return Averages(np.asarray(state["weights"]), losses, stopped, converged)
