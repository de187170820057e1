"""The trigger form: one JSON schema per component, with the conf's own values as defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import PREDICT
from federatedml.component import component

JOB_PARAMETERS = "job_parameters"
ROLE_PARAMETERS = "role_parameters"
ALGORITHM_PARAMETERS = "algorithm_parameters"
DRAFT = "http://json-schema.org/draft-07/schema#"  # Airflow checks schemas again and again; this draft's cost 1/10


@dataclass(frozen=True)
class Field:
    """One field of the form. ``name`` is a key of the conf, or ``algorithm_parameters.COMPONENT``."""

    name: str
    default: Mapping[str, Any]
    schema: Mapping[str, Any]


def form(spec: PipelineSpec) -> list[Field]:
    """Fields of the initiator's trigger form: what a person may change of the conf."""
    algorithm = spec.conf.get(ALGORITHM_PARAMETERS, {})
    components = [
        Field(
            f"{ALGORITHM_PARAMETERS}.{name}", _plain(step.module, algorithm.get(name, {})), _schema(name, step.module)
        )
        for name, step in spec.graph.components.items()
    ]
    return [
        *components,
        Field(ROLE_PARAMETERS, spec.conf.get(ROLE_PARAMETERS, {}), _role_schema(spec)),
        Field(JOB_PARAMETERS, spec.conf[JOB_PARAMETERS], _job_schema(spec.job_type)),
    ]


def _plain(module: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the schema has them: by our names, words in the case that is listed."""
    named = component(module).params.by_our_names(given)
    return {name: _plain_value(_kind(module, name), value) for name, value in named.items()}


@cache
def _kind(module: str, name: str) -> TypeAdapter[Any]:
    return TypeAdapter(component(module).params.model_fields[name].rebuild_annotation())


def _plain_value(kind: TypeAdapter[Any], value: Any) -> Any:
    try:
        return kind.dump_python(kind.validate_json(json.dumps(value), strict=True), mode="json", exclude_unset=True)
    except ValidationError:
        return value  # of no member: each has its own


def _schema(name: str, module: str) -> dict[str, Any]:
    section = f"{name} ({module})"  # folded away until it is asked for: Airflow opens one section at a time
    return {**_schema_of(module), "section": section}


@cache
def _schema_of(module: str) -> Mapping[str, Any]:
    found = component(module)
    schema = found.params.model_json_schema()
    return {
        "$schema": DRAFT,
        **{key: schema[key] for key in ("type", "properties", "additionalProperties", "$defs") if key in schema},
        "title": "conf",
        "description_md": f"{found.title}\n\n{parameter_table(schema)}",
    }


def parameter_table(schema: Mapping[str, Any]) -> str:
    """Parameters of a component as a Markdown table."""
    rows = [
        f"| `{name}` | {_cell(_type(field))} | `{_cell(_default(field))}` | {_cell(_described(field))} |"
        for name, field in schema.get("properties", {}).items()
    ]
    if not rows:
        return "It has no parameters."
    return "\n".join(["| parameter | allowed | default | meaning |", "|---|---|---|---|", *rows])


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if "$ref" in field:
        return f"object {field['$ref'].rpartition('/')[2]}"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    limits = [f"{sign} {field[key]}" for key, sign in bounds.items() if key in field]
    return " ".join([str(field.get("const", field.get("type", "any"))), *limits])


def _default(field: Mapping[str, Any]) -> str:
    return json.dumps(field.get("default"))


def _described(field: Mapping[str, Any]) -> str:
    unit = f" ({field['unit']})" if "unit" in field else ""
    return f"{field.get('description', '')}{unit}"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _role_schema(spec: PipelineSpec) -> dict[str, Any]:
    roles = {
        str(role): {"type": "object", "description": f"one value per party: {', '.join(ids)}"}
        for role, ids in spec.parties.role.items()
    }
    return {
        "$schema": DRAFT,
        "type": "object",
        "properties": roles,
        "additionalProperties": False,
        "title": "Parameters and tables per party",
        "description_md": "`ROLE.COMPONENT.PARAMETER` is a list with one value per party of the role; "
        "`ROLE.args.data.KEY` names the tables.",
    }


def _job_schema(job_type: str) -> dict[str, Any]:
    training = "`model_key` names the model in the registry."
    prediction = (
        "`model_version` is the job that trained the model; left out: the version that is product. "
        "Parameters of components are those of the training: other ones are refused."
    )
    return {
        "$schema": DRAFT,
        "type": "object",
        "title": "Job",
        "description_md": prediction if job_type == PREDICT else training,
    }
