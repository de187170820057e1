"""Before a HeteroLR starts: the parties compare rows and parameters, and the arbiter hears of the shape."""

from __future__ import annotations

import hashlib

import numpy as np

from federatedml.components.common_rows import BETWEEN, GUESSED, check_same, digest_of, expect
from federatedml.components.lr_params import LogisticParams
from federatedml.data.table import Table
from federatedml.errors import DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors

AGREEMENT = Topic(
    "agreement",
    BETWEEN,
    BETWEEN,
    Tensors({"ids": ("|u1", 1), "params": ("|u1", 1), "shape": ("<i8", 1)}),
    Carries.CONTROL,
    "whether both hold the same samples in the same order with the same parameters, the number of columns, "
    f"and {GUESSED}",
)
SHAPE = Topic(
    "shape",
    BETWEEN,
    (Role.ARBITER,),
    Tensors({"params": ("|u1", 1), "shape": ("<i8", 1)}),
    Carries.CONTROL,
    "number of rows and columns, and whether the parameters are its own",
)


def agree(p: LogisticParams, box: Box, table: Table, columns: int) -> dict[Member, int]:
    """Check that all hold the same rows and parameters; tell the arbiter the shape.

    Returns:
        number of columns of each other party.
    """
    mine = {
        "ids": digest_of(table),
        "params": params_digest(p),
        "shape": np.array([len(table), columns], np.int64),
    }
    box.send(AGREEMENT, mine)
    peers = {}
    for member, theirs in box.gather(AGREEMENT).items():
        if not np.array_equal(mine["params"], theirs["params"]):
            raise DslError(
                "FED-180",
                "parameters of HeteroLR differ between guest and host",
                "only predict_param and party_weight may",
            )
        check_same(mine["ids"], theirs["ids"])
        peers[member] = int(expect(theirs["shape"], 2)[1])
    box.send(SHAPE, {"params": mine["params"], "shape": mine["shape"]})
    return peers


def told_shapes(p: LogisticParams, box: Box) -> tuple[int, dict[Member, int]]:
    """At the arbiter: rows, and columns of each of the others, who must have its parameters and the same rows."""
    told = box.gather(SHAPE)
    if any(not np.array_equal(shape["params"], params_digest(p)) for shape in told.values()):
        raise DslError("FED-180", "parameters of HeteroLR differ between the arbiter and the others")
    rows = {int(expect(shape["shape"], 2)[0]) for shape in told.values()}
    if len(rows) > 1:
        raise ProtocolError("FED-382", f"guest and host name {' and '.join(map(str, sorted(rows)))} rows")
    return rows.pop(), {member: int(shape["shape"][1]) for member, shape in told.items()}


def params_digest(p: LogisticParams) -> Array:
    """SHA-256 of what all parties must have alike: neither what becomes of scores nor what has no effect."""
    text = p.model_dump_json(
        exclude={"predict_param": True, "party_weight": True, "cv_param": {"mode", "role", "evaluate_param"}}
    )
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), "|u1")
