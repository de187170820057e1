"""Every example whose model gives a score is served: row by row the same bits as its predict job gives for all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dags_generator.simulate import Simulation
from federated_operators.registry.cache import Binding
from federatedml.component import registry
from federatedml.data.catalogue import Catalogue
from federatedml.data.table import Table
from federatedml.federation.party import Member, Role
from serving.model import LoadedModel, load
from serving.parts import decoded, encoded
from serving.scoring import Row, table_of
from tests.example_runs import NAMES, half, predicting, run, tables

ROWS = 15
SCORED = {"HeteroLR", "HomoLR", "HeteroSecureBoost"}
TRAINED = [name for name in NAMES if not name.endswith("_predict")]


def scoring(found: Simulation) -> list[str]:
    """Deployed components that give a score."""
    deployed: Mapping[str, Any] = found.spec.graph.inference_dsl.get("components", {})
    return [name for name, node in deployed.items() if node["module"] in SCORED]


@cache
def batch(name: str, folder: Path) -> Simulation:
    """The predict job of an example."""
    return predicting(run(name), folder, tables())


def raw(found: Simulation, me: Member) -> Table:
    """The party's own table without its label, as an online caller has it."""
    table = Catalogue(tables() / me.party).read(next(iter(found.spec.tables[me].values())))
    return replace(table, columns={name: column for name, column in table.columns.items() if name != "y"})


def row_of(table: Table, sample: str) -> Row:
    at = list(table.ids).index(sample)
    cells = {name: column[at] for name, column in table.columns.items()}
    return Row({name: cell if isinstance(cell, str) else float(cell) for name, cell in cells.items()}, sample)


@pytest.mark.parametrize("name", TRAINED)
def test_the_served_model_gives_the_scores_of_the_predict_job(name: str, tmp_path: Path) -> None:
    found = run(name)
    scores = scoring(found)
    if not scores:
        assert not {step.module for step in found.spec.graph.components.values() if step.need_deploy} & SCORED
        return
    predictions = batch(name, tmp_path).predictions()[scores[0]]
    hosts = [member for member in found.spec.parties.members if member.role is Role.HOST]
    for me in predictions:
        mine = load(Binding("m", "product", 1, "1" * 21, "d"), half(found, me), registry())
        asked = hosts if mine.asked else []
        compare(mine, {h: loaded(found, h) for h in asked}, {m: raw(found, m) for m in (me, *asked)}, predictions[me])


def loaded(found: Simulation, me: Member) -> LoadedModel:
    return load(Binding("m", "product", 1, "1" * 21, "d"), half(found, me), registry())


def compare(
    mine: LoadedModel, hosts: Mapping[Member, LoadedModel], data: Mapping[Member, Table], expected: Table
) -> None:
    """Scores row by row, with the hosts' parts over the wire, against a table of predictions."""
    for at, sample in enumerate(expected.ids[:ROWS]):
        own = mine.partials(table_of(row_of(data[mine.me], sample)))
        remote = [_told(model, data[host], sample) for host, model in sorted(hosts.items())]
        (score,) = mine.merge(own, remote)
        assert float(np.max(score)) == expected.columns["predict_score"][at], sample
        if score.ndim:
            assert mine.label(score) == expected.columns["predict_result"][at]


def _told(host: LoadedModel, data: Table, sample: str) -> dict[str, Any]:
    rows = data.take(np.flatnonzero(data.ids == sample))
    assert len(rows) == 1
    parts = {name: decoded(encoded(name, values), 1) for name, values in host.partials(rows).items()}
    assert all(part is not None for part in parts.values())
    return parts
