"""What the two versions of FATE's DSL write differently."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dags_generator.reading import clip
from dags_generator.where import LATER, Where, names
from federatedml.federation.party import Role

COMPONENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
READER = "Reader"
RESERVED = ("args", "pipeline", "federate", "enrol", "conclude", *(str(role) for role in Role))
V1_INPUTS = {"data": "data", "train_data": "train_data", "eval_data": "eval_data"}
V2_INPUTS = {**V1_INPUTS, "validate_data": "eval_data", "test_data": "eval_data"}


@dataclass(frozen=True)
class Dialect:
    """One version of the DSL.

    Attributes:
        version: 1: names are prefix_INDEX, tables are ``args.KEY``, one data output. 2: names are free, tables are
            outputs of ``Reader`` only.
        inputs: keys of ``input.data`` -> what modules call that input.
        readers: names of the Readers without an input: each hands over the table ``args.NAME`` of its party.
        predicts: whether it is the DSL of a predict job, whose components take models of a training
            (``pipeline.COMPONENT.ALIAS``); names may leave indices out then, as in FATE.
    """

    version: int
    inputs: Mapping[str, str]
    readers: Sequence[str] = ()
    predicts: bool = False


V1 = Dialect(1, V1_INPUTS)
STORED = "pipeline."  # how references to models of a training begin


def version_of(value: Mapping[str, Any], where: Where) -> int | None:
    """What a DSL or a conf says about its version."""
    if "dsl_version" not in value:
        return None
    found = value["dsl_version"]
    if found in (1, "1", 2, "2") and not isinstance(found, bool):
        return int(found)
    raise where.at("dsl_version").error("FED-103", f"found {clip(found)}", "allowed: 1, 2")


def dialect(dsl: Mapping[str, Any], where: Where) -> Dialect:
    """The dialect that ``dsl`` is written in; ``DslError`` if its frame or a Reader is not as it should be."""
    where.only(dsl, ("components", "dsl_version"))
    at = where.at("components")
    components = at.object(where.required(dsl, "components"))
    if version_of(dsl, where) != 2:
        found = [name for name, body in sorted(components.items()) if _reads(body) and not body.get("input")]
        return replace(V1, readers=found, predicts=takes_stored(components))
    bodies = {name: at.at(name).object(body) for name, body in sorted(components.items())}
    for name in bodies:
        if name in RESERVED:
            raise at.at(name).error("FED-110", "the name is reserved", f"not allowed: {names(RESERVED)}")
    readers = [name for name, body in bodies.items() if _reads(body)]
    for name in readers:
        _check_reader(bodies[name], at.at(name))
    return Dialect(2, V2_INPUTS, readers)


def _reads(body: Any) -> bool:
    return isinstance(body, Mapping) and body.get("module") == READER


def takes_stored(components: Mapping[str, Any]) -> bool:
    """Whether one of a DSL's components, of whatever shape, names a model of a training: then it is a predict DSL."""
    return any(_takes_stored(body) for body in components.values())


def _takes_stored(body: Any) -> bool:
    inputs = body.get("input") if isinstance(body, Mapping) else None
    models = inputs.get("model") if isinstance(inputs, Mapping) else None
    return isinstance(models, list) and any(isinstance(text, str) and text.startswith(STORED) for text in models)


def check_name(name: str, where: Where) -> None:
    """Refuse what cannot be a component's name: it becomes a task id and a folder."""
    if not COMPONENT_NAME.fullmatch(name):
        raise where.error("FED-110", "not a component's name", "letters, digits, '_' and '-', at most 64")


def aliases(outputs: Mapping[str, Any], where: Where, key: str) -> tuple[str, ...]:
    """Names of the outputs under ``key``, each once."""
    if key not in outputs:
        return ()
    at = where.at(key)
    found = tuple(at.text(alias) for alias in at.list(outputs[key]))
    for alias in found:
        if not ALIAS.fullmatch(alias):
            allowed = "letters, digits, '_' and '-', at most 64"
            raise at.error("FED-110", f"{clip(alias)} is not an output's name", allowed)
        if found.count(alias) > 1:
            raise at.error("FED-110", f"output {alias!r} is given twice")
    return found


def _check_reader(body: Mapping[str, Any], where: Where) -> None:
    check_name(where.path[-1], where)
    where.only(body, ("module", "output"), {"provider": f"a choice of the provider {LATER}"})
    at = where.at("output")
    outputs = at.object(where.required(body, "output"))
    at.only(outputs, ("data",))
    found = aliases(outputs, at, "data")
    if len(found) != 1:
        raise at.at("data").error("FED-126", f"{len(found)} outputs", "a Reader has exactly one")
