"""What becomes of a model: stored, read and scored online, it says to the bit what it said to the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import model_pb2
from federatedml.component import Component, ModelBuffers, Outputs, Scorer
from federatedml.conformance.case import Case, Found
from federatedml.conformance.equal import equal_tables
from federatedml.conformance.require import require
from federatedml.data.table import Table
from federatedml.federation.party import Member, Role
from federatedml.model_bundle import ModelBundle, StoredModel, manifest_digest

ROWS = 12  # that are scored one by one
JOB = "1" * 21


def stored_and_read(case: Case, member: Member, model: ModelBuffers) -> ModelBuffers:
    """The model after it was a bundle of files; ``Broken`` if it is another one."""
    modules = {case.component.module: case.component}
    buffers = {name: message.SerializeToString() for name, message in model.items()}
    half = ModelBundle(
        member,
        tuple(sorted(case.params)),
        "conformance",
        JOB,
        member.party,
        1,
        {case.name: StoredModel(case.component.module, "model", buffers)},
        model_pb2.Pipeline().SerializeToString(),
    )
    files = half.files(modules)
    read = ModelBundle.from_files(files, manifest_digest(files)).components[case.name].buffers
    require(case.component.model is not None, f"{case.component.module} has a model and does not declare its buffers")
    found = case.component.model.parse(read) if case.component.model else {}
    require(dict(found) == dict(model), f"{member}: the model is another one after it was stored")
    return found


def online_is_batch(case: Case, fitted: Found, batch: Found) -> None:
    """Row by row, with stored models, the scorer gives what the predicting step ``batch`` gave for all rows at once."""
    scorer = case.component.scorer or Scorer()
    models = {m: stored_and_read(case, m, out.model) for m, out in fitted.items() if out.model is not None}
    tables = {m: tables[0] for m, given in case.inputs.items() if (tables := given.data.get("data"))}
    if scorer.transform is not None:
        for member, table in tables.items():
            _transformed(case.component, models[member], table, batch[member], f"{case.component.module} at {member}")
    if scorer.partial is None or scorer.merge is None:
        return
    guests = [m for m in tables if scorer.alone or m.role is Role.GUEST]
    for guest in guests:
        others = [] if scorer.alone else sorted(m for m in tables if m.role is Role.HOST)
        _scored(scorer, models, tables, guest, others, batch[guest])


def _transformed(component: Component, model: ModelBuffers, table: Table, batch: Outputs, where: str) -> None:
    transform: Any = component.scorer and component.scorer.transform
    require(batch.data is not None, f"{where}: no data")
    for row in range(min(ROWS, len(table))):
        at = np.array([row])
        if batch.data is not None:
            expected, found = batch.data.take(at), transform(model, table.take(at))
            equal_tables(expected, found, 0.0, f"{where}, row {row} online")


def _scored(
    scorer: Scorer,
    models: dict[Member, ModelBuffers],
    tables: dict[Member, Table],
    guest: Member,
    hosts: list[Member],
    batch: Outputs,
) -> None:
    partial: Any = scorer.partial
    merge: Any = scorer.merge
    require(batch.data is not None, f"{guest}: no predictions")
    whole = merge(models[guest], *_parts(partial, models, tables, guest, hosts))
    rows = np.arange(len(tables[guest]))
    for row in rows[:ROWS]:
        one = {member: tables[member].take(np.array([row])) for member in (guest, *hosts)}
        online = merge(models[guest], *_parts(partial, models, one, guest, hosts))
        require(np.array_equal(online[0], whole[row]), f"row {row}: {online[0]} alone, {whole[row]} among others")
    if batch.data is not None:
        told = np.asarray(batch.data.columns["predict_score"], np.float64)
        best: NDArray[np.float64] = whole if whole.ndim == 1 else whole.max(axis=1)
        require(np.array_equal(told, best), f"{guest}: predict_score is not what online scoring gives")


def _parts(
    partial: Any, models: dict[Member, ModelBuffers], tables: dict[Member, Table], guest: Member, hosts: list[Member]
) -> tuple[Any, list[Any]]:
    return partial(models[guest], tables[guest]), [partial(models[host], tables[host]) for host in hosts]
