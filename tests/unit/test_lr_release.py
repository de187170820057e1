"""How many equations in its data a party lets others learn."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from federatedml.components.lr_counted_rows import Counted
from federatedml.components.lr_release import count_weights
from tests.members import GUEST, HOST, table


@pytest.mark.parametrize(
    ("copies", "counted", "most"),
    [
        (1, None, 10),
        (4, None, 2),
        (1, Counted(20, 20, 10), 10),
        (1, Counted(9.9, 20, 10), 4),
        (1, Counted(20, 1, 3.7), 3),
        (2, Counted(9.9, 20, 10), 2),
    ],
)
def test_rows_of_one_sample_count_once_and_others_by_their_weight_and_class(
    copies: int, counted: Counted | None, most: int
) -> None:
    limits: list[int] = []

    def spend(kind: str, peer: str, subject: str, amount: int, limit: int) -> int:
        limits.append(limit)
        return amount

    box: Any = SimpleNamespace(me=HOST, tables=["bank/t"], budget=SimpleNamespace(spend=spend))
    data = replace(table([str(i) for i in range(20)], x=list(range(20))), copies=copies)
    assert count_weights(box, data, {GUEST: 2, HOST: 3}, counted) == 2
    assert limits == [most]
