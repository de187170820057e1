"""Prediction with a fitted HeteroLR, the same under every protocol: the host hands its part of each row's score."""

from __future__ import annotations

from typing import cast

import numpy as np

from airfed_proto.v1 import model_pb2
from federatedml.component import ModelBuffers
from federatedml.components import prediction_table
from federatedml.components.common_rows import expect, same_rows
from federatedml.components.linear_model import logistic, partial_score
from federatedml.components.lr_classes import split
from federatedml.components.lr_release import count_rows
from federatedml.components.lr_result import META, PARAM
from federatedml.data.table import Table
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector

PARTIAL = Topic(
    "partial_scores",
    (Role.HOST,),
    (Role.GUEST,),
    Vector("<f8"),
    Carries.ROW_VALUES,
    "the host's part of the linear predictor of every row, all digits: one linear combination of the host's columns; "
    "if these have few distinct values, rows with the same values can be told, and with them the values",
)


def predicted(box: Box, model: ModelBuffers, table: Table, round: int, kind: str) -> Table:
    """At the guest: predictions of all rows, from its own part and the hosts'; of several classes in as many rounds."""
    same_rows(box, table, round)
    meta, param = cast(model_pb2.LRModelMeta, model[META]), cast(model_pb2.LRModelParam, model[PARAM])
    columns = []
    for number, one in enumerate(split(model)):
        theirs = [expect(part, len(table)) for _, part in sorted(box.gather(PARTIAL, round + number).items())]
        columns.append(logistic(one, partial_of(one, table), theirs))
    origin = box.attempt.component
    if param.need_one_vs_rest:
        return prediction_table.multiclass(table, np.column_stack(columns), param.classes, kind, origin)
    return prediction_table.binary(table, columns[0], param.classes, meta.threshold, kind, origin)


def send_partial(box: Box, model: ModelBuffers, table: Table, round: int) -> None:
    """At the host: its part of the predictor of every row, after both agree on the rows; one for each class."""
    same_rows(box, table, round)
    count_rows(box, parts_per_row(model) * len(table))
    for number, one in enumerate(split(model)):
        box.send(PARTIAL, partial_of(one, table), round + number)


def parts_per_row(model: ModelBuffers) -> int:
    """How many linear combinations of a host's columns a score tells."""
    return len(split(model))


def partial_of(model: ModelBuffers, table: Table) -> Array:
    """(n,) this party's part of z; column by column, so that one row and a batch agree to the last bit.

    Of a model of several classes (n, classes).
    """
    param = cast(model_pb2.LRModelParam, model[PARAM])
    if param.need_one_vs_rest:
        return np.column_stack([partial_of(one, table) for one in split(model)])
    return partial_score(table, list(param.header), param.weight, param.intercept)
