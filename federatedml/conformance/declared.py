"""What a run sent and left behind against what the component declares."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import numpy as np
from pydantic import ValidationError

from federatedml.component import Component
from federatedml.conformance.require import Broken, require
from federatedml.federation.local import StepResult

MIN_WORDS = 3  # of what a message tells


def messages_as_declared(component: Component, result: StepResult, conditional: Collection[str]) -> None:
    """Every message is of a declared topic, from and to its roles, within its size, and is received; all topics occur.

    Args:
        component: the variant that ran.
        conditional: topics that this run need not send.
    """
    topics = component.topic_table()
    require(set(conditional) <= set(topics), f"conditional, but not declared: {set(conditional) - set(topics)}")
    sent = {message.key.topic for message in result.sent}
    require(sent <= set(topics), f"sent, but not declared: {sorted(sent - set(topics))}")
    unused = set(topics) - set(conditional) - sent
    require(not unused, f"declared and neither sent nor conditional: {sorted(unused)}")
    require(not set(conditional) & sent, f"sent, but called conditional: {sorted(set(conditional) & sent)}")
    require(not result.unread, f"messages that nobody received: {result.unread[:3]}")
    require(len({message.key for message in result.sent}) == len(result.sent), "a key was used twice")
    for message in result.sent:
        topic, key = topics[message.key.topic], message.key
        require(key.source.role in topic.source and key.destination.role in topic.to, f"{key}: roles not declared")
        require(message.size <= topic.max_bytes, f"{key}: {message.size} bytes")


def disclosed(component: Component) -> None:
    """Every topic says what it carries and what its receiver learns, under a name of its own; JSON keeps the report."""
    require(len(component.topic_table()) == len(component.topics), "two topics have one name")
    report = component.disclosure()
    require(json.loads(json.dumps(report)) == report, "the disclosure is not plain JSON")
    roles = {str(role) for role in component.roles}
    for entry in report["topics"]:
        where = f"topic {entry['topic']}"
        require(set(entry["from"]) | set(entry["to"]) <= roles, f"{where}: roles that take no part")
        require(entry["carries"] and len(entry["learns"].split()) >= MIN_WORDS, f"{where} does not say what is learned")
    require(set(report["outputs"]) <= roles, "the outputs tell a role that takes no part")


def outputs_as_declared(component: Component, result: StepResult) -> None:
    """Only roles that take part have outputs, of the declared kinds, with finite summaries."""
    for member, outputs in result.outputs.items():
        require(member.role in component.roles, f"{member} takes no part")
        require(component.has_data or outputs.data is None, f"{member}: data that are not declared")
        require(len(outputs.rest) <= max(0, len(component.data_outputs) - 1), f"{member}: too many data outputs")
        require(component.has_model or outputs.model is None, f"{member}: a model that is not declared")
        if outputs.model is not None:
            buffers = dict(component.model.buffers) if component.model else {}
            parts = (component.model.parts if component.model else ()) or [tuple(buffers)]
            kinds = {name: type(message) for name, message in outputs.model.items()}
            allowed = [{name: buffers[name] for name in part} for part in parts]
            require(kinds in allowed, f"{member}: buffers {sorted(kinds)}, declared {sorted(buffers)}")
        for name, value in outputs.summary.items():
            require(np.isfinite(value), f"{member}: {name} of the summary is not finite")


def parameters_as_declared(component: Component) -> None:
    """Every parameter has a default, survives JSON, refuses other types, and unknown names are refused."""
    defaults = component.defaults()
    text = defaults.model_dump_json()
    require(component.params.model_validate_json(text) == defaults, "the defaults do not survive JSON")
    values: dict[str, Any] = json.loads(text)
    properties = component.params.model_json_schema()["properties"]
    require(set(values) == set(properties), "the schema has other parameters than the model")
    _refused(component, {"no_such_parameter": 1}, "no_such_parameter")
    for name, value in values.items():
        _refused(component, {name: 5 if isinstance(value, dict) else {"an": "object"}}, name)


def _refused(component: Component, given: dict[str, Any], name: str) -> None:
    try:
        component.params.model_validate(given)
    except ValidationError as error:
        require(name in str(error), f"the error does not name parameter {name}")
        return
    raise Broken(f"{given} is accepted")
