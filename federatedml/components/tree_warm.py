"""Trainings that go on from a model (``isometric_model``): its trees stay, new ones are added to their scores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import cast

import numpy as np

from airfed_proto.v1 import trees_pb2 as pb
from federatedml.component import Inputs, ModelBuffers
from federatedml.components.lr_release import count_rows
from federatedml.components.tree_columns import Gaps, Threshold, bits_of
from federatedml.components.tree_model import GUEST_PARAM, HOST_PARAM, own_splits
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_predict import Whole, add_trees, recv_bits, send_bits
from federatedml.components.tree_state import NO_SCORES, GuestState
from federatedml.components.tree_target import Target
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.party import Member


def continued(
    p: SecureBoostParams, box: Box, model: ModelBuffers, table: Table, target: Target, hosts: Sequence[Member]
) -> GuestState:
    """At the guest: as if the model's rounds had just been trained.

    Raises:
        DataError: FED-810, the model is of other columns, classes, or parties.
    """
    whole, splits = Whole.of(model), _splits(p, model, table)
    found = whole.read
    sites = list(cast(pb.BoostingTreeModelParam, model[GUEST_PARAM]).sites)
    if found.target != target or sites[1:] != [str(host) for host in hosts]:
        raise DataError("FED-810", "the model that the trees go on from is of another label or of other hosts")
    gaps = Gaps(p.use_missing, p.zero_as_missing)
    bits = [bits_of(gaps, table, table.header, splits)]
    bits += [
        recv_bits(box, _message(p), len(table), host, least)
        for host, least in zip(hosts, whole.needed[1:], strict=True)
    ]
    scores = np.tile(found.start, (len(table), 1))
    add_trees(scores, whole.forest, bits)
    made, looked = [part.shape[1] for part in bits[1:]], [0] * (2 + len(hosts))
    rounds = len(found.trees) // len(found.start)
    return GuestState(found.start, rounds, scores, NO_SCORES, list(found.trees), splits, made, looked)


def begun_with(inputs: Inputs, buffer: str) -> ModelBuffers | None:
    """The model that the training goes on from, if any.

    Args:
        buffer: which a party's part of such a model has.

    Raises:
        DataError: FED-810, it is not one of boosted trees.
    """
    model = inputs.isometric_model
    if model is not None and buffer not in model:
        raise DataError("FED-810", "the isometric_model is none of boosted trees", f"a model with {buffer}")
    return model


def old_splits(p: SecureBoostParams, model: ModelBuffers, table: Table) -> tuple[list[Threshold], list[int]]:
    """At a host: the model's splits, and how many there were after each of its rounds."""
    param = cast(pb.BoostingTreeModelParam, model[HOST_PARAM])
    return _splits(p, model, table), list(accumulate(len(tree.tree_) for tree in param.trees_))


def tell_old_bits(p: SecureBoostParams, box: Box, table: Table, splits: Sequence[Threshold]) -> None:
    """At a host: on which side of the model's splits the training rows are."""
    count_rows(box, len(table))
    send_bits(box, _message(p), bits_of(Gaps(p.use_missing, p.zero_as_missing), table, table.header, splits))


def _splits(p: SecureBoostParams, model: ModelBuffers, table: Table) -> list[Threshold]:
    header, splits, gaps = own_splits(model)
    if list(header) != table.header:
        raise DataError("FED-810", "the model that the trees go on from is of other columns than the table")
    if gaps != Gaps(p.use_missing, p.zero_as_missing):
        said = f"use_missing {gaps.allowed}, zero_as_missing {gaps.zero}"
        raise DataError("FED-810", "the model that the trees go on from takes other values for missing", said)
    return list(splits)


def _message(p: SecureBoostParams) -> int:
    """Number of the message, behind those of all looks at validation rows."""
    return p.num_trees + 2
