"""Training through three Airflows: seconds from submit to success at all parties, and what the model is worth.

Every pipeline reads, intersects, trains and evaluates; each job is run once before it is timed, so that the peers know
the pipeline.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from airfed.demo_parties import PARTIES
from airfed.demo_score import example_folder
from airfed.example_data import example_tables
from benchmarks.figure import Figure
from benchmarks.three import Three, bare
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.home import PartyHome

RUNS = 3
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Training:
    """One pipeline.

    Attributes:
        name: of the pipeline's files.
        data: namespace of a table that it needs.
        beside: limit, peers.
    """

    title: str
    name: str
    data: str
    dsl: Json
    conf: Json
    beside: str


def _example(title: str, name: str, data: str, beside: str) -> Training:
    dsl, conf = (
        json.loads((example_folder().parent / name / f"{name}_{part}.json").read_bytes()) for part in ("dsl", "conf")
    )
    return Training(title, name, data, dsl, conf, beside)


def _chain(title: str, data: str, module: str, parameters: Json, beside: str) -> Training:
    """Read, intersect, train, evaluate; guest, host and arbiter."""
    dsl = {
        "components": {
            "dataio_0": _step("DataIO", {"data": ["args.train_data"]}, "dataio"),
            "intersection_0": _step("Intersection", {"data": ["dataio_0.train"]}),
            "training_0": _step(module, {"train_data": ["intersection_0.train"]}, "model"),
            "evaluation_0": {"module": "Evaluation", "input": {"data": {"data": ["training_0.train"]}}},
        }
    }
    reading = {"guest": {"with_label": [True], "label_name": ["y"]}, "host": {"with_label": [False]}}
    conf = {
        "initiator": {"role": "guest", "party_id": int(PARTIES["guest"])},
        "job_parameters": {"work_mode": 1},
        "role": {role: [int(party)] for role, party in PARTIES.items()},
        "role_parameters": {
            side: {"args": {"data": {"train_data": [{"namespace": data, "name": side}]}}, "dataio_0": read}
            for side, read in reading.items()
        },
        "algorithm_parameters": {"training_0": parameters},
    }
    return Training(title, "".join(c if c.isalnum() else "_" for c in title).lower(), data, dsl, conf, beside)


def _step(module: str, data: Json, model: str = "") -> Json:
    output = {"data": ["train"]} | ({"model": [model]} if model else {})
    return {"module": module, "input": {"data": data}, "output": output}


LINEAR = {
    "penalty": "NONE",
    "learning_rate": 0.15,
    "batch_size": 320,
    "max_iter": 3,
    "eps": 1e-12,
    "init_param": {"init_method": "zeros"},
}
TREES = {"num_trees": 10, "learning_rate": 0.3, "bin_num": 32, "tree_param": {"max_depth": 3}}
TRAININGS = (
    _example("HeteroLR paillier, breast, 5 epochs", "hetero_lr_paillier", "breast", "limit 15; FATE 2.2 146"),
    _chain("HeteroSecureBoost shared, breast, 10 trees", "breast", "HeteroSecureBoost", TREES, "limit 15"),
    _example("HomoLR, breast, 10 epochs", "homo_lr", "breast_homo", "limit 12; FATE 2.2 89"),
    _chain("HeteroLR shared, credit, 3 epochs", "default_credit", "HeteroLR", LINEAR, "limit 15; FATE 2.2 330"),
    _chain("HeteroSecureBoost shared, credit, 10 trees", "default_credit", "HeteroSecureBoost", TREES, "limit 20"),
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
            there = {*_examples(parties.homes), *(_credit(parties.homes, options.data) if options.data else ())}
            for training in TRAININGS:
                if training.data in there and options.only in training.title:
                    yield from _timed(parties, training)


def _examples(homes: Mapping[str, PartyHome]) -> Iterator[str]:
    """Put the examples' tables into their parties' data folders; their namespaces."""
    at = {home.config.party_id: Catalogue(home.data) for home in homes.values()}
    for party, name, table in example_tables():
        if party in at:
            at[party].write(name, table)
            yield name.namespace


def _credit(homes: Mapping[str, PartyHome], folder: Path) -> Iterator[str]:
    """Likewise the halves of default_credit, from their CSV files."""
    name = "default_credit"
    for side in ("guest", "host"):
        options = csv.ConvertOptions(column_types={"id": pa.string()})
        table = csv.read_csv(folder / f"{name}_hetero_{side}.csv", convert_options=options)
        path = Catalogue(homes[side].data).path(TableName(name, side))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    yield name


def _timed(parties: Three, training: Training) -> Iterator[Figure]:
    pipeline = parties.pipeline(training.name, training.dsl, training.conf)
    pipeline.drop()
    first = pipeline.job().took
    took = statistics.median(pipeline.job().took for _ in range(RUNS))
    pipeline.close()
    yield Figure(training.title, took, "s", training.beside, f"median of {RUNS}; the first job {first:.1f}")
