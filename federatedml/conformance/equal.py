"""Whether two runs of one step gave the same, within a tolerance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict

from federatedml.component import Component, Outputs
from federatedml.conformance.case import Same
from federatedml.conformance.require import require
from federatedml.data.table import Table
from federatedml.federation.local import StepResult


def tolerance_of(component: Component) -> float:
    """How far two results may be apart by the component's declaration."""
    return 0.0 if component.reproducible == "exact" else float(component.reproducible)


def near(found: Any, expected: Any, tolerance: float) -> bool:
    """Whether two arrays are equal, numbers within ``tolerance``."""
    one, other = np.asarray(found), np.asarray(expected)
    if one.shape != other.shape or one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return np.array_equal(one, other)
    return np.allclose(one, other, rtol=0.0, atol=tolerance)


def equal_results(component: Component, first: StepResult, second: StepResult, same: Same | None, context: str) -> None:
    """``Broken`` unless outputs and metrics of all members are the same."""
    require(set(first.outputs) == set(second.outputs), f"{context}: other members have outputs")
    tolerance = tolerance_of(component)
    for member, expected in first.outputs.items():
        if same is not None:
            same(expected, second.outputs[member])
        else:
            equal_outputs(expected, second.outputs[member], tolerance, f"{context}: {member}")
        found = [[asdict(point) for point in run.metrics[member]] for run in (first, second)]
        equal_values(found[0], found[1], tolerance, f"{context}: metrics of {member}")


def equal_outputs(expected: Outputs, found: Outputs, tolerance: float, where: str) -> None:
    """Data, models, summaries and views."""
    tables = [[outputs.data, *outputs.rest] for outputs in (expected, found)]
    require(len(tables[0]) == len(tables[1]), f"{where}: {len(tables[1])} data outputs, {len(tables[0])} before")
    for one, other in zip(*tables, strict=True):
        require((one is None) == (other is None), f"{where}: data in one run only")
        if one is not None and other is not None:
            equal_tables(one, other, tolerance, where)
    models = [
        {
            name: MessageToDict(message, preserving_proto_field_name=True)
            for name, message in (outputs.model or {}).items()
        }
        for outputs in (expected, found)
    ]
    equal_values(models[0], models[1], tolerance, f"{where}: model")
    equal_values(dict(expected.summary), dict(found.summary), tolerance, f"{where}: summary")
    views = [[view.json() for view in outputs.views] for outputs in (expected, found)]
    equal_values(views[0], views[1], tolerance, f"{where}: views")


def equal_tables(expected: Table, found: Table, tolerance: float, where: str) -> None:
    """Ids, columns in their order, and what they are."""
    kinds = [(t.label, t.weight, t.kind, t.sid_name, list(t.columns)) for t in (expected, found)]
    require(kinds[0] == kinds[1], f"{where}: a table is {kinds[1]}, expected {kinds[0]}")
    require(list(expected.ids) == list(found.ids), f"{where}: other ids")
    for name, column in expected.columns.items():
        equal_values(column.tolist(), found.columns[name].tolist(), tolerance, f"{where}: column {name}")


def equal_values(expected: Any, found: Any, tolerance: float, where: str) -> None:
    """Plain JSON; numbers may differ by ``tolerance``."""
    if isinstance(expected, Mapping):
        require(isinstance(found, Mapping) and set(expected) == set(found), f"{where}: other keys")
        for key, value in expected.items():
            equal_values(value, found[key], tolerance, f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        require(isinstance(found, list | tuple) and len(expected) == len(found), f"{where}: another length")
        for at, (one, other) in enumerate(zip(expected, found, strict=True)):
            equal_values(one, other, tolerance, f"{where}[{at}]")
    elif isinstance(expected, float) and isinstance(found, float):
        near = abs(expected - found) <= tolerance or (np.isnan(expected) and np.isnan(found))
        require(near or expected == found, f"{where} is {found!r}, expected {expected!r} within {tolerance:g}")
    else:
        require(expected == found, f"{where} is {found!r}, expected {expected!r}")
