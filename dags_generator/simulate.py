"""A whole pipeline in one process: all members as threads, no Airflow, no gateway. Same plans, same role functions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from dags_generator.parse import parse_paths
from dags_generator.plan import job_plan
from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import DataRef, JobPlan, ModelRef, StepPlan
from federatedml.component import Inputs, ModelBuffers, Outputs, component
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table, read
from federatedml.errors import DataError, ModelError
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
    """

    spec: PipelineSpec
    stored: Models = field(default_factory=dict)
    outputs: dict[str, dict[Member, Outputs]] = field(default_factory=dict)
    metrics: dict[str, dict[Member, list[MetricPoint]]] = field(default_factory=dict)

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
        data: tables as ``PARTY_ID/NAMESPACE/NAME.parquet`` or ``.csv``.
        on_progress: called with component, member, done (0 to 1) and text, from the members' threads.
        timeout: seconds that a member waits for a message.
        models: for a predict job, ``Simulation.models()`` of the training.

    Raises:
        FedError: the first error of any member.
    """
    spec = parse_paths(dsl, conf)
    result = Simulation(spec, models or {})
    with tempfile.TemporaryDirectory(prefix="airfed-") as scratch:
        tables = {m: _Tables(data / m.party, Path(scratch) / "tables" / m.party) for m in spec.parties.members}
        plans = {member: job_plan(spec, member, JOB_ID, digest="") for member in spec.parties.members}
        for name in spec.graph.components:
            _step(name, plans, tables, LocalNetwork(Path(scratch) / name, timeout=timeout), result, on_progress)
    return result


def _step(
    name: str,
    plans: Mapping[Member, JobPlan],
    tables: Mapping[Member, _Tables],
    network: LocalNetwork,
    result: Simulation,
    on_progress: OnProgress,
) -> None:
    steps = {member: plan.steps[name] for member, plan in plans.items() if name in plan.steps}
    first = next(iter(steps.values()))
    module = component(first.module, predicting=first.model is not None)
    stepped = network.run(
        module,
        {member: module.params.model_validate_json(json.dumps(step.params)) for member, step in steps.items()},
        {member: _inputs(step, member, tables[member], result) for member, step in steps.items()},
        name,
        JOB_ID,
        next(iter(plans.values())).initiator.party,
        lambda member, done, text: on_progress(name, member, done, text),
    )
    result.outputs[name] = {
        member: replace(outputs, data=outputs.data and replace(outputs.data, origin=name))
        for member, outputs in stepped.outputs.items()
    }
    result.metrics[name] = stepped.metrics


def _inputs(step: StepPlan, member: Member, tables: _Tables, result: Simulation) -> Inputs:
    def table(ref: DataRef) -> Table:
        if ref.component is None:
            return tables.read(ref)
        found = result.outputs[ref.component][member].data
        if found is None:
            raise DataError("FED-222", f"{step.component}: {ref.component} left no data {ref.alias!r} at {member}")
        return found

    def model(ref: ModelRef | None) -> ModelBuffers | None:
        if ref is None or not ref.stored:
            return None if ref is None else result.outputs[ref.component][member].model
        if member not in result.stored.get(ref.component, {}):
            hint = "a job finds it in the registry; a simulation has none"
            raise ModelError("FED-621", f"{step.component}: no model {ref.alias!r} at {member}", hint)
        return result.stored[ref.component][member]

    data = {key: [table(ref) for ref in refs] for key, refs in step.data.items()}
    return Inputs(data, model(step.model), model(step.isometric_model))


class _Tables:
    """Tables of one party; CSV files are read as the Parquet files that they become."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.scratch = Catalogue(folder), Catalogue(scratch)

    def read(self, ref: DataRef) -> Table:
        if ref.table is None:
            raise DataError("FED-221", f"no table is named for {ref.alias!r}")
        text = self.folder.path(ref.table).with_suffix(".csv")
        if self.folder.path(ref.table).exists() or not text.is_file():
            return self.folder.read(ref.table)
        return read(self._converted(ref.table, text))

    def _converted(self, name: TableName, text: Path) -> Path:
        path = self.scratch.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with csv.open_csv(text) as reader:
            first = reader.schema.names[0]
        pq.write_table(csv.read_csv(text, convert_options=csv.ConvertOptions(column_types={first: pa.string()})), path)
        return path
