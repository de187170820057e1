"""A party that tells others different values of its label is found before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from federatedml.component import Inputs, Outputs
from federatedml.components.homo_lr import HOMO_LR
from federatedml.components.homo_lr_agreement import AGREEMENT
from federatedml.components.label_sets import LABEL_SET, digest_of
from federatedml.components.one_vs_rest import LABELS
from federatedml.data.table import Table
from federatedml.errors import ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.party import Member, Role
from tests import homo_cases
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

SEVERAL = {"one_vs_rest_param": {"need_one_vs_rest": True}}


@dataclass(frozen=True)
class Lying:
    """A box whose messages on one topic tell one receiver another label value than the others."""

    box: Box
    topic: Any
    value: float

    def __getattr__(self, name: str) -> Any:
        return getattr(self.box, name)

    def send(self, topic: Any, value: Any, round: int = 0, to: Member | None = None) -> None:
        if topic is not self.topic:
            self.box.send(topic, value, round, to)
            return
        for member in (GUEST, HOST):
            self.box.send(topic, self.told(value) if member == HOST else value, round, member)

    def told(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {**value, "classes": self.told(value["classes"])}
        return np.where(value == self.value, self.value + 0.5, value)


def labelled(values: list[float]) -> dict[Member, Table]:
    """Three parties, of which only the last has rows of the last value."""
    tables = homo_cases.rows()
    own = {member: values if member == OTHER_HOST else values[:-1] for member in tables}
    return {
        member: replace(table, columns={**table.columns, "y": np.resize(own[member], len(table))})
        for member, table in tables.items()
    }


@pytest.mark.parametrize(
    ("topic", "given", "values"),
    [(LABELS, SEVERAL, [30.25, 31.25, 32.25]), (AGREEMENT, {}, [30.25, 31.25])],
    ids=["several", "binary"],
)
def test_a_host_that_tells_parties_apart_is_found(
    topic: Any, given: dict[str, Any], values: list[float], tmp_path: Path
) -> None:
    """All know as many classes, but not the same: they would be numbered alike and mean different things."""

    def host(p: Any, box: Box, inputs: Inputs) -> Outputs:
        apart = cast(Box, Lying(box, topic, values[-1])) if box.me == OTHER_HOST else box
        return HOMO_LR.roles[Role.HOST](p, apart, inputs)

    honest = homo_cases.case(homo_cases.params(**given), labelled(values))
    component = replace(HOMO_LR, roles={**HOMO_LR.roles, Role.HOST: host})
    with pytest.raises(ProtocolError, match="FED-898") as caught:
        replace(honest, component=component).run(tmp_path)
    assert not any(f"{value:g}" in str(caught.value) for value in (*values, values[-1] + 0.5))


@pytest.mark.parametrize(("given", "values"), [(SEVERAL, [0.0, 1.0, 2.0]), ({}, [0.0, 1.0])])
def test_parties_that_lack_rows_of_a_class_know_it_from_others(
    given: dict[str, Any], values: list[float], tmp_path: Path
) -> None:
    result = homo_cases.case(homo_cases.params(**given), labelled(values)).run(tmp_path)
    told = [LABEL_SET.codec.decode(m.body).tolist() for m in result.sent if m.key.topic == LABEL_SET.name]
    assert digest_of(values).tolist() in told
    assert ARBITER not in {m.key.destination for m in result.sent if m.key.topic == LABEL_SET.name}


def test_zero_has_one_sign() -> None:
    assert digest_of([-0.0, 1.0]).tolist() == digest_of([0.0, 1.0]).tolist()
    assert digest_of([0.0, 1.0]).tolist() != digest_of([0.0, 2.0]).tolist()
