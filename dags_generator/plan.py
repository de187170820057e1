"""``PipelineSpec`` -> what each member runs: the gateway's ``JobPlan``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dags_generator.spec import ComponentSpec, Graph, PipelineSpec, dag_id
from federated_operators.gateway.plan import DataRef, JobPlan, ModelRef, StepPlan
from federatedml.component import Component, component
from federatedml.federation.party import Member, Role


def disclosure(spec: PipelineSpec) -> dict[str, Any]:
    """Who learns what from the components that run, with the parameters that they have, as plain JSON."""
    return {name: running(spec, step).disclosure() for name, step in spec.running.items()}


def running(spec: PipelineSpec, step: ComponentSpec) -> Component:
    """The component as it runs with the parameters that all members agreed to."""
    declared = component(step.module, step.predicts)
    params = spec.params[step.name][step.members[0]]
    return declared.variant(declared, declared.params.model_validate_json(json.dumps(params)))


def versions(components: Mapping[str, ComponentSpec]) -> dict[str, str]:
    """Versions of the modules in use, by module."""
    return {spec.module: spec.version for spec in components.values()}


def job_plan(spec: PipelineSpec, member: Member, job_id: str, digest: str) -> JobPlan:
    """The plan of one member; ``digest`` is that of the proposal."""
    graph, runs = spec.graph, spec.running
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
        steps={name: _step(spec, step, member) for name, step in runs.items() if member in step.members},
        all_steps={name: step.members for name, step in runs.items()},
        modules={name: step.module for name, step in runs.items()},
        dsl=graph.dsl,
        conf=spec.conf,
        disclosure=disclosure(spec),
        inference_dsl=graph.inference_dsl,
        job_type=spec.job_type,
        source=spec.job.source,
        upstream={name: [before for before in step.upstream if before in runs] for name, step in runs.items()},
        trigger_rules={name: step.trigger_rule for name, step in runs.items()},
        timeout=spec.job.timeout,
        task_timeouts={name: limit for name, limit in spec.job.task_timeouts.items() if name in runs},
        auto_retries={name: number for name, number in spec.job.auto_retries.items() if name in runs},
        earlier_job=spec.job.specified.job_id if spec.job.specified else "",
    )


def _step(spec: PipelineSpec, step: ComponentSpec, member: Member) -> StepPlan:
    data = {key: found for key, refs in step.data.items() if (found := _own(refs, step, spec, member))}
    return StepPlan(
        component=step.name,
        module=step.module,
        version=step.version,
        members=step.members,
        params=spec.params[step.name][member],
        data=data,
        model=_own_model(step.model, spec.graph, member),
        isometric_model=_own_model(step.isometric_model, spec.graph, member),
        data_aliases=step.data_aliases,
        model_alias=step.model_alias,
        upstream=[before for before in spec.graph.upstream_of(step, member) if before in spec.running],
        need_deploy=step.need_deploy,
    )


def _own(refs: Sequence[DataRef], step: ComponentSpec, spec: PipelineSpec, member: Member) -> tuple[DataRef, ...]:
    """What the member itself has of these references: an arbiter has neither tables nor the outputs of others."""
    own, tables = [], spec.tables[member]
    for ref in refs if member.role is not Role.ARBITER else ():
        if ref.component is not None and member in spec.graph.sources(step, ref.component):
            own.append(ref)
        elif ref.component is None and ref.alias in tables:
            own.append(replace(ref, table=tables[ref.alias]))
    return tuple(own)


def _own_model(ref: ModelRef | None, graph: Graph, member: Member) -> ModelRef | None:
    own = ref is not None and (ref.stored or member in graph.components[ref.component].members)
    return ref if own else None
