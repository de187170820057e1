"""Run parts of a job again: a person of one party asks, the coordinator decides, every policy has a say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airfed.demo_screen import Screen
from airfed.job import view
from airfed.job_end import person
from airfed.job_watch import has_ended, show_until, title
from airfed_proto.v1 import local_pb2
from airfed_proto.v1.common_pb2 import Failure
from airfed_proto.v1.job_pb2 import RerunAnswer, RerunOrder
from federated_operators.gateway.client import GatewayClient
from federatedml.errors import FedError
from federatedml.federation.home import PartyHome


@dataclass(frozen=True)
class Rerun:
    """A generation that was opened, and the components that run in it; the others keep what they have."""

    job_id: str
    generation: int
    components: Sequence[str]

    @property
    def line(self) -> str:
        """What was decided."""
        return f"job {self.job_id}: generation {self.generation} runs {', '.join(self.components)}"

    def json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"job_id": self.job_id, "generation": self.generation, "components": list(self.components)}


def rerun(home: PartyHome, job_id: str, components: Sequence[str], downstream: bool, reason: str = "") -> Rerun:
    """Have components run again, in a new generation.

    Args:
        components: none: all that did not succeed.
        downstream: and all that follow from them.

    Raises:
        FedError: there is no such job here, or a party refuses; says which, with its code.
    """
    order = RerunOrder(
        job=view(home, job_id).job, components=components, downstream=downstream, by=person(), reason=reason
    )
    with GatewayClient(home.socket) as client:
        return decided(job_id, client.rerun(order))


def decided(job_id: str, answer: RerunAnswer) -> Rerun:
    """What the coordinator answered; ``FedError`` with the code and the party of a refusal."""
    if answer.HasField("failure"):
        raise FedError(answer.failure.code, _refused(answer.failure))
    return Rerun(job_id, answer.generation, list(answer.components))


def follow(home: PartyHome, ordered: Rerun, screen: Screen) -> local_pb2.JobView:
    """Show every component at every party until the generation has its verdict; what was seen last."""
    members = view(home, ordered.job_id).members
    columns = [title(member.role, member.party_id) for member in members]
    head = f"Job {ordered.job_id}, generation {ordered.generation}"
    with screen.board(head, columns) as board:
        return show_until(home, ordered.job_id, board, lambda found: has_verdict(found, ordered.generation), math.inf)


def has_verdict(found: local_pb2.JobView, generation: int) -> bool:
    """Whether this generation, or a later one, has ended: a peer hears of a new one a little later."""
    return found.generation >= generation and has_ended(found)


def _refused(failure: Failure) -> str:
    place = [f"{failure.member.role} {failure.member.party_id}".strip(), failure.component]
    return ": ".join([*(part for part in place if part), failure.message])
