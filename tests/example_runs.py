"""The pipelines of ``examples/``, each run once in simulation for all tests that look at it."""

from __future__ import annotations

import atexit
import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from airfed.example_data import write_example_data
from dags_generator.simulate import Simulation, simulate

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/*_dsl.json"))


@cache
def tables() -> Path:
    """Folder of all parties' tables."""
    folder = Path(mkdtemp(prefix="airfed-examples-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_example_data(folder)
    return folder


@cache
def run(name: str) -> Simulation:
    """An example; one that predicts takes the models of the one that it is named after."""
    dsl, conf = (EXAMPLES / name / f"{name}_{kind}.json" for kind in ("dsl", "conf"))
    predicts = json.loads(conf.read_text())["job_parameters"].get("job_type") == "predict"
    models = run(name.removesuffix("_predict")).models() if predicts else None
    return simulate(dsl, conf, tables(), models=models)
