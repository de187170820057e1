"""HeteroLR, protocol ``paillier``: FATE's protocol of first-order gradients, each party with its own optimiser.

The guest has labels y (-1, 1) and columns X_g, host i has X_i; each has the weights of its own columns. The arbiter
makes a key per attempt. For each batch of n rows, [x] a fresh encryption under that key:

    1. host i:   z_i = X_i w_i                        [z_i / 4] -> guest
    2. guest:    d = sum z_i / 4 + z_g / 4 - y / 2    [d] -> hosts
    3. party j:  G_j = X_j^T d                        [G_j + R_j] -> arbiter, R_j uniform modulo n
    4. arbiter:  opens                                G_j + R_j -> party j
    5. party j:  w_j = step(w_j, G_j / n)

Each validation_freqs epochs host i hands its part of the held-out rows' scores to the guest, in clear.
Once an epoch, with one host: [sum z_h^2 / 8 + penalty] -> guest, [L + R] -> arbiter, L + R -> guest, who decides
whether to stop; or each host tells how far its weights moved.

d is the residual of the logistic loss to first order. Its optimum is that of least squares on labels: on skewed data
AUC is some thousandths lower than of the logistic loss (protocol ``shared``), and probabilities are not calibrated.

Parties: guest, hosts, arbiter. Semi-honest; the arbiter colludes with nobody: with the guest it reads the hosts'
predictors, with a host the residuals. Leaks: ``lr_paillier_topics``; the gradients are the most of it, and
``lr_batches`` bounds what they tell of a single row.
Cost per batch of n rows, key of 2048 bits: n encryptions at guest and each host, 512 n bytes each way, some 10 us per
row and column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from federatedml.component import Inputs, Outputs
from federatedml.components.common_rows import expect
from federatedml.components.linear_model import (
    binary_labels,
    checked_features,
    training_loss,
)
from federatedml.components.lr_agreement import agree, told_shapes
from federatedml.components.lr_batches import batches, check_columns, cut
from federatedml.components.lr_counted_rows import Counted, Known, check_batches
from federatedml.components.lr_encrypted import CipherPlan, GuestSide, HostSide, Side
from federatedml.components.lr_looks import Looks
from federatedml.components.lr_optimizers import Memory
from federatedml.components.lr_paillier_topics import (
    GRADIENT,
    KEY,
    LOSS,
    MOVED,
    OPENED,
    OPENED_LOSS,
    PREDICTOR,
    RESIDUAL,
    SQUARES,
    VERDICT,
)
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_predict import predicted, send_partial
from federatedml.components.lr_release import count_weights
from federatedml.components.lr_result import History, fitted, loss_curve, summary_of, told_by_gradients
from federatedml.components.lr_row_weights import without_weights
from federatedml.components.lr_start import first_weights
from federatedml.components.prediction_table import stacked
from federatedml.crypto.codec import Floats
from federatedml.crypto.paillier.evaluator import Evaluator, evaluator
from federatedml.crypto.paillier.keys import PublicKeyCodec, generate
from federatedml.crypto.paillier.opening import Opener
from federatedml.crypto.shared_linear import batch_order
from federatedml.data.table import Table
from federatedml.federation.box import Box
from federatedml.federation.checkpoint import State
from federatedml.federation.party import Role
from federatedml.federation.wire import Array


def guest(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Train on the labels; gives predictions of all rows and the guest's part of the model."""
    table = without_weights(inputs.one("train_data", "data"), p.sample_weight_name)
    labels, classes = binary_labels(table)
    known = Known.of(p, inputs.one("train_data", "data"), labels)
    data = _agreed(p, box, inputs, table, known)
    held_out = without_weights(inputs.one("eval_data"), p.sample_weight_name) if inputs.data.get("eval_data") else None
    looks = Looks.of(p, box, held_out, table.header, classes)
    side = GuestSide(*data.side(p, box), labels[data.order], known.scales[data.order])
    history, hosts = _restored(box, side), box.peers(PREDICTOR)
    while not history.stopped:
        for batch, use in _uses(side, history):
            z = side.predictor(batch)
            unweighted = side.residual(batch, z, [box.recv(PREDICTOR, use, host) for host in hosts])
            d = side.weighted(batch, unweighted)
            box.send(RESIDUAL, d.seal(), use)
            reply, masked = side.masked_gradient(batch, d)
            box.send(GRADIENT, reply, use)
            if side.plan.loss:
                side.add_loss(batch, z, unweighted)
            side.prepare(batch)
            side.step(batch, masked.remove(box.recv(OPENED, use)))
        _judge(p, box, side, history, looks)
        _keep(box, side, history, looks)
    model = fitted(p, table.header, looks.best if history.best else side.weights, history, classes)
    parts = [] if p.in_fold else [predicted(box, model, table, 0, "train")]
    if held_out is not None:
        parts.append(predicted(box, model, held_out, 1, "validate"))
    curves = [loss_curve(history)] if side.plan.loss else []
    summary = _summary(side, history, data.told)
    if not p.in_fold:
        summary["loss"] = training_loss(parts[0])
    return Outputs(stacked(parts), model, curves, summary)


