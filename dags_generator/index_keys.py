"""Conf v2's ``role``: ``ROLE.INDEX_KEY`` -> one part per member. An index key is ``"0"``, ``"0|1"`` or ``"all"``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dags_generator.reading import clip
from dags_generator.spec import Parties
from dags_generator.where import Path, Where, names
from federatedml.federation.party import Member, Role

INDEX = re.compile(r"0|[1-9][0-9]{0,3}")
MAX_VALUES = 100_000  # of all parties together: "all" repeats what it holds


@dataclass
class Part:
    """What ``role`` says for one member.

    Attributes:
        values: the index keys' objects, merged.
        origins: path within ``values`` -> index key that gave it.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """What stands below one index key."""

    members: tuple[Member, ...]
    key: str
    body: Mapping[str, Any]
    where: Where


def blocks(given: Any, parties: Parties, where: Where) -> list[Block]:
    """All blocks of a ``role`` object, each with the members it is for; ``DslError`` if they are too large."""
    found = list(_blocks(given, parties, where))
    size = sum(len(block.members) * sum(1 for _ in paths(block.body)) for block in found)
    if size > MAX_VALUES:
        raise where.error("FED-100", f"{size} values for all parties together", f"at most {MAX_VALUES}")
    return found


def _blocks(given: Any, parties: Parties, where: Where) -> Iterator[Block]:
    for role, by_key in where.object(given).items():
        if role not in parties.role:
            raise where.error("FED-132", f"nobody has role {clip(role)}", f"role has: {names(parties.role)}")
        ids, at = parties.role[Role(role)], where.at(role)
        for key, body in at.object(by_key).items():
            members = tuple(Member(Role(role), ids[index]) for index in _indices(key, role, ids, at))
            yield Block(members, key, at.at(key).object(body), at.at(key))


def part_of(member: Member, given: list[Block]) -> Part:
    """The member's blocks in one; ``DslError`` if two of them disagree."""
    part = Part()
    for block in given:
        if member in block.members:
            _join(part, part.values, block.body, (), block)
    return part


def paths(values: Mapping[str, Any], below: Path = ()) -> Iterator[Path]:
    """Paths of everything within nested objects."""
    for key, value in values.items():
        yield (*below, key)
        if isinstance(value, Mapping):
            yield from paths(value, (*below, key))


def _indices(key: str, role: str, ids: Any, where: Where) -> list[int]:
    if key == "all":
        return list(range(len(ids)))
    found = key.split("|")
    if not all(INDEX.fullmatch(index) for index in found):
        raise where.error("FED-131", f"{clip(key)} is not an index key", "for example '0', '0|1' or 'all'")
    indices = [int(index) for index in found]
    if len(set(indices)) < len(indices):
        raise where.error("FED-131", f"index key {clip(key)} names a party twice")
    if max(indices) >= len(ids):
        problem = f"index {max(indices)} of {clip(key)} is out of range: there are {len(ids)} {role} parties"
        raise where.error("FED-131", problem, f"0 to {len(ids) - 1}")
    return indices


def _join(part: Part, into: dict[str, Any], values: Mapping[str, Any], path: Path, block: Block) -> None:
    for key, value in values.items():
        here = (*path, key)
        if isinstance(value, Mapping) and isinstance(into.setdefault(key, {}), dict):
            part.origins.setdefault(here, block.key)
            _join(part, into[key], value, here, block)
        elif here not in part.origins:
            into[key] = value
            part.origins[here] = block.key
        elif isinstance(value, Mapping) or _text(into[key]) != _text(value):
            problem = f"index key {clip(part.origins[here])} gives the same party another value"
            raise block.where.at(*here).error("FED-131", problem, "one value per party")


def _text(value: Any) -> str:
    """Tells ``true`` from ``1``."""
    return json.dumps(value, sort_keys=True)
