"""Wall time of ``airfed simulate``, the whole command: of an example, or of one model on given tables."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airfed.example_data import write_example_data
from benchmarks.figure import HERE, Figure
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table
from federatedml.federation.party import Member, Role


def of_example(name: str, example: str, limit: str, runs: int) -> Figure:
    """An example on the examples' tables."""
    with tempfile.TemporaryDirectory() as folder:
        write_example_data(Path(folder))
        pair = [str(HERE.parent / "examples" / example / f"{example}_{part}.json") for part in ("dsl", "conf")]
        return Figure(name, _median(Path(folder), pair, runs), "s", limit, f"median of {runs}")


def of_model(module: str, params: Mapping[str, Any], tables: Mapping[Member, Table], runs: int) -> float:
    """Seconds of a job with DataIO, Intersection, the model and Evaluation, the median of ``runs``.

    Args:
        tables: of guest and host; the guest's label is ``y``.
    """
    with tempfile.TemporaryDirectory() as folder:
        for member, table in tables.items():
            raw = Table(table.ids, table.columns, kind=Kind.RAW)
            Catalogue(Path(folder) / member.party).write(TableName("bench", str(member.role)), raw)
        return _median(Path(folder), _job(module, params, sorted(tables), Path(folder)), runs)


def _median(folder: Path, pair: Sequence[str], runs: int) -> float:
    command = [sys.executable, "-m", "airfed", "simulate", "--data", str(folder), *pair]
    walls = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        walls.append(time.perf_counter() - start)
    return statistics.median(walls)


def _job(module: str, params: Mapping[str, Any], members: Sequence[Member], folder: Path) -> list[str]:
    """Paths of the job's DSL and conf."""
    flow = {"dataio_0": "args.train_data", "intersection_0": "dataio_0.out", "model_0": "intersection_0.out"}
    modules = {"dataio_0": "DataIO", "intersection_0": "Intersection", "model_0": module}
    components: dict[str, Any] = {
        name: {
            "module": modules[name],
            "input": {"data": {"train_data" if name == "model_0" else "data": [source]}},
            "output": {"data": ["out"]} | ({} if name == "intersection_0" else {"model": ["model"]}),
        }
        for name, source in flow.items()
    }
    components["evaluation_0"] = {"module": "Evaluation", "input": {"data": {"data": ["model_0.out"]}}}
    tables = {
        str(m.role): {"args": {"data": {"train_data": [{"name": str(m.role), "namespace": "bench"}]}}} for m in members
    }
    tables["guest"]["dataio_0"] = {"with_label": [True], "label_name": ["y"], "label_type": ["int"]}
    tables["host"]["dataio_0"] = {"with_label": [False]}
    (guest,) = (int(member.party) for member in members if member.role is Role.GUEST)
    conf = {
        "initiator": {"role": "guest", "party_id": guest},
        "job_parameters": {"work_mode": 1},
        "role": {**{str(m.role): [int(m.party)] for m in members}, "arbiter": [10001]},
        "role_parameters": tables,
        "algorithm_parameters": {"model_0": params},
    }
    found = []
    for name, document in (("dsl", {"components": components}), ("conf", conf)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(document))
        found.append(str(path))
    return found
