"""Before trees grow or score: guest and hosts compare rows and parameters."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from federatedml.components.common_rows import BETWEEN, GUESSED, check_same, digest_of, expect
from federatedml.components.tree_params import SecureBoostParams
from federatedml.data.table import Table
from federatedml.errors import DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors, Vector

MOST_CLASSES = 1000
CHECKPOINT_CELLS = 2**21  # scores in a checkpoint that is stored after every round

AGREEMENT = Topic(
    "agreement",
    BETWEEN,
    BETWEEN,
    Tensors({"ids": ("|u1", 1), "params": ("|u1", 1), "warm": ("|u1", 1), "copies": ("<i8", 1)}),
    Carries.CONTROL,
    "whether both hold the same samples in the same order with the same parameters, go on from a model, how many rows "
    f"may be of one sample, and {GUESSED}",
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


def agree(
    p: SecureBoostParams, box: Box, table: Table, warm: bool = False, classes: int | None = None
) -> tuple[int, int]:
    """Check that guest and hosts hold the same rows and parameters; the guest tells how many classes there are.

    Args:
        warm: whether the training goes on from a model.
        classes: at the guest.

    Returns:
        trees of a round, and how many rows may be of one sample, at the party where they are most.
    """
    flag = np.array([warm], np.uint8)
    copies = np.array([table.copies], np.int64)
    mine = {"ids": digest_of(table), "params": params_digest(p), "warm": flag, "copies": copies}
    box.send(AGREEMENT, mine)
    most = table.copies
    for theirs in box.gather(AGREEMENT).values():
        if not np.array_equal(mine["params"], theirs["params"]):
            raise DslError(
                "FED-180", "parameters of HeteroSecureBoost differ between guest and host", "only predict_param may"
            )
        check_same(mine["ids"], theirs["ids"])
        if not np.array_equal(flag, theirs["warm"]):
            raise DslError(
                "FED-809", "the trees go on from a model at one party only", "isometric_model at all, or none"
            )
        most = max(most, _copies(int(expect(theirs["copies"], 1)[0]), len(table)))
    if classes is not None:
        box.send(CLASSES, np.array([classes], np.int64))
        return classes, most
    told = int(expect(box.recv(CLASSES), 1)[0])
    if not 1 <= told <= MOST_CLASSES:
        raise ProtocolError("FED-801", f"the guest names {told} trees a round, allowed are 1 to {MOST_CLASSES}")
    return told, most


def _copies(told: int, rows: int) -> int:
    """How many rows a peer says may be of one sample: a union says two even of a single row."""
    if not 1 <= told <= rows + 1:
        raise ProtocolError("FED-945", f"a party says that {told} of {rows} rows may be of one sample", "1 to all")
    return told


def keeps(p: SecureBoostParams, rows: int, classes: int, rounds: int) -> bool:
    """Whether all parties store a checkpoint after so many rounds: of large tables not after each, scores are long."""
    every = -(-rows * classes // CHECKPOINT_CELLS)
    return rounds % every == 0 or rounds == p.num_trees


def params_digest(p: SecureBoostParams) -> Array:
    """SHA-256 of what all parties must have alike: all but the loss, and what becomes of scores at the guest."""
    own: dict[str, Any] = {
        "predict_param": True,
        "objective_param": True,
        "cv_param": {"mode", "role", "evaluate_param"},
    }
    text = p.model_dump_json(exclude=own)
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), "|u1")
