"""HeteroLR, protocol ``shared``: columns of two parties, who share all rows and show each other none.

The guest has labels y and columns X_g (with the intercept's), the host X_h. Weights w_g, w_h, the
predictor z = X_g w_g + X_h w_h, residuals and gradients are additive shares of guest and host modulo 2^64 until the
end; the arbiter deals correlated randomness (``crypto.dealer``) and hears of shapes and the number of epochs only.
Each batch takes three exchanges (five with L2):

    1. z: shares of the peer's weights, masked (without L2 they travel with the last message of the batch before)
    2. z - t for a dealt uniform angle t; sines of z are then local, and so is the residual (``crypto.series``)
    3. the residual drops bits under a mask
    4. masked residual, with it (no L2) the masked gradient of the peer's weights; with L2 one more for the rounding

Each epoch opens to the guest the loss and the root mean square of z: the residual is periodic, so training that runs
beyond the range of the series is stopped by the latter.

Parties: guest, one host, arbiter. Semi-honest; the arbiter colludes with nobody: with the guest it could unmask the
host, with the host the guest. Guest and host must talk directly, encrypted end to end (the gateways' mutual TLS).
Leaks: what the topics and ``learns`` below say. Cost: per batch of n rows and T sines 8 n (2 T + 5) bytes arbiter to
host, about 24 n bytes guest to host and back.
"""

from __future__ import annotations

import time

import numpy as np

from federatedml.component import Inputs, Outputs
from federatedml.components.linear_model import (
    binary_labels,
    checked_features,
    initial_weights,
    stacked,
    training_loss,
)
from federatedml.components.lr_agreement import AGREEMENT, BETWEEN, SHAPE, agree, expect, told_shapes
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import CORRECTIONS_BYTES, FEATURES_BYTES, training_plan
from federatedml.components.lr_predict import predicted, send_partial
from federatedml.components.lr_result import History, fitted, loss_curve, summary_of
from federatedml.crypto.dealer import Dealer, Plan
from federatedml.crypto.ring import Words, low
from federatedml.crypto.shared_linear import Side, batch_order, mean_loss, rms_predictor
from federatedml.crypto.stream import Stream, new_seed
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.checkpoint import State
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors, Vector

WORDS = Vector("<u8")
UNIFORM = "nothing: uniform without the arbiter's words"
LOSS_TOLERANCE = 0.02  # a loss below minus this is no loss but a sum that went round

