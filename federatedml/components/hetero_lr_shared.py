"""HeteroLR, protocol ``shared``: columns of several parties, who share all rows and show each other none.

The guest has labels y and columns X_g (with the intercept's), each host its own columns. The predictor z, the sum of
every party's columns times its weights, residuals and gradients (and, but for adaptive optimisers, weights) are
additive shares of all these parties modulo 2^64 until the end; the arbiter deals correlated randomness
(``crypto.dealer``) and hears of shapes and the number of epochs only. Each batch takes three exchanges:

    1. z - t for a dealt uniform angle t; sines of z are then local, and so is the residual (``crypto.series``)
    2. the residual drops bits under a mask
    3. masked residual, masked gradient of the receiver's weights, and its masked weights for the next batch

With momentum, L2 or weight_diff there are two more (the gradient's rounding, the weights), with weights of rows one
more. Optimisers that divide by roots of squared gradients (rmsprop, adam, adagrad) run at the owner of the columns,
who then sees its gradient of each batch in clear: see ``lr_batches`` for what that needs.

Each epoch opens to the guest the loss and the root mean square of z: the residual is periodic, so training that runs
beyond the range of the series is stopped by the latter. The loss is off by at most 0.01.

Parties: guest, hosts, arbiter. Semi-honest; the arbiter colludes with nobody: with the guest it could unmask a host,
with a host the guest. Guest and hosts must talk directly, encrypted end to end (the gateways' mutual TLS). Leaks: what
the topics and the component's ``learns`` say. Cost: per batch of n rows and T sines 8 n (2 T + 5) bytes arbiter to the
first host, about 24 n bytes each way between any two of the others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federatedml.component import Inputs, Outputs
from federatedml.components import prediction_table
from federatedml.components.common_rows import expect
from federatedml.components.linear_model import (
    binary_labels,
    checked_features,
    logistic,
    training_loss,
)
from federatedml.components.lr_agreement import agree, told_shapes
from federatedml.components.lr_batches import check_columns, cut
from federatedml.components.lr_counted_rows import Counted, Known, check_batches, check_table
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import check_steps, training_plan
from federatedml.components.lr_predict import predicted, send_partial
from federatedml.components.lr_release import count_weights
from federatedml.components.lr_result import History, fitted, fold_summary, loss_curve, summary_of, told_by_gradients
from federatedml.components.lr_row_weights import without_weights
from federatedml.components.lr_shared_moves import Exchange, Moves, moves
from federatedml.components.lr_shared_topics import (
    ANGLE,
    CHANGE,
    CORRECTIONS,
    DECISION,
    EPOCH,
    FEATURES,
    HELD_OUT_CORRECTION,
    LABELS,
    ROUNDING,
    SCALES,
    SEED,
    SQUARE_CORRECTION,
    STOP,
    UNSCALED,
)
from federatedml.components.lr_start import first_weights
from federatedml.components.lr_validation import Patience, Validation, Watch, agree_held_out, told_held_out
from federatedml.components.prediction_table import stacked
from federatedml.crypto.dealer import CLOSER, Dealer
from federatedml.crypto.lr_shapes import Plan
from federatedml.crypto.ring import Floats, Words, low
from federatedml.crypto.shared_linear import (
    Pads,
    Side,
    batch_order,
    mean_loss,
    rms_predictor,
    squared_norm,
)
from federatedml.crypto.stream import Stream, new_seed
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.checkpoint import State
from federatedml.federation.party import Member, Role
from federatedml.federation.wire import Array

LOSS_TOLERANCE = 0.02  # a loss below minus this is no loss but a sum that went round


def guest(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Train on the labels; gives predictions of all rows and the guest's part of the model."""
    table, held_out = _tables(p, inputs, Role.GUEST)
    labels, classes = binary_labels(table)
    answers = Known.of(p, inputs.one("train_data", "data"), labels)
    run, spent = _train(p, box, inputs, answers, Watch.of(p, held_out, classes))
    if p.in_fold and held_out is not None:
        scores = logistic({}, _held_out_predictors(run), [])
        threshold, origin = p.predict_param.threshold, box.attempt.component
        found = prediction_table.binary(held_out, scores, classes, threshold, "validate", origin)
        return Outputs(found, None, [loss_curve(run.history)], fold_summary(run.history))
    weights = run.released()
    model = fitted(p, table.header, weights, run.history, classes)
    parts = [predicted(box, model, table, 0, "train")]
    if held_out is not None:
        parts.append(predicted(box, model, held_out, 1, "validate"))
    summary = _summary(run.plan, weights, run.history, spent) | {"loss": training_loss(parts[0])}
    return Outputs(stacked(parts), model, [loss_curve(run.history)], summary)


