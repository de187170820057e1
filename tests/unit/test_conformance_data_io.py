"""DataIO keeps the contract of components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from tests.conforming import Inherited
from tests.members import GUEST, HOST


class TestDataIO(Inherited):
    module = "DataIO"

    def references(self) -> Mapping[str, Pooled]:
        return {"fit": filled}


def filled(outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    guest, host = outputs[GUEST].data, outputs[HOST].data
    assert guest
    assert host
    return {
        "x": (guest.columns["x"], [1.0, 1.0, 3.0]),
        "y": (guest.labels(), [0, 1, 1]),
        "z": (host.columns["z"], [4.0, 5.0]),
    }
