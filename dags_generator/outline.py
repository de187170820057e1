"""The shape of a DSL: keys, types, names and references, each component on its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dags_generator.reading import clip
from dags_generator.where import LATER, Where, names

COMPONENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
COMPONENT_KEYS = ("module", "input", "output", "need_deploy")
DATA_KEYS = ("data", "train_data", "eval_data")
MAX_COMPONENTS = 200
POLICY = f"only all_success (every input must be there); another success policy {LATER}"
NOT_YET = {
    "success_policy": POLICY,
    "trigger_rule": POLICY,
    "strategy": POLICY,
    "specified_task_run": f"a run of chosen components {LATER}",
    "CodePath": "belongs to a derived predict DSL, whose use " + LATER,
    "provider": f"DSL v2 {LATER}",
}


@dataclass(frozen=True)
class Reference:
    """``COMPONENT.ALIAS``, or ``args.KEY`` (then ``component`` is None)."""

    component: str | None
    alias: str
    where: Where


@dataclass(frozen=True)
class Outline:
    """A component as it is written."""

    name: str
    module: str
    data: Mapping[str, Sequence[Reference]]
    model: Reference | None
    isometric_model: Reference | None
    data_alias: str | None
    model_alias: str | None
    need_deploy: bool | None
    where: Where

    @property
    def references(self) -> list[Reference]:
        """All references to other components."""
        found = [reference for group in self.data.values() for reference in group]
        found += [reference for reference in (self.model, self.isometric_model) if reference]
        return [reference for reference in found if reference.component is not None]

    @property
    def needs(self) -> set[str]:
        """Names of the components that it refers to."""
        return {reference.component for reference in self.references if reference.component}


def outlines(dsl: Mapping[str, Any], where: Where) -> dict[str, Outline]:
    """Components of a DSL by name, sorted; ``DslError`` at the first thing that is not as it should be."""
    where.only(dsl, ("components",), {"dsl_version": f"DSL v2 {LATER}"} if dsl.get("dsl_version") != 1 else None)
    at = where.at("components")
    components = at.object(where.required(dsl, "components"))
    if not components:
        raise at.error("FED-113", "there are no components")
    if len(components) > MAX_COMPONENTS:
        raise at.error("FED-113", f"{len(components)} components", f"at most {MAX_COMPONENTS}")
    found = {name: _outline(name, components[name], at.at(name)) for name in sorted(components)}
    _name_rule(found, at)
    return found


def _outline(name: str, value: Any, where: Where) -> Outline:
    if not COMPONENT_NAME.fullmatch(name):
        raise where.error("FED-110", "not a component's name", "letters, digits, '_' and '-', at most 64")
    body = where.object(value)
    where.only(body, COMPONENT_KEYS, NOT_YET)
    need_deploy = body.get("need_deploy")
    if need_deploy is not None and not isinstance(need_deploy, bool):
        raise where.at("need_deploy").error("FED-103", f"found {clip(need_deploy)}", "true or false")
    inputs, at = where.at("input").object(body.get("input", {})), where.at("input")
    at.only(inputs, ("data", "model", "isometric_model"), {"cache": f"DSL v2 {LATER}"})
    outputs, out = where.at("output").object(body.get("output", {})), where.at("output")
    out.only(outputs, ("data", "model"), {"cache": f"DSL v2 {LATER}"})
    return Outline(
        name,
        where.at("module").text(where.required(body, "module")),
        _data(inputs, at.at("data")),
        _one_model(inputs, at, "model"),
        _one_model(inputs, at, "isometric_model"),
        _one_alias(outputs, out, "data"),
        _one_alias(outputs, out, "model"),
        need_deploy,
        where,
    )


def _data(inputs: Mapping[str, Any], where: Where) -> dict[str, tuple[Reference, ...]]:
    data = where.object(inputs.get("data", {}))
    if unknown := sorted(set(data) - set(DATA_KEYS)):
        raise where.error("FED-123", f"input key {clip(unknown[0])} is not known", f"allowed: {names(DATA_KEYS)}")
    if "data" in data and len(data) > 1:
        raise where.error("FED-126", f"found {names(data)}", "either data, or train_data and eval_data")
    found = {}
    for key, value in sorted(data.items()):
        at = where.at(key)
        texts = at.list(value)
        if not texts:
            raise at.error("FED-124", "the list of references is empty", "COMPONENT.OUTPUT or args.KEY")
        if key != "data" and len(texts) > 1:
            raise at.error("FED-126", f"{len(texts)} references", "exactly one; only the key data takes several")
        found[key] = tuple(_reference(text, at) for text in texts)
    return found


def _reference(value: Any, where: Where) -> Reference:
    source, dot, alias = where.text(value).partition(".")
    if source == "pipeline" and dot:
        raise where.error("FED-150", f"{clip(value)} is not supported yet", f"module Pipeline {LATER}")
    if not dot or not (COMPONENT_NAME.fullmatch(source) and ALIAS.fullmatch(alias)):
        raise where.error("FED-124", f"{clip(value)} refers to nothing", "COMPONENT.OUTPUT or args.KEY")
    return Reference(None if source == "args" else source, alias, where)


def _one_model(inputs: Mapping[str, Any], where: Where, key: str) -> Reference | None:
    if key not in inputs:
        return None
    at = where.at(key)
    texts = at.list(inputs[key])
    if len(texts) != 1:
        raise at.error("FED-126", f"{len(texts)} references", "exactly one, COMPONENT.MODEL")
    reference = _reference(texts[0], at)
    if reference.component is None:
        raise at.error("FED-124", f"{clip(texts[0])} is a table, not a model", "COMPONENT.MODEL")
    return reference


def _one_alias(outputs: Mapping[str, Any], where: Where, key: str) -> str | None:
    at = where.at(key)
    aliases = at.list(outputs.get(key, []))
    if not aliases:
        return None
    if len(aliases) > 1:
        raise at.error("FED-126", f"{len(aliases)} outputs", "at most one: FATE v1 stores only the first")
    alias = at.text(aliases[0])
    if not ALIAS.fullmatch(alias):
        raise at.error("FED-110", f"{clip(alias)} is not an output's name", "letters, digits, '_' and '-', at most 64")
    return alias


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
