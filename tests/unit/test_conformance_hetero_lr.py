"""HeteroLR keeps the contract of components under both protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from federatedml.components import hetero_lr_paillier
from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from federatedml.federation.party import Role
from tests import lr_cases, paillier_lr_cases
from tests.conforming import Inherited
from tests.fault_cases import cases
from tests.members import GUEST
from tests.unit.test_faults import ready_key


@pytest.fixture(autouse=True)
def _ready_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hetero_lr_paillier, "generate", ready_key)


class TestHeteroLR(Inherited):
    """A first step of adam on a gradient that is noise ("opened") has no reference."""

    module = "HeteroLR"
    tolerances: ClassVar[Mapping[str, float]] = {"plain": 0.005, "L2": 0.005}  # of the sum of sines, at a rate of 0.5

    def references(self) -> Mapping[str, Pooled]:
        names = ("plain", "paillier", "L2", "momentum, 2 hosts")
        return {name: partial(steps_in_clear, name) for name in names}


def steps_in_clear(name: str, outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    """The same steps on the columns of all parties."""
    case = cases("HeteroLR")[name].case
    p = case.params[GUEST]
    data = {m: given.data["train_data"][0] for m, given in case.inputs.items() if m.role is not Role.ARBITER}
    if p.protocol == "paillier":
        found, clear = lr_cases.weights(outputs), paillier_lr_cases.in_clear(p, data)
        return {"weights": (found, np.concatenate([clear.weights[member] for member in sorted(data)]))}
    hosts = [table for member, table in sorted(data.items()) if member.role is Role.HOST]
    host = replace(hosts[0], columns={name: column for table in hosts for name, column in table.columns.items()})
    clear = lr_cases.in_clear(p, data[GUEST], host)
    return {"weights": (lr_cases.weights(outputs), clear.weights)}
