"""Conf v2 -> the v1 conf that means the same: everything after this knows one shape, the trigger form too.

What ``component_parameters.role`` gives to some parties of a role only becomes a list with one value for each of them:
the others' is that of ``component_parameters.common``, or else the module's default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic_core import to_jsonable_python

from dags_generator.index_keys import Part, blocks, part_of, paths
from dags_generator.job_parameters import KEYS as JOB_KEYS
from dags_generator.job_parameters import NO_EFFECT, check_type
from dags_generator.job_parameters import NOT_YET as JOB_NOT_YET
from dags_generator.reading import clip
from dags_generator.spec import Graph, Parties
from dags_generator.where import LATER, Path, Where, names
from federated_operators.gateway.plan import PREDICT
from federatedml.component import component
from federatedml.federation.party import Member, Role

CONF_KEYS = ("dsl_version", "initiator", "role", "job_parameters", "component_parameters")
INHERITANCE, SPECIFIED = "inheritance_info", "specified_task_run"
OWN_ENGINE = "each party chooses its own engine"
ENGINE = {
    **NO_EFFECT,
    **dict.fromkeys(("task_cores", "computing_partitions", "adaptation_parameters"), OWN_ENGINE),
    **dict.fromkeys(("eggroll_run", "spark_run", "rabbitmq_run", "pulsar_run"), OWN_ENGINE),
    **dict.fromkeys(("computing_engine", "federation_engine", "storage_engine", "engines_address"), OWN_ENGINE),
    "task_parallelism": "components run in parallel as far as each party's slots allow",
    "auto_retry_delay": "a new attempt starts as soon as all parties are there",
    "federated_mode": "every party runs its own processes",
    "federated_status_collect_type": "the gateways tell each other",
}
NOT_YET = {
    **JOB_NOT_YET,
}
READ_AS_V1 = (
    "conf v2 is read as the v1 conf of the same meaning: "
    "the trigger form and the job show role_parameters and algorithm_parameters"
)


@dataclass(frozen=True)
class Converted:
    """A conf in the shape of v1; ``places`` name the keys of v2 in errors about a member's part of it."""

    conf: dict[str, Any]
    places: Mapping[Member, Where]
    notes: list[str]


@dataclass(frozen=True)
class _Given:
    """``component_parameters``, its names checked."""

    common: Mapping[str, Any]
    own: Mapping[Member, Part]
    graph: Graph
    where: Where

    def layers(self, member: Member, name: str, key: str) -> list[Any]:
        """What is given to a member under ``name.key``: by ``role``, by ``common``."""
        layers = (self.own[member].values.get(name, {}), self.common.get(name, {}))
        return [values[key] for values in layers if key in values]


def to_v1(conf: Mapping[str, Any], graph: Graph, where: Where) -> Converted:
    """The same in v1's shape.

    Args:
        conf: with ``dsl_version`` 2.
        graph: of its DSL and parties.
        where: the conf's file.

    Raises:
        DslError: a key that is not known or not supported yet, an index key out of range, index keys that disagree, a
            Reader without a table for a party that reads it.
    """
    check_v2_keys(conf, CONF_KEYS, where)
    job, notes = _job(conf, graph, where.at("job_parameters"))
    given = _given(conf, graph, where.at("component_parameters"))
    v1 = {
        "initiator": conf["initiator"],
        "role": conf["role"],
        "job_parameters": job,
        "role_parameters": {str(role): _of_role(role, given) for role in graph.parties.role},
        "algorithm_parameters": {name: given.common[name] for name in _with_parameters(graph) if name in given.common},
    }
    v1["role_parameters"] = {role: values for role, values in v1["role_parameters"].items() if values}
    inherits = SPECIFIED not in _common(conf)
    places = {m: replace(where, written=partial(_written, m, given, where, inherits)) for m in given.own}
    return Converted(v1, places, [*notes, READ_AS_V1])


