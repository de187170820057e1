"""HomoLR: logistic regression on rows of several parties, who have the same columns and a label each.

1. every guest and host -> every other one: digests of parameters, column names and first weights, number of columns,
   label values (``agreement``); -> arbiter: number of columns (``shape``)
2. they agree on keys directly (``secagg_keys``, ``secagg_roster``; ``crypto.secagg``), and learn by a secure sum which
   part of all rows (of their weights, times ``party_weight``) each has (``secagg_rows``, ``_total``, ``_told``)
3. each round: every party takes ``aggregate_iters`` epochs of steps on its own rows, with its own optimiser and the
   true sigmoid; -> arbiter: weights and loss, times its part of all rows, under masks (``update``)
4. arbiter -> all: the averages, which are the sums, and whether training has converged (``average``)
5. with ``early_stopping_rounds``, every guest and host -> arbiter: its metrics on held-out rows, times their number,
   under masks (``looks``); arbiter -> all: whether their averages are the best so far, and end it (``looked``)

With one-vs-rest there is a training for each class, and before them: every guest and host -> every other one: its label
values (``label_values``); -> arbiter: how many there are together (``class_count``).

Masks cancel in the sum of all contributions and nowhere before, so the arbiter reads averages only, and only if all
had started this round and those before from the same weights; |x| is bounded so that sums never wrap. Keys are of one
attempt: if a party goes away, the attempt ends, and the next one goes on from the last round's average. All parties
start from the same weights, and all of them have the whole model in the end.

FATE 1.0 sends updates in clear or has the arbiter decrypt what a host likes; ``encrypt_param`` and
``re_encrypt_batches`` are accepted, masks are used. Averages are weighted by rows times
``party_weight`` (FATE 1.0: by ``party_weight`` alone).

Parties: guest, hosts, arbiter. Semi-honest. Who colludes with all contributors but one, or is one of two, learns
that one's updates: hence ``min_contributors``, and the policy's floor; and with a contributor that weighs more than
nine tenths nobody trains, unless two are enough. Averages themselves tell: a column that few rows of all parties have
moves by what is known of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np

from airfed_proto.v1 import model_pb2
from federatedml.component import (
    Component,
    Inputs,
    MemberParams,
    ModelBuffers,
    ModelSpec,
    Outputs,
    Prediction,
    Scorer,
)
from federatedml.components import prediction_table
from federatedml.components.cross_validation import cross_validated
from federatedml.components.encryption_notes import prediction_notes
from federatedml.components.homo_lr_agreement import AGREEMENT, SHAPE, agree
from federatedml.components.homo_lr_average import aggregate
from federatedml.components.homo_lr_looks import LOOKED, LOOKS
from federatedml.components.homo_lr_params import UNUSED, HomoLogisticParams, common_digest
from federatedml.components.homo_lr_rounds import MOST_PART, TOPICS, Run, contribute
from federatedml.components.homo_lr_steps import HeldOut, Rows
from federatedml.components.label_sets import LABEL_SET
from federatedml.components.linear_model import initial_weights, logistic, partial_score, training_loss
from federatedml.components.lr_classes import classes_of, joined, split
from federatedml.components.lr_result import History, loss_curve, training_meta, weights_param
from federatedml.components.lr_start import weights_of
from federatedml.components.one_vs_rest import COUNT, LABELS, Classifiers, of_all, one_vs_rest
from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.client import MIN_CONTRIBUTORS
from federatedml.crypto.secagg.steps import CONTRIBUTORS, LEARNS_OF_TWO
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError
from federatedml.federation.box import Box
from federatedml.federation.party import Role

OF_FOLDS = "likewise of each fold of a cross validation, whose models no component keeps"
META, PARAM = "HomoLogisticRegressionMeta", "HomoLogisticRegressionParam"
MODEL = "the whole model, which is the same for all: the average of all contributors' weights after each round"

HEAVY = (
    "the more one contributor weighs beside the others, the better the averages show its updates; one with more than "
    f"{MOST_PART:.0%} of all weight takes part only if two contributors would do"
)


def contributor(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Guest and hosts: train together, predict alone."""
    if not p.need_run:
        return Outputs(data=inputs.one("train_data", "data", "eval_data"))
    if inputs.model is not None:
        table = inputs.one("data", "eval_data", "train_data")
        return Outputs(_predicted(box, inputs.model, table, "predict"), inputs.model, summary={"rows": len(table)})
    return _CONTRIBUTE(p, box, inputs)


