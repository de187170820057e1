"""A predict job's conf v2 -> the v1 conf that means the same. Its DSL and parameters are stored with the model.

Whatever Readers the training has, its predict DSL reads one new table at each party: a conf names it under one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dags_generator.conf import table_name
from dags_generator.conf_v2 import CONF_KEYS, check_v2_keys, common_job_keys
from dags_generator.index_keys import blocks, part_of
from dags_generator.job_parameters import PREDICT_KEYS
from dags_generator.predict import NEW_DATA
from dags_generator.reading import clip
from dags_generator.schedule import SCHEDULE
from dags_generator.spec import Parties
from dags_generator.where import Path, Where, names
from federatedml.federation.party import Member, Role

V1_READERS = ("reader_0",)  # what a training without Readers has: FATE's converter gives its table this name
KEY = NEW_DATA.removeprefix("args.")


def without_tables(conf: Mapping[str, Any], parties: Parties, where: Where) -> dict[str, Any]:
    """The same in v1's shape but for ``role_parameters``, and without what has no effect.

    Raises:
        DslError: a key that is not known or not supported.
    """
    check_v2_keys(conf, (*CONF_KEYS, SCHEDULE), where)
    job, _ = common_job_keys(conf, parties, PREDICT_KEYS, where.at("job_parameters"))
    kept = {key: conf[key] for key in (SCHEDULE,) if key in conf}
    return {**parties.json(), **kept, "job_parameters": job}


def new_tables(conf: Mapping[str, Any], parties: Parties, readers: Sequence[str], where: Where) -> dict[str, Any]:
    """``role_parameters`` of v1: every role's new tables, in the order of its parties.

    Args:
        readers: those of the training's DSL.

    Raises:
        DslError: ``FED-198``, parameters of a component; ``FED-134``, two tables of a party, or one for some parties of
            a role only; whatever is wrong with a table.
    """
    at = where.at("component_parameters")
    given = at.object(conf.get("component_parameters", {}))
    at.only(given, ("common", "role"))
    known = tuple(readers) or V1_READERS
    common = at.at("common").object(given.get("common", {}))
    _check(common, known, at.at("common"))
    own = blocks(given.get("role", {}), parties, at.at("role"))
    for block in own:
        _check(block.body, known, block.where)
    found = {member: _table(part_of(member, own).values, common, member, at) for member in parties.members}
    by_role = {role: [found[Member(role, party)] for party in ids] for role, ids in parties.role.items()}
    for role, tables in by_role.items():
        if None in tables and any(tables):
            problem = f"there is no table for party {parties.role[role][tables.index(None)]}"
            raise at.at("role", role).error("FED-134", problem, "a table for each of them, or for none")
    return {str(role): {"args": {"data": {KEY: tables}}} for role, tables in by_role.items() if any(tables)}


def written(parties: Parties) -> dict[Path, Path]:
    """Where the keys of the v1 conf stand in the v2 conf, for errors."""
    role = ("component_parameters", "role")
    places: dict[Path, Path] = {("role_parameters",): role, ("job_parameters",): ("job_parameters", "common")}
    return places | {("role_parameters", str(name), "args", "data"): (*role, str(name)) for name in parties.role}


def _check(values: Mapping[str, Any], readers: Sequence[str], where: Where) -> None:
    for name, body in values.items():
        at = where.at(name)
        if name not in readers:
            problem = f"{clip(name)} is no Reader of the training: a predict job takes all parameters from the training"
            raise at.error("FED-198", problem, f"leave it out; the new table's place: {names(readers)}")
        at.only(at.object(body), ("table",))
        at.at("table").object(body.get("table", {}))


def _table(own: Mapping[str, Any], common: Mapping[str, Any], member: Member, where: Where) -> dict[str, str] | None:
    """A member's one new table; an arbiter needs none, but what its role is given is checked."""
    bodies = (own,) if member.role is Role.ARBITER else (common, own)
    merged: dict[str, dict[str, Any]] = {}
    for name, body in ((name, body) for layer in bodies for name, body in layer.items()):
        merged.setdefault(name, {}).update(body.get("table", {}))
    at = where.at("role", member.role)
    found = {name: table_name(table, at.at(name, "table")) for name, table in merged.items()}
    if len(set(found.values())) > 1:
        problem = f"{member.role} {member.party} has different tables for {names(found)}"
        raise at.error("FED-134", problem, "one: all that a predict job reads is one table at each party")
    return next(({"name": table.name, "namespace": table.namespace} for table in found.values()), None)
