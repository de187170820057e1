"""The runtime conf in the shape of FATE v1: who takes part, on which tables, with which parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dags_generator.reading import clip
from dags_generator.spec import Graph, Parties
from dags_generator.where import LATER, Where, names
from federated_operators.gateway.plan import JOB_TYPES, PREDICT, TRAIN, ModelSource
from federatedml.data.catalogue import TableName
from federatedml.errors import DataError
from federatedml.federation.party import PARTY_ID, Member, Role, model_id

CONF_KEYS = ("initiator", "job_parameters", "role", "role_parameters", "algorithm_parameters", "dsl_version")
CONF_V2_KEYS = ("component_parameters", "provider")
MODEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NO_EFFECT = {
    "work_mode": "every party runs its own processes",
    "backend": "each party chooses its own engine",
    "processor_per_node": "each party chooses its own engine",
}
JOB_NOT_YET = {
    "model_id": "it is made from the parties and model_key",
    "model_version": "it is the job id",
    "timeout": f"a timeout of the job {LATER}",
    "auto_retries": f"retries after an error of the algorithm {LATER}",
    "specified_task_run": f"a run of chosen components {LATER}",
}
SOURCE_KEYS = ("model_id", "model_version")  # of a predict job
MODEL_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")
MAX_PARTIES = 32


def parties(conf: Mapping[str, Any], where: Where) -> Parties:
    """``initiator`` and ``role`` of a conf; party ids become strings."""
    at = where.at("role")
    given = at.object(where.required(conf, "role"))
    at.only(given, tuple(Role))
    role = {Role(name): _party_ids(given[name], at.at(name)) for name in sorted(given)}
    at = where.at("initiator")
    initiator = at.object(where.required(conf, "initiator"))
    at.only(initiator, ("role", "party_id"))
    name, party = at.required(initiator, "role"), _party_id(at.required(initiator, "party_id"), at.at("party_id"))
    if name not in tuple(Role):
        raise at.at("role").error("FED-101", f"found {clip(name)}", f"allowed: {names(Role)}")
    if party not in role.get(Role(name), ()):
        problem = f"initiator {name} {party} is not among the parties"
        raise at.error("FED-130", problem, f"role.{name}: {names(role.get(Role(name), ()))}")
    return Parties(Member(Role(name), party), role)


def _party_ids(value: Any, where: Where) -> tuple[str, ...]:
    given = where.list(value)
    if not 1 <= len(given) <= MAX_PARTIES:
        raise where.error("FED-101", f"{len(given)} parties", f"1 to {MAX_PARTIES}")
    ids = tuple(_party_id(item, where) for item in given)
    if twice := sorted({party for party in ids if ids.count(party) > 1}):
        raise where.error("FED-101", f"party {twice[0]} is given twice")
    return ids


def _party_id(value: Any, where: Where) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not PARTY_ID.fullmatch(text):
        raise where.error(
            "FED-101", f"{clip(value)} is not a party id", "digits, or letters, '_', '.', '-', at most 64"
        )
    return text


def check_keys(conf: Mapping[str, Any], graph: Graph, where: Where) -> None:
    """Refuse keys and names that FATE would silently ignore."""
    for key in CONF_V2_KEYS:
        if key in conf:
            raise where.at(key).error("FED-102", "is a key of conf v2", "say so in the conf: dsl_version 2")
    where.only(conf, CONF_KEYS)
    at = where.at("role_parameters")
    for role, values in at.object(conf.get("role_parameters", {})).items():
        if role not in graph.parties.role:
            raise at.error("FED-132", f"nobody has role {clip(role)}", f"role has: {names(graph.parties.role)}")
        _known(at.at(role).object(values), graph, at.at(role), ("args",))
    at = where.at("algorithm_parameters")
    _known(at.object(conf.get("algorithm_parameters", {})), graph, at, ())


def _known(values: Mapping[str, Any], graph: Graph, where: Where, others: tuple[str, ...]) -> None:
    for name in values:
        if name not in graph.components and name not in others:
            problem = f"there is no component {clip(name)}"
            raise where.error("FED-132", problem, f"allowed: {names([*graph.components, *others])}")


def job_parameters(conf: Mapping[str, Any], graph: Graph, where: Where) -> tuple[str, list[str]]:
    """The model key, and notes about what has no effect."""
    at = where.at("job_parameters")
    given = at.object(where.required(conf, "job_parameters"))
    _check_type(given, graph, at)
    if graph.predicts:
        later = {key: why for key, why in JOB_NOT_YET.items() if key not in SOURCE_KEYS}
        at.only(given, ("job_type", *SOURCE_KEYS, *NO_EFFECT), later)
        key = at.at("model_id").text(at.required(given, "model_id")).rpartition("#")[2]
    else:
        at.only(given, ("job_type", "model_key", *NO_EFFECT), JOB_NOT_YET)
        key = given.get("model_key", "model")
    if not isinstance(key, str) or not MODEL_KEY.fullmatch(key):
        allowed = "letters, digits, '_' and '-', at most 64"
        raise at.at("model_key").error("FED-110", f"{clip(key)} is not a model key", allowed)
    return key, [f"job_parameters.{name} has no effect: {why}" for name, why in NO_EFFECT.items() if name in given]


def _check_type(given: Mapping[str, Any], graph: Graph, where: Where) -> None:
    """``FED-194`` if the DSL is one of the other kind of job."""
    job_type, at = given.get("job_type", TRAIN), where.at("job_type")
    if job_type not in JOB_TYPES:
        raise at.error("FED-103", f"found {clip(job_type)}", f"allowed: {', '.join(JOB_TYPES)}")
    if (job_type == PREDICT) != graph.predicts:
        does = "takes models of a training" if graph.predicts else "takes no model of a training"
        allowed = "a predict DSL has input.model: [pipeline.COMPONENT.MODEL], as airfed predict writes it"
        raise at.error("FED-194", f"it is {job_type}, but the DSL {does}", allowed)


def source(conf: Mapping[str, Any], graph: Graph, where: Where) -> ModelSource | None:
    """The model of a predict job; None for a training.

    Args:
        conf: one that ``job_parameters`` accepts.

    Raises:
        DslError: ``FED-195``, the model is not one of these parties; ``FED-110``, its version is not a name.
    """
    if not graph.predicts:
        return None
    given, at = conf["job_parameters"], where.at("job_parameters")
    expected = model_id(graph.parties.members, given["model_id"].rpartition("#")[2])
    if given["model_id"] != expected:
        problem = f"{clip(given['model_id'])} is not a model of these parties"
        raise at.at("model_id").error("FED-195", problem, f"the model of those in role is {expected}")
    version = given.get("model_version", "")
    if not isinstance(version, str) or (version and not MODEL_VERSION.fullmatch(version)):
        allowed = "the id of the job that trained it, or left out: what the registry's alias product stands for"
        raise at.at("model_version").error("FED-110", f"{clip(version)} is not a version of a model", allowed)
    return ModelSource(expected, version)


def tables(conf: Mapping[str, Any], graph: Graph, places: Mapping[Member, Where]) -> dict[Member, dict[str, TableName]]:
    """Every member's tables by key; those that a guest or a host needs must be there."""
    found = {}
    for member in graph.parties.members:
        at = places[member].at("role_parameters", member.role, "args")
        args = at.object(conf.get("role_parameters", {}).get(str(member.role), {}).get("args", {}))
        at.only(args, ("data",))
        data = at.at("data").object(args.get("data", {}))
        found[member] = {key: _table(value, graph.parties, member, at.at("data", key)) for key, value in data.items()}
        _complete(graph, member, found[member], at.at("data"))
    return found


