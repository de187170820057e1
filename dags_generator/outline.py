"""The shape of a DSL: keys, types, names and references, each component on its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dags_generator.dialect import ALIAS, COMPONENT_NAME, STORED, Dialect, aliases, check_name
from dags_generator.reading import clip
from dags_generator.where import LATER, Where, names
from federated_operators.gateway.plan import ALL_SUCCESS, ONE_SUCCESS, TRIGGER_RULES

COMPONENT_KEYS = ("module", "input", "output", "need_deploy", "trigger_rule")
CACHE = {"cache": f"a cache {LATER}"}
MAX_COMPONENTS = 200
RULE_NAMES = ("success_policy", "strategy")  # what the same has been called elsewhere
NOT_YET = {
    "CodePath": "belongs to a derived predict DSL, whose use " + LATER,
    "provider": f"a choice of the provider {LATER}",
}


@dataclass(frozen=True)
class Reference:
    """``COMPONENT.ALIAS``, or a table (then ``component`` is None): v1's ``args.KEY``, what a Reader reads.

    ``stored``: ``pipeline.COMPONENT.ALIAS``, a model of a training.
    """

    component: str | None
    alias: str
    where: Where
    stored: bool = False


@dataclass(frozen=True)
class Outline:
    """A component as it is written; of several models the first is the one that can be used."""

    name: str
    module: str
    data: Mapping[str, Sequence[Reference]]
    model: Reference | None
    isometric_model: Reference | None
    data_aliases: Sequence[str]
    model_aliases: Sequence[str]
    need_deploy: bool | None
    trigger_rule: str
    where: Where

    @property
    def references(self) -> list[Reference]:
        """All references to other components of this DSL."""
        found = [reference for group in self.data.values() for reference in group]
        found += [reference for reference in (self.model, self.isometric_model) if reference]
        return [reference for reference in found if reference.component is not None and not reference.stored]

    @property
    def needs(self) -> set[str]:
        """Names of the components that it refers to."""
        return {reference.component for reference in self.references if reference.component}


def outlines(dsl: Mapping[str, Any], dialect: Dialect, where: Where) -> dict[str, Outline]:
    """Components of a DSL by name, sorted; ``DslError`` at the first thing that is wrong."""
    at = where.at("components")
    components = at.object(where.required(dsl, "components"))
    if not set(components) - set(dialect.readers):
        raise at.error("FED-113", "there are no components")
    if len(components) > MAX_COMPONENTS:
        raise at.error("FED-113", f"{len(components)} components", f"at most {MAX_COMPONENTS}")
    outlined = {name: _outline(name, body, at.at(name), dialect) for name, body in sorted(components.items())}
    if dialect.version == 1 and not dialect.predicts:
        _name_rule(outlined, at)
    return outlined


def _outline(name: str, value: Any, where: Where, dialect: Dialect) -> Outline:
    check_name(name, where)
    body = where.object(value)
    for key in RULE_NAMES:
        if key in body:
            raise where.at(key).error("FED-102", "is not understood", "the key is trigger_rule")
    where.only(body, COMPONENT_KEYS, NOT_YET)
    need_deploy = body.get("need_deploy")
    if need_deploy is not None and not isinstance(need_deploy, bool):
        raise where.at("need_deploy").error("FED-103", f"found {clip(need_deploy)}", "true or false")
    at, out = where.at("input"), where.at("output")
    inputs, outputs = at.object(body.get("input", {})), out.object(body.get("output", {}))
    at.only(inputs, ("data", "model", "isometric_model"), CACHE)
    out.only(outputs, ("data", "model"), CACHE)
    data = _data(inputs, at.at("data"), dialect)
    if name in dialect.readers:
        data = {"data": (Reference(None, name, where),)}
    outline = Outline(
        name,
        where.at("module").text(where.required(body, "module")),
        data,
        _one_model(inputs, at, "model", dialect),
        _one_model(inputs, at, "isometric_model", dialect),
        _outputs(outputs, out, "data", dialect),
        _outputs(outputs, out, "model", dialect),
        need_deploy,
        _trigger_rule(body, where),
        where,
    )
    if outline.trigger_rule == ONE_SUCCESS and not outline.needs:
        raise where.at("trigger_rule").error("FED-128", "no other component is referred to, so none can succeed")
    if dialect.version == 2 and outline.model and "train_data" in outline.data:
        raise at.error("FED-150", "train_data beside model is a warm start, not supported yet", LATER)
    return outline


def _trigger_rule(body: Mapping[str, Any], where: Where) -> str:
    rule = body.get("trigger_rule", ALL_SUCCESS)
    if rule not in TRIGGER_RULES:
        raise where.at("trigger_rule").error("FED-103", f"found {clip(rule)}", f"allowed: {names(TRIGGER_RULES)}")
    return str(rule)


def _data(inputs: Mapping[str, Any], where: Where, dialect: Dialect) -> dict[str, tuple[Reference, ...]]:
    data = where.object(inputs.get("data", {}))
    if unknown := sorted(set(data) - set(dialect.inputs)):
        allowed = f"allowed: {names(dialect.inputs)}"
        raise where.error("FED-123", f"input key {clip(unknown[0])} is not known", allowed)
    if "data" in data and len(data) > 1:
        raise where.error("FED-126", f"found {names(data)}", "either data, or train_data and eval_data")
    if len({dialect.inputs[key] for key in data}) < len(data):
        raise where.error("FED-150", f"{names(data)} in one component are not supported yet", LATER)
    found = {}
    for key, value in sorted(data.items()):
        at = where.at(key)
        texts = at.list(value)
        if not texts:
            raise at.error("FED-124", "the list of references is empty", _form(dialect))
        if key != "data" and len(texts) > 1:
            raise at.error("FED-126", f"{len(texts)} references", "exactly one; only the key data takes several")
        found[key] = tuple(_reference(text, at, dialect) for text in texts)
    return found


def _form(dialect: Dialect) -> str:
    return "COMPONENT.OUTPUT or args.KEY" if dialect.version == 1 else "COMPONENT.OUTPUT"


def _reference(value: Any, where: Where, dialect: Dialect) -> Reference:
    source, dot, alias = where.text(value).partition(".")
    if source == "pipeline" and dot:
        raise where.error("FED-150", f"{clip(value)} is not supported yet", f"module Pipeline {LATER}")
    if not dot or not (COMPONENT_NAME.fullmatch(source) and ALIAS.fullmatch(alias)):
        raise where.error("FED-124", f"{clip(value)} refers to nothing", _form(dialect))
    if source == "args" and dialect.version == 2:
        raise where.error("FED-124", f"{clip(value)} is DSL v1", "a table is the output of a Reader")
    return Reference(None if source == "args" else source, alias, where)


def _one_model(inputs: Mapping[str, Any], where: Where, key: str, dialect: Dialect) -> Reference | None:
    if key not in inputs:
        return None
    at = where.at(key)
    texts = at.list(inputs[key])
    if len(texts) != 1:
        raise at.error("FED-126", f"{len(texts)} references", "exactly one, COMPONENT.MODEL")
    if key == "model" and dialect.predicts:
        return _stored(texts[0], where.path[-2], at)
    reference = _reference(texts[0], at, dialect)
    if reference.component is None:
        raise at.error("FED-124", f"{clip(texts[0])} is a table, not a model", "COMPONENT.MODEL")
    return reference


def _stored(value: Any, component: str, where: Where) -> Reference:
    """The own model of a component of a predict DSL."""
    prefix, _, alias = where.text(value).rpartition(".")
    if prefix != f"{STORED}{component}" or not ALIAS.fullmatch(alias):
        allowed = f"{STORED}{component}.MODEL: in a predict job each component takes its own model"
        raise where.error("FED-124", f"{clip(value)} is no model of {component}", allowed)
    return Reference(component, alias, where, stored=True)


def _outputs(outputs: Mapping[str, Any], where: Where, key: str, dialect: Dialect) -> tuple[str, ...]:
    found = aliases(outputs, where, key)
    if key == "model" and dialect.version == 1 and len(found) > 1:
        raise where.at(key).error("FED-126", f"{len(found)} outputs", "at most one: FATE v1 stores only the first")
    return found


def _name_rule(components: Mapping[str, Outline], where: Where) -> None:
    """FATE v1: names are prefix_INDEX, indices of a prefix run from 0, a prefix belongs to one module."""
    indices: dict[str, list[int]] = {}
    modules: dict[str, Outline] = {}
    for name, outline in components.items():
        prefix, _, index = name.rpartition("_")
        if not prefix or not re.fullmatch(r"0|[1-9][0-9]{0,8}", index):
            raise where.at(name).error("FED-110", "the name is not prefix_INDEX", "for example hetero_lr_0")
        first = modules.setdefault(prefix, outline)
        if first.module != outline.module:
            problem = f"prefix {prefix!r} names module {clip(outline.module)}, but {clip(first.module)} in {first.name}"
            raise where.at(name, "module").error("FED-112", problem, "one prefix, one module")
        indices.setdefault(prefix, []).append(int(index))
    for prefix, found in indices.items():
        if sorted(found) != list(range(len(found))):
            problem = f"indices of prefix {prefix!r} are {names(found)}"
            raise where.error("FED-111", problem, "they start at 0 and leave none out")
