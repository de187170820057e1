"""HomoLR: quality against central models, cost against the same steps in clear; by number of contributors."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from airfed.example_data import example_tables
from benchmarks import simulated
from benchmarks.figure import Figure
from benchmarks.lr_runs import GUEST, HOST, Floats, credit, train
from benchmarks.secagg import Spent, agreed_clients
from federatedml.components.homo_lr import HOMO_LR
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.homo_lr_steps import Rows, Trainer
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.data.table import Kind, Table
from federatedml.federation.party import Member, Role

RUNS = 5
EPOCHS = 10
Tables = Mapping[Member, Table]


def run(arguments: Sequence[str]) -> Iterator[Figure]:
    """Figures of breast, of generated rows by number of contributors, of the data sets in a folder if one is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks homolr")
    parser.add_argument("--data", type=Path, help="folder with breast_homo_*.csv and default_credit_hetero_*.csv")
    folder = parser.parse_args(arguments).data
    yield from _breast()
    yield simulated.of_example("airfed simulate of homo_lr, whole command", "homo_lr", "goal 1", RUNS)
    for number in (3, 10, 30):
        yield from _cost(f"generated, {number} contributors", _generated(number), _params(max_iter=EPOCHS))
    if folder:
        yield from _held_out(folder)
        yield from _credit(folder)


def _breast() -> Iterator[Figure]:
    found = {(party, str(name)): table for party, name, table in example_tables()}
    tables = {
        m: replace(found[m.party, f"breast_homo/{m.role}"], label="y", kind=Kind.INSTANCES) for m in (GUEST, HOST)
    }
    p = _params(max_iter=EPOCHS, optimizer="nesterov_momentum_sgd", learning_rate=0.05)
    yield from _cost(f"breast, {EPOCHS} epochs", tables, p, "goal 1 for the wall time")
    beside = f"scikit-learn on both {_central(tables, tables[GUEST]):.4f}"
    yield Figure(f"breast, {EPOCHS} epochs: AUC of the guest's rows", _auc(tables, p, tables[GUEST]), "", beside)


def _held_out(folder: Path) -> Iterator[Figure]:
    """FATE's split of breast: AUC of rows that nobody trained on."""
    import pandas as pd

    sets = {}
    for name in ("guest", "host", "test"):
        frame = pd.read_csv(folder / f"breast_homo_{name}.csv")
        ids = frame.pop("id").astype(str).to_numpy(object)
        sets[name] = Table(ids, {str(name): column.to_numpy() for name, column in frame.items()}, "y")
    tables = {GUEST: sets["guest"], HOST: sets["host"]}
    beside = f"scikit-learn on both {_central(tables, sets['test']):.4f}"
    for epochs in (10, 30):
        p = _params(max_iter=epochs, optimizer="rmsprop")
        yield Figure(f"breast_homo, {epochs} epochs: AUC of test rows", _auc(tables, p, sets["test"]), "", beside)


def _credit(folder: Path) -> Iterator[Figure]:
    """default_credit, its rows split between two parties."""
    x, y, ids = credit(folder)
    order = np.random.default_rng(1).permutation(len(y))
    parts = [_table(ids, x, y, rows) for rows in np.array_split(order, 3)]
    tables = {GUEST: parts[0], HOST: parts[1]}
    p = _params(max_iter=30, optimizer="nesterov_momentum_sgd", learning_rate=0.02)
    beside = f"scikit-learn on both {_central(tables, parts[2]):.4f}"
    yield Figure("default_credit, rows split, 30 epochs: AUC of test rows", _auc(tables, p, parts[2]), "", beside)
    yield from _cost("default_credit, rows split, 30 epochs", tables, p)


def _cost(name: str, tables: Tables, p: HomoLogisticParams, beside: str = "") -> Iterator[Figure]:
    runs = [train(tables, p, name="HomoLR") for _ in range(RUNS)]
    cpu, wall = (statistics.median(getattr(one, kind) for one in runs) for kind in ("cpu", "wall"))
    floor = f"floor {_floor(tables, p):.3f} of the same steps in clear, masks and keys"
    yield Figure(f"{name}: CPU of all parties", cpu, "s", floor, f"median of {RUNS}")
    yield Figure(f"{name}: wall, one process", wall, "s", beside, f"median of {RUNS}")
    table = sum(8 * table.features().size for table in tables.values())
    yield Figure(f"{name}: peak memory of the process", runs[-1].peak / 1e6, "MB", f"all rows {table / 1e6:.1f}")
    sent = sum(message.size for message in runs[-1].sent)
    weights = len(tables[GUEST].header) + 2
    plain = len(tables) * p.rounds * 16 * weights / 1e6
    yield Figure(f"{name}: all messages", sent / 1e6, "MB", f"floor {plain:.3f}: weights there and back")


def _floor(tables: Tables, p: HomoLogisticParams) -> float:
    """CPU seconds of every party's steps, of its masks and of agreeing on keys."""
    spent, length, number = Spent(), len(tables[GUEST].header) + 2, len(tables)
    client = next(iter(agreed_clients(number, spent).values()))
    start = time.process_time()
    for table in tables.values():
        rows = Rows.of(p, table)
        trainer, weights = Trainer.of(p, rows, 1.0), np.zeros(rows.features.shape[1])
        for epoch in range(p.max_iter):
            weights, _ = trainer.epoch(weights, epoch)
        for round in range(p.rounds):
            client.mask(np.zeros(length), FixedPoint.finest(1.0, number), str(table.ids[0]), round)
    return time.process_time() - start + number * spent.keys


def _auc(tables: Tables, p: HomoLogisticParams, test: Table) -> float:
    """AUC of the model on labelled rows."""
    scorer, model = HOMO_LR.scorer, train(tables, p, name="HomoLR").model
    assert scorer is not None
    assert scorer.partial is not None
    return float(roc_auc_score(test.labels(), scorer.partial(model, test)))


def _central(tables: Tables, test: Table) -> float:
    """AUC of scikit-learn's model of all parties' rows."""
    x = np.concatenate([table.features() for table in tables.values()])
    y = np.concatenate([table.labels() for table in tables.values()])
    model = LogisticRegression(C=1.0, max_iter=1000).fit(x, y)
    return float(roc_auc_score(test.labels(), model.decision_function(test.features())))


def _generated(number: int) -> Tables:
    """1,000 rows and 30 columns of each of so many contributors."""
    random = np.random.default_rng(0)
    hosts = [Member(Role.HOST, str(10_000 + at)) for at in range(2, number + 1)]
    tables = {}
    for member in (GUEST, *hosts):
        x = random.standard_normal((1000, 30))
        y = (x.sum(1) + random.standard_normal(1000) > 0).astype(np.int64)
        tables[member] = _table([f"{member}-{at}" for at in range(1000)], x, y, np.arange(1000))
    return tables


def _table(ids: Sequence[str], x: Floats, y: NDArray[np.int64], rows: NDArray[np.int64]) -> Table:
    columns = {"y": y[rows], **{f"x{at}": column for at, column in enumerate(x[rows].T)}}
    return Table(np.array(ids, object)[rows], columns, "y")


def _params(**given: Any) -> HomoLogisticParams:
    usual = {"learning_rate": 0.15, "eps": 1e-12, "min_contributors": 2, "init_param": {"init_method": "zeros"}}
    return HomoLogisticParams.model_validate({**usual, **given})
