"""Models of logistic regressions for several classes, one for each, as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from airfed_proto.v1 import model_pb2
from federatedml.component import ModelBuffers
from federatedml.components.lr_result import META, PARAM
from federatedml.components.prediction_table import class_name
from federatedml.errors import ModelError


def joined(
    models: Sequence[ModelBuffers], classes: Sequence[float], meta: str = META, param: str = PARAM
) -> ModelBuffers:
    """One model of a model per class.

    Args:
        classes: known at a party that has labels.
        meta, param: names of the buffers.
    """
    params = [cast(model_pb2.LRModelParam, model[param]) for model in models]
    described = model_pb2.LRModelMeta()
    described.CopyFrom(cast(model_pb2.LRModelMeta, models[0][meta]))
    described.need_one_vs_rest = True
    whole = model_pb2.LRModelParam(
        iters=max(one.iters for one in params),
        is_converged=all(one.is_converged for one in params),
        header=params[0].header,
        need_one_vs_rest=True,
        one_vs_rest_classes=[class_name(value) for value in classes],
        classes=classes,
        classifiers=params,
    )
    return {meta: described, param: whole}


def split(model: ModelBuffers, meta: str = META, param: str = PARAM) -> list[ModelBuffers]:
    """A model per class; of a binary model itself alone.

    Raises:
        ModelError: ``FED-917``, a model of several classes has none of each.
    """
    whole = cast(model_pb2.LRModelParam, model[param]) if param in model else model_pb2.LRModelParam()
    nested = any(one.need_one_vs_rest for one in whole.classifiers)
    if nested or whole.need_one_vs_rest != (len(whole.classifiers) > 0):
        raise ModelError("FED-917", f"{param} of several classes does not have a binary model of each")
    return [{meta: model[meta], param: one} for one in whole.classifiers] or [model]


def classes_of(model: ModelBuffers, param: str = PARAM) -> Sequence[float]:
    """Label values of the scores of several classes, in their order."""
    return tuple(cast(model_pb2.LRModelParam, model[param]).classes)
