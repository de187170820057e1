"""Training through three Airflows: seconds from submit to success at all parties, and what the model is worth.

Every pipeline reads, intersects, trains and evaluates; each job is run once before it is timed, so that the peers know
the pipeline.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from airfed.demo_parties import PARTIES
from benchmarks.figure import Figure
from benchmarks.three import Three, bare
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.home import PartyHome

RUNS = 3


@dataclass(frozen=True)
class Training:
    """One pipeline.

    Attributes:
        data: namespace of the tables; the halves are named after their parties.
        module: that trains.
        beside: limit, peers.
        arbiter: whether the job has one.
    """

    title: str
    data: str
    module: str
    parameters: Mapping[str, Any]
    beside: str
    arbiter: bool = True
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the pipeline's files."""
        return "".join(c if c.isalnum() else "_" for c in self.title).lower()

    def dsl(self) -> Mapping[str, Any]:
        """Read, intersect, train, evaluate."""
        return {
            "components": {
                "dataio_0": _step("DataIO", {"data": ["args.train_data"]}, "dataio"),
                "intersection_0": _step("Intersection", {"data": ["dataio_0.train"]}),
                "training_0": _step(self.module, {"train_data": ["intersection_0.train"]}, "model"),
                "evaluation_0": {"module": "Evaluation", "input": {"data": {"data": ["training_0.train"]}}},
            }
        }

    def conf(self) -> Mapping[str, Any]:
        """FATE's runtime conf, version 1."""
        roles = {role: [int(party)] for role, party in PARTIES.items() if self.arbiter or role != "arbiter"}
        reading = {"guest": {"with_label": [True], "label_name": ["y"]}, "host": {"with_label": [False]}}
        return {
            "initiator": {"role": "guest", "party_id": int(PARTIES["guest"])},
            "job_parameters": {"work_mode": 1},
            "role": roles,
            "role_parameters": {
                side: {
                    "args": {"data": {"train_data": [{"namespace": self.data, "name": side}]}},
                    "dataio_0": reading[side],
                }
                for side in ("guest", "host")
            },
            "algorithm_parameters": {"dataio_0": self.reading, "training_0": self.parameters},
        }


def _step(module: str, data: Mapping[str, Any], model: str = "") -> Mapping[str, Any]:
    output = {"data": ["train"]} | ({"model": [model]} if model else {})
    return {"module": module, "input": {"data": data}, "output": output}


TRAININGS = (
    Training(
        "HeteroLR shared, default_credit, 3 epochs of batches of 320",
        "default_credit",
        "HeteroLR",
        {
            "penalty": "NONE",
            "learning_rate": 0.15,
            "batch_size": 320,
            "max_iter": 3,
            "eps": 1e-12,
            "init_param": {"init_method": "zeros"},
        },
        "limit 15; FATE 2.2 330",
    ),
)


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """All trainings whose data are there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks airflows")
    parser.add_argument("--base-port", type=int, default=9700)
    parser.add_argument("--data", type=Path, help="folder with NAME_hetero_{guest,host}.csv")
    parser.add_argument("--only", default="", help="trainings whose title contains this")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")  # where prepared databases are kept
        with bare(Path(folder) / "parties", options.base_port) as parties:
            there = {"breast", *(_put(parties.homes, options.data) if options.data else ())}
            for training in TRAININGS:
                if training.data in there and options.only in training.title:
                    yield from _timed(parties, training)


def _put(homes: Mapping[str, PartyHome], folder: Path) -> Iterator[str]:
    """Convert halves of tables to Parquet in their parties' data folders; their namespaces."""
    for name in sorted({training.data for training in TRAININGS} - {"breast"}):
        for side in ("guest", "host"):
            options = csv.ConvertOptions(column_types={"id": pa.string()})
            table = csv.read_csv(folder / f"{name}_hetero_{side}.csv", convert_options=options)
            path = Catalogue(homes[side].data).path(TableName(name, side))
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path)
        yield name


def _timed(parties: Three, training: Training) -> Iterator[Figure]:
    pipeline = parties.pipeline(training.name, training.dsl(), training.conf())
    pipeline.drop()
    first = pipeline.job().took
    took = statistics.median(pipeline.job().took for _ in range(RUNS))
    pipeline.close()
    yield Figure(training.title, took, "s", training.beside, f"median of {RUNS}; the first job {first:.1f}")
