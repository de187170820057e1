"""A loaded model: the scoring functions of its components in order, the same that batch prediction uses."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated_operators.registry.cache import Binding
from federatedml.component import Component, ModelBuffers, ModelSpec, Scorer
from federatedml.data.table import Table
from federatedml.errors import ModelError
from federatedml.federation.party import Member, Role
from federatedml.model_bundle import ModelBundle

Partials = Mapping[str, NDArray[np.float64]]  # component -> one number per row


@dataclass(frozen=True)
class Stage:
    """One component with its model."""

    name: str
    module: str
    buffers: ModelBuffers
    scorer: Scorer


@dataclass(frozen=True)
class LoadedModel:
    """A party's half of a model, ready to score. ``loaded_at`` in ms."""

    binding: Binding
    me: Member
    guests: Sequence[str]
    hosts: Sequence[str]
    model_key: str
    stages: Sequence[Stage]
    loaded_at: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    @property
    def version(self) -> str:
        """FATE's model version: the job id, equal at all parties."""
        return self.binding.job_id

    def partials(self, table: Table) -> dict[str, NDArray[np.float64]]:
        """This party's part of the score of every row, by component.

        Raises:
            DataError: the table lacks a column of the model, or holds what is not a number.
        """
        found: dict[str, NDArray[np.float64]] = {}
        for stage in self.stages:
            if stage.scorer.transform is not None:
                table = stage.scorer.transform(stage.buffers, table)
            if stage.scorer.partial is not None:
                found[stage.name] = _numbers(stage, stage.scorer.partial(stage.buffers, table), len(table))
        return found

    def merge(self, own: Partials, remote: Sequence[Partials]) -> NDArray[np.float64]:
        """Scores of rows from the guest's part and the hosts' parts in party order."""
        stage = self.merging
        merge: Any = stage.scorer.merge
        scores = merge(stage.buffers, own[stage.name], [parts[stage.name] for parts in remote])
        return _numbers(stage, scores, len(own[stage.name]))

    @property
    def merging(self) -> Stage:
        """The stage that makes the score."""
        return next(stage for stage in self.stages if stage.scorer.merge is not None)


def load(binding: Binding, bundle: ModelBundle, modules: Mapping[str, Component]) -> LoadedModel:
    """The model of a verified bundle.

    Raises:
        ModelError: ``FED-606`` components that cannot score online, all of them named; ``FED-607`` it gives no score,
            or more than one; ``FED-601`` a buffer is missing.
    """
    unsupported = [
        f"{name} ({model.module})"
        for name, model in bundle.components.items()
        if model.module not in modules or modules[model.module].scorer is None
    ]
    if unsupported:
        raise ModelError("FED-606", f"{bundle.party_model_id}: no online scoring for {', '.join(unsupported)}")
    stages = [_stage(name, model.buffers, modules[model.module]) for name, model in bundle.components.items()]
    scoring = [stage.name for stage in stages if stage.scorer.merge is not None]
    if len(scoring) != 1:
        raise ModelError(
            "FED-607", f"{bundle.party_model_id} has {len(scoring)} components that give a score", "one is needed"
        )
    guests, hosts = bundle.parties(Role.GUEST), bundle.parties(Role.HOST)
    return LoadedModel(binding, bundle.me, guests, hosts, bundle.model_key, stages)


def _stage(name: str, stored: Mapping[str, bytes], component: Component) -> Stage:
    spec = component.model or ModelSpec({})
    return Stage(name, component.module, spec.parse(stored), component.scorer or Scorer())


def _numbers(stage: Stage, values: Any, rows: int) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.shape != (rows,) or not np.isfinite(array).all():
        raise ModelError("FED-608", f"component {stage.name}: the score is not one finite number per row")
    return array
