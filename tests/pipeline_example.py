"""The example pipeline as objects, and parsing of edited copies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dags_generator.parse import parse_pair
from dags_generator.spec import PipelineSpec
from federated_operators.gateway.plan import ProposedJob
from federatedml.canonical import canonical_json

FOLDER = Path(__file__).parents[1] / "examples" / "hetero_lr"
JOB_ID = "202611221651119128390"
Edit = Callable[[Any], object]


def unchanged(_: Any) -> None:
    """Edit nothing."""


def at(*path: str, **values: Any) -> Edit:
    """Set ``values`` in the object at ``path``."""

    def edit(value: Any) -> None:
        for key in path:
            value = value.setdefault(key, {})
        value.update(values)

    return edit


def without(*path: str) -> Edit:
    """Delete the key at ``path``."""

    def edit(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        del value[path[-1]]

    return edit


def renamed(old: str, new: str) -> Edit:
    """Call components whose names begin with ``old`` by others, wherever they are named."""

    def edit(components: Any) -> None:
        text = json.dumps(components).replace(f'"{old}', f'"{new}')
        components.clear()
        components.update(json.loads(text))

    return edit


def dsl(edit: Edit = unchanged) -> dict[str, Any]:
    """The example's DSL; ``edit`` works on its components."""
    value: dict[str, Any] = json.loads((FOLDER / "hetero_lr_dsl.json").read_text())
    edit(value["components"])
    return value


def conf(edit: Edit = unchanged) -> dict[str, Any]:
    """The example's conf."""
    value: dict[str, Any] = json.loads((FOLDER / "hetero_lr_conf.json").read_text())
    edit(value)
    return value


def written(folder: Path, name: str, dsl: Mapping[str, Any], conf: Mapping[str, Any]) -> tuple[Path, Path]:
    """A DSL and a conf as a pair of files."""
    pair = folder / f"{name}_dsl.json", folder / f"{name}_conf.json"
    for path, body in zip(pair, (dsl, conf), strict=True):
        path.write_text(json.dumps(body))
    return pair


def spec(dsl_edit: Edit = unchanged, conf_edit: Edit = unchanged) -> PipelineSpec:
    """The example as a validated pipeline."""
    dsl_body, conf_body = json.dumps(dsl(dsl_edit)).encode(), json.dumps(conf(conf_edit)).encode()
    return parse_pair("hetero_lr", dsl_body, conf_body, "hetero_lr_dsl.json", "hetero_lr_conf.json")


def proposal(dsl_edit: Edit = unchanged, conf_edit: Edit = unchanged, initiator: str = "9999") -> ProposedJob:
    """The example as a proposal."""
    return ProposedJob(initiator, JOB_ID, "hetero_lr", canonical_json(dsl(dsl_edit)), canonical_json(conf(conf_edit)))
