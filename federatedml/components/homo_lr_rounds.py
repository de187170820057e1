"""The rounds of HomoLR at a contributor: train alone, hand in weights and loss under masks, go on from the average.

Masks of a round depend on all averages so far. An arbiter that tells contributors different ones, so that the steps of
all but one are known (weights beyond which no residual is left), gets nothing that cancels, in this round or a later
one, whatever optimisers remember.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federatedml.components.common_rows import expect
from federatedml.components.homo_lr_looks import followed, judged, look
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.homo_lr_steps import HeldOut, Rows, Trainer
from federatedml.components.lr_optimizers import Memory
from federatedml.components.lr_result import History
from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.client import MIN_CONTRIBUTORS, Client
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.steps import (
    AGGREGATOR,
    CONTRIBUTORS,
    SECURE_SUM,
    contributors,
    join,
    send_sum,
    sum_topic,
    weigh,
)
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.checkpoint import State
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Tensors

MOST_PART = 0.9  # of the weight of all rows: of a larger one the average is nearly that contributor's own update
BOUND = 2.0**20  # of a weight or a loss, times the part of all rows

UPDATE = sum_topic("update", "weights and training losses, each times its sender's part of all rows: their averages")
AVERAGE = Topic(
    "average",
    AGGREGATOR,
    CONTRIBUTORS,
    Tensors({"weights": ("<f8", 1), "loss": ("<f8", 1), "stop": ("|u1", 1)}),
    Carries.AGGREGATE,
    "the averages of all contributors' weights and losses after each round, and when training has converged; of two "
    "contributors, each learns the other's: as many equations in the other's rows as there are weights, each round",
)
TOPICS = (*SECURE_SUM, UPDATE, AVERAGE)


def scale(box: Box) -> FixedPoint:
    """Of updates: the same at all members."""
    return FixedPoint.finest(BOUND, len(contributors(box)))


@dataclass
class Run:
    """A contributor's part in a training.

    Attributes:
        weights: (k,) the newest average.
        best: the average when all contributors' held-out rows looked best.
        path: digest of the first weights and all averages since.
    """

    p: HomoLogisticParams
    box: Box
    trainer: Trainer
    held_out: HeldOut | None
    weights: Floats
    history: History
    best: Floats
    path: bytes
    round: int = 0

    @property
    def final(self) -> Floats:
        """Weights of the model."""
        return self.best if self.history.best else self.weights


def contribute(p: HomoLogisticParams, box: Box, rows: Rows, start: Floats, held: HeldOut | None, larger: float) -> Run:
    """Train in rounds until the arbiter, or what held-out rows say, ends it."""
    run = Run(p, box, Trainer.of(p, rows, larger), held, start, History(), np.zeros(0), followed(b"", start))
    _restore(run)
    if run.history.stopped:
        return run
    client = join(box, p.min_contributors)
    share, fixed = weigh(box, client, p.party_weight * rows.weight), scale(box)
    _check_part(p, box, share)
    while not run.history.stopped:
        weights, loss = _trained(run)
        send_sum(box, client, UPDATE, np.append(weights, loss), fixed, run.round, share, run.path)
        _take(run)
        if p.looks_after(run.round):
            _look(run, client)
        box.checkpoint(run.round, _state(run))
        box.progress(run.history.epochs / p.max_iter, f"epoch {run.history.epochs} of at most {p.max_iter}")
    return run


def _check_part(p: HomoLogisticParams, box: Box, share: float) -> None:
    """Whether enough of the average is of others to hide in, as two contributors have not (``min_contributors``).

    Raises:
        DataError: ``FED-941``, before the first update leaves.
    """
    if share > MOST_PART and p.min_contributors >= MIN_CONTRIBUTORS:
        raise DataError(
            "FED-941",
            f"HomoLR: the rows of {box.me} are more than {MOST_PART:.0%} of the weight of all rows: the average would "
            "show the others its update, as if they were two",
            f"party_weight, sample_weight_name, class_weight: its part is {share:.4f}, allowed: up to {MOST_PART}; "
            "evener weights, or min_contributors 2 if all agree to that",
        )


def _trained(run: Run) -> tuple[Floats, float]:
    """Weights after a round's epochs, and the loss of the last one."""
    weights, loss = run.weights, 0.0
    for epoch in range(run.history.epochs, run.p.epochs_after(run.round + 1)):
        weights, loss = run.trainer.epoch(weights, epoch)
    return weights, loss


def _take(run: Run) -> None:
    """Take a round's average, and what the arbiter says of it."""
    told, history = run.box.recv(AVERAGE, run.round), run.history
    most = BOUND * len(contributors(run.box))
    if max(np.abs(numbers).max(initial=0.0) for numbers in (told["weights"], told["loss"])) > most:
        raise ProtocolError("FED-896", f"an average is larger than contributions can make it, {most:g}")
    run.weights = expect(told["weights"], *run.weights.shape)
    run.path = followed(run.path, run.weights)
    loss, (stopped, converged) = float(expect(told["loss"], 1)[0]), expect(told["stop"], 2).astype(bool).tolist()
    run.round += 1
    history.epochs = run.p.epochs_after(run.round)
    history.losses.append(loss)
    run.box.metric("train", "loss", history.epochs, loss, round=run.round)
    history.stopped, history.converged = stopped or run.round >= run.p.rounds, converged


def _look(run: Run, client: Client) -> None:
    """Look at own held-out rows; those of all may end the training."""
    found = look(run.p, run.held_out, run.weights)
    for name, value in found.items():
        run.box.metric("validate", name, run.history.epochs, value, round=run.round)
    if run.p.early_stopping_rounds is None:
        return
    rows = 0 if run.held_out is None else len(run.held_out.positive)
    verdict = judged(run.p, run.box, client, found, rows, run.path, run.round)
    run.history.stopped |= verdict.ended
    if verdict.better:
        run.best, run.history.best = run.weights, run.history.epochs


def _restore(run: Run) -> None:
    if run.box.resume is None:
        return
    state = run.box.resume.state
    losses = np.atleast_1d(np.asarray(state["losses"], float)).tolist()
    run.round = run.box.resume.round
    stopped, converged, best = (int(str(state[name])) for name in ("stopped", "converged", "best"))
    run.history = History(run.p.epochs_after(run.round), losses, bool(stopped), bool(converged), best)
    run.weights, run.best = np.asarray(state["weights"]), np.asarray(state["best_weights"])
    run.path = np.asarray(state["path"], np.uint8).tobytes()
    run.trainer.memory = Memory(
        np.asarray(state["memory_mean"]), np.asarray(state["memory_square"]), int(str(state["memory_steps"]))
    )


def _state(run: Run) -> State:
    history = run.history
    return {
        "weights": run.weights,
        "path": np.frombuffer(run.path, np.uint8),
        "memory_mean": run.trainer.memory.mean,
        "memory_square": run.trainer.memory.square,
        "memory_steps": run.trainer.memory.steps,
        "losses": history.losses,
        "stopped": int(history.stopped),
        "converged": int(history.converged),
        "best": history.best,
        "best_weights": run.best,
    }
