"""Components that send nothing keep the contract of components: each party's result is that of its own rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from tests.conforming import Inherited
from tests.members import GUEST, HOST


class TestFeatureScale(Inherited):
    module = "FeatureScale"

    def references(self) -> Mapping[str, Pooled]:
        return {"fit": lambda outputs: columns(outputs, {"x": [-1.0, 1.0]}, {"z": [0.0]})}


class TestOneHotEncoder(Inherited):
    module = "OneHotEncoder"

    def references(self) -> Mapping[str, Pooled]:
        return {"fit": lambda outputs: columns(outputs, {"x_1": [1.0, 0.0], "x_2": [0.0, 1.0]}, {"z_5": [1.0]})}


def columns(
    outputs: Found, guest: Mapping[str, list[float]], host: Mapping[str, list[float]]
) -> Mapping[str, tuple[Any, Any]]:
    found = {member: outputs[member].data for member in (GUEST, HOST)}
    return {
        f"{member} {name}": (table.columns[name] if name in table.header else None, values)
        for member, expected in ((GUEST, guest), (HOST, host))
        for table in [found[member]]
        if table is not None
        for name, values in expected.items()
    }
