"""The example pipeline in DSL v2 and conf v2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dags_generator.parse import parse_pair
from dags_generator.spec import PipelineSpec
from tests.pipeline_example import Edit, unchanged

FOLDER = Path(__file__).parents[1] / "examples" / "hetero_lr_v2"


def dsl(edit: Edit = unchanged) -> dict[str, Any]:
    """Its DSL; ``edit`` works on the components."""
    value: dict[str, Any] = json.loads((FOLDER / "hetero_lr_v2_dsl.json").read_text())
    edit(value["components"])
    return value


def conf(edit: Edit = unchanged) -> dict[str, Any]:
    """Its conf."""
    value: dict[str, Any] = json.loads((FOLDER / "hetero_lr_v2_conf.json").read_text())
    edit(value)
    return value


def spec(dsl_edit: Edit = unchanged, conf_edit: Edit = unchanged) -> PipelineSpec:
    """The example as a validated pipeline, named as the one in v1 is."""
    bodies = json.dumps(dsl(dsl_edit)).encode(), json.dumps(conf(conf_edit)).encode()
    return parse_pair("hetero_lr", *bodies, "dsl.json", "conf.json")
