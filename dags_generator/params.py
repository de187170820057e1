"""Effective parameters: defaults, then ``algorithm_parameters``, then the member's part of ``role_parameters``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dags_generator.conf import per_party
from dags_generator.reading import clip
from dags_generator.spec import ComponentSpec, Graph, Parties
from dags_generator.where import Where, names
from federatedml.component import Params, component
from federatedml.errors import DslError
from federatedml.federation.party import Member

Values = Mapping[str, Any]
EffectiveParams = dict[str, dict[Member, dict[str, Any]]]


def effective_params(conf: Values, graph: Graph, places: Mapping[Member, Where]) -> EffectiveParams:
    """Component -> member -> parameters as they will run, plain JSON.

    Args:
        conf: in the shape of v1.
        graph: of the same pipeline.
        places: the conf, as errors about a member's parameters name it.

    Raises:
        DslError: unknown name, wrong type, out of bounds, a list that is not one value per party; names file,
            component, parameter and member.
    """
    return {name: _component(spec, conf, graph.parties, places) for name, spec in graph.components.items()}


def notes(params: EffectiveParams, graph: Graph) -> list[str]:
    """What the modules say about their parameters; nothing of those that run with a fitted model."""
    found = []
    for name, spec in graph.components.items():
        if spec.predicts:
            continue
        module, first = component(spec.module), next(iter(params[name].values()))
        found += [f"{name}: {note}" for note in module.notes(module.params.model_validate_json(json.dumps(first)))]
    return found


def _component(
    spec: ComponentSpec, conf: Values, parties: Parties, places: Mapping[Member, Where]
) -> dict[Member, dict[str, Any]]:
    given = {}
    read: dict[str, Params] = {}
    for member in parties.members:
        params = _submitted(spec, member, conf, parties, places[member], read)
        if member in spec.members:
            given[member] = params
    module = component(spec.module)
    try:
        settled = module.settle(given)
    except DslError as error:
        at = places[parties.initiator].at("algorithm_parameters", spec.name)
        raise at.error(error.code, error.message, error.hint) from None
    return {member: params.model_dump(mode="json") for member, params in settled.items()}


def _submitted(
    spec: ComponentSpec, member: Member, conf: Values, parties: Parties, where: Where, read: dict[str, Params]
) -> Params:
    """A member's parameters; ``read``: those of the members before it, by what is their own, for most have nothing."""
    role_values = conf.get("role_parameters", {}).get(str(member.role), {})
    if spec.name not in role_values and "{}" in read:
        return read["{}"]
    common_at = where.at("algorithm_parameters", spec.name)
    model = component(spec.module).params
    common = model.by_our_names(common_at.object(conf.get("algorithm_parameters", {}).get(spec.name, {})))
    role_at = where.at("role_parameters", member.role, spec.name)
    picked = model.by_our_names(_of_member(role_at.object(role_values.get(spec.name, {})), parties, member, role_at))
    own = json.dumps(picked)
    try:
        if own not in read:
            read[own] = model.model_validate_json(json.dumps(_merged(common, picked)))
        return read[own]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = role_at if first["loc"] and first["loc"][0] in picked else common_at
        raise _explained(first, model, member, at) from None


def _of_member(values: Values, parties: Parties, member: Member, where: Where) -> dict[str, Any]:
    """Role parameters of one member: objects are walked, every leaf is a list with one value per party."""
    return {
        key: _of_member(value, parties, member, where.at(key))
        if isinstance(value, Mapping)
        else per_party(value, parties, member, where.at(key))
        for key, value in values.items()
    }


def _merged(low: Values, high: Values) -> dict[str, Any]:
    """``high`` over ``low``, object by object."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(below or {}, value) if both else value
    return merged


def _explained(error: ErrorDetails, model: type[BaseModel], member: Member, where: Where) -> DslError:
    if not error["loc"]:
        return where.error("FED-133", f"the parameters (for {member})", error["msg"])
    *parents, last = error["loc"]
    if error["type"] == "extra_forbidden":
        problem = f"parameter {clip(last)} is not known (for {member})"
        return where.at(*parents, last).above.error("FED-133", problem, f"allowed: {names(_fields(model, parents))}")
    problem = f"found {clip(error.get('input'))} (for {member})"
    hint = error["msg"]
    if where.shown[:1] == ("role_parameters",) and error["type"] in ("list_type", "tuple_type"):
        hint += "; in role_parameters a list stands inside the list of parties"
    return where.at(*parents, last).error("FED-133", problem, hint)


def _fields(model: type[BaseModel], path: list[int | str]) -> list[str]:
    for key in path:
        model = (
            next(iter(_models(model.model_fields[str(key)].annotation)), model) if key in model.model_fields else model
        )
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
