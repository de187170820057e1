"""The predict DSL of a training pipeline: what of it runs again, on new data, with the models that it stored.

The rules are FATE v1.1's:

- A component that is deployed keeps its module and its data output. If it stores a model, that is its ``input.model``
  (``pipeline.COMPONENT.ALIAS``), so it is not fitted again; models that it read while training are dropped.
- ``data`` stays ``data``, with one reference where the component takes one table; ``train_data``, else ``eval_data``,
  becomes ``eval_data`` with one reference. Every table is ``args.eval_data``.
- A component that is not deployed disappears: what it read itself stands in for its output, through any number of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dags_generator.spec import ComponentSpec, Graph
from dags_generator.where import Where
from federated_operators.gateway.plan import ALL_SUCCESS, DataRef
from federatedml.component import Component, component
from federatedml.errors import DslError

NEW_DATA = "args.eval_data"
KEYS = {"data": "data", "train_data": "eval_data", "eval_data": "eval_data"}  # the first that is there counts


def predict_dsl(components: Mapping[str, ComponentSpec], where: Where) -> dict[str, Any]:
    """The predict DSL, ``{"components": ...}``; empty if nothing is deployed.

    Args:
        components: all of the training pipeline, in topological order.
        where: the training DSL's file, for errors.

    Raises:
        DslError: ``FED-190``, a deployed component reads one that is not and that has no input to stand in for it.
    """
    stand_ins: dict[str, list[str]] = {}  # of components that are not deployed
    deployed: dict[str, Any] = {}
    for name, spec in components.items():
        key = next((key for key in KEYS if key in spec.data), None)
        fed = _resolved(spec.data[key], stand_ins) if key else []
        if spec.need_deploy:
            if key and not fed:
                raise _unfed(spec, key, stand_ins, where)
            deployed[name] = _deployed(spec, key, fed)
        else:
            stand_ins[name] = fed
    return {"components": deployed} if deployed else {}


def check_predict(graph: Graph, where: Where) -> None:
    """Refuse a predict job that has nothing to run or would not predict.

    Raises:
        DslError: ``FED-191``, nothing is deployed; ``FED-192``, a deployed component has a model but does not store it.
    """
    deployed = graph.inference_dsl.get("components", {})
    if not deployed:
        raise where.error("FED-191", "empty, because no component is deployed", "need_deploy: true")
    for name, body in deployed.items():
        if component(body["module"]).has_model and "model" not in body.get("input", {}):
            problem = "it is deployed but stores no model: it would be fitted again to the new data"
            raise where.at("components", name).error("FED-192", problem, "output.model, or need_deploy: false")


def check_predicting(module: Component, with_model: bool, predict_job: bool, where: Where) -> None:
    """Refuse a component that would be fitted in a predict job, or that takes a model and cannot use it.

    Raises:
        DslError: ``FED-192``, ``FED-193``.
    """
    if with_model and module.prediction is None:
        problem = f"module {module.module} cannot run with a fitted model"
        raise where.at("input", "model").error("FED-193", problem, "leave input.model out")
    if predict_job and module.has_model and not with_model:
        name = where.path[-1]
        allowed = f"input.model: [pipeline.{name}.MODEL]"
        raise where.error("FED-192", "it takes no model, as others do: it would be fitted to the new data", allowed)


def _resolved(refs: Sequence[DataRef], stand_ins: Mapping[str, list[str]]) -> list[str]:
    """References of the predict DSL, each once, in order; none if one of ``refs`` has nothing to stand in for it."""
    found = [_resolved_one(ref, stand_ins) for ref in dict.fromkeys(refs)]
    return list(dict.fromkeys(text for texts in found for text in texts)) if all(found) else []


def _resolved_one(ref: DataRef, stand_ins: Mapping[str, list[str]]) -> list[str]:
    if ref.component is None:
        return [NEW_DATA]
    return stand_ins.get(ref.component, [f"{ref.component}.{ref.alias}"])


def _deployed(spec: ComponentSpec, key: str | None, fed: list[str]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    if key:
        tolerant = spec.trigger_rule != ALL_SUCCESS  # its references are alternatives
        inputs["data"] = {KEYS[key]: fed if key == "data" and (spec.several or tolerant) else fed[:1]}
    if spec.model_alias:
        inputs["model"] = [f"pipeline.{spec.name}.{spec.model_alias}"]
    outputs = {"data": list(spec.data_aliases)} if spec.data_aliases else {}
    waits = spec.trigger_rule != ALL_SUCCESS and any(text != NEW_DATA for text in fed)
    parts = {"module": spec.module, "input": inputs, "output": outputs, "trigger_rule": waits and spec.trigger_rule}
    return {part: value for part, value in parts.items() if value}


def _unfed(spec: ComponentSpec, key: str, stand_ins: Mapping[str, list[str]], where: Where) -> DslError:
    source = next(ref.component for ref in spec.data[key] if not _resolved_one(ref, stand_ins))
    problem = f"{source} is not deployed, and no data could stand in for its output in a predict job"
    allowed = f"need_deploy: true for {source}, or false for {spec.name}"
    return where.at("components", spec.name, "input", "data", key).error("FED-190", problem, allowed)
