"""HeteroSecureBoost under both protocols: quality beside XGBoost on the pooled bins, cost beside its operations.

Breast and default_credit, if their CSV files are given, else the demo's rows and generated ones of that shape; with
``--large`` also 10^5 rows with 30 and 300 columns. Each training is a process of its own with all parties in it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import simulated
from benchmarks.figure import Figure
from benchmarks.lr_runs import halves
from benchmarks.tree_runs import Trained, columns_of, trained

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
    """Wall seconds of ``airfed simulate``."""
    x, y, ids, own = columns_of(row.data, folder)
    tables = halves(ids, x[:, :own], x[:, own:], y)
    return simulated.of_model("HeteroSecureBoost", {"tree_param": TREE, **USUAL, **row.params}, tables, row.runs)
