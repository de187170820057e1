"""Parties, roles and members."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from federatedml.errors import DslError

PARTY_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")


class Role(StrEnum):
    """What a party does in one job."""

    GUEST = "guest"
    HOST = "host"
    ARBITER = "arbiter"


@dataclass(frozen=True, order=True)
class Member:
    """A party in one of its roles."""

    role: Role
    party: str

    def __str__(self) -> str:
        return f"{self.role}_{self.party}"

    @classmethod
    def parse(cls, text: str) -> Member:
        """The member that ``str(member)`` wrote, for example ``guest_9999``."""
        role, _, party = text.partition("_")
        if role not in set(Role) or not PARTY_ID.fullmatch(party):
            raise DslError("FED-101", f"{text!r} is not ROLE_PARTY", f"roles: {', '.join(Role)}")
        return cls(Role(role), party)


def model_id(members: Sequence[Member], model_key: str) -> str:
    """FATE's model id: ``arbiter-10001#guest-9999#host-10000_10002#KEY``."""
    roles: dict[Role, list[str]] = {}
    for member in members:
        roles.setdefault(member.role, []).append(member.party)
    return "#".join([f"{role}-{'_'.join(ids)}" for role, ids in sorted(roles.items())] + [model_key])


def party_model_id(me: Member, members: Sequence[Member], model_key: str) -> str:
    """FATE's party model id: ``guest#9999#arbiter-10001#guest-9999#host-10000#KEY``."""
    return f"{me.role}#{me.party}#{model_id(members, model_key)}"
