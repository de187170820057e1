"""Method ``kkrt`` alone: one guest, one host, without the component around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from federatedml.component import Component, Inputs, Outputs
from federatedml.components.intersection_kkrt import KKRT
from federatedml.components.intersection_method import Pair
from federatedml.components.intersection_params import IntersectParams
from federatedml.crypto.id_column import IdColumn
from federatedml.federation.box import Box
from federatedml.federation.local import StepResult
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Topic
from tests.conformance import Case
from tests.members import GUEST, HOST, table


def column(ids: Iterable[str]) -> IdColumn:
    """Ids as the methods take them."""
    return IdColumn(np.array([*ids, None], dtype=object)[:-1])


ONE = IntersectParams(min_intersection=1)


@dataclass(frozen=True)
class Tampered:
    """A box whose owner changes what it sends under one topic."""

    box: Box
    topic: Topic[Any]
    change: Callable[[Any], Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.box, name)

    def send(self, topic: Topic[Any], value: Any, round: int = 0, to: Member | None = None) -> None:
        self.box.send(topic, self.change(value) if topic is self.topic else value, round, to)


def tampering(run: Callable[[Pair], Any], topic: Topic[Any], change: Callable[[Any], Any]) -> Callable[[Pair], Any]:
    """A role function that follows the protocol but for one message."""
    return lambda pair: run(replace(pair, box=cast(Box, Tampered(pair.box, topic, change))))


def case(ids: Mapping[Member, Sequence[str]], p: IntersectParams = ONE, **replaced: Callable[[Pair], Any]) -> Case:
    """A step whose outputs are each party's matches, in the method's order; ``replaced``: role functions by name."""
    peers, runs = {GUEST: HOST, HOST: GUEST}, {Role.GUEST: KKRT.guest, Role.HOST: KKRT.host}
    runs |= {Role(name): run for name, run in replaced.items()}

    def role(p: IntersectParams, box: Box, inputs: Inputs) -> Outputs:
        mine, peer = inputs.one("data"), peers[box.me]
        return Outputs(mine.take(runs[box.me.role](Pair(box, peer, p, IdColumn(mine.ids), len(ids[peer])))))

    component = Component(
        module="Kkrt",
        title="the method alone",
        params=IntersectParams,
        roles={Role.GUEST: role, Role.HOST: role},
        topics=tuple(KKRT.topics),
        learns=KKRT.learns,
        inputs=("data",),
    )
    inputs = {member: Inputs({"data": [table(list(found), x=np.arange(len(found)))]}) for member, found in ids.items()}
    return Case(component, dict.fromkeys(ids, p), inputs)


def matches(result: StepResult) -> tuple[list[str], list[str]]:
    """What guest and host found, in the method's order."""
    guest, host = (result.outputs[member].data for member in (GUEST, HOST))
    assert guest is not None
    assert host is not None
    return list(guest.ids), list(host.ids)
