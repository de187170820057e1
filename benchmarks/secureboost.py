"""HeteroSecureBoost under both protocols: quality beside XGBoost on the pooled bins, cost beside its operations.

Breast and default_credit, if their CSV files are given, else the demo's rows and generated ones of that shape; with
``--large`` also 10^5 rows with 30 and 300 columns. Each training is a process of its own with all parties in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.lr_runs import GUEST, HOST, halves
from benchmarks.tree_runs import Trained, columns_of, trained
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table

TREE = {"max_depth": 3, "criterion_params": [1.0], "min_impurity_split": 0.0}
USUAL: Mapping[str, Any] = {"num_trees": 10, "learning_rate": 0.3, "bin_num": 32, "min_cell_rows": 1}
DEEP = {**TREE, "max_depth": 5}
PAILLIER = {"protocol": "paillier", "encrypt_param": {"method": "Paillier", "key_length": 2048}}
SHARED = {"protocol": "shared"}
PEERS = "FATE 2.2, 1024 bit 331 s; FATE 1.11 alone 83 s; XGBoost vertical, no encryption 7.2 s"


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        cpu, wall: what the figures are held against.
        simulated: the same for the wall time of the whole command, if it is measured.
    """

    name: str
    data: str
    params: Mapping[str, Any]
    runs: int
    cpu: str = ""
    wall: str = ""
    simulated: str = ""


ROWS = (
    Row("shared, breast", "breast", SHARED, 3, "limit 0.2; prototype 0.05", "", "limit 2"),
    Row("shared, default_credit", "default_credit", SHARED, 3, "limit 0.7; prototype 0.35", "", "limit 3"),
    Row("shared, default_credit, 100 trees", "default_credit", {**SHARED, "num_trees": 100}, 1, "limit 5"),
    Row("paillier 2048 bit, breast", "breast", PAILLIER, 3, "", "", f"limit 12; {PEERS}"),
    Row("paillier 2048 bit, breast, 16 bins", "breast", {**PAILLIER, "bin_num": 16}, 3, "", "", "limit 6"),
    Row(
        "paillier 2048 bit, default_credit",
        "default_credit",
        PAILLIER,
        1,
        "FATE 2.2: two trees not done after 420 s",
        "NVFlare over XGBoost, no encryption 42 s",
        "limit 45",
    ),
)
LARGE = Row(
    "shared, 100000 rows by 30 and 300 columns, depth 5, 20 trees",
    "large",
    {**SHARED, "num_trees": 20, "tree_param": DEEP},
    1,
    "",
    "limit 80: 60 before the trees and 1 a tree; FATE 2.0 on 16 cores a side 114 a tree",
)


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures of all rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks secureboost")
    parser.add_argument("--data", type=Path, help="folder with {breast,default_credit}_hetero_{guest,host}.csv")
    parser.add_argument("--large", action="store_true", help="also 10^5 rows by 330 columns (minutes, 2 GiB)")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    options = parser.parse_args(arguments)
    for row in (*ROWS, LARGE) if options.large else ROWS:
        named = row if options.data else replace(row, name=row.name.replace("default_credit", "30,000 generated rows"))
        if options.only in named.name:
            yield from _figures(named, options.data)


def _figures(row: Row, folder: Path | None) -> Iterator[Figure]:
    params = {"tree_param": TREE, **USUAL, **row.params}
    runs = [trained(row.data, folder, params) for _ in range(row.runs)]
    last, note = runs[-1], f"median of {row.runs}" if row.runs > 1 else ""
    yield Figure(f"{row.name}: AUC", last.auc, "", f"XGBoost on the pooled bins {last.pooled:.4f}")
    yield Figure(f"{row.name}: largest difference of a probability from XGBoost's", last.difference, "", "limit 1e-5")
    cpu, wall = (statistics.median(getattr(one, kind) for one in runs) for kind in ("cpu", "wall"))
    least = statistics.median(one.floor for one in runs)
    beside = [f"floor {least:.2g} of its operations", f"pooled XGBoost {last.pooled_cpu:.2g}", row.cpu]
    yield Figure(f"{row.name}: CPU of all parties", cpu, "s", "; ".join(filter(None, beside)), note)
    yield Figure(f"{row.name}: wall, all parties in one process", wall, "s", row.wall, note)
    yield from _sizes(row, last)
    if row.simulated:
        yield Figure(f"{row.name}: airfed simulate, whole command", _simulated(row, folder), "s", row.simulated, note)


def _sizes(row: Row, last: Trained) -> Iterator[Figure]:
    yield Figure(f"{row.name}: peak memory", last.peak / 2**20, "MiB", "")
    for role, size in sorted(last.sent.items()):
        yield Figure(f"{row.name}: sent by the {role}", size / 1e6, "MB", "")


def _simulated(row: Row, folder: Path | None) -> float:
    """Wall seconds of ``airfed simulate`` of a job with DataIO, Intersection, HeteroSecureBoost and Evaluation."""
    x, y, ids, own = columns_of(row.data, folder)
    tables = halves(ids, x[:, :own], x[:, own:], y)
    with tempfile.TemporaryDirectory() as scratch:
        for member, side in ((GUEST, "guest"), (HOST, "host")):
            table = tables[member]
            raw = Table(table.ids, table.columns, kind=Kind.RAW)
            Catalogue(Path(scratch) / member.party).write(TableName("bench", side), raw)
        pair = _job(row, Path(scratch))
        walls = []
        for _ in range(row.runs):
            start = time.perf_counter()
            command = [sys.executable, "-m", "airfed", "simulate", "--data", scratch, *pair]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - start)
    return statistics.median(walls)


def _job(row: Row, folder: Path) -> list[str]:
    """Paths of the job's DSL and conf."""
    flow = {"dataio_0": "args.train_data", "intersection_0": "dataio_0.out", "boost_0": "intersection_0.out"}
    modules = {"dataio_0": "DataIO", "intersection_0": "Intersection", "boost_0": "HeteroSecureBoost"}
    components: dict[str, Any] = {
        name: {
            "module": modules[name],
            "input": {"data": {"train_data" if name == "boost_0" else "data": [source]}},
            "output": {"data": ["out"]} | ({} if name == "intersection_0" else {"model": ["model"]}),
        }
        for name, source in flow.items()
    }
    components["evaluation_0"] = {"module": "Evaluation", "input": {"data": {"data": ["boost_0.out"]}}}
    tables = {
        str(m.role): {"args": {"data": {"train_data": [{"name": str(m.role), "namespace": "bench"}]}}}
        for m in (GUEST, HOST)
    }
    tables["guest"]["dataio_0"] = {"with_label": [True], "label_name": ["y"], "label_type": ["int"]}
    tables["host"]["dataio_0"] = {"with_label": [False]}
    conf = {
        "initiator": {"role": "guest", "party_id": 9999},
        "job_parameters": {"work_mode": 1},
        "role": {"guest": [9999], "host": [10000], "arbiter": [10001]},
        "role_parameters": tables,
        "algorithm_parameters": {"boost_0": {"tree_param": TREE, **USUAL, **row.params}},
    }
    found = []
    for name, document in (("dsl", {"components": components}), ("conf", conf)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(document))
        found.append(str(path))
    return found
