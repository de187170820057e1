"""Tables and steps of HeteroFeatureBinning for tests, and the same numbers from pooled data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Inputs, Outputs
from federatedml.components.binning_params import FeatureBinningParams
from federatedml.components.hetero_feature_binning import HETERO_FEATURE_BINNING
from federatedml.crypto.paillier.evaluator import evaluator, owner_evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.packing import Packing
from federatedml.data.table import Table
from federatedml.federation.party import Member
from tests.conformance import Case
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

Floats = NDArray[np.float64]


def bin_tables(
    rows: int = 400, hosts: int = 1, columns: int = 2, missing: float = 0.2, seed: int = 0
) -> dict[Member, Table]:
    """Random columns, the first host's last one with missing values; the guest has a label that all of them make."""
    random = np.random.default_rng(0)
    ids = np.array([f"row{i}" for i in range(rows)], dtype=object)
    members = [GUEST, HOST, OTHER_HOST][: 1 + hosts]
    x = random.standard_normal((rows, columns * len(members)))
    y = (x.sum(1) + random.standard_normal(rows) > 0).astype(np.int64)
    y[:2] = 0, 1
    x[random.random(rows) < missing, 2 * columns - 1] = np.nan
    parts = np.split(x, len(members), axis=1)
    found = {m: {f"{m.role[0]}{j}": part[:, j] for j in range(columns)} for m, part in zip(members, parts, strict=True)}
    return {
        m: Table(ids, {"y": y, **values} if m == GUEST else values, "y" if m == GUEST else None)
        for m, values in found.items()
    }


@cache
def compile_kernels() -> None:
    """The first use on a machine takes seconds, which a member that waits for a message should not spend."""
    key = generate(1024)
    packing = Packing.of(key.public, 1.0, 60, values=1, scale_bits=0)
    sealed = packing.encrypt(owner_evaluator(key), np.ones((60, 1))).seal()
    party = evaluator(key.public)
    bins = np.arange(120, dtype=np.uint16).reshape(2, 60) % 3
    rows = party.plan_histogram(bins, [3, 3]).rows(packing.receive(party, sealed), packing)
    rows.sums().reveal()


def binning_case(tables: Mapping[Member, Table], arbiter: bool = False, **given: Any) -> Case:
    """A step with these parameters for all members."""
    compile_kernels()
    inputs = {member: Inputs({"data": [table]}) for member, table in tables.items()}
    if arbiter:
        inputs[ARBITER] = Inputs()
    p = FeatureBinningParams.model_validate(given)
    return Case(HETERO_FEATURE_BINNING, HETERO_FEATURE_BINNING.settle(dict.fromkeys(inputs, p)), inputs, "binning_0")


def binning_param(outputs: Outputs) -> pb.FeatureBinningParam:
    assert outputs.model is not None
    return cast(pb.FeatureBinningParam, outputs.model["FeatureBinningParam"])


def pooled_iv(bins: NDArray[np.int64], labels: NDArray[np.int64], factor: float = 0.5) -> tuple[float, Floats]:
    """IV and WOE of a column, written out bin by bin."""
    events, others = labels.sum(), (1 - labels).sum()
    iv, woes = 0.0, []
    for number in range(bins.max() + 1):
        bad, good = (np.sum(labels[bins == number] == value) for value in (1, 0))
        if bad == 0 or good == 0:
            bad, good = bad + factor, good + factor
        woes.append(np.log((good / others) / (bad / events)))
        iv += (good / others - bad / events) * woes[-1]
    return iv, np.array(woes)
