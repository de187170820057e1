"""What an Airflow DAG is built from: one ``RolePlan`` per own role, kept as JSON so that building it is cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from dags_generator.describe import document
from dags_generator.form import Field, form
from dags_generator.schedule import Schedule
from dags_generator.spec import Graph, PipelineSpec, dag_id
from federated_operators.gateway.plan import ALL_SUCCESS
from federatedml.component import component
from federatedml.federation.party import Member


@dataclass(frozen=True)
class RoleTask:
    """A component as a task.

    Attributes:
        upstream: tasks of the same DAG that it waits for.
        trigger_rule: the DSL's, which the coordinator evaluates; here it only says how many of them it waits for.
    """

    component: str
    module: str
    title: str
    upstream: Sequence[str]
    trigger_rule: str = ALL_SUCCESS  # what an older release compiled has none


@dataclass(frozen=True)
class Start:
    """What only the initiator's DAG has: the conf's form, what ``federate`` proposes, and when it starts by itself."""

    dsl: Mapping[str, Any]
    conf: Mapping[str, Any]
    form: Sequence[Field]
    schedule: Schedule | None = None


@dataclass(frozen=True)
class RolePlan:
    """One DAG. ``start`` is None where the run is begun by another party."""

    dag_id: str
    pipeline: str
    member: Member
    initiator: Member
    parties: Mapping[str, Any]
    spec_digest: str
    tasks: Sequence[RoleTask]
    doc_md: str
    start: Start | None


_PLANS: TypeAdapter[list[RolePlan]] = TypeAdapter(list[RolePlan])


def role_plans(graph: Graph, party: str, spec: PipelineSpec | None = None) -> list[RolePlan]:
    """One plan for each role that ``party`` plays; the initiator's needs ``spec``."""
    return [_plan(graph, member, spec) for member in graph.parties.members if member.party == party]


def dump_role_plans(plans: list[RolePlan]) -> bytes:
    """Plans as JSON."""
    return _PLANS.dump_json(plans)


def load_role_plans(body: bytes) -> list[RolePlan]:
    """The plans that ``dump_role_plans`` wrote."""
    return _PLANS.validate_json(body)


def _plan(graph: Graph, member: Member, spec: PipelineSpec | None) -> RolePlan:
    initiator = graph.parties.initiator
    starts = member == initiator
    return RolePlan(
        dag_id(graph.pipeline, initiator, member),
        graph.pipeline,
        member,
        initiator,
        graph.parties.json(),
        graph.digest,
        [
            RoleTask(
                step.name,
                step.module,
                component(step.module).title,
                graph.edges_of(step, member),
                step.trigger_rule,
            )
            for step in graph.of(member)
        ],
        document(graph, member),
        Start(graph.dsl, spec.conf, form(spec), spec.schedule) if spec is not None and starts else None,
    )
