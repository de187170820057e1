"""Before trees grow or score: guest and hosts compare rows and parameters."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.shared_linear import ids_digest
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors, Vector

BETWEEN = (Role.GUEST, Role.HOST)
MOST_CLASSES = 1000
CHECKPOINT_CELLS = 2**21  # scores in a checkpoint that is stored after every round
DIGEST = "a digest of the sender's ids: a guess of all of them can be tested"

AGREEMENT = Topic(
    "agreement",
    BETWEEN,
    BETWEEN,
    Tensors({"ids": ("|u1", 1), "params": ("|u1", 1), "warm": ("|u1", 1)}),
    Carries.CONTROL,
    f"whether both hold the same samples in the same order with the same parameters, go on from a model, and {DIGEST}",
)
CLASSES = Topic(
    "classes",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("<i8"),
    Carries.CONTROL,
    "how many trees a round has: one, or one for each class of the label",
)
NEXT = Topic(
    "next_round",
    (Role.GUEST,),
    (Role.HOST,),
    Vector("|u1"),
    Carries.CONTROL,
    "whether another round of trees follows: with a stop by the loss or by validation rows how many there are",
)
SAME_ROWS = Topic(
    "scored_rows",
    BETWEEN,
    BETWEEN,
    Vector("|u1"),
    Carries.CONTROL,
    f"whether both hold the same samples in the same order, and {DIGEST}",
)


def agree(p: SecureBoostParams, box: Box, table: Table, warm: bool = False, classes: int | None = None) -> int:
    """Check that guest and hosts hold the same rows and parameters; the guest tells how many classes there are.

    Args:
        warm: whether the training goes on from a model.
        classes: at the guest.

    Returns:
        trees of a round.
    """
    flag = np.array([warm], np.uint8)
    mine = {"ids": np.frombuffer(ids_digest(table.ids), "|u1"), "params": params_digest(p), "warm": flag}
    box.send(AGREEMENT, mine)
    for theirs in box.gather(AGREEMENT).values():
        if not np.array_equal(mine["params"], theirs["params"]):
            raise DslError(
                "FED-180", "parameters of HeteroSecureBoost differ between guest and host", "only predict_param may"
            )
        if not np.array_equal(mine["ids"], theirs["ids"]):
            raise DataError(
                "FED-251", "guest and host do not hold the same samples in the same order", "run Intersection before"
            )
        if not np.array_equal(flag, theirs["warm"]):
            raise DslError(
                "FED-809", "the trees go on from a model at one party only", "isometric_model at all, or none"
            )
    if classes is not None:
        box.send(CLASSES, np.array([classes], np.int64))
        return classes
    told = int(expect(box.recv(CLASSES), 1)[0])
    if not 1 <= told <= MOST_CLASSES:
        raise ProtocolError("FED-801", f"the guest names {told} trees a round, allowed are 1 to {MOST_CLASSES}")
    return told


def keeps(p: SecureBoostParams, rows: int, classes: int, rounds: int) -> bool:
    """Whether all parties store a checkpoint after so many rounds: of large tables not after each, scores are long."""
    every = -(-rows * classes // CHECKPOINT_CELLS)
    return rounds % every == 0 or rounds == p.num_trees


def same_rows(box: Box, table: Table, round: int) -> None:
    """Check that guest and hosts are about to score the same rows."""
    digest = ids_digest(table.ids)
    box.send(SAME_ROWS, np.frombuffer(digest, "|u1"), round)
    if any(told.tobytes() != digest for told in box.gather(SAME_ROWS, round).values()):
        raise DataError("FED-251", "guest and host do not score the same samples in the same order")


def params_digest(p: SecureBoostParams) -> Array:
    """SHA-256 of what all parties must have alike: all but the loss, and what becomes of scores at the guest."""
    own: dict[str, Any] = {
        "predict_param": True,
        "objective_param": True,
        "cv_param": {"mode", "role", "evaluate_param"},
    }
    text = p.model_dump_json(exclude=own)
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), "|u1")


def expect(array: Array, *shape: int) -> Array:
    """The array, if it has that shape; ``ProtocolError`` otherwise."""
    if array.shape != shape:
        raise ProtocolError("FED-381", f"an array of shape {array.shape} came, the plan says {shape}")
    return array