def host(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Train; gives the host's part of the model."""
    table, held_out = _tables(p, inputs, Role.HOST)
    run, spent = _train(p, box, inputs, None, Watch.of(p, held_out, ()))
    if p.in_fold:
        _held_out_predictors(run)
        return Outputs(None, None, [loss_curve(run.history)], fold_summary(run.history))
    weights = run.released()
    model = fitted(p, table.header, weights, run.history)
    send_partial(box, model, table, 0)
    if held_out is not None:
        send_partial(box, model, held_out, 1)
    return Outputs(None, model, [loss_curve(run.history)], _summary(run.plan, weights, run.history, spent))


def arbiter(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Deal correlated randomness, epoch by epoch, until the guest says stop; its model holds parameters only."""
    rows, columns = told_shapes(p, box)
    plan = training_plan(p, rows, columns, told_held_out(box) if p.validates or p.in_fold else 0)
    streams = []
    for member in sorted(columns):
        seed = new_seed()
        box.send(SEED, np.frombuffer(seed, "|u1"), to=member)
        streams.append(Stream(seed, box.attempt.context()))
    epoch = box.resume.round if box.resume else 0
    stopped = bool(box.resume and box.resume.state["stopped"])
    dealer, closer = Dealer(plan, streams), sorted(columns)[CLOSER]
    while not stopped and epoch < p.max_iter:
        for batch in range(len(plan.batches)):
            use = epoch * len(plan.batches) + batch
            box.send(CORRECTIONS, dealer.deal(batch, use), use, closer)
        if plan.squares:
            box.send(SQUARE_CORRECTION, dealer.deal_square(epoch), epoch, closer)
        if p.validates and not plan.motion.opened and (epoch + 1) % p.validates == 0:
            box.send(HELD_OUT_CORRECTION, dealer.deal_validation(epoch), epoch, closer)
        stopped = bool(box.recv(STOP, epoch).any())
        epoch += 1
        box.checkpoint(epoch, {"stopped": int(stopped)})
        box.progress(epoch / p.max_iter, f"epoch {epoch} dealt")
    if p.in_fold and not plan.motion.opened:
        box.send(HELD_OUT_CORRECTION, dealer.deal_validation(p.max_iter), p.max_iter, closer)
    return Outputs(model=fitted(p, [], np.zeros(0), History(epoch)), summary={"epochs": epoch})


def _tables(p: LogisticParams, inputs: Inputs, role: Role) -> tuple[Table, Table | None]:
    """Rows to train on and to validate, without the column that weighs rows."""
    held_out = inputs.one("eval_data") if inputs.data.get("eval_data") else None
    if p.validates and (held_out is None or not len(held_out)):
        raise DataError("FED-722", "validation_freqs or early_stopping_rounds is set, but eval_data has no rows")
    name = p.sample_weight_name if role is Role.GUEST else None
    table = inputs.one("train_data", "data")
    return without_weights(table, name), None if held_out is None else without_weights(held_out, name)


@dataclass
class _Run:
    """All that a party has at hand during a training."""

    p: LogisticParams
    box: Box
    exchange: Exchange
    side: Side
    moves: Moves
    history: History
    validation: Validation | None
    patience: Patience
    scales: float  # mean weight of a row, at the guest
    best: Words | None = None  # shares of all weights when validation rows looked best

    @property
    def plan(self) -> Plan:
        return self.side.plan

    @property
    def guest(self) -> bool:
        return self.exchange.party == 0

    @property
    def closer(self) -> bool:
        return self.exchange.party == CLOSER

    @property
    def kept(self) -> Words:
        """My shares of the weights that the training ends with."""
        return self.moves.shares if self.best is None else self.best

    def released(self) -> Array:
        """(k,) own weights, the intercept last; all parties open each other's."""
        return self.moves.released(self.kept)


def _train(p: LogisticParams, box: Box, inputs: Inputs, answers: Known | None, watch: Watch) -> tuple[_Run, int]:
    """The training, and the equations that are counted; guest and hosts run the same lines."""
    table, held_out = _tables(p, inputs, box.me.role)
    intercept = p.init_param.fit_intercept and answers is not None
    order = batch_order(table.ids)
    ordered = None if answers is None else answers.at(order)
    features = checked_features(table, intercept, answers.scales if answers and p.weighs_rows else None)[order]
    columns = agree(p, box, table, features.shape[1]) | {box.me: features.shape[1]}
    looks = held_out if p.validates or p.in_fold else None
    rows = 0 if looks is None else agree_held_out(box, looks)
    plan = training_plan(p, len(table), columns, rows)
    exchange, stream = Exchange(box, tuple(sorted(columns))), Stream(box.recv(SEED).tobytes(), box.attempt.context())
    check_steps(plan, features)
    told = plan.motion.opened or not p.in_fold
    spent = count_weights(box, table, columns, _counted(p, plan, columns, table, features, ordered)) if told else 0
    side = Side(plan, exchange.party, stream, features, ordered)
    start = first_weights(p, box, inputs.isometric_model, table, intercept)
    mover = moves(p, exchange, side, start)
    validation = None
    if rows and looks is not None:
        validation = Validation(p, (exchange, side, mover), looks, watch, table.header)
    scales = 1.0 if answers is None else float(answers.scales.mean())
    run = _Run(p, box, exchange, side, mover, History(), validation, Patience(watch), scales)
    _restore(run)
    if validation is not None and (p.in_fold or not run.history.stopped):
        validation.exchange_features()
    if not run.history.stopped:
        _exchange_features(run)
        _epochs(run)
    return run, spent


def _counted(
    p: LogisticParams, plan: Plan, columns: Mapping[Member, int], table: Table, features: Floats, known: Known | None
) -> Counted | None:
    """Refuse what would tell of few rows; at the guest, what the rows count as."""
    if plan.motion.opened:
        weights = cut(known.scales, plan.batches) if known and p.weighs_rows else None
        check_columns(p, table.header, cut(features, plan.batches), table.copies, weights)
        if known is not None:
            check_batches(p, plan.batches, columns, known)
    elif known is not None:
        check_table(plan.batches, columns, known)
    return None if known is None else Counted.of(known)


def _held_out_predictors(run: _Run) -> Floats:
    """At the guest (rows,) z of the rows that a fold leaves out; nobody opens the weights."""
    if run.validation is None:
        raise DataError("FED-722", "a fold of a cross validation has no rows to measure")
    z = run.validation.predictors(run.p.max_iter, run.kept)
    return np.zeros(0) if z is None else z


def _summary(plan: Plan, weights: Array, history: History, spent: int) -> dict[str, float]:
    """What is shown beside the component."""
    found = summary_of(weights, history, sum(plan.batches), spent)
    return found | (told_by_gradients(plan.batches, len(weights), history.epochs) if plan.motion.opened else {})


def _epochs(run: _Run) -> None:
    uses, told, history = len(run.plan.batches), 0.0, run.history
    run.moves.start(history.epochs * uses)
    while not history.stopped:
        run.side.start_epoch()
        before = run.moves.shares.copy()
        for batch in range(uses):
            _batch(run, batch, history.epochs * uses + batch)
        _close(run, before)
        _keep(run)
        if history.stopped or time.monotonic() - told > 0.5:
            told = time.monotonic()
            run.box.progress(history.epochs / run.p.max_iter, f"epoch {history.epochs} of at most {run.p.max_iter}")


def _batch(run: _Run, batch: int, use: int) -> None:
    """One step of the optimiser."""
    side, plan, epoch, n = run.side, run.plan, run.history.epochs, run.plan.batches[batch]
    pads = side.pads(batch, use, _corrections(run, batch, use) if run.closer else None)
    z = side.predictor(batch, run.moves.effective(), pads)  # (n,) share
    bits = plan.encoding.angle_bits
    mine = low(z - pads["angle"], bits)
    delta = mine.copy()
    for other in run.exchange.spread(ANGLE, mine, use, n):
        delta += other
    share, linear = side.residual(batch, epoch, low(delta, bits), pads)
    if plan.encoding.weighted:
        share = _weighed(run, batch, use, share, pads)
    r = side.rounded(batch, epoch, _opened(run, batch, use, share + pads["round"], linear, pads), pads)
    run.moves.move(batch, epoch, use, r, pads)


def _weighed(run: _Run, batch: int, use: int, share: Words, pads: Pads) -> Words:
    """Residuals times the weights of rows, which only the guest knows."""
    received: list[Words] = []
    if run.guest:
        received = run.exchange.gathered(UNSCALED, use, len(share))
    else:
        run.box.send(UNSCALED, share - pads["unscaled"], use)
    return run.side.weighed(batch, share, received, pads)


def _opened(run: _Run, batch: int, use: int, mine: Words, linear: Words, pads: Pads) -> Words:
    """(n,) masked residuals of all; the hosts' messages to the guest hold their shares for the loss too."""
    n, told = len(mine), mine
    for _, member in run.exchange.others:
        if member.role is Role.GUEST:
            told = np.concatenate([mine, linear - pads["linear"]])
        run.box.send(ROUNDING, told if member.role is Role.GUEST else mine, use, member)
    got, lengths = run.box.gather(ROUNDING, use), n + (len(linear) if run.guest else 0)
    received = [expect(got[member], lengths) for _, member in run.exchange.others]
    run.side.add_loss(batch, linear, [words[n:] for words in received] if run.guest else [], pads)
    opened = mine.copy()
    for words in received:
        opened += words[:n]
    return opened


def _close(run: _Run, before: Words) -> None:
    """Open loss and guard (and norm of the change), look at the validation rows, decide."""
    sums, epoch = run.side.sums, run.history.epochs
    if run.plan.squares:
        sums = np.concatenate([sums, _squared(run, run.moves.shares - before)])
    due = run.validation is not None and run.validation.due(epoch)
    found = run.validation.look(epoch) if run.validation is not None and due else {}
    if not run.guest:
        run.box.send(EPOCH, sums, epoch)
        got = run.box.recv(DECISION, epoch)
        stop, (loss,) = expect(got["stop"], 3).astype(bool), expect(got["loss"], 1)
        return _advance(run, float(loss), *(bool(flag) for flag in stop))
    for words in run.exchange.gathered(EPOCH, epoch, len(sums)):
        sums = sums + words
    loss = mean_loss(run.plan, sums[:1], run.scales)
    _check_health(run, loss, rms_predictor(run.plan, sums[1:2]))
    for name, value in found.items():
        run.box.metric("validate", name, epoch + 1, value, round=epoch + 1)
    better = run.patience.better(found)
    converged = _change(run, loss, sums) < run.p.eps
    _advance(run, loss, converged or run.patience.ended, converged, better)
    stop = np.array([run.history.stopped, converged, better], np.uint8)
    run.box.send(DECISION, {"stop": stop, "loss": np.array([round(loss, 4)])}, epoch)
    run.box.send(STOP, stop[:1], epoch)


def _squared(run: _Run, change: Words) -> Words:
    """(1,) share of the squared norm of the change of all weights."""
    epoch = run.history.epochs
    opened = run.side.hidden_change(epoch, change)
    for words in run.exchange.spread(CHANGE, opened, epoch, len(opened)):
        opened = opened + words
    correction = expect(run.box.recv(SQUARE_CORRECTION, epoch), 1) if run.closer else None
    return run.side.squared(epoch, opened, correction)


def _change(run: _Run, loss: float, sums: Words) -> float:
    """What converge_func looks at, at the guest."""
    if run.p.converge_func == "weight_diff":
        square = squared_norm(sums[2:])
        if square < -LOSS_TOLERANCE:
            raise ProtocolError("FED-931", "the squared change of the weights opens as a negative number")
        return float(np.sqrt(max(square, 0.0)))
    before = run.history.losses[-1] if run.history.losses else np.inf
    return abs(loss) if run.p.converge_func == "abs" else abs(before - loss)


def _advance(run: _Run, loss: float, stop: bool, converged: bool, better: bool) -> None:
    history = run.history
    history.losses.append(loss)
    history.epochs += 1
    history.converged = converged
    history.stopped = stop or history.epochs >= run.p.max_iter
    if better and run.p.early_stopping_rounds is not None:
        run.best, history.best = run.moves.shares.copy(), history.epochs
    run.box.metric("train", "loss", history.epochs, loss, round=history.epochs)


def _check_health(run: _Run, loss: float, rms: float) -> None:
    """``DataError`` if training runs away: the periodic residual would push it further for ever."""
    limit = run.plan.encoding.series.half / 4
    if rms > limit or loss < -LOSS_TOLERANCE * max(run.scales, 1.0):
        raise DataError(
            "FED-256",
            f"training runs away: the root mean square of the linear predictor is above {limit:g} or the loss negative",
            "lower learning_rate, standardise the columns, or start with init_method 'zeros'",
        )


def _exchange_features(run: _Run) -> None:
    """Tell all others every feature (and the guest's labels and weights of rows) less its mask, once an attempt."""
    box, side, plan = run.box, run.side, run.plan
    for batch in range(len(plan.batches)):
        box.send(FEATURES, side.hidden_features(batch), batch)
        if run.guest:
            box.send(LABELS, side.hidden_signs(batch), batch)
            if plan.encoding.weighted:
                box.send(SCALES, side.hidden_scales(batch), batch)
    for batch, n in enumerate(plan.batches):
        got = box.gather(FEATURES, batch)
        others = [expect(got[member], n, plan.columns[number]) for number, member in run.exchange.others]
        side.masked.append(np.concatenate(others, 1))
        if not run.guest:
            side.signs.append(expect(box.recv(LABELS, batch), plan.loss_words(batch)))
            if plan.encoding.weighted:
                side.scales.append(expect(box.recv(SCALES, batch), n))


def _corrections(run: _Run, batch: int, use: int) -> Words:
    return expect(run.box.recv(CORRECTIONS, use), run.plan.correction_words(batch))


def _restore(run: _Run) -> None:
    if run.box.resume is None:
        return
    state = run.box.resume.state
    run.moves.restore(state)
    losses, looks = ([float(v) for v in np.atleast_1d(np.asarray(state[name]))] for name in ("losses", "looks"))
    best = int(str(state["best"]))
    run.history = History(run.box.resume.round, losses, bool(state["stopped"]), bool(state["converged"]), best)
    run.patience.restore(looks)
    run.best = np.asarray(state["best_shares"]) if best else None


def _keep(run: _Run) -> None:
    history = run.history
    state: State = {
        **run.moves.state(),
        "losses": history.losses,
        "stopped": int(history.stopped),
        "converged": int(history.converged),
        "looks": run.patience.state(),
        "best": history.best,
        "best_shares": np.zeros(0, np.uint64) if run.best is None else run.best,
    }
    run.box.checkpoint(history.epochs, state)


ROLES = {Role.GUEST: guest, Role.HOST: host, Role.ARBITER: arbiter}
