"""What a party agrees to run: the validated form of a proposal, made by the same code at every party.

``JobAcceptor`` is defined here and implemented by ``dags_generator``; the composition root injects it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import TypeAdapter

from federatedml.data.catalogue import TableName
from federatedml.federation.party import Member, model_id, party_model_id

JOB_TIMEOUT_S = 7 * 86_400.0  # FATE 1.1's default
JOB_TYPES = TRAIN, PREDICT = ("train", "predict")
ALL_SUCCESS, ALL_DONE, ONE_SUCCESS = TRIGGER_RULES = ("all_success", "all_done", "one_success")


@dataclass(frozen=True)
class DataRef:
    """Where an input table comes from: an output of a component, or a table of the catalogue."""

    component: str | None  # None: a table
    alias: str  # output name, or the key under role_parameters.ROLE.args.data
    table: TableName | None = None


@dataclass(frozen=True)
class ModelRef:
    """A fitted model of a component: of this job, or (``stored``) of the model that a predict job uses."""

    component: str
    alias: str
    stored: bool = False


@dataclass(frozen=True)
class ModelSource:
    """The registered model of a predict job, equal at all members: FATE's model id and version."""

    model_id: str
    model_version: str


@dataclass(frozen=True)
class StepPlan:
    """One component as one member runs it."""

    component: str
    module: str
    version: str
    members: Sequence[Member]  # sorted; all that take part
    params: Mapping[str, Any]  # effective parameters of this member, FATE's names, plain JSON
    data: Mapping[str, Sequence[DataRef]]  # DSL key -> references
    model: ModelRef | None = None
    isometric_model: ModelRef | None = None
    data_aliases: Sequence[str] = ()  # names of the data outputs that are declared, in the module's order
    model_alias: str | None = None
    upstream: Sequence[str] = ()  # components of this member that come before
    need_deploy: bool = True


@dataclass(frozen=True)
class JobPlan:
    """A job as one member runs it.

    Attributes:
        digest: hex SHA-256 of what all parties agree to; equal at all members.
        spec_digest: hex SHA-256 of the canonical DSL + parties: what an installed DAG is built from.
        steps: of this member, in topological order, ``conclude`` not included.
        all_steps: component -> members, for all components of the job (the coordinator's view).
        modules: component -> module, likewise.
        inference_dsl: the predict DSL that is stored with the model; empty if nothing is deployed.
        upstream: component -> the components that it refers to, for all components of the job.
        trigger_rules: component -> when it may start; ``all_success`` where it says nothing.
        timeout: seconds that the job may take from its proposal.
        task_timeouts: component -> seconds from its first start; none for a component that is absent.
        auto_retries: component -> attempts that may follow an error of its algorithm.
        job_type: ``train`` or ``predict``.
        source: the model of a predict job.
        model_digest: hex SHA-256 of the manifest of this member's own half of it, as it was when the party agreed;
            empty if the member uses none.
        earlier_job: id of the job of the same initiator whose outputs stand in for components that do not run here.
    """

    initiator: Member
    job_id: str
    pipeline: str
    me: Member
    members: Sequence[Member]
    model_key: str
    digest: str
    spec_digest: str
    dag_id: str
    steps: Mapping[str, StepPlan]
    all_steps: Mapping[str, Sequence[Member]]
    modules: Mapping[str, str]
    dsl: Mapping[str, Any]
    conf: Mapping[str, Any]
    disclosure: Mapping[str, Any]
    inference_dsl: Mapping[str, Any] = field(default_factory=dict)  # a plan.json of an older version has none
    upstream: Mapping[str, Sequence[str]] = field(default_factory=dict)
    trigger_rules: Mapping[str, str] = field(default_factory=dict)
    timeout: float = JOB_TIMEOUT_S
    task_timeouts: Mapping[str, float] = field(default_factory=dict)
    auto_retries: Mapping[str, int] = field(default_factory=dict)
    job_type: str = TRAIN
    source: ModelSource | None = None
    model_digest: str = ""
    earlier_job: str = ""

    @property
    def model_id(self) -> str:
        """FATE's model id: ``arbiter-10001#guest-9999#host-10000#KEY``."""
        return model_id(self.members, self.model_key)

    @property
    def party_model_id(self) -> str:
        """FATE's party model id: ``guest#9999#arbiter-10001#guest-9999#host-10000#KEY``."""
        return party_model_id(self.me, self.members, self.model_key)


_PLAN: TypeAdapter[JobPlan] = TypeAdapter(JobPlan)


def dump_plan(plan: JobPlan) -> bytes:
    """A plan as JSON, for ``JOB_DIR/ROLE/plan.json``."""
    return _PLAN.dump_json(plan)


def load_plan(body: bytes) -> JobPlan:
    """The plan that ``dump_plan`` wrote."""
    return _PLAN.validate_json(body)


@dataclass(frozen=True)
class ProposedJob:
    """A proposal's content, parsed but not trusted."""

    initiator: str
    job_id: str
    pipeline: str
    dsl: bytes  # canonical JSON
    conf: bytes  # canonical JSON


class JobAcceptor(Protocol):
    """Validates proposals and installs pipelines. Implemented by ``dags_generator.acceptor``."""

    def digest(self, job: ProposedJob) -> tuple[str, Mapping[str, str], bytes]:
        """Of a valid proposal: hex digest, module versions, disclosure digest. ``DslError`` if it is not valid."""
        ...

    def plans(self, job: ProposedJob, party_id: str) -> Sequence[JobPlan]:
        """One plan per role that ``party_id`` plays in the job; ``DslError`` if the proposal is not valid."""
        ...

    def install(self, plan: JobPlan) -> str:
        """Put the pipeline (DSL + parties, no conf) where the DAG bundle finds it; unchanged = no write.

        Returns:
            hex digest of the installed file, for ``installed``.
        """
        ...

    def installed(self, plan: JobPlan, bundle_version: str | None = None) -> bool:
        """Whether a version of the DAG bundle (None: the current one) maps this plan's file to this plan's digest."""
        ...
