"""What MLflow keeps, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federatedml.errors import ModelError


@dataclass(frozen=True)
class Metric:
    """A point; sent again with the same ``timestamp`` (ms) it stays one. ``model_id`` hangs it on a model, too."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None

    def json(self) -> dict[str, Any]:
        """What MLflow expects; numbers that JSON lacks go as protobuf's names for them."""
        value = self.value if math.isfinite(self.value) else _not_finite(self.value)
        body = {"key": self.key, "value": value, "timestamp": self.timestamp, "step": self.step}
        return body if self.model_id is None else {**body, "model_id": self.model_id}


@dataclass(frozen=True)
class Run:
    """A run; ``metrics`` are the latest values. Times in ms."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    artifact_uri: str
    start_time: int = 0
    end_time: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LoggedModel:
    """A model's directory of artifacts; ``status`` is PENDING, READY or FAILED."""

    model_id: str
    experiment_id: str
    name: str
    status: str
    artifact_uri: str
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RegisteredModel:
    """A name in the registry. ``created`` (ms) tells a deleted and newly made one apart; ``aliases``: to versions."""

    name: str
    created: int
    aliases: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelVersion:
    """An entry of a registered model. ``aliases`` are known after a get only, not after a search."""

    name: str
    version: int
    source: str
    run_id: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Sequence[str] = ()

    @property
    def model_id(self) -> str:
        """Id of the logged model that ``source`` (``models:/m-ID``) names."""
        if not self.source.startswith("models:/m-"):
            raise ModelError("FED-613", f"version {self.version} of {self.name} points to {self.source[:80]!r}")
        return self.source.removeprefix("models:/")


def _dict(pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: pair.get("value", "") for pair in pairs}


def parse_run(found: Mapping[str, Any]) -> Run:
    """A run of MLflow's JSON."""
    info, data = found["info"], found.get("data", {})
    metrics = {key: float(value) for key, value in _dict(data.get("metrics", [])).items()}
    return Run(
        info["run_id"],
        info["experiment_id"],
        info.get("run_name", ""),
        info["status"],
        info["artifact_uri"],
        int(info.get("start_time", 0)),
        int(info.get("end_time", 0)),
        _dict(data.get("tags", [])),
        _dict(data.get("params", [])),
        metrics,
    )


def parse_logged_model(found: Mapping[str, Any]) -> LoggedModel:
    """A logged model of MLflow's JSON."""
    info, data = found["info"], found.get("data", {})
    return LoggedModel(
        info["model_id"],
        info["experiment_id"],
        info["name"],
        info["status"].removeprefix("LOGGED_MODEL_"),
        info["artifact_uri"],
        _dict(info.get("tags", [])),
        _dict(data.get("params", [])),
    )


def parse_registered_model(found: Mapping[str, Any]) -> RegisteredModel:
    """A registered model of MLflow's JSON."""
    aliases = {pair["alias"]: int(pair["version"]) for pair in found.get("aliases", [])}
    return RegisteredModel(found["name"], int(found.get("creation_timestamp", 0)), aliases)


def parse_version(found: Mapping[str, Any]) -> ModelVersion:
    """A model version of MLflow's JSON."""
    return ModelVersion(
        found["name"],
        int(found["version"]),
        found["source"],
        found.get("run_id", ""),
        found.get("description", ""),
        _dict(found.get("tags", [])),
        tuple(found.get("aliases", ())),
    )


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
