"""Before a HomoLR starts: contributors compare parameters, columns, classes and first weights, directly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from federatedml.components import label_sets
from federatedml.components.common_rows import expect
from federatedml.components.homo_lr_params import HomoLogisticParams, common_digest
from federatedml.components.linear_model import BINARY
from federatedml.crypto.ring import Floats
from federatedml.crypto.secagg.steps import AGGREGATOR, CONTRIBUTORS
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Tensors

CLASSES = 2
MAX_COLUMNS = 2**22  # weights of a model, so that an average fits into a message

AGREEMENT = Topic(
    "agreement",
    CONTRIBUTORS,
    CONTRIBUTORS,
    Tensors(
        {
            "params": ("|u1", 1),
            "names": ("|u1", 1),
            "start": ("|u1", 1),
            "columns": ("<i8", 1),
            "classes": ("<f8", 1),
        }
    ),
    Carries.CONTROL,
    "the number of the sender's columns and which values its label has; digests of their names and of the first "
    "weights: a guess of all of them can be tested",
    max_bytes=4096,
)
SHAPE = Topic(
    "shape",
    CONTRIBUTORS,
    AGGREGATOR,
    Tensors({"params": ("|u1", 1), "columns": ("<i8", 1)}),
    Carries.CONTROL,
    "number of columns, and whether the parameters are its own",
    max_bytes=4096,
)


def agree(p: HomoLogisticParams, box: Box, names: Sequence[str], start: Floats, classes: Floats) -> tuple[float, float]:
    """Check that all contributors train the same model from the same start; tell the arbiter its size.

    Args:
        names: of the columns, sorted.
        classes: label values that this contributor's rows have.

    Returns:
        the two label values of all contributors, the larger one means 1.
    """
    mine = {
        "params": common_digest(p),
        "names": _digest("\0".join([str(len(name)) + name for name in names]).encode()),
        "start": _digest(start.astype("<f8").tobytes()),
        "columns": np.array([len(names)], np.int64),
        "classes": classes,
    }
    box.send(AGREEMENT, mine)
    theirs = box.gather(AGREEMENT)
    for member, told in theirs.items():
        _compare(mine, member, told)
    found = _all_classes([classes, *(told["classes"] for told in theirs.values())])
    label_sets.compare(box, found)
    box.send(SHAPE, {"params": mine["params"], "columns": mine["columns"]})
    return found


def told_columns(p: HomoLogisticParams, box: Box) -> int:
    """At the arbiter: how many columns the model has, on which all contributors agree."""
    told = box.gather(SHAPE)
    if any(not np.array_equal(shape["params"], common_digest(p)) for shape in told.values()):
        raise DslError("FED-180", "parameters of HomoLR differ between the arbiter and the others")
    counts = {int(expect(shape["columns"], 1)[0]) for shape in told.values()}
    if len(counts) > 1 or not 0 <= min(counts) <= MAX_COLUMNS:
        raise ProtocolError("FED-382", f"contributors name {' and '.join(map(str, sorted(counts)))} columns")
    return counts.pop()


def _compare(mine: Mapping[str, Array], member: Member, told: Mapping[str, Any]) -> None:
    """``FED-180`` parameters differ, ``FED-891`` columns, ``FED-892`` first weights. Names are not told."""
    if not np.array_equal(mine["params"], told["params"]):
        raise DslError("FED-180", f"parameters of HomoLR differ from those of {member}", "only own ones may")
    here, there = int(mine["columns"][0]), int(expect(told["columns"], 1)[0])
    if not np.array_equal(mine["names"], told["names"]):
        text = f"{here} columns here, {there} at {member}, and not of the same names"
        raise DataError("FED-891", text, "HomoLR needs the same columns at all contributors, in any order")
    if not np.array_equal(mine["start"], told["start"]):
        raise DataError("FED-892", f"{member} starts with other weights", "isometric_model: the same at all, or none")
    if not 0 < len(told["classes"]) <= CLASSES:
        raise ProtocolError("FED-381", f"{member} names {len(told['classes'])} label values, 1 or {CLASSES} are meant")


def _all_classes(found: Sequence[Floats]) -> tuple[float, float]:
    classes = np.unique(np.concatenate(found))
    if len(classes) != CLASSES:
        text = f"the labels of all contributors have {len(classes)} classes together"
        raise DataError("FED-257", text, BINARY)
    return float(classes[0]), float(classes[1])


def _digest(body: bytes) -> Array:
    return np.frombuffer(hashlib.sha256(body).digest(), "|u1")
