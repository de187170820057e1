"""HomoLR keeps the contract of components."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from federatedml.federation.party import Role
from tests.conforming import Inherited
from tests.fault_cases import cases
from tests.homo_cases import by_rows, in_clear, param, weights
from tests.members import GUEST


class TestHomoLR(Inherited):
    module = "HomoLR"
    kill_every = 2
    tolerances: ClassVar[Mapping[str, float]] = {"two": 1e-9}  # sums of 40 bits of fraction

    def references(self) -> Mapping[str, Pooled]:
        return {"two": partial(averages_in_clear, "two")}


def averages_in_clear(name: str, outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    """Federated averaging of the same rows, without masks."""
    case = cases("HomoLR")[name].case
    tables = {m: given.data["train_data"][0] for m, given in case.inputs.items() if m.role is not Role.ARBITER}
    clear = in_clear(case.params[GUEST], tables, by_rows(tables))
    return {
        str(member): ([*weights(out), *param(out).loss_history], [*clear.weights, *clear.losses])
        for member, out in outputs.items()
        if member in tables
    }
