"""The predict job of the example: its conf, and the model that it uses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from airfed_proto.v1 import model_pb2
from dags_generator.parse import parse_pair
from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import ProposedJob
from federated_operators.trained import Trained, completed
from federatedml.canonical import canonical_json
from federatedml.federation.party import Member
from federatedml.model_bundle import ModelBundle, StoredModel, manifest_digest
from tests import model_halves, pipeline_example
from tests.members import ARBITER, GUEST
from tests.pipeline_example import Edit, unchanged

FOLDER = Path(__file__).parents[1] / "examples" / "hetero_lr_predict"
MODEL_ID = "arbiter-10001#guest-9999#host-10000#breast"
TRAINING = "202611220000000000000"
JOB_ID = "202611221651119128391"


def dsl(edit: Edit = unchanged) -> dict[str, Any]:
    """The example's predict DSL; ``edit`` works on its components."""
    value: dict[str, Any] = json.loads((FOLDER / "hetero_lr_predict_dsl.json").read_text())
    edit(value["components"])
    return value


def conf(edit: Edit = unchanged) -> dict[str, Any]:
    """The example's conf."""
    value: dict[str, Any] = json.loads((FOLDER / "hetero_lr_predict_conf.json").read_text())
    edit(value)
    return value


def spec(dsl_edit: Edit = unchanged, conf_edit: Edit = unchanged) -> PipelineSpec:
    """The example as a validated pipeline."""
    bodies = json.dumps(dsl(dsl_edit)).encode(), json.dumps(conf(conf_edit)).encode()
    return parse_pair("hetero_lr_predict", *bodies, "dsl.json", "conf.json")


def half(me: Member, training_edit: Edit = unchanged, job: str = TRAINING, key: str = "breast") -> ModelBundle:
    """A member's half as the example's training stores it; ``training_edit`` works on the training's DSL."""
    trained = pipeline_example.spec(training_edit)
    pipeline = model_pb2.Pipeline(
        inference_dsl=canonical_json(trained.graph.inference_dsl) if trained.graph.inference_dsl else b"",
        train_dsl=canonical_json(trained.graph.dsl),
        train_runtime_conf=canonical_json(trained.conf),
    )
    aliases = {name: step.model_alias for name, step in trained.graph.components.items()}
    stored = model_halves.bundle(me, job, model_key=key) if me.party in ("9999", "10000") else _dealers(job, key)
    parts = {
        name: StoredModel(each.module, aliases[name] or "", each.buffers) for name, each in stored.components.items()
    }
    return replace(stored, components=parts, pipeline=pipeline.SerializeToString())


def trained(me: Member = GUEST, training_edit: Edit = unchanged) -> Trained:
    """What the registry of ``me`` gives."""
    bundle = half(me, training_edit)
    pipeline = model_pb2.Pipeline.FromString(bundle.pipeline)
    bodies = (json.loads(body) for body in (pipeline.inference_dsl, pipeline.train_runtime_conf))
    return Trained(bundle, manifest_digest(bundle.files()), *bodies)


def proposal(dsl_edit: Edit = unchanged, conf_edit: Edit = unchanged, filled_edit: Edit = unchanged) -> ProposedJob:
    """What the initiator's ``federate`` proposes; ``filled_edit`` changes the conf after that."""
    filled = completed(spec(conf_edit=conf_edit).conf, trained())
    value = json.loads(canonical_json(filled))
    filled_edit(value)
    return ProposedJob("9999", JOB_ID, "hetero_lr_predict", canonical_json(dsl(dsl_edit)), canonical_json(value))


def _dealers(job: str, key: str) -> ModelBundle:
    """The arbiter's half: no weights."""
    whole = model_halves.bundle(GUEST, job, model_key=key)
    lr = whole.components["hetero_lr_0"]
    empty = dict.fromkeys(lr.buffers, b"")
    return replace(whole, me=ARBITER, components={"hetero_lr_0": replace(lr, buffers=empty)})
