"""Tables and jobs for tests of HeteroSecureBoost, and XGBoost on the bins that its parties make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer

from airfed_proto.v1 import trees_pb2 as pb
from federatedml.component import Inputs, Outputs
from federatedml.components.hetero_secureboost import HETERO_SECUREBOOST
from federatedml.components.tree_columns import binned
from federatedml.components.tree_guest import rules_of
from federatedml.components.tree_model import GUEST_PARAM, HOST_PARAM
from federatedml.components.tree_params import SecureBoostParams
from federatedml.conformance.case import Case
from federatedml.data.table import Table
from federatedml.federation.party import Member
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST
from tests.tree_cases import boosted, pooled

Floats = np.ndarray
MEMBERS = (GUEST, HOST, OTHER_HOST)


def params(**given: Any) -> SecureBoostParams:
    """A short training as XGBoost would run it."""
    tree = {"max_depth": 3, "criterion_params": [1.0], "min_impurity_split": 0.0, **given.pop("tree_param", {})}
    usual = {"protocol": "shared", "num_trees": 3, "learning_rate": 0.3, "bin_num": 16, "min_cell_rows": 1}
    return SecureBoostParams.model_validate({**usual, "tree_param": tree, **given})


def cut(x: Floats, y: Floats | None, columns: Sequence[int], prefix: str = "row") -> dict[Member, Table]:
    """Columns of guest and hosts, so many each; the guest has the label."""
    ids = np.array([f"{prefix}{i}" for i in range(len(x))], dtype=object)
    tables, first = {}, 0
    for member, count in zip(MEMBERS, columns, strict=False):
        named: dict[str, Any] = {"y": y} if member is GUEST and y is not None else {}
        named |= {f"{member.role}_secret{j}": x[:, first + j] for j in range(count)}
        tables[member] = Table(ids, named, "y" if "y" in named else None)
        first += count
    return tables


@cache
def breast() -> tuple[Floats, Floats]:
    data = load_breast_cancer()
    return data.data, data.target.astype(np.float64)


def made(rows: int, columns: int, kind: str = "binary", missing: bool = False, seed: int = 0) -> tuple[Floats, Floats]:
    """Rows with a signal in all columns; some values are missing, not by chance."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(rows, columns)), 2)
    signal = x @ rng.normal(size=columns) + np.sin(3 * x[:, 0]) * x[:, -1] + 0.5 * rng.normal(size=rows)
    if missing:
        for j in range(0, columns, 2):
            x[rng.random(rows) < 0.15 + 0.15 * (signal > 0), j] = np.nan
    if kind == "regression":
        return x, signal
    ranks = signal.argsort().argsort()
    return x, np.floor(ranks * (2 if kind == "binary" else 4) / rows)


def case(
    p: SecureBoostParams | Mapping[Member, SecureBoostParams],
    tables: Mapping[Member, Table],
    held_out: Mapping[Member, Table] | None = None,
) -> Case:
    inputs = {}
    for member, table in tables.items():
        data: dict[str, Any] = {"train_data": [table]}
        if held_out is not None:
            data["eval_data"] = [held_out[member]]
        inputs[member] = Inputs(data)
    given = p if isinstance(p, Mapping) else dict.fromkeys([*tables, ARBITER], p)
    if ARBITER in given:
        inputs[ARBITER] = Inputs()
    return Case(HETERO_SECUREBOOST, given, inputs, "hetero_secureboost_0")


def guest_param(outputs: Mapping[Member, Outputs]) -> pb.BoostingTreeModelParam:
    model = outputs[GUEST].model
    assert model is not None
    return cast(pb.BoostingTreeModelParam, model[GUEST_PARAM])


def host_param(outputs: Mapping[Member, Outputs], member: Member = HOST) -> pb.BoostingTreeModelParam:
    model = outputs[member].model
    assert model is not None
    return cast(pb.BoostingTreeModelParam, model[HOST_PARAM])


def reference(
    p: SecureBoostParams, tables: Mapping[Member, Table], y: Floats, **given: Any
) -> tuple[xgboost.Booster, Floats]:
    """XGBoost on the bins of all parties, and these (n, columns)."""
    parts = [
        binned(p, table, 1 if member is GUEST else p.min_cell_rows).table for member, table in sorted(tables.items())
    ]
    x = pooled(parts)
    return boosted(rules_of(p), x, y, p.num_trees, **given), x
