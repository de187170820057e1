"""One training of HeteroSecureBoost in a process of its own, so that its memory is its own; XGBoost beside it.

``python -m benchmarks.tree_runs JSON`` with {"data", "folder", "params"} prints one JSON line, see ``Trained``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from airfed.demo_data import breast, joined
from airfed.demo_score import quality
from benchmarks.lr_runs import ARBITER, GUEST, HOST, Floats, cpu_seconds, csv_pair, halves, peak_bytes
from benchmarks.tree_floor import floor
from federatedml.component import Inputs, Outputs, component
from federatedml.components.tree_columns import binned
from federatedml.components.tree_params import SecureBoostParams
from federatedml.compute.choice import compute_engine
from federatedml.compute.engine import Compute
from federatedml.crypto.candidates import BinTable
from federatedml.data.table import Table
from federatedml.federation.local import LocalNetwork, StepResult
from federatedml.federation.party import Member

Labels = NDArray[np.int64]
WARM_ROWS = 200
OWN = {"breast": 10, "default_credit": 13}  # columns of the guest


@dataclass(frozen=True)
class Trained:
    """One training of all parties in one process, beside XGBoost on the pooled bins.

    Attributes:
        wall, cpu: seconds, of all parties.
        peak: largest resident memory in bytes.
        sent: bytes that each role sends.
        auc, pooled: on the rows of the training.
        pooled_cpu: CPU seconds of XGBoost.
        difference: largest of a probability from XGBoost's.
        floor: CPU seconds of the protocol's operations, each alone.
    """

    wall: float
    cpu: float
    peak: float
    sent: Mapping[str, float]
    auc: float
    pooled: float
    pooled_cpu: float
    difference: float
    floor: float


def trained(data: str, folder: Path | None, params: Mapping[str, Any]) -> Trained:
    """Run one training in a process of its own."""
    job = json.dumps({"data": data, "folder": folder and str(folder), "params": params})
    command = [sys.executable, "-m", "benchmarks.tree_runs", job]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Trained(**json.loads(done.stdout.splitlines()[-1]))


def columns_of(data: str, folder: Path | None) -> tuple[Floats, Labels, list[str], int]:
    """All columns, labels, ids, and how many columns are the guest's."""
    if folder is not None and data in OWN:
        return *csv_pair(folder, data), OWN[data]
    if data == "breast":
        return *joined(breast()), OWN[data]
    rows, columns, own = (100_000, 330, 30) if data == "large" else (30_000, 23, 13)
    random = np.random.default_rng(5)
    x = random.standard_normal((rows, columns)).round(2)
    score = x[:, :own] @ random.standard_normal(own) * 0.2 + x[:, own:] @ random.standard_normal(columns - own) * 0.1
    y = (random.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int64)
    return x, y, [f"row{i}" for i in range(rows)], own


def main() -> None:
    """Run the job of the command line."""
    job = json.loads(sys.argv[1])
    x, y, ids, own = columns_of(job["data"], job["folder"] and Path(job["folder"]))
    tables = halves(ids, x[:, :own], x[:, own:], y)
    p = SecureBoostParams.model_validate(job["params"])
    with compute_engine() as compute:
        few = {member: _first(table) for member, table in tables.items()}
        _train(few, p.model_copy(update={"num_trees": 1}), compute)  # compiled loops are loaded
        cpu, wall = cpu_seconds(), time.perf_counter()
        step = _train(tables, p, compute)
        cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    sent = Counter[str]()
    for message in step.sent:
        sent[str(message.key.source.role)] += message.size
    peak, least = peak_bytes(), floor(p, _bins(p, tables), step.outputs)
    pooled, pooled_cpu = _xgboost(p, _bins(p, tables), y)
    scores = _scores(step.outputs, ids)
    aucs = quality("", y, scores).auc, quality("", y, pooled).auc
    difference = float(np.abs(scores - pooled).max())
    print(json.dumps(asdict(Trained(wall, cpu, peak, dict(sent), *aucs, pooled_cpu, difference, least))))


def _first(table: Table) -> Table:
    columns = {name: values[:WARM_ROWS] for name, values in table.columns.items()}
    return replace(table, ids=table.ids[:WARM_ROWS], columns=columns)


def _train(tables: Mapping[Member, Table], p: SecureBoostParams, compute: Compute) -> StepResult:
    module = component("HeteroSecureBoost")
    inputs = {member: Inputs({"train_data": [table]}) for member, table in tables.items()}
    if p.protocol == "shared":
        inputs[ARBITER] = Inputs()
    with tempfile.TemporaryDirectory() as folder:
        network = LocalNetwork(Path(folder), timeout=600.0, compute=compute, bodies=False)
        return network.run(module, module.settle(dict.fromkeys(inputs, p)), inputs)


def _bins(p: SecureBoostParams, tables: Mapping[Member, Table]) -> Mapping[Member, BinTable]:
    return {m: binned(p, table, 1 if m == GUEST else p.min_cell_rows).table for m, table in tables.items()}


def _scores(outputs: Mapping[Member, Outputs], ids: list[str]) -> Floats:
    table = outputs[GUEST].data
    assert table is not None
    at = dict(zip(table.ids, table.columns["predict_score"], strict=True))
    return np.array([at[i] for i in ids])


def _xgboost(p: SecureBoostParams, bins: Mapping[Member, BinTable], y: Labels) -> tuple[Floats, float]:
    """Probabilities of pooled rows, and CPU seconds."""
    import xgboost

    x = np.concatenate([bins[GUEST].bins, bins[HOST].bins]).T.astype(np.float64)
    tree, start = p.tree_param, cpu_seconds()
    matrix = xgboost.QuantileDMatrix(x, y, max_bin=1024)
    given = {
        "objective": "binary:logistic", "tree_method": "hist", "max_depth": tree.max_depth, "eta": p.learning_rate,
        "lambda": tree.l2, "alpha": tree.l1, "gamma": tree.min_impurity_split, "base_score": 0.5,
        "min_child_weight": tree.min_child_weight, "max_bin": 1024,
    }  # fmt: skip
    booster = xgboost.train(given, matrix, p.num_trees)
    return np.asarray(booster.predict(matrix), np.float64), cpu_seconds() - start


if __name__ == "__main__":
    main()
