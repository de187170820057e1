"""Evaluation keeps the contract of components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.metrics import roc_auc_score

from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from tests.conforming import Inherited
from tests.members import GUEST


class TestEvaluation(Inherited):
    module = "Evaluation"

    def references(self) -> Mapping[str, Pooled]:
        return {"two curves": auc}


def auc(outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    return {"auc": (outputs[GUEST].summary["auc"], roc_auc_score([0, 1, 1], [0.2, 0.7, 0.1]))}
