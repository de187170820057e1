"""A loaded model: the scoring functions of its components in order, the same that batch prediction uses."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated_operators.registry.cache import Binding
from federatedml.component import Component
from federatedml.data.table import Table
from federatedml.errors import ModelError
from federatedml.federation.party import Member, Role
from federatedml.model_bundle import ModelBundle
from serving.chain import RAW, Stage, stages

Partials = Mapping[str, NDArray[np.float64]]  # component -> a number per row, (n,), or several, (n, k)
MAX_NUMBERS = 1 << 16  # of one row


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

    @property
    def asked(self) -> Sequence[str]:
        """Hosts that have a part of the score: none, if each party scores its own rows alone."""
        return () if self.merging.scorer.alone else self.hosts

    def partials(self, table: Table) -> dict[str, NDArray[np.float64]]:
        """This party's part of the score of every row, by component.

        Raises:
            DataError: the table lacks a column of the model, or holds what is not a number.
        """
        found: dict[str, NDArray[np.float64]] = {}
        tables = {RAW: table}
        for stage in self.stages:
            given = tables[stage.source]
            tables[stage.name] = stage.scorer.transform(stage.buffers, given) if stage.scorer.transform else given
            if stage.scorer.partial is not None:
                found[stage.name] = _numbers(stage, stage.scorer.partial(stage.buffers, given), len(table))
        return found

    def merge(self, own: Partials, remote: Sequence[Partials]) -> NDArray[np.float64]:
        """Scores of rows, (n,), or of several classes (n, k), from the guest's part and the hosts' in party order."""
        stage = self.merging
        merge: Any = stage.scorer.merge
        scores = merge(stage.buffers, own[stage.name], [parts[stage.name] for parts in remote])
        return _numbers(stage, scores, len(own[stage.name]))

    def label(self, scores: NDArray[np.float64]) -> float | None:
        """The class of the highest of one row's (k,) scores; None if the model does not name its classes."""
        stage = self.merging
        classes = stage.scorer.classes(stage.buffers) if stage.scorer.classes else ()
        return float(classes[int(np.argmax(scores))]) if len(classes) == len(scores) else None

    @property
    def parts_per_row(self) -> int:
        """As how many rows one counts whose part this party tells."""
        stage = self.merging
        return stage.scorer.parts_per_row(stage.buffers) if stage.scorer.parts_per_row else 1

    @property
    def used(self) -> Sequence[int | None]:
        """How many numbers of each row are used of each part that is asked for; None: as many as the own part has."""
        stage, asked = self.merging, len(self.asked)
        known: Sequence[int] = stage.scorer.used(stage.buffers) if stage.scorer.used else ()
        return [*known, *[None] * asked][:asked]

    @property
    def merging(self) -> Stage:
        """The stage that makes the score."""
        return self.stages[-1]


def load(binding: Binding, bundle: ModelBundle, modules: Mapping[str, Component]) -> LoadedModel:
    """The model of a verified bundle; ``ModelError`` as ``chain.stages``."""
    guests, hosts = bundle.parties(Role.GUEST), bundle.parties(Role.HOST)
    return LoadedModel(binding, bundle.me, guests, hosts, bundle.model_key, stages(bundle, modules))


def _numbers(stage: Stage, values: Any, rows: int) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    width = array.shape[1] if array.ndim == 2 else 1
    if array.shape[:1] != (rows,) or array.ndim > 2 or not 1 <= width <= MAX_NUMBERS or not np.isfinite(array).all():
        raise ModelError("FED-608", f"component {stage.name}: the score is not one finite number per row, nor several")
    return array
