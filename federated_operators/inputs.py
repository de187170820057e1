"""The inputs of a step, from what earlier components left at the same member: one way for tasks and simulations."""

from __future__ import annotations

from typing import Protocol

from federated_operators.gateway.plan import ALL_SUCCESS, DataRef, ModelRef, StepPlan
from federatedml.component import Inputs, ModelBuffers, component
from federatedml.data.catalogue import TableName
from federatedml.data.table import Table
from federatedml.errors import DataError, ModelError


class Left(Protocol):
    """What there is at one member before a step."""

    def __contains__(self, component: object) -> bool:
        """Whether the component's step succeeded."""
        ...

    def table(self, name: TableName) -> Table:
        """A table of the party."""
        ...

    def data(self, component: str, alias: str) -> Table | None:
        """A data output of a component that succeeded, if it left it at this member."""
        ...

    def model(self, component: str, alias: str) -> ModelBuffers | None:
        """Likewise, of a model."""
        ...

    def trained(self, ref: ModelRef) -> ModelBuffers | None:
        """The model that a training stored, for a predict job."""
        ...


def inputs_of(step: StepPlan, rule: str, left: Left) -> Inputs:
    """What a role function works on.

    Args:
        step: the component at this member.
        rule: its trigger rule. Only ``all_success`` needs the data of all components that it refers to; otherwise the
            data of those that did not succeed is left out, and a key under which nothing is left too; a component that
            takes one table takes the first that is left. A model that is referred to must always be there: without it
            the component would do something else.

    Raises:
        DataError: ``FED-221``, ``FED-222``, ``FED-226``: data is not there.
        ModelError: ``FED-620``, ``FED-621``: a model is not there.
    """
    there = {key: [ref for ref in refs if _counts(ref, rule, left)] for key, refs in step.data.items()}
    if rule != ALL_SUCCESS and not component(step.module).several:
        there = {key: refs[:1] for key, refs in there.items()}
    data = {key: [_table(step, ref, left) for ref in refs] for key, refs in there.items() if refs}
    return Inputs(data, _model(step, step.model, left), _model(step, step.isometric_model, left))


def _counts(ref: DataRef, rule: str, left: Left) -> bool:
    return rule == ALL_SUCCESS or ref.component is None or ref.component in left


def _table(step: StepPlan, ref: DataRef, left: Left) -> Table:
    if ref.component is None:
        if ref.table is None:
            raise DataError("FED-221", f"{step.component}: no table is named for {ref.alias!r}")
        return left.table(ref.table)
    _check(step, ref.component, left)
    table = left.data(ref.component, ref.alias)
    if table is None:
        raise DataError("FED-222", f"{step.component}: {ref.component} left no data {ref.alias!r} at this party")
    return table


def _model(step: StepPlan, ref: ModelRef | None, left: Left) -> ModelBuffers | None:
    if ref is None:
        return None
    if ref.stored:
        return _trained(step, ref, left)
    _check(step, ref.component, left)
    model = left.model(ref.component, ref.alias)
    if model is None:
        raise ModelError("FED-620", f"{step.component}: {ref.component} left no model {ref.alias!r} at this party")
    return model


def _trained(step: StepPlan, ref: ModelRef, left: Left) -> ModelBuffers:
    model = left.trained(ref)
    if model is None:
        raise ModelError("FED-621", f"{step.component}: no training left a model {ref.alias!r} at this party")
    return model


def _check(step: StepPlan, name: str, left: Left) -> None:
    if name not in left:
        raise DataError("FED-226", f"{step.component}: {name} is not committed at this party")