def _table(value: Any, parties: Parties, member: Member, where: Where) -> TableName:
    table = where.object(per_party(value, parties, member, where))
    where.only(table, ("name", "namespace"))
    name, namespace = (where.at(key).text(where.required(table, key)) for key in ("name", "namespace"))
    try:
        return TableName(namespace, name)
    except DataError as error:
        raise where.error("FED-133", error.message, error.hint) from None


def _complete(graph: Graph, member: Member, tables: Mapping[str, TableName], where: Where) -> None:
    if member.role is Role.ARBITER:
        return
    for component in graph.of(member):
        for key, references in component.data.items():
            missing = [ref.alias for ref in references if ref.component is None and ref.alias not in tables]
            if missing:
                problem = f"no table {missing[0]!r}, which {component.name} reads as input.data.{key}"
                raise where.error("FED-134", problem, f"given: {names(tables)}")


def per_party(value: Any, parties: Parties, member: Member, where: Where) -> Any:
    """The element of a role parameter's list that belongs to ``member``."""
    if not isinstance(value, list):
        allowed = "a role parameter is a list with one value per party"
        raise where.error("FED-131", f"found {clip(value)}", allowed)
    expected = len(parties.role[member.role])
    if len(value) != expected:
        problem = f"{len(value)} values for {expected} {member.role} parties"
        raise where.error("FED-131", problem, f"one for each of {', '.join(parties.role[member.role])}")
    return value[parties.position(member)]