def check_v2_keys(conf: Mapping[str, Any], keys: Sequence[str], where: Where) -> None:
    """Refuse what is no key of a conf v2."""
    for key in ("role_parameters", "algorithm_parameters"):
        if key in conf:
            raise where.at(key).error("FED-102", "is a key of conf v1", "conf v2 has component_parameters")
    where.only(conf, keys, {"provider": f"a choice of the provider {LATER}"})


def common_job_keys(
    conf: Mapping[str, Any], parties: Parties, keys: Sequence[str], where: Where
) -> tuple[dict[str, Any], list[str]]:
    """``keys`` of ``job_parameters.common``, as v1 has them, and notes about what has no effect."""
    given = where.object(where.required(conf, "job_parameters"))
    where.only(given, ("common", "role"))
    at, later = where.at("common"), {key: why for key, why in NOT_YET.items() if key not in keys}
    common = at.object(given.get("common", {}))
    at.only(common, (*keys, *ENGINE), later)
    without = [f"job_parameters.common.{key}" for key in common if key in ENGINE]
    for block in blocks(given.get("role", {}), parties, where.at("role")):
        for key in keys:
            if key in block.body:
                problem = "is the same for all parties"
                raise block.where.at(key).error("FED-102", problem, "its place is job_parameters.common")
        block.where.only(block.body, tuple(ENGINE), later)
        without += [".".join(("job_parameters", *block.where.path[-3:], key)) for key in block.body]
    notes = [f"{path} has no effect: {ENGINE[path.rpartition('.')[2]]}" for path in without]
    return {key: common[key] for key in keys if key in common}, notes


def _job(conf: Mapping[str, Any], graph: Graph, where: Where) -> tuple[dict[str, Any], list[str]]:
    at = where.at("common")
    common = at.object(where.object(where.required(conf, "job_parameters")).get("common", {}))
    if common.get("job_type") == PREDICT:  # before its other keys are not known in a training
        check_type(PREDICT, graph, at.at("job_type"))
    job, notes = common_job_keys(conf, graph.parties, (*JOB_KEYS, INHERITANCE), where)
    if INHERITANCE in job:
        if SPECIFIED in job:
            raise at.at(INHERITANCE).error("FED-102", f"says the same as {SPECIFIED}", "one of the two")
        job[SPECIFIED] = _specified(job.pop(INHERITANCE), graph, at.at(INHERITANCE))
    return job, notes


def _specified(value: Any, graph: Graph, where: Where) -> dict[str, Any]:
    """``inheritance_info`` names what an earlier job has done; ``specified_task_run`` names the others."""
    given = where.object(value)
    where.only(given, ("job_id", "component_list"))
    at = where.at("component_list")
    kept = [at.text(name) for name in at.list(where.required(given, "component_list"))]
    for name in kept:
        if name not in graph.components:
            allowed = f"allowed: {names(graph.components)}"
            raise at.error("FED-132", f"there is no component {clip(name)}", allowed)
    rest = [name for name in graph.components if name not in kept]
    if not rest:
        raise at.error("FED-113", "there are no components left to run", f"leave out some of {names(graph.components)}")
    return {"job_id": where.required(given, "job_id"), "components": rest}


def _given(conf: Mapping[str, Any], graph: Graph, where: Where) -> _Given:
    given = where.object(conf.get("component_parameters", {}))
    where.only(given, ("common", "role"))
    at = where.at("common")
    common = at.object(given.get("common", {}))
    _check(common, graph, at)
    found = blocks(given.get("role", {}), graph.parties, where.at("role"))
    for block in found:
        _check(block.body, graph, block.where)
    return _Given(common, {member: part_of(member, found) for member in graph.parties.members}, graph, where)


def _check(values: Mapping[str, Any], graph: Graph, where: Where) -> None:
    for name, body in values.items():
        at = where.at(name)
        if name in graph.readers:
            at.only(at.object(body), ("table",))
            at.at("table").object(body.get("table", {}))
            continue
        if name not in graph.components:
            allowed = f"allowed: {names(graph.components)}"
            raise where.error("FED-132", f"there is no component {clip(name)}", allowed)
        known = component(graph.components[name].module).params.model_fields
        if unknown := sorted(set(at.object(body)) - set(known)):
            raise at.error("FED-133", f"parameter {clip(unknown[0])} is not known", f"allowed: {names(known)}")


