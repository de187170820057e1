"""The pipelines of ``examples/``, each run once in simulation for all tests that look at it, and their predict jobs."""

from __future__ import annotations

import atexit
import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from airfed.example_data import write_example_data
from airfed_proto.v1 import model_pb2
from dags_generator.simulate import Simulation, simulate
from federated_operators.trained import Trained, completed
from federatedml.canonical import canonical_json
from federatedml.federation.party import Member
from federatedml.model_bundle import ModelBundle, StoredModel
from tests.pipeline_example import written

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/*_dsl.json"))


@cache
def tables() -> Path:
    """Folder of all parties' tables."""
    folder = Path(mkdtemp(prefix="airfed-examples-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_example_data(folder)
    return folder


@cache
def run(name: str) -> Simulation:
    """An example; one that predicts takes the models of the one that it is named after."""
    dsl, conf = (EXAMPLES / name / f"{name}_{kind}.json" for kind in ("dsl", "conf"))
    predicts = json.loads(conf.read_text())["job_parameters"].get("job_type") == "predict"
    models = run(name.removesuffix("_predict")).models() if predicts else None
    return simulate(dsl, conf, tables(), models=models)


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


def predicting(training: Simulation, folder: Path, data: Path) -> Simulation:
    """The predict job of a training on its own tables, with its parameters and models.

    Args:
        folder: for the pair of files.
        data: folder of all parties' tables.
    """
    spec = training.spec
    own = half(training, spec.parties.initiator)
    model_id = own.party_model_id.partition("#")[2].partition("#")[2]
    conf = {
        **spec.parties.json(),
        "job_parameters": {"job_type": "predict", "model_id": model_id, "model_version": own.model_version},
        "role_parameters": {
            role: {"args": {"data": {"eval_data": names}}} for role, names in _tables(training).items()
        },
    }
    filled = json.loads(canonical_json(completed(conf, Trained(own, "", spec.graph.inference_dsl, spec.conf))))
    pair = written(folder, f"{spec.graph.pipeline}_predict", spec.graph.inference_dsl, filled)
    return simulate(*pair, data, models=training.models())


def _tables(training: Simulation) -> dict[str, list[dict[str, str]]]:
    """Role -> the first table of each of its parties, where they have some."""
    spec, found = training.spec, {}
    for role, parties in spec.parties.role.items():
        names = [next(iter(spec.tables[Member(role, party)].values()), None) for party in parties]
        if all(names):
            found[str(role)] = [{"name": name.name, "namespace": name.namespace} for name in names if name]
    return found
