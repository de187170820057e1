"""One-vs-rest: a binary model for each class of the label, each trained by the component's own role function.

The classes are the values of the label, ascending: in a hetero component those of the guest, and the others hear how
many there are; in a homo one those of all contributors, who tell each other. Each class runs in a box of its own
(``stages``) with the label 1 for its rows and 0 for the rest. A row's result is the class with the highest probability;
the probabilities of a row do not add up to 1, as in FATE. A label of two classes is trained as one binary model.

Cost: that of a binary training for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import Field

from federatedml.component import Inputs, ModelBuffers, ModelSpec, Outputs, Params, RoleFunction
from federatedml.components import label_sets
from federatedml.components.prediction_table import multiclass, numeric_labels
from federatedml.components.stages import Stages
from federatedml.crypto.ring import Floats
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries, Topic
from federatedml.federation.wire import Array, Vector

MOST = 1000  # classes
AGAINST = (0.0, 1.0)  # the two label values of each training: the rest, the class
CLASSES = Topic(
    "classes",
    (Role.GUEST,),
    (Role.HOST, Role.ARBITER),
    Vector("<i8"),
    Carries.CONTROL,
    "how many classes the label has, and thereby how many models are trained; not which, nor how many rows each has",
)
LABELS = Topic(
    "label_values",
    (Role.GUEST, Role.HOST),
    (Role.GUEST, Role.HOST),
    Vector("<f8"),
    Carries.CONTROL,
    "which values the sender's label has, not how many rows each",
    max_bytes=16 * MOST,
)
COUNT = Topic(
    "class_count",
    (Role.GUEST, Role.HOST),
    (Role.ARBITER,),
    Vector("<i8"),
    Carries.CONTROL,
    "how many classes the labels of all have, and thereby how many models are trained",
)
LEARNS: Mapping[Role, Sequence[str]] = {
    Role.GUEST: ("all that is said of one model, for one model per class",),
    Role.HOST: ("all that is said of one model, for one model per class", "the number of classes"),
    Role.ARBITER: ("the number of classes",),
}


class OneVsRestParam(Params):
    """More than two classes."""

    need_one_vs_rest: bool = Field(default=False, description="one model per class, for labels of several classes")
    has_arbiter: bool = Field(default=True, description="whether an arbiter takes part")


@dataclass(frozen=True)
class Classifiers:
    """How a component's models of several classes are kept as one.

    Attributes:
        model: buffers of a model.
        joined: (a model per class, the classes where they are known) -> one model.
        split: one model -> a model per class; of a binary model itself alone.
    """

    model: ModelSpec
    joined: Callable[[Sequence[ModelBuffers], Sequence[float]], ModelBuffers]
    split: Callable[[ModelBuffers], Sequence[ModelBuffers]]


Agreed = Callable[[Box, Inputs], tuple[Sequence[float], int]]  # the classes, where they are known; how many


def one_vs_rest(
    train: RoleFunction,
    kept: Classifiers,
    agreed: Agreed,
    check: Callable[[Any, Inputs], None] = lambda p, inputs: None,
) -> RoleFunction:
    """A role function that does what ``train`` does, for each class if ``p.one_vs_rest_param.need_one_vs_rest``.

    Args:
        agreed: how parties come to know the classes: ``of_the_guest`` or ``of_all``.
        check: refuses parameters and the inputs of any class, before the first of them is trained.
    """

    def run(p: Any, box: Box, inputs: Inputs) -> Outputs:
        if not p.one_vs_rest_param.need_one_vs_rest:
            return train(p, box, inputs)
        classes, count = agreed(box, inputs)
        if count == 2:
            return train(p, box, inputs)
        for value in classes:
            check(p, _of_class(inputs, value))
        return _of_each(train, kept, p, box, inputs, classes, count)

    return run


def of_the_guest(box: Box, inputs: Inputs) -> tuple[Sequence[float], int]:
    """The classes of the guest's label; it tells the others how many.

    Raises:
        DataError: fewer than two classes, too many, or the rows to validate have another one.
        ProtocolError: the guest told no number of classes.
    """
    if box.me.role is not Role.GUEST:
        return (), _told(box, CLASSES)
    classes = _checked(_own(inputs), inputs)
    box.send(CLASSES, np.array([len(classes)], np.int64))
    return classes.tolist(), len(classes)


def of_all(box: Box, inputs: Inputs) -> tuple[Sequence[float], int]:
    """The classes of the labels of guest and hosts together, who tell each other theirs, and the arbiter how many.

    Raises:
        DataError: as ``of_the_guest``.
        ProtocolError: a party told too many classes, or none, or others than it told another party; or the arbiter
            different numbers.
    """
    if box.me.role is Role.ARBITER:
        return (), _told(box, COUNT)
    own = _own(inputs)
    if len(own) > MOST:  # numbers that are no classes are not told
        raise _no_classes(inputs, len(own))
    box.send(LABELS, own)
    theirs = list(box.gather(LABELS).values())
    if any(not 0 < len(told) <= MOST for told in theirs):
        raise ProtocolError("FED-910", "a party names no classes, or too many", f"1 to {MOST}")
    classes = _checked(np.unique(np.concatenate([own, *theirs])), inputs)
    label_sets.compare(box, classes.tolist(), round=1)  # two classes are trained in this box, which compares again
    box.send(COUNT, np.array([len(classes)], np.int64))
    return classes.tolist(), len(classes)


def _own(inputs: Inputs) -> Floats:
    return np.unique(numeric_labels(inputs.one("train_data", "data")))


def _checked(classes: Floats, inputs: Inputs) -> Floats:
    if not 2 <= len(classes) <= MOST:
        raise _no_classes(inputs, len(classes))
    for held_out in inputs.data.get("eval_data", ()):
        if held_out.label is not None and not np.isin(numeric_labels(held_out), classes).all():
            raise DataError("FED-257", "the label has a value that the training does not have", repr(held_out.label))
    return classes


def _no_classes(inputs: Inputs, found: int) -> DataError:
    name = inputs.one("train_data", "data").label
    return DataError("FED-257", f"the label has {found} classes", f"{name!r}: 2 to {MOST}")


def _told(box: Box, topic: Topic[Array]) -> int:
    """The number of classes, of which all who tell it must think the same."""
    counts = box.gather(topic).values()
    told = {int(count[0]) if count.shape == (1,) else 0 for count in counts}
    if len(told) != 1 or not 2 <= min(told) <= MOST:
        raise ProtocolError("FED-910", "no number of classes is named", f"the same by all, from 2 to {MOST}")
    return told.pop()


def _of_each(
    train: RoleFunction, kept: Classifiers, p: Any, box: Box, inputs: Inputs, classes: Sequence[float], count: int
) -> Outputs:
    stages, found = Stages(box, count, "class", kept.model), []
    before = _before(kept, inputs, count)
    for number in range(count):
        given = replace(_of_class(inputs, classes[number]) if classes else inputs, isometric_model=before[number])

        def one(own: Box, given: Inputs = given) -> Outputs:
            return train(p, own, given)

        found.append(stages.run(number, one))
    models = [outputs.model for outputs in found if outputs.model is not None]
    tables = [outputs.data for outputs in found if outputs.data is not None]
    return Outputs(
        together(tables, classes) if tables else None,
        kept.joined(models, classes) if models else None,
        [view for outputs in found for view in outputs.views],
        {f"{key}_class_{n}": value for n, outputs in enumerate(found) for key, value in outputs.summary.items()},
    )


def _before(kept: Classifiers, inputs: Inputs, count: int) -> Sequence[ModelBuffers | None]:
    """Where each class starts: its own model of ``isometric_model``, or the only one that it has."""
    if inputs.isometric_model is None:
        return [None] * count
    models = kept.split(inputs.isometric_model)
    if len(models) not in (1, count):
        raise DataError("FED-911", f"the isometric_model has {len(models)} classes, the training {count}")
    return list(models) * (count // len(models))


def _of_class(inputs: Inputs, value: float) -> Inputs:
    return replace(inputs, data={key: [_against(t, value) for t in tables] for key, tables in inputs.data.items()})


def _against(table: Table, value: float) -> Table:
    """The table with 1 for rows of the class and 0 for the rest."""
    if table.label is None:
        return table
    positive = (numeric_labels(table) == value).astype(np.int64)
    return replace(table, columns={**table.columns, table.label: positive})


def together(tables: Sequence[Table], classes: Sequence[float]) -> Table:
    """One table of predictions of the binary tables of all classes, whose rows are the same."""
    first = tables[0]
    scores = np.column_stack([table.columns["predict_score"] for table in tables])
    columns, label = {}, None
    if "label" in first.columns:
        positive = np.column_stack([table.columns["label"] for table in tables])
        columns, label = {"label": np.asarray(classes)[positive.argmax(axis=1)]}, "label"
    rows = Table(first.ids, columns, label, sid_name=first.sid_name)
    found = multiclass(rows, scores, classes, "", first.origin)
    return replace(found, columns={**found.columns, "type": first.columns["type"]})
