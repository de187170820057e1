"""Pipelines of trivial components: chains, and components side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airfed.demo_parties import PARTIES

MODULE = "SecureAddExample"
NUMBERS = 100
SEED = 20


def names(length: int) -> list[str]:
    """The components, in the order of a chain."""
    return [f"add_{position}" for position in range(length)]


def dsl(length: int, parallel: bool = False) -> Mapping[str, Any]:
    """``length`` components; each waits for the one before it, or none does."""
    components: dict[str, Any] = {}
    for position, name in enumerate(names(length)):
        components[name] = {"module": MODULE, "output": {"data": ["train"]}}
        if position and not parallel:
            components[name]["input"] = {"data": {"data": [f"add_{position - 1}.train"]}}
    return {"components": components}


def conf(length: int) -> Mapping[str, Any]:
    """All three parties; the sum of every component is the same in every job."""
    return {
        "initiator": {"role": "guest", "party_id": int(PARTIES["guest"])},
        "job_parameters": {"work_mode": 1},
        "role": {role: [int(party)] for role, party in PARTIES.items()},
        "algorithm_parameters": {name: {"seed": SEED, "data_num": NUMBERS} for name in names(length)},
    }
