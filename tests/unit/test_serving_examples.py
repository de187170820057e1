"""Every example whose model gives a score is served: row by row the same bits as its predict job gives for all rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airfed_proto.v1 import model_pb2
from dags_generator.simulate import Simulation, simulate
from federated_operators.registry.cache import Binding
from federated_operators.trained import Trained, completed
from federatedml.canonical import canonical_json
from federatedml.component import registry
from federatedml.data.catalogue import Catalogue
from federatedml.data.table import Table
from federatedml.federation.party import Member, Role
from federatedml.model_bundle import ModelBundle, StoredModel
from serving.model import LoadedModel, load
from serving.parts import decoded, encoded
from serving.scoring import Row, table_of
from tests.example_runs import NAMES, run, tables

ROWS = 15
SCORED = {"HeteroLR", "HomoLR", "HeteroSecureBoost"}
TRAINED = [name for name in NAMES if not name.endswith("_predict")]


def half(found: Simulation, me: Member) -> ModelBundle:
    """What ``me`` would register after the training ``found``."""
    graph = found.spec.graph
    stored = {
        name: StoredModel(
            graph.components[name].module,
            graph.components[name].model_alias or "",
            {buffer: message.SerializeToString() for buffer, message in models[me].items()},
        )
        for name, models in found.models().items()
        if me in models and graph.components[name].need_deploy
    }
    pipeline = model_pb2.Pipeline(inference_dsl=canonical_json(graph.inference_dsl))
    members = found.spec.parties.members
    return ModelBundle(me, members, "key", "1" * 21, "9999", 1, stored, pipeline.SerializeToString())


def scoring(found: Simulation) -> list[str]:
    """Deployed components that give a score."""
    deployed: Mapping[str, Any] = found.spec.graph.inference_dsl.get("components", {})
    return [name for name, node in deployed.items() if node["module"] in SCORED]


def conf_of(found: Simulation) -> dict[str, Any]:
    """The conf of the predict job on the training's own tables, with the parameters of the training."""
    own = half(found, found.spec.parties.initiator)
    model_id = own.party_model_id.partition("#")[2].partition("#")[2]
    trained = Trained(own, "", found.spec.graph.inference_dsl, found.spec.conf)
    data: dict[str, Any] = {}
    for role, ids in found.spec.parties.role.items():
        names = [next(iter(found.spec.tables[Member(role, party)].values()), None) for party in ids]
        if all(names):
            named = [{"name": name.name, "namespace": name.namespace} for name in names if name]
            data[str(role)] = {"args": {"data": {"eval_data": named}}}
    conf = {
        **found.spec.parties.json(),
        "job_parameters": {"job_type": "predict", "model_id": model_id, "model_version": "1" * 21},
        "role_parameters": data,
    }
    filled: dict[str, Any] = json.loads(canonical_json(completed(conf, trained)))
    return filled


@cache
def batch(name: str, folder: Path) -> Simulation:
    """The predict job of an example."""
    found = run(name)
    dsl, conf = folder / f"{name}_dsl.json", folder / f"{name}_conf.json"
    dsl.write_text(json.dumps(found.spec.graph.inference_dsl))
    conf.write_text(json.dumps(conf_of(found)))
    return simulate(dsl, conf, tables(), models=found.models())


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
