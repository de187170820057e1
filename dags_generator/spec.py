"""What a pipeline is once it is valid: immutable values, equal at every party that reads the same text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dags_generator.reading import digest
from dags_generator.schedule import Schedule
from federated_operators.gateway.plan import (
    ALL_SUCCESS,
    JOB_TIMEOUT_S,
    ONE_SUCCESS,
    PREDICT,
    TRAIN,
    DataRef,
    ModelRef,
    ModelSource,
)
from federatedml.data.catalogue import TableName
from federatedml.federation.party import Member, Role

PIPELINE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Parties:
    """Who takes part. ``role`` keeps the order of the conf: parameters are given per position."""

    initiator: Member
    role: Mapping[Role, Sequence[str]]

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """All members, sorted."""
        return tuple(sorted(Member(role, party) for role, ids in self.role.items() for party in ids))

    def position(self, member: Member) -> int:
        """Place of a member among the parties of its role."""
        return self.role[member.role].index(member.party)

    def json(self) -> dict[str, Any]:
        """The keys ``initiator`` and ``role`` of a conf, party ids as strings."""
        return {
            "initiator": {"role": str(self.initiator.role), "party_id": self.initiator.party},
            "role": {str(role): list(ids) for role, ids in self.role.items()},
        }


@dataclass(frozen=True)
class ComponentSpec:
    """One component of a DSL.

    Attributes:
        data: DSL v1's key (``data``, ``train_data``, ``eval_data``) -> references; tables not yet resolved.
        data_aliases: names of the data outputs, in the order of the module's ``data_outputs``; it may be fewer.
        model_alias: name of the model, if declared.
        upstream: components that it refers to.
        members: who runs it, sorted.
        data_members: those who get its data outputs.
        local: no message leaves its members: each works on what it has.
        trigger_rule: when it may start, by what became of ``upstream``.
        several: whether it takes several tables under ``data``.
    """

    name: str
    module: str
    version: str
    data: Mapping[str, Sequence[DataRef]]
    model: ModelRef | None
    isometric_model: ModelRef | None
    data_aliases: Sequence[str]
    model_alias: str | None
    need_deploy: bool
    upstream: Sequence[str]
    members: Sequence[Member]
    data_members: Sequence[Member] = ()
    local: bool = False
    trigger_rule: str = ALL_SUCCESS
    several: bool = False

    @property
    def predicts(self) -> bool:
        """Whether it takes a fitted model, so that it is not fitted itself."""
        return self.model is not None


@dataclass(frozen=True)
class Graph:
    """DSL and parties, valid: all that a peer's DAG is built from.

    Attributes:
        dsl: as it was given, plain JSON; a DSL v2 says that it is one.
        components: in topological order.
        inference_dsl: the predict DSL that follows from ``dsl``; empty if nothing is deployed, or ``dsl`` is one.
        readers: names of the Readers: each is the key of its table.
    """

    pipeline: str
    dsl: Mapping[str, Any]
    parties: Parties
    components: Mapping[str, ComponentSpec]
    inference_dsl: Mapping[str, Any]
    readers: Sequence[str] = ()

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the canonical DSL and parties."""
        return digest({"dsl": self.dsl, "parties": self.parties.json()})

    @property
    def predicts(self) -> bool:
        """Whether it is the graph of a predict job."""
        return any(spec.model is not None and spec.model.stored for spec in self.components.values())

    def of(self, member: Member) -> list[ComponentSpec]:
        """Components that the member runs, in topological order."""
        return [component for component in self.components.values() if member in component.members]

    def upstream_of(self, component: ComponentSpec, member: Member) -> list[str]:
        """The nearest earlier components that the member runs itself, seen through those that it does not."""
        return self._nearest(component.upstream, member)

    def sources(self, component: ComponentSpec, name: str) -> Sequence[Member]:
        """Members at whom ``component`` reads data of the component ``name``.

        A protocol's other members may read what is passed through where nothing runs (``need_run``), too.
        """
        source = self.components[name]
        return source.data_members if component.local else source.members

    def edges_of(self, component: ComponentSpec, member: Member) -> list[str]:
        """What the member's task waits for: ``upstream_of``.

        Nothing for a ``one_success`` component that may start because of what only other parties run: the member sees
        nothing of that.
        """
        unseen = any(not self._nearest([name], member) for name in component.upstream)
        return [] if component.trigger_rule == ONE_SUCCESS and unseen else self.upstream_of(component, member)

    def _nearest(self, names: Sequence[str], member: Member) -> list[str]:
        found: set[str] = set()
        pending = list(names)
        seen: set[str] = set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            if member in self.components[name].members:
                found.add(name)
            else:
                pending.extend(self.components[name].upstream)
        return sorted(found)


@dataclass(frozen=True)
class SpecifiedRun:
    """A job of some components only; the outputs of an earlier job stand in for those of the others."""

    job_id: str
    components: Sequence[str]


@dataclass(frozen=True)
class JobParameters:
    """What a conf says about the job as a whole.

    Attributes:
        timeout: seconds from its proposal.
        task_timeouts: component -> seconds from its first start.
        auto_retries: component -> attempts after an error of its algorithm.
        specified: which components run, if not all.
        source: the registered model of a predict job; its version is empty if the conf leaves it to the registry.
    """

    model_key: str
    timeout: float = JOB_TIMEOUT_S
    task_timeouts: Mapping[str, float] = field(default_factory=dict)
    auto_retries: Mapping[str, int] = field(default_factory=dict)
    specified: SpecifiedRun | None = None
    source: ModelSource | None = None


@dataclass(frozen=True)
class PipelineSpec:
    """A pipeline with its conf, valid for every member.

    Attributes:
        conf: in normal form, plain JSON, in the shape of v1.
        params: component -> member -> effective parameters, plain JSON, choices of ``auto`` made.
        tables: member -> key under ``role_parameters.ROLE.args.data`` -> table.
        notes: what the conf says that has no effect here.
        schedule: when the initiator starts it; None: only by submission.
    """

    graph: Graph
    conf: Mapping[str, Any]
    params: Mapping[str, Mapping[Member, Mapping[str, Any]]]
    tables: Mapping[Member, Mapping[str, TableName]]
    job: JobParameters
    notes: Sequence[str] = ()
    schedule: Schedule | None = None

    @property
    def job_type(self) -> str:
        """``train`` or ``predict``."""
        return TRAIN if self.job.source is None else PREDICT

    @property
    def pipeline(self) -> str:
        """Name of the pipeline at its initiator."""
        return self.graph.pipeline

    @property
    def model_key(self) -> str:
        """Names the model in the registry."""
        return self.job.model_key

    @property
    def running(self) -> dict[str, ComponentSpec]:
        """The components that run in a job, in topological order: all, unless the conf names some."""
        chosen = self.job.specified
        return {
            name: step for name, step in self.graph.components.items() if chosen is None or name in chosen.components
        }

    @property
    def parties(self) -> Parties:
        """Who takes part."""
        return self.graph.parties


def dag_id(pipeline: str, initiator: Member, member: Member) -> str:
    """Airflow's name of a member's DAG: pipelines of two initiators may have the same name."""
    own = f"{pipeline}.{member}"
    return own if member.party == initiator.party else f"{initiator.party}.{own}"
