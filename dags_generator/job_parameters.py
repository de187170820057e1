"""``job_parameters`` of a conf in the shape of v1: what holds for the job as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from dags_generator.reading import clip
from dags_generator.spec import ComponentSpec, Graph, JobParameters, SpecifiedRun
from dags_generator.where import Where, names
from federated_operators.gateway.names import JOB_ID
from federated_operators.gateway.plan import JOB_TIMEOUT_S, JOB_TYPES, ONE_SUCCESS, PREDICT, TRAIN, ModelSource
from federatedml.federation.party import model_id

MODEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_TIMEOUT_S = 366 * 86_400
MAX_RETRIES = 10
MODEL_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")
KEYS = ("job_type", "model_key", "timeout", "task_timeout", "auto_retries", "specified_task_run")
PREDICT_KEYS = ("job_type", "model_id", "model_version", "timeout", "task_timeout", "auto_retries")
FROM_DEFAULTS = "parameters that the conf leaves out are shown with their defaults; the job takes those of the training"
NO_EFFECT = {
    "work_mode": "every party runs its own processes",
    "backend": "each party chooses its own engine",
    "processor_per_node": "each party chooses its own engine",
}
NOT_YET = {
    "model_id": "it is made from the parties and model_key",
    "model_version": "it is the job id",
}
Number = TypeVar("Number", int, float)


def job_parameters(conf: Mapping[str, Any], graph: Graph, where: Where) -> tuple[JobParameters, list[str]]:
    """What the conf says, and notes about what has no effect.

    Raises:
        DslError: a key or a component that is not known, a value that is not allowed.
    """
    at = where.at("job_parameters")
    given = at.object(where.required(conf, "job_parameters"))
    check_type(given.get("job_type", TRAIN), graph, at.at("job_type"))
    known = PREDICT_KEYS if graph.predicts else KEYS
    at.only(given, (*known, *NO_EFFECT), {key: why for key, why in NOT_YET.items() if key not in known})
    source = _source(given, graph, at) if graph.predicts else None
    if given.get("work_mode", 1) not in (0, 1):
        raise at.at("work_mode").error("FED-103", f"found {clip(given['work_mode'])}", "0 or 1, neither has an effect")
    parameters = JobParameters(
        _key_of(source.model_id) if source else _model_key(given.get("model_key", "model"), at.at("model_key")),
        _seconds(given.get("timeout", int(JOB_TIMEOUT_S)), at.at("timeout")),
        _by_component(given.get("task_timeout", {}), graph, at.at("task_timeout"), _seconds),
        _by_component(given.get("auto_retries", {}), graph, at.at("auto_retries"), _retries),
        _specified(given, graph, at),
        source,
    )
    notes = [f"job_parameters.{name} has no effect: {why}" for name, why in NO_EFFECT.items() if name in given]
    return parameters, [*notes, FROM_DEFAULTS] if source else notes


def check_type(job_type: Any, graph: Graph, where: Where) -> None:
    """``FED-194`` if the DSL is one of the other kind of job."""
    if job_type not in JOB_TYPES:
        raise where.error("FED-103", f"found {clip(job_type)}", f"allowed: {', '.join(JOB_TYPES)}")
    if (job_type == PREDICT) != graph.predicts:
        does = "takes models of a training" if graph.predicts else "takes no model of a training"
        allowed = "a predict DSL has input.model: [pipeline.COMPONENT.MODEL], as airfed predict writes it"
        raise where.error("FED-194", f"it is {job_type}, but the DSL {does}", allowed)


def _source(given: Mapping[str, Any], graph: Graph, where: Where) -> ModelSource:
    """The model of a predict job: one of its parties, ``FED-195`` otherwise."""
    at = where.at("model_id")
    found = at.text(where.required(given, "model_id"))
    expected = model_id(graph.parties.members, _model_key(_key_of(found), at))
    if found != expected:
        raise at.error("FED-195", f"{clip(found)} is no model of these parties", f"theirs is called {expected}")
    at, version = where.at("model_version"), given.get("model_version", "")
    if not isinstance(version, str) or (version and not MODEL_VERSION.fullmatch(version)):
        allowed = "the id of the job that trained it; left out: what the registry's alias product stands for"
        raise at.error("FED-110", f"{clip(version)} is no version of a model", allowed)
    return ModelSource(found, version)


def _key_of(model: str) -> str:
    return model.rpartition("#")[2]


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


def _specified(parameters: Mapping[str, Any], graph: Graph, where: Where) -> SpecifiedRun | None:
    if "specified_task_run" not in parameters:
        return None
    where = where.at("specified_task_run")
    given = where.object(parameters["specified_task_run"])
    where.only(given, ("job_id", "components"))
    job_id, at = where.at("job_id").text(where.required(given, "job_id")), where.at("components")
    if not JOB_ID.fullmatch(job_id):
        allowed = "20 to 26 digits: date, time, counter"
        raise where.at("job_id").error("FED-173", f"{clip(job_id)} is not a job id", allowed)
    named = [at.text(name) for name in at.list(where.required(given, "components"))]
    if not named:
        raise at.error("FED-113", "there are no components", f"some of {names(graph.components)}")
    for name in named:
        if name not in graph.components:
            raise at.error("FED-132", f"there is no component {clip(name)}", f"allowed: {names(graph.components)}")
        _check_rule(graph.components[name], named, at)
    return SpecifiedRun(job_id, tuple(sorted(set(named))))


def _check_rule(step: ComponentSpec, named: Sequence[str], where: Where) -> None:
    """A component that waits for the first of several waits for nothing if an earlier job has one of them."""
    unnamed = [before for before in step.upstream if before not in named]
    if step.trigger_rule == ONE_SUCCESS and unnamed:
        problem = f"{step.name} waits for one_success of {names(step.upstream)}, which the earlier job settles"
        raise where.error("FED-129", problem, f"name {names(unnamed)} too, or change its trigger_rule")


def _seconds(value: Any, where: Where) -> float:
    return float(_whole(value, 1, MAX_TIMEOUT_S, "seconds", where))


def _retries(value: Any, where: Where) -> int:
    return _whole(value, 0, MAX_RETRIES, "attempts after an error", where)


def _whole(value: Any, least: int, most: int, unit: str, where: Where) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise where.error("FED-103", f"found {clip(value)}", f"{unit}, a whole number from {least} to {most}")
    return value
