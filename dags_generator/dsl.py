"""DSL and parties -> ``Graph``: every reference is followed before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dags_generator.dialect import Dialect, dialect
from dags_generator.fate_modules import FATE_MODULES
from dags_generator.outline import Outline, Reference, outlines
from dags_generator.predict import check_predicting, predict_dsl
from dags_generator.reading import clip
from dags_generator.spec import PIPELINE_NAME, ComponentSpec, Graph, Parties
from dags_generator.where import LATER, Where, names
from federated_operators.gateway.plan import ALL_SUCCESS, DataRef, ModelRef
from federatedml.component import Component, registry
from federatedml.federation.party import Member

ONE_TABLE = "exactly one, or alternatives by trigger_rule all_done or one_success; Union makes one table of several"


def graph(pipeline: str, dsl: Mapping[str, Any], parties: Parties, where: Where) -> Graph:
    """The validated graph of a DSL.

    Args:
        pipeline: the pipeline's name.
        dsl: in normal form (``reading.read_object``).
        parties: validated parties.
        where: the DSL's file, for errors.

    Raises:
        DslError: whatever would go wrong later; names component, key, what was found and what is allowed.
    """
    check_name(pipeline, where)
    written = dialect(dsl, where)
    found = outlines(dsl, written, where)
    modules = {name: _module(outline) for name, outline in found.items()}
    for outline in found.values():
        _check_outputs(outline, modules[outline.name])
    for outline in found.values():
        _check_inputs(outline, modules, written)
        for reference in outline.references:
            _check_target(reference, found, modules, written)
        _check_models(outline, found)
        check_predicting(modules[outline.name], outline.model is not None, written.predicts, outline.where)
    specs: dict[str, ComponentSpec] = {}
    for name in _order(found, where):
        specs[name] = _component(found[name], modules[name], parties, written, specs)
    derived = {} if written.predicts else predict_dsl(specs, where)
    return Graph(pipeline, dsl, parties, specs, derived, tuple(written.readers))


def check_name(pipeline: str, where: Where) -> None:
    """Refuse what cannot be a pipeline's name: it becomes part of DAG ids and file names."""
    if not PIPELINE_NAME.fullmatch(pipeline):
        problem = f"{clip(pipeline)} is not a pipeline's name"
        raise where.error("FED-110", problem, "a letter, then letters, digits, '_' and '-', at most 64")


def _module(outline: Outline) -> Component:
    if outline.module in registry():
        return registry()[outline.module]
    where, installed = outline.where.at("module"), f"installed: {names(registry())}"
    if outline.module == "Pipeline":
        raise where.error("FED-150", "module Pipeline is not supported yet", LATER)
    if outline.module in FATE_MODULES:
        raise where.error("FED-151", f"module {outline.module} is not built yet", installed)
    raise where.error("FED-121", f"module {clip(outline.module)} is not installed", installed)


def _check_outputs(outline: Outline, module: Component) -> None:
    """Data outputs are named by position: what a module has no output for would never be there."""
    most = module.data_outputs or ("data",)
    if len(outline.data_aliases) > len(most):
        allowed = f"at most {len(most)}, in this order: {', '.join(most)}" if module.data_outputs else "at most one"
        problem = f"{len(outline.data_aliases)} outputs"
        raise outline.where.at("output", "data").error("FED-126", problem, allowed)


def _check_inputs(outline: Outline, modules: Mapping[str, Component], dialect: Dialect) -> None:
    module = modules[outline.name]
    allowed = [key for key, means in dialect.inputs.items() if means in module.inputs]
    if wrong := [key for key in outline.data if key not in allowed]:
        problem = f"module {outline.module} has no input {wrong[0]!r}"
        raise outline.where.at("input", "data").error("FED-123", problem, f"allowed: {names(allowed)}")
    if allowed and module.input_required and not outline.data:
        raise outline.where.at("input", "data").error("FED-126", "there is no input data", f"one of {names(allowed)}")
    if module.several or outline.trigger_rule != ALL_SUCCESS:
        return
    for key in (key for key, references in outline.data.items() if len(references) > 1):
        problem = f"{len(outline.data[key])} references, module {outline.module} takes one table"
        raise outline.where.at("input", "data", key).error("FED-126", problem, ONE_TABLE)


