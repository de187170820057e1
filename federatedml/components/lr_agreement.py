"""Before a HeteroLR starts: the parties compare rows and parameters, and the arbiter hears of the shape."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import training_plan
from federatedml.crypto.dealer import Plan
from federatedml.crypto.shared_linear import ids_digest
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors

BETWEEN = (Role.GUEST, Role.HOST)

AGREEMENT = Topic(
    "agreement",
    BETWEEN,
    BETWEEN,
    Tensors({"ids": ("|u1", 1), "params": ("|u1", 1), "shape": ("<i8", 1)}),
    Carries.CONTROL,
    "whether both hold the same samples in the same order with the same parameters, the number of columns, "
    "and a digest of the sender's ids: a guess of all of them can be tested",
)
SHAPE = Topic(
    "shape",
    BETWEEN,
    (Role.ARBITER,),
    Tensors({"params": ("|u1", 1), "shape": ("<i8", 1)}),
    Carries.CONTROL,
    "number of rows and columns, and whether the parameters are its own",
)


def agree(p: LogisticParams, box: Box, table: Table, columns: int) -> int:
    """Check that guest and host hold the same rows and parameters; tell the dealer the shape. The peer's columns."""
    mine = {
        "ids": np.frombuffer(ids_digest(table.ids), "|u1"),
        "params": params_digest(p),
        "shape": np.array([len(table), columns], np.int64),
    }
    box.send(AGREEMENT, mine)
    theirs = box.recv(AGREEMENT)
    if not np.array_equal(mine["params"], theirs["params"]):
        raise DslError("FED-180", "parameters of HeteroLR differ between guest and host", "only predict_param may")
    if not np.array_equal(mine["ids"], theirs["ids"]):
        raise DataError(
            "FED-251", "guest and host do not hold the same samples in the same order", "run Intersection before"
        )
    peer = int(expect(theirs["shape"], 2)[1])
    box.send(SHAPE, {"params": mine["params"], "shape": mine["shape"]})
    return peer


def dealers_plan(p: LogisticParams, shapes: Mapping[Role, Mapping[str, Array]]) -> Plan:
    """At the arbiter: the plan of the shapes that guest and host tell."""
    (rows, guest_columns), (others, host_columns) = (
        map(int, expect(shapes[role]["shape"], 2)) for role in (Role.GUEST, Role.HOST)
    )
    if any(not np.array_equal(s["params"], params_digest(p)) for s in shapes.values()):
        raise DslError("FED-180", "parameters of HeteroLR differ between the arbiter and the others")
    if rows != others:
        raise ProtocolError("FED-382", f"guest and host name {rows} and {others} rows")
    return training_plan(p, rows, guest_columns, host_columns)


def params_digest(p: LogisticParams) -> Array:
    """SHA-256 of what all parties must have alike: all but prediction and cross validation."""
    text = p.model_dump_json(exclude={"predict_param", "cv_param"})
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), "|u1")


def expect(array: Array, *shape: int) -> Array:
    """The array, if it has that shape; ``ProtocolError`` otherwise."""
    if array.shape != shape:
        raise ProtocolError("FED-381", f"an array of shape {array.shape} came, the plan says {shape}")
    return array
