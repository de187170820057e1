"""Where a training of HeteroLR starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from airfed_proto.v1 import model_pb2
from federatedml.component import ModelBuffers
from federatedml.components.linear_model import initial_weights
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_result import PARAM
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Role


def first_weights(p: LogisticParams, box: Box, before: ModelBuffers | None, table: Table, intercept: bool) -> Floats:
    """(k,) own weights, the intercept last: those of ``before``, an ``isometric_model``, or as the parameters say.

    A column of zeros, as FeatureScale makes of a constant one, starts at 0 where weights are drawn: its gradient is 0,
    so it would keep what was drawn, and count in rows where the column is something else.
    """
    header = table.header
    if before is None or PARAM not in before:
        varies = [bool(np.any(table.columns[name])) for name in header] + [True] * intercept
        return initial_weights(p.init_param, len(varies), _seed_name(box)) * varies
    return weights_of(cast(model_pb2.LRModelParam, before[PARAM]), header, intercept)


def weights_of(model: model_pb2.LRModelParam, header: Sequence[str], intercept: bool) -> Floats:
    """(k,) weights of another model in the order of ``header``, 0 where it has none; the intercept last."""
    if model.need_one_vs_rest:
        raise DataError("FED-911", "the isometric_model has a model per class, the training is of one", "one-vs-rest")
    weights = [model.weight.get(name, 0.0) for name in header]
    return np.array([*weights, model.intercept] if intercept else weights)


def _seed_name(box: Box) -> str:
    """What first weights are drawn from besides the seed: every party's differ."""
    hosts = sorted(member for member in box.members if member.role is Role.HOST)
    return "guest" if box.me.role is Role.GUEST else "host" if box.me == hosts[0] else str(box.me)