def host(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Train; gives the host's part of the model."""
    table = inputs.one("train_data", "data")
    data = _agreed(p, box, inputs, table)
    held_out = inputs.one("eval_data") if inputs.data.get("eval_data") else None
    looks = Looks.of(p, box, held_out, table.header)
    side = HostSide(*data.side(p, box))
    history = _restored(box, side)
    while not history.stopped:
        for batch, use in _uses(side, history):
            box.send(PREDICTOR, side.sealed_predictor(batch), use)
            reply, masked = side.masked_gradient(batch, side.received(box.recv(RESIDUAL, use)))
            box.send(GRADIENT, reply, use)
            side.prepare(batch)
            side.step(batch, masked.remove(box.recv(OPENED, use)))
        _report(p, box, side, history, looks)
        _keep(box, side, history, looks)
    model = fitted(p, table.header, looks.best if history.best else side.weights, history)
    if not p.in_fold:
        send_partial(box, model, table, 0)
    if held_out is not None:
        send_partial(box, model, held_out, 1)
    return Outputs(None, model, [], _summary(side, history, data.told))


def arbiter(p: LogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Make a key, open what is masked, until the guest says stop; its model holds parameters only."""
    rows, columns = told_shapes(p, box)
    plan = CipherPlan(p, batches(p, rows, columns), columns)
    private = generate(p.encrypt_param.key_length)
    opener = Opener(private, plan.allowances(private.public, GRADIENT.name, LOSS.name))
    box.send(KEY, np.frombuffer(private.public.to_bytes(), "|u1"))
    epoch = box.resume.round if box.resume else 0
    stopped = bool(box.resume and box.resume.state["stopped"])
    while not stopped:
        for use in range(epoch * len(plan.sizes), (epoch + 1) * len(plan.sizes)):
            for member in box.peers(GRADIENT):
                reply = box.recv(GRADIENT, use, member)
                box.send(OPENED, opener.masked(f"{GRADIENT.name} {member}", use, reply), use, member)
        if plan.loss:
            box.send(OPENED_LOSS, opener.masked(LOSS.name, epoch, box.recv(LOSS, epoch)), epoch)
        stopped = bool(_told(p, box, epoch)[0])
        epoch += 1
        box.checkpoint(epoch, {"stopped": int(stopped)})
        box.progress(epoch / p.max_iter, f"epoch {epoch} of at most {p.max_iter}")
    return Outputs(model=fitted(p, [], np.zeros(0), History(epoch)), summary={"epochs": epoch})


ROLES = {Role.GUEST: guest, Role.HOST: host, Role.ARBITER: arbiter}


@dataclass(frozen=True)
class _Data:
    """What a party starts with, after all have compared rows and parameters.

    Attributes:
        features: (rows, k) in the order of the batches.
        start: (k,) first weights.
        order: of the rows of the table.
        told: equations that models on these rows have told one party so far, the weights of this one included.
    """

    plan: CipherPlan
    features: Floats
    start: Floats
    order: Array
    told: int

    def side(self, p: LogisticParams, box: Box) -> tuple[CipherPlan, Evaluator, Floats, Floats]:
        """What a side is made of, with the key of this attempt."""
        public = PublicKeyCodec(p.encrypt_param.key_length).decode(box.recv(KEY).tobytes())
        return self.plan, evaluator(public, box.compute), self.features, self.start


def _agreed(p: LogisticParams, box: Box, inputs: Inputs, table: Table, known: Known | None = None) -> _Data:
    """``known``: at the guest, who sees to it that rows are as many as they look."""
    intercept = box.me.role is Role.GUEST and p.init_param.fit_intercept
    weights = known.scales if known and p.weighs_rows else None
    features, order = checked_features(table, intercept, weights), batch_order(table.ids)
    count, counted = features.shape[1], None
    columns = {**agree(p, box, table, count), box.me: count}
    plan = CipherPlan(p, batches(p, len(table), columns), columns)
    if known is not None:
        check_batches(p, plan.sizes, columns, known.at(order))
        counted = Counted.of(known)
    of_batches = None if weights is None else cut(weights[order], plan.sizes)
    check_columns(p, table.header, cut(features[order], plan.sizes), table.copies, of_batches)
    told = count_weights(box, table, columns, counted)
    start = first_weights(p, box, inputs.isometric_model, table, intercept)
    return _Data(plan, features[order], start, order, told)


def _uses(side: Side, history: History) -> Iterator[tuple[int, int]]:
    """The batches of an epoch, and the number of each use."""
    side.start_epoch(history.epochs)
    count = len(side.plan.sizes)
    for batch in range(count):
        yield batch, history.epochs * count + batch


def _judge(p: LogisticParams, box: Box, side: GuestSide, history: History, looks: Looks) -> None:
    """At the guest, after an epoch: whether it was the last."""
    epoch, value = history.epochs, np.inf
    if side.plan.loss:
        reply, mask = side.masked_loss(box.recv(SQUARES, epoch))
        box.send(LOSS, reply, epoch)
        loss = side.loss(float(mask.remove(box.recv(OPENED_LOSS, epoch))[0]))
        value = abs(loss) if p.converge_func == "abs" else abs(loss - (history.losses[-1] if epoch else np.inf))
        history.losses.append(loss)
        box.metric("train", "loss", epoch + 1, loss, round=epoch + 1)
    if p.converge_func == "weight_diff":
        told = box.gather(MOVED, epoch).values()
        value = side.change() + sum(float(expect(moved, 1)[0]) for moved in told)
    better = looks.take(epoch, side.weights)
    _advance(p, box, history, converged=bool(value < p.eps), ended=looks.patience.ended)
    if looks.keep(better, side.weights):
        history.best = history.epochs
    flags = [history.stopped, history.converged, *([better] if p.validates else [])]
    box.send(VERDICT, np.array(flags, np.uint8), epoch)


def _report(p: LogisticParams, box: Box, side: HostSide, history: History, looks: Looks) -> None:
    """At a host, after an epoch: what the guest needs for its verdict, and the verdict."""
    if side.plan.loss:
        box.send(SQUARES, side.sealed_squares(), history.epochs)
    if p.converge_func == "weight_diff":
        box.send(MOVED, np.array([side.change()]), history.epochs)
    looks.take(history.epochs, side.weights)
    stopped, converged, *better = _told(p, box, history.epochs)
    _advance(p, box, history, converged, stopped)
    if looks.keep(any(better), side.weights):
        history.best = history.epochs


def _told(p: LogisticParams, box: Box, epoch: int) -> list[bool]:
    """The guest's verdict: stopped, converged and, with looks at held-out rows, best so far."""
    return [bool(flag) for flag in expect(box.recv(VERDICT, epoch), 2 + bool(p.validates))]


def _advance(p: LogisticParams, box: Box, history: History, converged: bool, ended: bool) -> None:
    history.epochs += 1
    history.converged, history.stopped = converged, converged or ended or history.epochs >= p.max_iter
    box.progress(history.epochs / p.max_iter, f"epoch {history.epochs} of at most {p.max_iter}")


def _keep(box: Box, side: Side, history: History, looks: Looks) -> None:
    state: State = {
        "weights": side.weights,
        **side.memory.state(),
        **looks.state(),
        "best": history.best,
        "losses": history.losses,
        "stopped": int(history.stopped),
        "converged": int(history.converged),
    }
    box.checkpoint(history.epochs, state)


def _restored(box: Box, side: Side) -> History:
    """The history, and with it weights and the optimiser's memory, of the checkpoint; ciphertexts begin anew."""
    if box.resume is None:
        return History()
    state = box.resume.state
    side.weights, side.memory = np.asarray(state["weights"], np.float64), Memory.of(state)
    losses = [float(v) for v in np.atleast_1d(np.asarray(state["losses"], np.float64))]
    best = int(str(state["best"]))
    return History(box.resume.round, losses, bool(state["stopped"]), bool(state["converged"]), best)


def _summary(side: Side, history: History, told: int) -> dict[str, float]:
    """What is shown beside the component."""
    sizes, weights = side.plan.sizes, side.weights
    found = summary_of(weights, history, sum(sizes), told)
    return found | told_by_gradients(sizes, len(weights), history.epochs)
