"""SecureAddExample keeps the contract of components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from tests.conforming import Inherited
from tests.members import GUEST


class TestSecureAdd(Inherited):
    module = "SecureAddExample"

    def references(self) -> Mapping[str, Pooled]:
        return dict.fromkeys(["2 members", "4 members"], total)


def total(outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    numbers = [out.data.columns["number"].sum() for out in outputs.values() if out.data is not None]
    return {"the sum": (outputs[GUEST].summary["secure_sum"], sum(numbers))}
