"""HeteroSecureBoost keeps the contract of components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from federatedml.components import tree_paillier_guest
from federatedml.conformance import Pooled
from federatedml.conformance.case import Found
from federatedml.federation.party import Role
from tests.boost_cases import reference
from tests.conforming import Inherited
from tests.fault_cases import cases
from tests.members import GUEST
from tests.unit.test_faults import ready_key


@pytest.fixture(autouse=True)
def _ready_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_paillier_guest, "generate", ready_key)


class TestHeteroSecureBoost(Inherited):
    module = "HeteroSecureBoost"
    kill_every = 5
    tolerances: ClassVar[Mapping[str, float]] = dict.fromkeys(("validated", "classes, 2 hosts", "paillier"), 1e-5)

    conditional: ClassVar[Mapping[str, Sequence[str]]] = {
        "validated": ["block_taken"],  # of tables that take more than four blocks
        "classes, 2 hosts": ["block_taken", "same_rows", "split_bits"],  # of validation rows
        "paillier": ["same_rows", "split_bits"],
        "paillier, drawn rows": ["same_rows", "split_bits"],
    }

    def references(self) -> Mapping[str, Pooled]:
        return {name: partial(boosted, name) for name in ("validated", "classes, 2 hosts", "paillier")}


def boosted(name: str, outputs: Found) -> Mapping[str, tuple[Any, Any]]:
    """XGBoost on the bins of all parties."""
    case = cases("HeteroSecureBoost")[name].case
    data = {m: given.data["train_data"][0] for m, given in case.inputs.items() if m.role is not Role.ARBITER}
    y = data[GUEST].columns["y"]
    several = len(np.unique(y)) > 2
    given = {"objective": "multi:softprob", "num_class": 4} if several else {}
    booster, bins = reference(case.params[GUEST], data, y, **given)
    expected = booster.inplace_predict(bins)
    found = outputs[GUEST].data
    assert found is not None
    rows = found.columns["type"] == "train"
    return {"scores": (found.columns["predict_score"][rows], expected.max(axis=1) if several else expected)}
