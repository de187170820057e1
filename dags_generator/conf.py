"""The runtime conf in the shape of FATE v1: who takes part, on which tables, with which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dags_generator.reading import clip
from dags_generator.spec import Graph, Parties
from dags_generator.where import Where, names
from federatedml.data.catalogue import TableName
from federatedml.errors import DataError
from federatedml.federation.party import PARTY_ID, Member, Role

CONF_KEYS = ("initiator", "job_parameters", "role", "role_parameters", "algorithm_parameters", "dsl_version")
CONF_V2_KEYS = ("component_parameters", "provider")
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


def idle(conf: Mapping[str, Any], graph: Graph) -> list[str]:
    """Notes about parameters of a component for a role that does not run it: FATE skips them, too."""
    given = ((role, name) for role, values in conf.get("role_parameters", {}).items() for name in values)
    return [
        f"role_parameters.{role}.{name} has no effect: {role} does not run {name}"
        for role, name in given
        if name in graph.components and role not in {str(m.role) for m in graph.components[name].members}
    ]


def _known(values: Mapping[str, Any], graph: Graph, where: Where, others: tuple[str, ...]) -> None:
    for name in values:
        if name not in graph.components and name not in others:
            problem = f"there is no component {clip(name)}"
            raise where.error("FED-132", problem, f"allowed: {names([*graph.components, *others])}")


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
    return table_name(per_party(value, parties, member, where), where)


def table_name(value: Any, where: Where) -> TableName:
    """FATE's ``{name, namespace}``."""
    table = where.object(value)
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
        if component.name in graph.readers and not _is_read(component.name, graph, member):
            continue
        for key, references in component.data.items():
            missing = [ref.alias for ref in references if ref.component is None and ref.alias not in tables]
            if missing:
                problem = f"no table {missing[0]!r}, which {component.name} reads as input.data.{key}"
                raise where.error("FED-134", problem, f"given: {names(tables)}")


def _is_read(reader: str, graph: Graph, member: Member) -> bool:
    """Whether the member has a component that takes what the Reader hands over."""
    return any(ref.component == reader for step in graph.of(member) for refs in step.data.values() for ref in refs)


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
