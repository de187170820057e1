"""``PipelineSpec`` -> what each member runs: the gateway's ``JobPlan``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dags_generator.spec import ComponentSpec, Graph, PipelineSpec, dag_id
from federated_operators.gateway.plan import DataRef, JobPlan, ModelRef, StepPlan
from federatedml.component import component
from federatedml.data.catalogue import TableName
from federatedml.federation.party import Member


def disclosure(graph: Graph) -> dict[str, Any]:
    """Who learns what from the whole pipeline, component by component, as plain JSON."""
    return {name: component(spec.module).disclosure() for name, spec in graph.components.items()}


def versions(graph: Graph) -> dict[str, str]:
    """Versions of the modules in use, by module."""
    return {spec.module: spec.version for spec in graph.components.values()}


def job_plan(spec: PipelineSpec, member: Member, job_id: str, digest: str) -> JobPlan:
    """The plan of one member; ``digest`` is that of the proposal."""
    graph = spec.graph
    return JobPlan(
        initiator=graph.parties.initiator,
        job_id=job_id,
        pipeline=graph.pipeline,
        me=member,
        members=graph.parties.members,
        model_key=spec.model_key,
        digest=digest,
        spec_digest=graph.digest,
        dag_id=dag_id(graph.pipeline, graph.parties.initiator, member),
        steps={step.name: _step(spec, step, member) for step in graph.of(member)},
        all_steps={name: step.members for name, step in graph.components.items()},
        modules={name: step.module for name, step in graph.components.items()},
        dsl=graph.dsl,
        conf=spec.conf,
        disclosure=disclosure(graph),
        inference_dsl=graph.inference_dsl,
        upstream={name: step.upstream for name, step in graph.components.items()},
        trigger_rules={name: step.trigger_rule for name, step in graph.components.items()},
        timeout=spec.job.timeout,
        task_timeouts=spec.job.task_timeouts,
        auto_retries=spec.job.auto_retries,
    )


def _step(spec: PipelineSpec, step: ComponentSpec, member: Member) -> StepPlan:
    data = {
        key: found for key, refs in step.data.items() if (found := _own(refs, spec.graph, member, spec.tables[member]))
    }
    return StepPlan(
        component=step.name,
        module=step.module,
        version=step.version,
        members=step.members,
        params=spec.params[step.name][member],
        data=data,
        model=_own_model(step.model, spec.graph, member),
        isometric_model=_own_model(step.isometric_model, spec.graph, member),
        data_alias=step.data_alias,
        model_alias=step.model_alias,
        upstream=spec.graph.upstream_of(step, member),
        need_deploy=step.need_deploy,
    )


def _own(refs: Sequence[DataRef], graph: Graph, member: Member, tables: Mapping[str, TableName]) -> tuple[DataRef, ...]:
    """What the member itself has of these references: an arbiter has neither tables nor the outputs of others."""
    own = []
    for ref in refs:
        if ref.component is not None and member in graph.components[ref.component].members:
            own.append(ref)
        elif ref.component is None and ref.alias in tables:
            own.append(replace(ref, table=tables[ref.alias]))
    return tuple(own)


def _own_model(ref: ModelRef | None, graph: Graph, member: Member) -> ModelRef | None:
    return ref if ref is not None and member in graph.components[ref.component].members else None
