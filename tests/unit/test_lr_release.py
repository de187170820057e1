"""How many equations in its data a party lets others learn."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from federatedml.components.lr_counted_rows import Counted, Known
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
        (2, Counted(4.9, 10, 5), 2),  # counted so already
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


def test_what_rows_count_as_is_of_samples() -> None:
    labels, ones = np.array([0.0, 1.0] * 10), np.ones(20)
    assert Counted.of(Known(labels, ones, ones, copies=2)) == Counted(10.0, 10.0, 5.0)


def test_classes_of_one_vs_rest_are_counted_each_for_itself() -> None:
    """Ten classes of ten rows: each tells of its own ten, all together of a hundred."""
    spent: list[tuple[str, int, int]] = []

    def spend(kind: str, peer: str, subject: str, amount: int, limit: int) -> int:
        spent.append((subject, amount, limit))
        return amount

    box: Any = SimpleNamespace(me=GUEST, tables=["bank/t"], budget=SimpleNamespace(spend=spend))
    data = table([str(i) for i in range(100)], x=list(range(100)))
    for group in ("zeros", "ones"):
        count_weights(box, data, {GUEST: 2, HOST: 9}, Counted(100.0, 100.0, 10.0, group))
    whole, (zeros, ones) = spent[0], (spent[1], spent[3])
    assert whole[1:] == (9, 50)
    assert spent[2] == whole
    assert (zeros, ones) == (("zeros", 9, 10), ("ones", 9, 10))
