"""The pipeline of a predict job: a conf names the model and the tables, the rest is stored with the model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from airfed.job import Submitted, submit
from dags_generator.conf import parties
from dags_generator.dialect import dialect, version_of
from dags_generator.parse import CONF_SUFFIX, DSL_SUFFIX, parse_written
from dags_generator.predict_v2 import new_tables, without_tables, written
from dags_generator.reading import normalised, read_object
from dags_generator.spec import PipelineSpec
from dags_generator.where import Where
from federated_operators.gateway.plan import PREDICT
from federated_operators.trained import ROLES, TrainedModels, completed
from federatedml.errors import DslError
from federatedml.federation.home import PartyHome


@dataclass(frozen=True)
class PredictPipeline:
    """A pair as it goes into the drop-in folder: its conf has the model's version and the training's parameters."""

    name: str
    dsl: Mapping[str, Any]
    conf: Mapping[str, Any]
    spec: PipelineSpec

    def json(self) -> dict[str, Any]:
        """Both files."""
        return {"dsl": self.dsl, "conf": self.conf}

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write the pair into ``folder``; the paths of DSL and conf."""
        paths = folder / f"{self.name}{DSL_SUFFIX}", folder / f"{self.name}{CONF_SUFFIX}"
        for path, value in zip(paths, (self.dsl, self.conf), strict=True):
            path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return paths


def predict_pipeline(home: PartyHome, conf: Path, name: str | None = None) -> PredictPipeline:
    """The whole pipeline of a conf with ``job_type`` predict.

    Args:
        conf: parties, ``model_id``, ``model_version`` (left out: what the own registry's alias product stands for) and
            the tables: ``role_parameters.ROLE.args.data.eval_data``, or in v2 those of a Reader of the training.
        name: the pipeline's; by default that of the file.

    Raises:
        DslError: the conf is not valid, or has parameters that are not those of the training.
        ModelError, PeerError: the own registry does not have the model, or does not answer.
    """
    given, where = _read(conf)
    found, v2 = parties(given, where), version_of(given, where) == 2
    places = replace(where, written=partial(written, found)) if v2 else where
    read = without_tables(given, found, where) if v2 else {**given, **found.json()}
    at = places.at("job_parameters")
    job = at.object(where.required(read, "job_parameters"))
    if job.get("job_type") != PREDICT:
        raise at.error("FED-194", "a conf without a DSL is one of a predict job", f"job_type: {PREDICT}")
    model = f"{found.initiator.role}#{found.initiator.party}#{at.at('model_id').text(at.required(job, 'model_id'))}"
    trained = TrainedModels(home).find(model, at.at("model_version").text(job.get("model_version", "")))
    if v2:
        readers = dialect(trained.train_dsl, Where(f"the DSL of {trained}")).readers
        read[ROLES] = new_tables(given, found, readers, where)
    filled = completed(read, trained)
    pipeline = name or conf.name.removesuffix(".json").removesuffix("_conf")
    dsl_at = Where(f"the predict DSL of {trained}")
    dsl, body = (normalised(value, at.file) for value, at in ((trained.predict_dsl, dsl_at), (filled, where)))
    return PredictPipeline(pipeline, dsl, filled, parse_written(pipeline, dsl, body, dsl_at, places))


def _read(conf: Path) -> tuple[dict[str, Any], Where]:
    try:
        return read_object(conf.read_bytes(), conf.name), Where(conf.name)
    except OSError as error:
        raise DslError("FED-160", f"{conf.name} cannot be read: {error.strerror}") from None


def submit_prediction(home: PartyHome, pipeline: PredictPipeline) -> Submitted:
    """Drop the pipeline and start a job; ``DslError`` if a training has its name."""
    other = home.dropin / f"{pipeline.name}{CONF_SUFFIX}"
    if other.exists() and _job_type(other) != PREDICT:
        raise DslError("FED-163", f"{other.name} is there and is no predict pipeline", "choose another name: --name")
    with tempfile.TemporaryDirectory(prefix="airfed-") as folder:
        return submit(home, *pipeline.write(Path(folder)))


def _job_type(conf: Path) -> object:
    job = read_object(conf.read_bytes(), conf.name).get("job_parameters")
    return job.get("job_type") if isinstance(job, Mapping) else None
