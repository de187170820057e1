"""Batches whose gradients are opened: what is refused, and that values have no say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from federatedml.components.lr_batches import batches, check_columns, cut
from federatedml.components.lr_params import LogisticParams
from federatedml.errors import DataError
from tests.members import GUEST, HOST


def params(**given: Any) -> LogisticParams:
    return LogisticParams.model_validate({"protocol": "paillier", **given})


@pytest.mark.parametrize(
    ("rows", "size", "columns", "expected"),
    [
        (569, 320, 20, (320, 249)),
        (1000, 320, 20, (320, 320, 360)),
        (1000, 320, 4, (320, 320, 320, 40)),
        (100, -1, 10, (100,)),
        (100, 320, 10, (100,)),
    ],
)
def test_a_rest_that_is_too_small_joins_the_last_batch(
    rows: int, size: int, columns: int, expected: tuple[int, ...]
) -> None:
    assert batches(params(batch_size=size), rows, {GUEST: 3, HOST: columns}) == expected


@pytest.mark.parametrize(("rows", "size", "columns"), [(99, -1, 10), (1000, 99, 10), (1000, 320, 33)])
def test_fewer_rows_than_ten_per_column_are_refused(rows: int, size: int, columns: int) -> None:
    with pytest.raises(DataError, match=r"FED-725.*host_10000.*batch_rows_per_column") as caught:
        batches(params(batch_size=size), rows, {GUEST: 3, HOST: columns})
    assert f"{10 * columns} rows at least" in str(caught.value)
    lifted = params(batch_size=size, batch_rows_per_column=1)
    assert sum(batches(lifted, rows, {GUEST: 3, HOST: columns})) == rows


def test_the_guest_s_columns_count_as_well() -> None:
    with pytest.raises(DataError, match=r"FED-725.*guest_9999"):
        batches(params(batch_size=100), 1000, {GUEST: 11, HOST: 3})


@pytest.mark.parametrize("columns", [{GUEST: 0, HOST: 1}, {GUEST: 1, HOST: 1001}])
def test_absurd_shapes_are_refused(columns: dict[Any, int]) -> None:
    with pytest.raises(DataError, match="FED-252"):
        batches(params(batch_rows_per_column=0), 1000, columns)


def one_hot(per_batch: int, sizes: tuple[int, ...] = (50, 50)) -> Any:
    parts = [np.zeros((n, 2)) for n in sizes]
    for part in parts:
        part[:, 0] = np.arange(len(part))
        part[:per_batch, 1] = 1.0
    return parts


def test_a_column_that_tells_of_few_rows_of_some_batch_is_refused() -> None:
    check_columns(params(), ["usual", "rare"], one_hot(10))
    with pytest.raises(DataError, match=r"FED-726.*'rare'"):
        check_columns(params(), ["usual", "rare"], one_hot(9))
    with pytest.raises(DataError, match=r"FED-726.*fewer than 20 rows.*'rare'"):
        check_columns(params(), ["usual", "rare"], one_hot(10), copies=2)
    check_columns(params(batch_rows_per_column=5), ["usual", "rare"], one_hot(9))
    standardised = [(part - 0.09) / 0.3 for part in one_hot(9)]
    with pytest.raises(DataError, match=r"FED-726.*'rare'"):
        check_columns(params(), ["usual", "rare"], standardised)


def test_the_intercept_is_not_looked_at() -> None:
    check_columns(params(), ["usual"], [np.c_[np.arange(50.0), np.ones(50)]])


def test_cut_gives_the_rows_of_each_batch() -> None:
    assert [part.tolist() for part in cut(np.arange(5.0), (2, 3))] == [[0, 1], [2, 3, 4]]
