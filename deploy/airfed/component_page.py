"""The page of a component for people, from its declaration and the golden charts of its messages: Markdown."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airfed.sequence import Step
from federatedml.component import Component
from federatedml.federation.party import Role
from federatedml.federation.topic import Topic

Protocols = Mapping[str, tuple[Step, ...]]  # name of a chart's file -> its messages


def page(found: Component, protocols: Protocols, examples: Sequence[str]) -> str:
    """The page as Markdown; pictures are ``pictures/MODULE_CHART.svg`` beside it.

    Args:
        protocols: by the chart's name; those without messages are left out of the page.
        examples: names of the folders of ``examples/`` whose pipelines have the module.
    """
    parts = [
        f"# {found.module}\n\n{found.title}.",
        _facts(found),
        _how(found),
        f"## Parameters\n\n{_parameters(found)}",
        f"## Ports\n\n{_ports(found)}",
        _pictures(found, protocols),
        _told(found),
        f"## Cost\n\n{_list(found.cost) or 'Not stated.'}",
        f"## Examples\n\n{_list(f'[`{name}`](../../examples/{name})' for name in examples) or 'None.'}",
    ]
    made = "Made from the declaration by `make docs`; `airfed component show` prints the same."
    return "\n\n".join([*(part for part in parts if part), made]) + "\n"


def roles(found: Component) -> str:
    """Who takes part, in a phrase."""
    words = [
        f"{role} (optional)" if role in found.optional_roles else str(role) for role in Role if role in found.roles
    ]
    return ", ".join(words)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; empty if there are no rows."""
    found = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    if not found:
        return ""
    lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(row) for row in found)]
    return "\n".join(f"| {line} |" for line in lines)


def _facts(found: Component) -> str:
    same = "equal to the last bit" if found.reproducible == "exact" else f"equal within {found.reproducible:g}"
    facts = {
        "takes part": roles(found),
        "version": found.version,
        f"protocols (`{found.chooser}`)": ", ".join(f"`{name}`" for name in found.protocols()) or "one",
        "a second run, or one that resumed, gives": same,
        "runs in predict jobs (`need_deploy`)": "by default" if found.need_deploy else "not by default",
        "scores online": _online(found),
        "counts over jobs (`policy.yaml`, `budgets`)": ", ".join(found.spends) or "nothing",
    }
    return table(["", ""], facts.items())


def _online(found: Component) -> str:
    if found.scorer is None:
        return "no"
    if found.scorer.alone:
        return "yes, each party alone"
    return "yes, guest and hosts together" if found.scorer.merge else "yes: it changes features"


def _how(found: Component) -> str:
    """What the module says, and those beside it that have a protocol each: ``MODULE_PROTOCOL.py``."""
    own = next(iter(found.roles.values())).__module__
    parts = [f"## How it works\n\n{_body(own)}"] if _body(own) else ["## How it works"]
    package, _, name = own.rpartition(".")
    beside = sorted(m.name for m in pkgutil.iter_modules(sys.modules[package].__path__ if package else []))
    for protocol in (f"{package}.{each}" for each in beside if each.startswith(f"{name}_")):
        if protocol in sys.modules and _body(protocol):
            parts.append(f"### {_ticks(_first(protocol))}\n\n{_body(protocol)}")
    return "\n\n".join(parts) if len(parts) > 1 or _body(own) else ""


def _first(module: str) -> str:
    return (sys.modules[module].__doc__ or "").partition("\n")[0].rstrip(".")


def _body(module: str) -> str:
    """A module's text without its first line."""
    return _ticks((sys.modules[module].__doc__ or "").partition("\n")[2].strip())


def _ticks(text: str) -> str:
    """Code in Markdown."""
    return text.replace("``", "`")


def _parameters(found: Component) -> str:
    schema = found.params.model_json_schema()
    defaults = json.loads(found.defaults().model_dump_json())
    aliases: dict[str, list[str]] = {}
    for alias, name in found.params.aliases.items():
        aliases.setdefault(name, []).append(f"`{alias}`")
    rows = [
        [f"`{name}`", _code(value), _code(spec["fate"]) if "fate" in spec else "", *_meaning(spec), ", ".join(names)]
        for name, spec, value in _flat(schema, schema.get("$defs", {}), defaults)
        for names in [aliases.get(name, [])]
    ]
    header = ["name", "default", "FATE's, if other", "allowed", "unit", "meaning", "also called (FATE 1.11)"]
    return table(header, rows) or "None."


