"""A whole pipeline in one process: all members as threads, no Airflow, no gateway. Same plans, same role functions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dags_generator.parse import parse_paths
from dags_generator.plan import job_plan
from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import JobPlan, ModelRef
from federated_operators.gateway.rules import Flow, Readiness, State
from federated_operators.inputs import inputs_of
from federatedml.component import ModelBuffers, Outputs, component
from federatedml.compute.choice import compute_engine
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table
from federatedml.errors import DslError, FedError
from federatedml.federation.box import MetricPoint
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Member

JOB_ID = "0" * 21
Models = Mapping[str, Mapping[Member, ModelBuffers]]
OnProgress = Callable[[str, Member, float, str], None]


@dataclass
class Simulation:
    """What a pipeline left behind, by component and member.

    Attributes:
        stored: models of a training, for a predict job.
        outputs: data by reference, models, views, summaries.
        metrics: points in the order in which they came.
        failures: of components that others tolerate.
        skipped: components that could not run because of those.
    """

    spec: PipelineSpec
    stored: Models = field(default_factory=dict)
    outputs: dict[str, dict[Member, Outputs]] = field(default_factory=dict)
    metrics: dict[str, dict[Member, list[MetricPoint]]] = field(default_factory=dict)
    failures: dict[str, FedError] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def summaries(self) -> dict[str, dict[str, dict[str, float]]]:
        """Component -> member -> counts and scores."""
        return {
            name: {str(member): dict(outputs.summary) for member, outputs in found.items() if outputs.summary}
            for name, found in self.outputs.items()
        }

    def predictions(self) -> dict[str, dict[Member, Table]]:
        """Prediction tables of the components that made some."""
        found = {
            name: {m: o.data for m, o in outputs.items() if o.data is not None and o.data.kind is Kind.PREDICTIONS}
            for name, outputs in self.outputs.items()
        }
        return {name: tables for name, tables in found.items() if tables}

    def models(self) -> dict[str, dict[Member, ModelBuffers]]:
        """Model buffers of the components that fitted one."""
        found = {name: {m: o.model for m, o in outputs.items() if o.model} for name, outputs in self.outputs.items()}
        return {name: models for name, models in found.items() if models}


def simulate(
    dsl: Path,
    conf: Path | None,
    data: Path,
    on_progress: OnProgress = lambda *_: None,
    timeout: float = 600.0,
    models: Models | None = None,
) -> Simulation:
    """Run a pipeline from its files.

    Args:
        dsl: FATE's DSL, or a native file if ``conf`` is None.
        conf: its runtime conf.
        data: tables as in the data folders of the parties, ``PARTY_ID/NAMESPACE/NAME.parquet`` for example.
        on_progress: called with component, member, done (0 to 1) and text, from the members' threads.
        timeout: seconds that a member waits for a message.
        models: for a predict job, ``Simulation.models()`` of the training.

    Raises:
        FedError: the first error of a component that no other one tolerates.
    """
    spec = parse_paths(dsl, conf)
    if spec.job.specified:
        raise DslError("FED-175", "job_parameters.specified_task_run: a simulation has no earlier job to go on from")
    result = Simulation(spec, models or {})
    with tempfile.TemporaryDirectory(prefix="airfed-") as scratch, compute_engine() as compute:
        tables = {m: Catalogue(data / m.party) for m in spec.parties.members}
        plans = {member: job_plan(spec, member, JOB_ID, digest="") for member in spec.parties.members}
        for name in spec.graph.components:
            network = LocalNetwork(Path(scratch) / name, timeout=timeout, compute=compute, bodies=False)
            _step(name, plans, tables, network, result, on_progress)
    return result


def _step(
    name: str,
    plans: Mapping[Member, JobPlan],
    tables: Mapping[Member, Catalogue],
    network: LocalNetwork,
    result: Simulation,
    on_progress: OnProgress,
) -> None:
    """Run a component if it may, and raise the first failure that nothing makes up for any more."""
    if _states(result).get(name) != State.SKIPPED:
        try:
            _run(name, plans, tables, network, result, on_progress)
        except FedError as error:
            result.failures[name] = error
    else:
        result.skipped.append(name)
    for failed, failure in result.failures.items():
        if not _flow(result).covered(failed, _states(result)):
            raise failure


def _run(
    name: str,
    plans: Mapping[Member, JobPlan],
    tables: Mapping[Member, Catalogue],
    network: LocalNetwork,
    result: Simulation,
    on_progress: OnProgress,
) -> None:
    steps = {member: plan.steps[name] for member, plan in plans.items() if name in plan.steps}
    first, rule = next(iter(steps.values())), result.spec.graph.components[name].trigger_rule
    module = component(first.module, predicting=first.model is not None)
    stepped = network.run(
        module,
        {member: module.params.model_validate_json(json.dumps(step.params)) for member, step in steps.items()},
        {m: inputs_of(step, rule, _Left(m, tables[m], result)) for m, step in steps.items()},
        name,
        JOB_ID,
        next(iter(plans.values())).initiator.party,
        lambda member, done, text: on_progress(name, member, done, text),
    )
    result.outputs[name] = {
        member: replace(outputs, data=_from(name, outputs.data), rest=[_from(name, table) for table in outputs.rest])
        for member, outputs in stepped.outputs.items()
    }
    result.metrics[name] = stepped.metrics


def _from(name: str, table: Table | None) -> Table | None:
    return table and replace(table, origin=name)


def _flow(result: Simulation) -> Flow:
    components = result.spec.graph.components
    upstream = {name: step.upstream for name, step in components.items()}
    return Flow(list(components), upstream, {name: step.trigger_rule for name, step in components.items()})


def _states(result: Simulation) -> dict[str, int]:
    """What became of the components; those that can never run any more count as skipped."""
    flow, states = _flow(result), dict.fromkeys(result.outputs, int(State.COMMITTED))
    states |= dict.fromkeys(result.failures, int(State.FAILED)) | dict.fromkeys(result.skipped, int(State.SKIPPED))
    for name in result.spec.graph.components:  # in topological order
        if name not in states and flow.readiness(name, states) is Readiness.SKIP:
            states[name] = State.SKIPPED
    return states


@dataclass(frozen=True)
class _Left:
    """What components left at one member, as ``inputs_of`` asks for it."""

    member: Member
    tables: Catalogue
    result: Simulation

    def __contains__(self, component: object) -> bool:
        return component in self.result.outputs

    def table(self, name: TableName) -> Table:
        return self.tables.read(name)

    def data(self, component: str, alias: str) -> Table | None:
        aliases = self.result.spec.graph.components[component].data_aliases
        return self.result.outputs[component][self.member].named(aliases).get(alias)

    def model(self, component: str, alias: str) -> ModelBuffers | None:
        return self.result.outputs[component][self.member].model

    def trained(self, ref: ModelRef) -> ModelBuffers | None:
        return self.result.stored.get(ref.component, {}).get(self.member)