def _check_target(
    reference: Reference, components: Mapping[str, Outline], modules: Mapping[str, Component], dialect: Dialect
) -> None:
    where = reference.where
    target = components.get(reference.component or "")
    if target is None:
        problem = f"there is no component {clip(reference.component)}"
        raise where.error("FED-120", problem, f"components: {names(components)}")
    module = modules[target.name]
    is_model = where.path[-1] in ("model", "isometric_model")
    kind, declared = ("model", _models(target, module)) if is_model else ("data", _data(target, module))
    if declared and is_model and reference.alias in target.model_aliases[1:]:
        problem = f"{kind} output {reference.alias!r} of {target.name} is not its first"
        raise where.error("FED-150", problem, f"the first is {declared[0]}; several models of a component {LATER}")
    if reference.alias not in declared:
        problem = f"{target.name} has no {kind} output {reference.alias!r}"
        raise where.error("FED-122", problem, f"it has: {', '.join(declared) or 'none'}")


def _data(outline: Outline, module: Component) -> Sequence[str]:
    """Names of the data outputs. FATE's examples declare one for Evaluation, which has none: that name is dropped."""
    return outline.data_aliases if module.has_data else ()


def _models(outline: Outline, module: Component) -> Sequence[str]:
    """The name of the model, if there is one."""
    return outline.model_aliases[:1] if module.has_model else ()


def _check_models(outline: Outline, components: Mapping[str, Outline]) -> None:
    if outline.model is None or outline.model.stored:
        return
    source = components[outline.model.component or ""]
    if source.module != outline.module:
        problem = f"the model of {source.name} is of module {source.module}"
        raise outline.model.where.error("FED-127", problem, f"a model of {outline.module}")


def _order(components: Mapping[str, Outline], where: Where) -> list[str]:
    """Topological order, the same at every party; ``DslError`` with the path of a cycle."""
    waiting = {name: outline.needs for name, outline in components.items()}
    order: list[str] = []
    while waiting:
        ready = min((name for name, needs in waiting.items() if not needs & waiting.keys()), default=None)
        if ready is None:
            raise where.at("components").error("FED-125", f"components wait for each other: {_cycle(waiting)}")
        del waiting[ready]
        order.append(ready)
    return order


def _cycle(waiting: Mapping[str, set[str]]) -> str:
    """Each is fed by the next: a -> b means that b reads a."""
    path: list[str] = []
    name = min(waiting)
    while name not in path:
        path.append(name)
        name = min(need for need in waiting[name] if need in waiting)
    loop = [*path[path.index(name) :], name]
    return " -> ".join(reversed(loop))


def _component(
    outline: Outline, module: Component, parties: Parties, dialect: Dialect, before: Mapping[str, ComponentSpec]
) -> ComponentSpec:
    data = {
        dialect.inputs[key]: tuple(DataRef(r.component, r.alias) for r in group) for key, group in outline.data.items()
    }
    members = _members(outline, module, parties, [ref for refs in data.values() for ref in refs], before)
    return ComponentSpec(
        outline.name,
        outline.module,
        module.version,
        data,
        _model_ref(outline.model),
        _model_ref(outline.isometric_model),
        _data(outline, module),
        next(iter(_models(outline, module)), None),
        module.need_deploy if outline.need_deploy is None else outline.need_deploy,
        sorted(outline.needs),
        members,
        tuple(member for member in members if member.role in (module.data_roles or module.roles)),
        not module.topics,
        outline.trigger_rule,
        module.several,
    )


def _model_ref(reference: Reference | None) -> ModelRef | None:
    return None if reference is None else ModelRef(reference.component or "", reference.alias, reference.stored)


def _members(
    outline: Outline,
    module: Component,
    parties: Parties,
    refs: Sequence[DataRef],
    before: Mapping[str, ComponentSpec],
) -> tuple[Member, ...]:
    """Who runs a component: all of its roles, or of those that work alone whoever has some of its data.

    A DAG follows from DSL and parties, not from parameters: so a component that works alone after a HeteroLR does not
    run at hosts even where ``need_run`` is false and the HeteroLR passes on what they have.
    """
    members = tuple(member for member in parties.members if member.role in module.roles)
    absent = [role for role in module.roles if not parties.role.get(role) and role not in module.optional_roles]
    if absent and (module.topics or not members):
        problem = f"module {outline.module} needs {names(absent)}"
        raise outline.where.at("module").error("FED-135", problem, f"the conf's role has: {names(parties.role)}")
    if module.topics or any(ref.component is None for ref in refs):
        return members
    having = {member for ref in refs for member in before[ref.component or ""].data_members}
    return tuple(member for member in members if member in having) or members