SEED = Topic(
    "seed",
    (Role.ARBITER,),
    BETWEEN,
    Vector("|u1"),
    Carries.RANDOMNESS,
    "nothing: 32 random bytes of this attempt",
)
CORRECTIONS = Topic(
    "corrections",
    (Role.ARBITER,),
    (Role.HOST,),
    WORDS,
    Carries.RANDOMNESS,
    "nothing: shares of dealt randomness, uniform without the guest's seed",
    max_bytes=CORRECTIONS_BYTES,
)
LOSS_CORRECTION = Topic(
    "loss_correction",
    (Role.ARBITER,),
    (Role.HOST,),
    WORDS,
    Carries.RANDOMNESS,
    "nothing: a share of dealt randomness, uniform without the guest's seed",
)
FEATURES = Topic("masked_features", BETWEEN, BETWEEN, Vector("<u8", 2), Carries.MASKED, UNIFORM, FEATURES_BYTES)
LABELS = Topic("masked_labels", (Role.GUEST,), (Role.HOST,), WORDS, Carries.MASKED, UNIFORM)
WEIGHTS = Topic("masked_weights", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
ANGLE = Topic("masked_predictor", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
ROUNDING = Topic(
    "masked_rounding",
    BETWEEN,
    BETWEEN,
    WORDS,
    Carries.MASKED,
    "nothing: uniform without the arbiter's words (which way a value was rounded, not the value)",
)
RESIDUAL = Topic("masked_residual", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
STEP = Topic(
    "masked_step",
    BETWEEN,
    BETWEEN,
    Tensors({"residual": ("<u8", 1), "gradient": ("<u8", 1), "weights": ("<u8", 1)}),
    Carries.MASKED,
    UNIFORM,
)
UPDATE = Topic("masked_update", BETWEEN, BETWEEN, WORDS, Carries.MASKED, UNIFORM)
EPOCH = Topic(
    "epoch_sums",
    (Role.HOST,),
    (Role.GUEST,),
    Tensors({"linear": ("<u8", 1), "sums": ("<u8", 1)}),
    Carries.SHARES,
    "mean loss and root mean square of the predictor over all rows, once an epoch (two sums of 64 bits)",
)
DECISION = Topic(
    "decision",
    (Role.GUEST,),
    (Role.HOST,),
    Tensors({"stop": ("|u1", 1), "loss": ("<f8", 1)}),
    Carries.AGGREGATE,
    "mean loss over all rows to four digits, once an epoch, and when training stops",
)
STOP = Topic("stop", (Role.GUEST,), (Role.ARBITER,), Vector("|u1"), Carries.CONTROL, "the number of epochs")
FINAL = Topic(
    "final_shares", BETWEEN, BETWEEN, WORDS, Carries.SHARES, "the receiver's own weights, those of its own columns only"
)
TOPICS = (
    AGREEMENT,
    SHAPE,
    SEED,
    CORRECTIONS,
    LOSS_CORRECTION,
    FEATURES,
    LABELS,
    WEIGHTS,
    ANGLE,
    ROUNDING,
    RESIDUAL,
    STEP,
    UPDATE,
    EPOCH,
    DECISION,
    STOP,
    FINAL,
)

MODELS_ADD_UP = (
    "at least two rows per weight are demanded within one training; the equations of all models that are trained on "
    "the same two tables add up, by components and by jobs, and their sum is not limited"
)
LEARNS = {
    Role.GUEST: (
        "the weights of its own columns and the intercept: up to that many equations in the host's data per model",
        MODELS_ADD_UP,
        "the host's part of the score of every row that is predicted",
        "together with the arbiter it could unmask the host's columns: the two must not collude",
    ),
    Role.HOST: (
        "the weights of its own columns: up to that many equations in the labels and the guest's columns per model",
        MODELS_ADD_UP,
        "together with the arbiter it could unmask labels and the guest's columns: the two must not collude",
    ),
    Role.ARBITER: (
        "nothing about data, provided that it cannot read what guest and host exchange: "
        "they talk directly, encrypted end to end",
        "a dishonest arbiter can spoil the model unseen: all parties are taken to follow the protocol",
    ),
}


def guest(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Train on the labels; gives predictions of all rows and the guest's part of the model."""
    table = inputs.one("train_data", "data")
    labels, classes = binary_labels(table)
    features = checked_features(table, p.init_param.fit_intercept)
    weights, history = _train(p, box, table, features, labels)
    model = fitted(p, table.header, weights, history, classes)
    parts = [predicted(box, model, table, 0, "train")]
    if inputs.data.get("eval_data"):
        parts.append(predicted(box, model, inputs.one("eval_data"), 1, "validate"))
    summary = summary_of(weights, history, len(table)) | {"loss": training_loss(parts[0])}
    return Outputs(stacked(parts), model, [loss_curve(history)], summary)


def host(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Train; gives the host's part of the model."""
    table = inputs.one("train_data", "data")
    features = checked_features(table, intercept=False)
    weights, history = _train(p, box, table, features, None)
    model = fitted(p, table.header, weights, history)
    send_partial(box, model, table, 0)
    if inputs.data.get("eval_data"):
        send_partial(box, model, inputs.one("eval_data"), 1)
    return Outputs(None, model, [loss_curve(history)], summary_of(weights, history, len(table)))


def arbiter(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Deal correlated randomness, epoch by epoch, until the guest says stop; its model holds parameters only."""
    rows, columns = told_shapes(p, box)
    by_role = {member.role: count for member, count in columns.items()}
    plan = training_plan(p, rows, by_role[Role.GUEST], by_role[Role.HOST])
    streams = {}
    for member in columns:
        seed = new_seed()
        box.send(SEED, np.frombuffer(seed, "|u1"), to=member)
        streams[member.role] = Stream(seed, box.attempt.context())
    epoch = box.resume.round if box.resume else 0
    stopped = bool(box.resume and box.resume.state["stopped"])
    dealer = Dealer(plan, streams[Role.GUEST], streams[Role.HOST])
    while not stopped and epoch < p.max_iter:
        for batch in range(len(plan.batches)):
            use = epoch * len(plan.batches) + batch
            box.send(CORRECTIONS, dealer.deal(batch, use), use)
        box.send(LOSS_CORRECTION, dealer.deal_loss(epoch), epoch)
        stopped = bool(box.recv(STOP, epoch).any())
        epoch += 1
        box.checkpoint(epoch, {"stopped": int(stopped)})
        box.progress(epoch / p.max_iter, f"epoch {epoch} dealt")
    return Outputs(model=fitted(p, [], np.zeros(0), History(epoch)), summary={"epochs": epoch})


def _train(p: LogisticParams, box: Box, table: Table, features: Array, labels: Array | None) -> tuple[Array, History]:
    """Own weights (intercept last) and the history; guest and host run the same lines."""
    (peer,) = agree(p, box, table, features.shape[1]).values()
    columns = (features.shape[1], peer) if labels is not None else (peer, features.shape[1])
    plan = training_plan(p, len(table), *columns)
    order = batch_order(table.ids)
    stream = Stream(box.recv(SEED).tobytes(), box.attempt.context())
    intercept = p.init_param.fit_intercept
    side = Side(plan, stream, features[order], None if labels is None else labels[order], intercept)
    history = _restore(p, box, side)
    if not history.stopped:
        _exchange_features(box, side)
        _epochs(p, box, side, history)
    received = _swap(box, FINAL, side.reduced(side.peer), 0, len(side.own))
    return side.opened_weights(received), history


def _epochs(p: LogisticParams, box: Box, side: Side, history: History) -> None:
    uses, told = len(side.plan.batches), 0.0
    masked = _swap(box, WEIGHTS, side.hidden_weights(history.epochs * uses), history.epochs * uses, len(side.own))
    while not history.stopped:
        side.start_epoch()
        for batch in range(uses):
            masked = _batch(box, side, batch, history.epochs * uses + batch, masked)
        close = _close_at_guest if side.guest else _close_at_host
        close(p, box, side, history)
        _keep(box, side, history)
        if history.stopped or time.monotonic() - told > 0.5:
            told = time.monotonic()
            box.progress(history.epochs / p.max_iter, f"epoch {history.epochs} of at most {p.max_iter}")


def _batch(box: Box, side: Side, batch: int, use: int, masked: Words) -> Words:
    """One step of the optimiser. Takes and returns the peer's share of my weights less its mask, (k,)."""
    plan, n, own = side.plan, side.plan.batches[batch], len(side.own)
    pads = side.pads(batch, use, None if side.guest else _corrections(box, plan, batch, use))
    z = side.predictor(batch, masked, pads)  # (n,) share
    mine = low(z - pads["angle"], plan.encoding.angle_bits)
    delta = low(mine + _swap(box, ANGLE, mine, use, n), plan.encoding.angle_bits)  # z - t
    mine = side.residual(batch, delta, pads) + pads["round"]
    r = side.rounded(batch, mine + _swap(box, ROUNDING, mine, use, n), pads)  # (n,) share of step (sigmoid(z) - y)
    hidden = r - pads["residual"]
    if plan.decay:
        d = _swap(box, RESIDUAL, hidden, use, n)
        mine = side.change(side.own_gradient(batch, r, d, pads), side.peer_gradient(batch, pads)) + pads["update"]
        side.step_both(mine + _swap(box, UPDATE, mine, use, len(mine)), pads)
        return _swap(box, WEIGHTS, side.hidden_weights(use + 1), use + 1, own)
    gradient = side.peer_gradient(batch, pads) + pads["drop"]
    side.step_peer(pads)
    box.send(STEP, {"residual": hidden, "gradient": gradient, "weights": side.hidden_weights(use + 1)}, use)
    got = box.recv(STEP, use)
    expect(got["residual"], n), expect(got["gradient"], own), expect(got["weights"], own)
    side.step_own(side.own_gradient(batch, r, got["residual"], pads) + got["gradient"])
    return got["weights"]


def _close_at_guest(p: LogisticParams, box: Box, side: Side, history: History) -> None:
    """Open loss and guard, decide, tell."""
    epoch, got = history.epochs, box.recv(EPOCH, history.epochs)
    expect(got["linear"], side.plan.encoding.rows), expect(got["sums"], 2)
    sums = side.opened_sums(epoch, got["linear"], got["sums"])
    loss, rms = mean_loss(side.plan, sums[:1]), rms_predictor(side.plan, sums[1:])
    _check_health(side.plan, loss, rms)
    before = history.losses[-1] if history.losses else np.inf
    change = abs(loss) if p.converge_func == "abs" else abs(before - loss)
    history.converged = bool(change < p.eps)
    _advance(p, box, history, loss, stop=history.converged)
    stop = np.array([history.stopped, history.converged], np.uint8)
    box.send(DECISION, {"stop": stop, "loss": np.array([round(loss, 4)])}, epoch)
    box.send(STOP, stop[:1], epoch)


def _close_at_host(p: LogisticParams, box: Box, side: Side, history: History) -> None:
    correction = expect(box.recv(LOSS_CORRECTION, history.epochs), 1)
    linear, sums = side.host_sums(history.epochs, correction)
    box.send(EPOCH, {"linear": linear, "sums": sums}, history.epochs)
    got = box.recv(DECISION, history.epochs)
    stop, loss = expect(got["stop"], 2), expect(got["loss"], 1)
    history.converged = bool(stop[1])
    _advance(p, box, history, float(loss[0]), stop=bool(stop[0]))


def _advance(p: LogisticParams, box: Box, history: History, loss: float, stop: bool) -> None:
    history.losses.append(loss)
    history.epochs += 1
    history.stopped = stop or history.epochs >= p.max_iter
    box.metric("train", "loss", history.epochs, loss, round=history.epochs)


def _check_health(plan: Plan, loss: float, rms: float) -> None:
    """``DataError`` if training runs away: the periodic residual would push it further for ever."""
    limit = plan.encoding.series.half / 4
    if rms > limit or loss < -LOSS_TOLERANCE:
        raise DataError(
            "FED-256",
            f"training runs away: the root mean square of the linear predictor is above {limit:g} or the loss negative",
            "lower learning_rate, standardise the columns, or start with init_method 'zeros'",
        )


def _exchange_features(box: Box, side: Side) -> None:
    """Tell the peer every feature (and the guest's labels) less its mask, once an attempt."""
    peer = len(side.peer)
    for batch in range(len(side.plan.batches)):
        box.send(FEATURES, side.hidden_features(batch), batch)
    for batch, n in enumerate(side.plan.batches):
        side.masked.append(expect(box.recv(FEATURES, batch), n, peer))
    if side.guest:
        box.send(LABELS, side.hidden_labels())
    else:
        side.masked_signs = expect(box.recv(LABELS), side.plan.encoding.rows)


def _restore(p: LogisticParams, box: Box, side: Side) -> History:
    if box.resume is None:
        side.start(initial_weights(p.init_param, len(side.own), str(box.me.role)))
        return History()
    state = box.resume.state
    side.own, side.peer = np.asarray(state["own"]), np.asarray(state["peer"])
    losses = [float(v) for v in np.atleast_1d(np.asarray(state["losses"]))]
    return History(box.resume.round, losses, bool(state["stopped"]), bool(state["converged"]))


def _keep(box: Box, side: Side, history: History) -> None:
    state: State = {
        "own": side.own,
        "peer": side.peer,
        "losses": history.losses,
        "stopped": int(history.stopped),
        "converged": int(history.converged),
    }
    box.checkpoint(history.epochs, state)


def _corrections(box: Box, plan: Plan, batch: int, use: int) -> Words:
    return expect(box.recv(CORRECTIONS, use), plan.correction_words(batch))


def _swap(box: Box, topic: Topic[Array], value: Words, round: int, rows: int) -> Words:
    """Send mine, take the peer's, (rows,)."""
    box.send(topic, value, round)
    return expect(box.recv(topic, round), rows)


ROLES = {Role.GUEST: guest, Role.HOST: host, Role.ARBITER: arbiter}