def _of_role(role: Role, given: _Given) -> dict[str, Any]:
    """``role_parameters.ROLE`` of v1: lists with one value per party, in the order of the parties."""
    members = [Member(role, party) for party in given.graph.parties.role[role]]
    values: dict[str, Any] = {}
    for name in _with_parameters(given.graph):
        keys = sorted({key for member in members for key in given.own[member].values.get(name, {})})
        if keys:
            values[name] = {key: [_value(member, name, key, given) for member in members] for key in keys}
    found = {reader: _tables(members, reader, given) for reader in given.graph.readers}
    if data := {reader: tables for reader, tables in found.items() if tables}:
        values["args"] = {"data": data}
    return values


def _value(member: Member, name: str, key: str, given: _Given) -> Any:
    if layers := given.layers(member, name, key):
        return layers[0]
    field = component(given.graph.components[name].module).params.model_fields[key]
    if field.is_required():
        at = given.where.at("role", member.role)
        raise at.error("FED-131", f"{name}.{key} has no value for {member.role} {member.party}, and no default")
    return to_jsonable_python(field.get_default(call_default_factory=True))


def _tables(members: list[Member], reader: str, given: _Given) -> list[Any]:
    """One table per member, or none at all if nobody reads them."""
    found = [_table(member, reader, given) for member in members]
    if None in found and found.count(None) < len(found):
        problem = f"{reader} has no table for {members[found.index(None)].party}, but for others of its role"
        raise given.where.at("role", members[0].role).error("FED-134", problem, "a table for each of them, or for none")
    return [] if None in found else found


def _table(member: Member, reader: str, given: _Given) -> dict[str, Any] | None:
    used = [step.name for step in given.graph.of(member) if _reads(step.data, reader)]
    if not used and "table" not in given.own[member].values.get(reader, {}):
        return None
    if layers := given.layers(member, reader, "table"):
        return {key: value for layer in reversed(layers) for key, value in layer.items()}
    if member.role is Role.ARBITER:
        return None
    place = f"component_parameters.role.{member.role}.{given.graph.parties.position(member)}.{reader}.table"
    problem = f"{member.role} {member.party} has no table for {reader}, which {used[0]} reads"
    raise given.where.at("role", member.role).error("FED-134", problem, f"its place is {place}")


def _reads(data: Mapping[str, Any], reader: str) -> bool:
    return any(ref.component == reader for refs in data.values() for ref in refs)


def _with_parameters(graph: Graph) -> list[str]:
    """Components whose parameters keep their place; a Reader's is its table."""
    return [name for name in graph.components if name not in graph.readers]


def _common(conf: Mapping[str, Any]) -> Any:
    return conf["job_parameters"].get("common", {})


def _written(member: Member, given: _Given, where: Where, inherits: bool) -> dict[Path, Path]:
    """Where the keys of the v1 conf that concern a member stand in the v2 conf."""
    base, role, v2 = where.path, str(member.role), (*where.path, "component_parameters")
    written: dict[Path, Path] = {
        (*base, "job_parameters"): (*base, "job_parameters", "common"),
        (*base, "job_parameters", SPECIFIED): (
            *base,
            "job_parameters",
            "common",
            INHERITANCE if inherits else SPECIFIED,
        ),
        (*base, "algorithm_parameters"): (*v2, "common"),
        (*base, "role_parameters"): (*v2, "role"),
    }
    origins = {path: (*v2, "common", *path) for path in paths(given.common)}
    for path, key in given.own[member].origins.items():
        origins[path] = (*v2, "role", role, key, *path)
    for (name, *rest), path in origins.items():
        place = ("args", "data", name) if name in given.graph.readers else (name,)
        below = rest[1:] if name in given.graph.readers else rest
        written[*base, "role_parameters", role, *place, *below] = path
    return written
