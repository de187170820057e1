"""Binning and selection keep the contract of components."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from federatedml.components import binning_paillier
from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from federatedml.federation.party import Role
from tests.binning_cases import binning_param, pooled_iv
from tests.conforming import Inherited
from tests.fault_cases import cases
from tests.members import GUEST
from tests.unit.test_faults import ready_key


@pytest.fixture(autouse=True)
def _ready_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binning_paillier, "generate", ready_key)


class TestHeteroFeatureBinning(Inherited):
    module = "HeteroFeatureBinning"

    def references(self) -> Mapping[str, Pooled]:
        return {name: partial(pooled, name) for name in ("paillier", "paillier, 2 hosts", "shared")}


class TestHeteroFeatureSelection(Inherited):
    module = "HeteroFeatureSelection"

    def references(self) -> Mapping[str, Pooled]:
        return {"iv": left_by_iv}


def pooled(name: str, outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    """IVs of all columns, from the numbers of all rows' bins and the labels."""
    labels = cases("HeteroFeatureBinning")[name].case.inputs[GUEST].data["data"][0].labels()
    param, found = binning_param(outputs[GUEST]), {}
    for member, out in outputs.items():
        if member.role is Role.ARBITER or out.data is None:
            continue
        for place, column in enumerate(out.data.header):
            told = (
                param.binning_result.binning_result[column]
                if member == GUEST
                else param.host_results[str(member)].binning_result[f"{member}_{place}"]
            )
            found[f"{member} {column}"] = (told.iv, pooled_iv(out.data.columns[column].astype(int), labels)[0])
    return {name: (round(iv, 12), round(expected, 12)) for name, (iv, expected) in found.items()}


def left_by_iv(outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    """With a threshold of 0 every column that varies stays."""
    given = cases("HeteroFeatureSelection")["iv"].case.inputs
    return {
        str(member): (np.array(out.data.header) if out.data else None, np.array(given[member].data["data"][0].header))
        for member, out in outputs.items()
    }
