"""Both halves of a small DataIO + HeteroLR model, the tables that they score, and what batch prediction says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from airfed_proto.v1 import model_pb2, serving_pb2
from federatedml.component import component
from federatedml.data.table import Kind, Table
from federatedml.federation.party import Member
from federatedml.model_bundle import ModelBundle, StoredModel
from tests.members import ARBITER, GUEST, HOST

MEMBERS = (ARBITER, GUEST, HOST)
KEY = "breast"
COLUMNS = {GUEST: [f"x{i}" for i in range(10)], HOST: [f"z{i}" for i in range(20)]}
ROWS = 50
DSL: dict[str, Any] = {
    "dataio_0": {"module": "DataIO", "input": {"data": {"data": ["args.eval_data"]}}},
    "intersection_0": {"module": "Intersection", "input": {"data": {"data": ["dataio_0.train"]}}},
    "hetero_lr_0": {"module": "HeteroLR", "input": {"data": {"eval_data": ["intersection_0.train"]}}},
}


def raw_table(member: Member, seed: int = 7) -> Table:
    """The party's own table."""
    random = np.random.default_rng([seed, int(member.party)])
    columns = {name: random.normal(size=ROWS) for name in COLUMNS[member]}
    return Table(np.array([f"id{i}" for i in range(ROWS)], object), columns, kind=Kind.RAW)


def bundle(me: Member, job: str, seed: int = 1, model_key: str = KEY) -> ModelBundle:
    """A party's half of a DataIO + HeteroLR model with weights from ``seed``."""
    random = np.random.default_rng([seed, int(me.party)])
    header = COLUMNS[me]
    lr = model_pb2.LRModelParam(
        header=header, weight=dict(zip(header, random.normal(size=len(header)), strict=True)), intercept=random.normal()
    )
    models = {
        "dataio_0": (
            "DataIO",
            {"DataIOMeta": model_pb2.DataIOMeta(), "DataIOParam": model_pb2.DataIOParam(header=header)},
        ),
        "hetero_lr_0": ("HeteroLR", {_lr("Meta"): model_pb2.LRModelMeta(threshold=0.5), _lr("Param"): lr}),
    }
    stored = {
        name: StoredModel(module, "model", {buffer: message.SerializeToString() for buffer, message in buffers.items()})
        for name, (module, buffers) in models.items()
    }
    pipeline = model_pb2.Pipeline(inference_dsl=json.dumps({"components": DSL}).encode())
    return ModelBundle(me, MEMBERS, model_key, job, "9999", 1, stored, pipeline.SerializeToString())


def with_dsl(half: ModelBundle, **nodes: Any) -> ModelBundle:
    """A half whose predict DSL has ``nodes`` besides; None removes one."""
    components = {name: node for name, node in {**DSL, **nodes}.items() if node is not None}
    dsl = json.dumps({"components": components}).encode()
    return replace(half, pipeline=model_pb2.Pipeline(inference_dsl=dsl).SerializeToString())


def node(module: str, *reads: str) -> dict[str, Any]:
    return {"module": module, "input": {"data": {"data": list(reads)}}}


def _lr(end: str) -> str:
    spec = component("HeteroLR").model
    assert spec
    return next(name for name in spec.buffers if name.endswith(end))


def batch_scores(seed: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What batch prediction gives for all rows of both tables, by the components themselves."""
    data_io, lr = component("DataIO"), component("HeteroLR")
    partials, buffers = {}, {}
    for member in (GUEST, HOST):
        stored = bundle(member, "1", seed).components
        fitted = data_io.model.parse(stored["dataio_0"].buffers)  # type: ignore[union-attr]
        buffers[member] = lr.model.parse(stored["hetero_lr_0"].buffers)  # type: ignore[union-attr]
        table = data_io.scorer.transform(fitted, raw_table(member))  # type: ignore[union-attr,misc]
        partials[member] = lr.scorer.partial(buffers[member], table)  # type: ignore[union-attr,misc]
    return np.asarray(lr.scorer.merge(buffers[GUEST], partials[GUEST], [partials[HOST]]))  # type: ignore[union-attr,misc]


def pb_request(ids: list[str], job: str = "job") -> serving_pb2.ScoreRequest:
    """What the guest asks the host for."""
    return serving_pb2.ScoreRequest(model_key=KEY, model_version=job, guest_party_id=GUEST.party, ids=ids)
