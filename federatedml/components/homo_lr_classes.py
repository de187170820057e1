"""Labels of several classes in the homo family: each contributor may have rows of some of them only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federatedml.component import Inputs
from federatedml.components.one_vs_rest import CLASSES, MOST, checked_classes, told_number
from federatedml.components.prediction_table import numeric_labels
from federatedml.crypto.secagg.steps import CONTRIBUTORS
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Vector

VALUES = Topic(
    "label_values",
    CONTRIBUTORS,
    CONTRIBUTORS,
    Vector("<f8"),
    Carries.CONTROL,
    "which values the sender's label has, not how often",
    max_bytes=2**14,
)


def of_all(box: Box, inputs: Inputs) -> tuple[Sequence[float], int]:
    """The label values of all contributors, whom each tells its own; the arbiter hears how many there are."""
    if box.me.role is Role.ARBITER:
        return (), told_number(box)
    table = inputs.one("train_data", "data")
    mine = np.unique(numeric_labels(table))
    if len(mine) > MOST:
        raise DataError("FED-257", f"the label {table.label!r} has {len(mine)} classes", f"at most {MOST}")
    box.send(VALUES, mine)
    everybodys = np.unique(np.concatenate([mine, *box.gather(VALUES).values()]))
    classes = checked_classes(everybodys, inputs, "the labels of all contributors have")
    if box.me.role is Role.GUEST:
        box.send(CLASSES, np.array([len(classes)], np.int64))
    elif told_number(box) != len(classes):
        raise ProtocolError("FED-910", "the guest names another number of classes than the labels have")
    return classes, len(classes)
