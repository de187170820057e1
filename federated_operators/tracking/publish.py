"""Bringing what is on disk to MLflow. Every function may be called again: after a death, or by ``conclude``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from federated_operators.gateway.plan import StepPlan
from federated_operators.outputs import StepOutputs, write_file
from federated_operators.registry.records import Metric
from federated_operators.tracking.draw import page
from federated_operators.tracking.outbox import Outbox
from federated_operators.tracking.runs import JobRuns, RunRef
from federatedml.views import Curve, Grid, View, parsed

VIEWS = "views.json"
PICTURES = "curves.html"
DONE = "tracked"  # marks an attempt's folder: everything of it is at MLflow
MAX_PARAM = 6000  # MLflow's limit of a parameter
MAX_TAG = 5000
NOT_A_NAME = re.compile(r"[^\w\-. ]")


def metric_key(*parts: str) -> str:
    """``NAMESPACE/NAME`` in the characters that MLflow allows; others become their number."""
    clean = [NOT_A_NAME.sub(lambda found: f"_{ord(found[0]):x}_", part) for part in parts]
    return "/".join("_" if part in ("", ".", "..") else part for part in clean)[:250]


def store_views(attempt_dir: Path, views: Sequence[View]) -> None:
    """Keep a step's views beside its outputs until MLflow has them."""
    write_file(attempt_dir / VIEWS, json.dumps([view.json() for view in views]).encode())


def introduce(runs: JobRuns, step: StepPlan, run: RunRef) -> None:
    """What is known of a component before it computes: its parameters."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in step.params.items()}
    runs.rest.log_batch(run.run_id, params={key: text for key, text in texts.items() if len(text) <= MAX_PARAM})
    runs.rest.upload(run.artifact_uri, "params.json", _pretty(step.params))


def publish_step(runs: JobRuns, step: StepPlan, outputs: StepOutputs, job_dir: Path, introduced: bool = False) -> None:
    """Everything of a committed step: its last points and scores, curves and pictures; then the run ends."""
    attempt_dir = job_dir / outputs.folder
    if (attempt_dir / DONE).exists():
        return
    generation, attempt = int(attempt_dir.parent.name[1:]), int(attempt_dir.name[1:])
    run = runs.child(step.component, generation)
    if not introduced:
        introduce(runs, step, run)
    views = _load_views(attempt_dir)
    if views:
        runs.rest.log_batch(run.run_id, tags=_index(views))
    outbox = Outbox(attempt_dir.parent, attempt)
    outbox.cover()  # the step is committed: nothing of this attempt is computed again
    outbox.drain(lambda points: runs.rest.log_batch(run.run_id, metrics=points))
    for path, body in _artifacts(views):
        runs.rest.upload(run.artifact_uri, path, body)
    runs.rest.update_run(run.run_id, "FINISHED")
    write_file(attempt_dir / DONE, run.run_id.encode())


def publish_job(runs: JobRuns) -> None:
    """The job's own run with its DSL, conf and disclosure, and the predict DSL that follows."""
    done = runs.folder / DONE
    if done.exists():
        return
    run, plan = runs.parent(), runs.plan
    parts = {"dsl": plan.dsl, "conf": plan.conf, "disclosure": plan.disclosure, "predict_dsl": plan.inference_dsl}
    for name, part in parts.items():
        runs.rest.upload(run.artifact_uri, f"pipeline/{name}.json", _pretty(part))
    write_file(done, run.run_id.encode())


def finish_job(runs: JobRuns, summary: Mapping[str, Mapping[str, float]]) -> None:
    """End the job's run as FINISHED, with the summaries of its components; a name that only one has, also by itself."""
    run = runs.parent()
    summaries = [(component, name, value) for component, own in summary.items() for name, value in own.items()]
    names = [name for _, name, _ in summaries]
    numbers = {f"{component}/{name}": value for component, name, value in summaries}
    numbers |= {name: value for _, name, value in summaries if names.count(name) == 1}
    runs.rest.log_batch(run.run_id, metrics=_numbers(numbers, runs.folder / DONE))
    runs.rest.update_run(run.run_id, "FINISHED")


def _load_views(attempt_dir: Path) -> list[View]:
    path = attempt_dir / VIEWS
    return [parsed(stored) for stored in json.loads(path.read_bytes())] if path.exists() else []


def _artifacts(views: Sequence[View]) -> list[tuple[str, bytes]]:
    """Exact data of every curve, all pictures as one page, and grids in the form that MLflow shows as a table."""
    curves = [view for view in views if isinstance(view, Curve)]
    grids = [view for view in views if isinstance(view, Grid)]
    files = [(f"{_path(curve)}.json", _pretty(curve.json())) for curve in curves]
    files += [(f"{_path(grid)}.json", _pretty({"columns": grid.columns, "data": grid.rows})) for grid in grids]
    return [*files, (PICTURES, page(curves).encode())] if curves else files


def _index(views: Sequence[View]) -> dict[str, str]:
    """Tags: FATE's list of metrics by namespace, and the tables for MLflow's viewer."""
    index: dict[str, list[str]] = {}
    for view in views:
        index.setdefault(view.namespace, []).append(view.name)
    shown = [{"path": f"{_path(view)}.json", "type": "table"} for view in views if isinstance(view, Grid)]
    tags = {"fed.metrics": json.dumps(index), "mlflow.loggedArtifacts": json.dumps(shown) if shown else ""}
    return {key: text for key, text in tags.items() if text and len(text) <= MAX_TAG}


def _path(view: View) -> str:
    folder = "metrics" if isinstance(view, Curve) else "tables"
    return f"{folder}/{metric_key(view.namespace, view.name)}"


def _numbers(summary: Mapping[str, float], written: Path) -> list[Metric]:
    """Single numbers: step 0, at the time when ``written`` was, so that sending again doubles nothing."""
    then = written.stat().st_mtime_ns // 1_000_000
    return [Metric(metric_key(*name.split("/")), float(value), then) for name, value in summary.items()]


def _pretty(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