def _flat(
    schema: Mapping[str, Any], defs: Mapping[str, Any], values: Mapping[str, Any], prefix: str = ""
) -> Iterable[tuple[str, Mapping[str, Any], Any]]:
    """(dotted name, schema, default) of every parameter; those of a group after one another."""
    for name, spec in schema.get("properties", {}).items():
        group = _referred(spec, defs)
        value = values.get(name)
        if group is not None and isinstance(value, Mapping):
            yield from _flat(group, defs, value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", {**spec, "allowed": _allowed(spec, defs)}, value


def _referred(spec: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    target = spec.get("$ref") or next((one["$ref"] for one in spec.get("allOf", []) if "$ref" in one), None)
    found = defs.get(str(target).rpartition("/")[2]) if target else None
    return found if found and "properties" in found else None


def _meaning(spec: Mapping[str, Any]) -> list[str]:
    return [str(spec["allowed"]), str(spec.get("unit", "")), _ticks(str(spec.get("description", "")))]


def _allowed(spec: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """Allowed values in words."""
    if "$ref" in spec:
        return _allowed(defs.get(spec["$ref"].rpartition("/")[2], {}), defs)
    if "anyOf" in spec:
        return " or ".join(dict.fromkeys(_allowed(one, defs) for one in spec["anyOf"]))
    if "enum" in spec:
        return ", ".join(f"`{value}`" if isinstance(value, str) else _code(value) for value in spec["enum"])
    if "const" in spec:
        return _code(spec["const"])
    if spec.get("type") == "array":
        inner = _allowed(spec.get("items", {}), defs)
        return f"list of {inner}" if inner else "list"
    if "properties" in spec:
        return f"{{{', '.join(spec['properties'])}}}"
    words = {"null": "null", "integer": "whole number", "number": "number", "string": "text", "boolean": "true, false"}
    return " ".join([words.get(spec.get("type", ""), str(spec.get("type", ""))), *_bounds(spec)]).strip()


def _bounds(spec: Mapping[str, Any]) -> list[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {spec[key]}" for key, sign in signs.items() if key in spec]
    lengths = {"minLength": "at least", "maxLength": "at most", "minItems": "at least", "maxItems": "at most"}
    return [*found, *(f"({word} {spec[key]})" for key, word in lengths.items() if key in spec)]


def _code(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def _ports(found: Component) -> str:
    buffers = ", ".join(f"`{name}`" for name in found.model.buffers) if found.model else ""
    keys = ", ".join(f"`{key}`" for key in found.inputs) or "none"
    keys += ": one table or more" if found.several else ""
    outputs = ", ".join(f"`{name}`" for name in found.data_outputs) or ("one table" if found.has_data else "none")
    rows = [
        ["input", "data", keys if found.input_required or not found.inputs else f"{keys} (may be left out)"],
        [
            "input",
            "model",
            "a model of this module: it predicts or transforms, and never fits" if found.prediction else "",
        ],
        ["output", "data", outputs],
        ["output", "model", buffers],
    ]
    return table(["", "port", ""], [row for row in rows if row[2]])


def _pictures(found: Component, protocols: Protocols) -> str:
    drawn = [name for name, steps in protocols.items() if steps]
    if not drawn:
        return "## Messages\n\nNone: nothing leaves a party." if not found.topics else ""
    parts = ["## Messages in order", "As small runs sent them; the colour says what they carry."]
    for name in drawn:
        path = f"pictures/{found.module}_{name}.svg"
        parts += [f"### {name.replace('_', ' ')}", f"![messages of {found.module}, {name}]({path})"]
    return "\n\n".join(parts)


def _told(found: Component) -> str:
    parts = ["## Who learns what", _topics(found.topics), _learned(found.learns)]
    if found.prediction is not None and (found.prediction.topics or found.prediction.learns):
        parts += ["### With a fitted model", _topics(found.prediction.topics), _learned(found.prediction.learns)]
    told = [part for part in parts if part]
    return "\n\n".join(told if len(told) > 1 else [*told, "Nobody learns anything of another party's."])


def _topics(topics: Sequence[Topic[Any]]) -> str:
    rows = [
        [f"`{t.name}`", ", ".join(t.source), ", ".join(t.to), str(t.carries), t.learns.replace("``", "`")]
        for t in topics
    ]
    return table(["message", "from", "to", "carries", "its receiver learns"], rows)


def _learned(learns: Mapping[Role, Sequence[str]]) -> str:
    return table(
        ["role", "learns from the outputs"], [[str(role), text] for role in sorted(learns) for text in learns[role]]
    )


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
