"""``job_parameters`` of a conf in the shape of v1: what holds for the job as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dags_generator.reading import clip
from dags_generator.spec import Graph, JobParameters
from dags_generator.where import LATER, Where, names
from federated_operators.gateway.plan import JOB_TIMEOUT_S

MODEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_TIMEOUT_S = 366 * 86_400
MAX_RETRIES = 10
KEYS = ("job_type", "model_key", "timeout", "task_timeout", "auto_retries")
NO_EFFECT = {
    "work_mode": "every party runs its own processes",
    "backend": "each party chooses its own engine",
    "processor_per_node": "each party chooses its own engine",
}
NOT_YET = {
    "model_id": "it is made from the parties and model_key",
    "model_version": "it is the job id",
    "specified_task_run": f"a run of chosen components {LATER}",
}
Number = TypeVar("Number", int, float)


def job_parameters(conf: Mapping[str, Any], graph: Graph, where: Where) -> tuple[JobParameters, list[str]]:
    """What the conf says, and notes about what has no effect.

    Raises:
        DslError: a key or a component that is not known, a value that is not allowed.
    """
    at = where.at("job_parameters")
    given = at.object(where.required(conf, "job_parameters"))
    at.only(given, (*KEYS, *NO_EFFECT), NOT_YET)
    if given.get("job_type", "train") != "train":
        raise at.at("job_type").error("FED-150", f"{clip(given['job_type'])} is not supported yet", "allowed: train")
    parameters = JobParameters(
        _model_key(given.get("model_key", "model"), at.at("model_key")),
        _seconds(given.get("timeout", int(JOB_TIMEOUT_S)), at.at("timeout")),
        _by_component(given.get("task_timeout", {}), graph, at.at("task_timeout"), _seconds),
        _by_component(given.get("auto_retries", {}), graph, at.at("auto_retries"), _retries),
    )
    notes = [f"job_parameters.{name} has no effect: {why}" for name, why in NO_EFFECT.items() if name in given]
    return parameters, notes


def _model_key(value: Any, where: Where) -> str:
    if not isinstance(value, str) or not MODEL_KEY.fullmatch(value):
        allowed = "letters, digits, '_' and '-', at most 64"
        raise where.error("FED-110", f"{clip(value)} is not a model key", allowed)
    return value


def _by_component(value: Any, graph: Graph, where: Where, read: Callable[[Any, Where], Number]) -> dict[str, Number]:
    """Component -> number; one number is for all components."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(graph.components, read(value, where))
    for name in value:
        if name not in graph.components:
            raise where.error("FED-132", f"there is no component {clip(name)}", f"allowed: {names(graph.components)}")
    return {name: read(found, where.at(name)) for name, found in value.items()}


def _seconds(value: Any, where: Where) -> float:
    return float(_whole(value, 1, MAX_TIMEOUT_S, "seconds", where))


def _retries(value: Any, where: Where) -> int:
    return _whole(value, 0, MAX_RETRIES, "attempts after an error", where)


def _whole(value: Any, least: int, most: int, unit: str, where: Where) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise where.error("FED-103", f"found {clip(value)}", f"{unit}, a whole number from {least} to {most}")
    return value