def _contribute(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """One training of two classes."""
    rows, evaluated = Rows.of(p, inputs.one("train_data", "data")), _evaluated(p, box, inputs)
    start = _start(p, inputs.isometric_model, rows.names)
    classes = agree(p, box, rows.names, start, rows.classes)
    run = contribute(p, box, rows, start, _held_out(p, evaluated, rows, classes), classes[1])
    model = _model(p, rows, run, classes)
    parts = [_predicted(box, model, rows.table, "train")]
    if evaluated is not None:
        parts.append(_predicted(box, model, evaluated, "validate"))
    curve = loss_curve(run.history, p.aggregate_iters)
    return Outputs(prediction_table.stacked(parts), model, [curve], _summary(rows, run, parts[0]))


def arbiter(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """Average, round by round; its model says how it was trained, it does not know the names of the weights."""
    if not p.need_run:
        return Outputs()
    if inputs.model is not None:
        return Outputs(model=inputs.model)
    return _AGGREGATE(p, box, inputs)


def _aggregate(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Outputs:
    """The averages of one training of two classes."""
    found = aggregate(p, box)
    history = History(p.epochs_after(len(found.losses)), found.losses, True, found.converged)
    model = {META: training_meta(p), PARAM: weights_param([], np.zeros(0), history, ())}
    summary = {"epochs": history.epochs, "is_converged": float(found.converged)}
    return Outputs(model=model, views=[loss_curve(history, p.aggregate_iters)], summary=summary)


KEPT = Classifiers(
    ModelSpec({META: model_pb2.LRModelMeta, PARAM: model_pb2.LRModelParam}),
    partial(joined, meta=META, param=PARAM),
    partial(split, meta=META, param=PARAM),
)
_CONTRIBUTE, _AGGREGATE = (cross_validated(one_vs_rest(work, KEPT, of_all)) for work in (_contribute, _aggregate))


def _evaluated(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Table | None:
    """Validation rows, if there are any."""
    table = inputs.one("eval_data") if inputs.data.get("eval_data") else None
    if table is not None and len(table):
        return table
    if p.validates and p.early_stopping_rounds is None and box.me.role is Role.GUEST:
        raise DataError("FED-722", "validation_freqs or early_stopping_rounds is set, but eval_data has no rows")
    return None


def _held_out(p: HomoLogisticParams, table: Table | None, rows: Rows, classes: tuple[float, float]) -> HeldOut | None:
    """What is looked at during the training; rows that are only predicted are checked before it, too."""
    if table is None or not (p.validates or table.label):
        return None
    found = HeldOut.of(p, table, rows.names, classes)
    return found if p.validates else None


def _start(p: HomoLogisticParams, before: ModelBuffers | None, names: list[str]) -> Floats:
    """First weights in the order of ``names``, the intercept last: drawn by all alike, or those of another model."""
    intercept = p.init_param.fit_intercept
    if before is None or PARAM not in before:
        return initial_weights(p.init_param, len(names) + intercept, "homo")
    return weights_of(cast(model_pb2.LRModelParam, before[PARAM]), names, intercept)


def _model(p: HomoLogisticParams, rows: Rows, run: Run, classes: tuple[float, float]) -> ModelBuffers:
    param = weights_param(rows.names, run.final, run.history, classes)
    del param.header[:]
    param.header.extend(rows.table.header)  # this party's order
    return {META: training_meta(p), PARAM: param}


def _summary(rows: Rows, run: Run, predicted: Table) -> dict[str, float]:
    history = run.history
    return {
        "rows": len(rows.table),
        "epochs": history.epochs,
        "is_converged": float(history.converged),
        "loss": training_loss(predicted),
        **({"best_epoch": history.best} if history.best else {}),
    }


def _predicted(box: Box, model: ModelBuffers, table: Table, kind: str) -> Table:
    meta, param = cast(model_pb2.LRModelMeta, model[META]), cast(model_pb2.LRModelParam, model[PARAM])
    scores, origin = logistic(model, _linear(model, table), ()), box.attempt.component
    if param.need_one_vs_rest:
        return prediction_table.multiclass(table, scores, param.classes, kind, origin)
    return prediction_table.binary(table, scores, param.classes, meta.threshold, kind, origin)


def _linear(model: ModelBuffers, table: Table) -> Floats:
    """(n,) the linear predictor, column by column: one row and a batch agree to the last bit.

    Of a model of several classes (n, classes).
    """
    param = cast(model_pb2.LRModelParam, model[PARAM])
    if param.need_one_vs_rest:
        return np.column_stack([_linear(one, table) for one in KEPT.split(model)])
    return partial_score(table, list(param.header), param.weight, param.intercept)


def _settle(submitted: MemberParams) -> MemberParams:
    """``DslError`` unless the roles fit, all have the parameters that must be alike, and contributors are enough."""
    p = cast(HomoLogisticParams, next(iter(submitted.values())))
    roles = Counter(member.role for member in submitted)
    if roles[Role.GUEST] != 1 or roles[Role.ARBITER] != 1 or not roles[Role.HOST]:
        found = ", ".join(str(member.role) for member in sorted(submitted))
        raise DslError("FED-181", f"HomoLR runs with {found}", "one guest, one arbiter, one host or more")
    if len({common_digest(cast(HomoLogisticParams, p)).tobytes() for p in submitted.values()}) > 1:
        raise DslError("FED-180", "parameters of HomoLR differ between parties", "only own ones may")
    parties = len({member.party for member in submitted if member.role in CONTRIBUTORS})
    if parties < p.min_contributors:
        text = f"HomoLR: guest and hosts are {parties} parties, min_contributors is {p.min_contributors}"
        raise DslError("FED-893", text, f"{LEARNS_OF_TWO}; if all agree to that: min_contributors 2")
    return submitted


def _variant(component: Component, p: HomoLogisticParams) -> Component:
    """With the messages and the lessons of these parameters; a prediction sends none."""
    if component.prediction is not None and component.topics is component.prediction.topics:
        return component
    topics, learns = list(component.topics), dict(component.learns)
    if p.early_stopping_rounds is None:
        topics = [topic for topic in topics if topic not in (LOOKS, LOOKED)]
    if not p.one_vs_rest_param.need_one_vs_rest:
        topics = [topic for topic in topics if topic not in (LABELS, COUNT)]
    if p.in_fold:
        learns |= {role: [*learns[role], OF_FOLDS] for role in CONTRIBUTORS}
    if p.min_contributors < MIN_CONTRIBUTORS:
        exception = f"EXCEPTION: min_contributors is {p.min_contributors}, not {MIN_CONTRIBUTORS}: {LEARNS_OF_TWO}"
        learns |= {role: [*learns[role], exception] for role in CONTRIBUTORS}
    return replace(component, topics=topics, learns=learns)


def _notes(p: HomoLogisticParams) -> Iterator[str]:
    yield from prediction_notes(p.predict_param)
    for name in UNUSED:
        if getattr(p, name) != HomoLogisticParams.model_fields[name].default:
            yield f"{name} has no effect: updates and losses are masked, no host is encrypted"


HOMO_LR = Component(
    module="HomoLR",
    title="Logistic regression over the rows of guest and hosts, with the same columns",
    params=HomoLogisticParams,
    roles={Role.GUEST: contributor, Role.HOST: contributor, Role.ARBITER: arbiter},
    topics=(LABELS, COUNT, AGREEMENT, LABEL_SET, SHAPE, *TOPICS, LOOKS, LOOKED),
    learns={
        Role.GUEST: [MODEL, HEAVY],
        Role.HOST: [MODEL, HEAVY],
        Role.ARBITER: ["the averages of weights and losses after each round, without the names of the columns"],
    },
    has_model=True,
    model=KEPT.model,
    scorer=Scorer(partial=_linear, merge=logistic, alone=True, classes=partial(classes_of, param=PARAM)),
    prediction=Prediction(),
    settle=_settle,
    variant=_variant,
    notes=lambda p: list(_notes(p)),
    cost=(
        "each party: 4 n k floating-point operations an epoch for n rows and k columns, as training alone",
        "masks: 1 ns for each weight, round and other contributor; keys: 0.1 ms for each other contributor, once",
        "bytes a round: 8 (k + 2) from each contributor to the arbiter and as many back",
        "memory: beside the table a matrix of 8 n k bytes, twice while it is made",
        "one round trip to the arbiter a round (aggregate_iters epochs); rows never leave a party",
    ),
)
