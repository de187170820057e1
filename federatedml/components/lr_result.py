"""What a training of HeteroLR leaves behind: the model's buffers, the summary, the curve of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from airfed_proto.v1 import model_pb2
from federatedml.component import ModelBuffers
from federatedml.components.lr_params import LogisticParams, LogisticTraining
from federatedml.federation.wire import Array
from federatedml.views import Curve, Series

META, PARAM = "HeteroLogisticRegressionMeta", "HeteroLogisticRegressionParam"


@dataclass
class History:
    """Epochs so far, as a checkpoint keeps them."""

    epochs: int = 0
    losses: list[float] = field(default_factory=list)
    stopped: bool = False
    converged: bool = False
    best: int = 0  # epoch of the weights that are kept, 0: the last one


def fitted(
    p: LogisticParams, names: list[str], weights: Array, history: History, classes: Sequence[float] = ()
) -> ModelBuffers:
    """One party's part of the model: its own weights, the intercept last if there is one more than names."""
    meta = training_meta(p)
    meta.protocol = p.protocol
    return {META: meta, PARAM: weights_param(names, weights, history, classes)}


def training_meta(p: LogisticTraining) -> model_pb2.LRModelMeta:
    """FATE's description of a training."""
    return model_pb2.LRModelMeta(
        penalty=p.penalty,
        eps=p.eps,
        alpha=p.alpha,
        optimizer=p.optimizer,
        party_weight=p.party_weight,
        batch_size=p.batch_size,
        learning_rate=p.learning_rate,
        max_iter=p.max_iter,
        converge_func=p.converge_func,
        re_encrypt_batches=p.re_encrypt_batches,
        need_run=p.need_run,
        threshold=p.predict_param.threshold,
    )


def weights_param(
    names: Sequence[str], weights: Array, history: History, classes: Sequence[float]
) -> model_pb2.LRModelParam:
    """FATE's buffer of weights, the intercept last if there is one more than names."""
    return model_pb2.LRModelParam(
        iters=history.epochs,
        loss_history=history.losses,
        is_converged=history.converged,
        weight={name: float(w) for name, w in zip(names, weights, strict=False)},
        intercept=float(weights[-1]) if len(weights) > len(names) else 0.0,
        header=names,
        classes=classes,
    )


def summary_of(weights: Array, history: History, rows: int, told: int = 0) -> dict[str, float]:
    """What is shown beside the component.

    Args:
        told: equations that models on these rows have told one party so far, this one included; 0 is not shown.
    """
    return (
        {
            "rows": rows,
            "epochs": history.epochs,
            "is_converged": float(history.converged),
            "equations_revealed": len(weights),
            "rows_per_equation": round(rows / len(weights), 2),
        }
        | ({"equations_of_all_models": told} if told else {})
        | ({"best_epoch": history.best} if history.best else {})
    )


def fold_summary(history: History) -> dict[str, float]:
    """What is shown of a fold of a cross validation, whose weights stay closed."""
    best = {"best_epoch": history.best} if history.best else {}
    return {"epochs": history.epochs, "is_converged": float(history.converged)} | best


def told_by_gradients(sizes: Sequence[int], weights: int, epochs: int) -> dict[str, float]:
    """What the summary says of equations where a party reads its gradient of every batch.

    Args:
        sizes: rows of each batch.
        weights: of the party.
    """
    return {"equations_revealed": weights * len(sizes) * epochs, "rows_per_equation": round(min(sizes) / weights, 2)}


LOSS_META = {"name": "train", "unit_name": "iters"}  # FATE's


def loss_curve(history: History, every: int = 1) -> Curve:
    """Loss over epochs; ``every``: epochs from one loss to the next."""
    epochs = [float(min(i * every, history.epochs)) for i in range(1, len(history.losses) + 1)]
    line = Series("loss", epochs, history.losses)
    return Curve("loss", "Loss", "iters", "loss", [line], metric_type="LOSS", meta=LOSS_META)
