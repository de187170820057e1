"""What a training may be: messages that fit, steps that the fixed-point numbers can say, enough rows per weight."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import ENVELOPE, training_plan
from federatedml.components.lr_row_weights import effective_rows
from federatedml.components.lr_shared_topics import CORRECTIONS, FEATURES
from federatedml.crypto.lr_shapes import Plan
from federatedml.errors import DataError
from tests.lr_cases import params
from tests.members import GUEST, HOST


def planned(p: LogisticParams, rows: int, guest: int, host: int) -> Plan:
    return training_plan(p, rows, {GUEST: guest, HOST: host})


@pytest.mark.parametrize(("guest", "host"), [(3, 26), (26, 3)])
def test_more_weights_than_half_the_rows_are_refused(guest: int, host: int) -> None:
    role = "guest" if guest > host else "host"
    with pytest.raises(DataError, match=f"FED-259.*the {role} has 26 weights for 51 rows"):
        planned(params(), 51, guest, host)
    assert max(planned(params(), 52, guest, host).columns) == 26


def test_more_weights_than_a_tenth_of_the_rows_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        planned(params(), 60, 6, 6)
        planned(params(), 454, 11, 20)  # the demo
        assert not caplog.records
        planned(params(), 59, 5, 6)
    (record,) = caplog.records
    assert "the host has 6 weights for 59 rows" in record.getMessage()


def test_a_penalty_that_would_be_rounded_away_is_refused() -> None:
    with pytest.raises(DataError, match=r"FED-250.*learning_rate \* alpha of 1e-07"):
        planned(params(penalty="L2", learning_rate=0.01, alpha=1e-5), 1000, 3, 3)
    assert planned(params(penalty="L2", learning_rate=0.01, alpha=1e-2), 1000, 3, 3).motion.penalty == 1e-2
    assert planned(params(penalty="L2", alpha=0), 1000, 3, 3).motion.penalty == 0


def test_the_largest_corrections_fit_their_message() -> None:
    plan = planned(params(batch_size=-1, learning_rate=1.0, max_iter=200), 2**20, 100, 100)
    assert 8 * plan.correction_words(0) + ENVELOPE <= CORRECTIONS.max_bytes


def test_batches_that_do_not_fit_a_message_are_refused_before_anything_is_sent() -> None:
    rows, columns = 2**19, 500
    with pytest.raises(DataError, match=r"FED-252.*batches of 524288 rows by 500 columns.*batch_size"):
        planned(params(batch_size=-1), rows, 3, columns)
    plan = planned(params(batch_size=2**17), rows, 3, columns)
    assert 8 * plan.batches[0] * columns + ENVELOPE <= FEATURES.max_bytes


@pytest.mark.parametrize(
    ("given", "half"),
    [
        ({"max_iter": 100}, 64),
        ({"max_iter": 101}, 128),
        ({"learning_rate": 1.0}, 128),
        ({"optimizer": "nesterov_momentum_sgd"}, 128),
        ({"optimizer": "adam"}, 128),
        ({"penalty": "L2"}, 64),
    ],
)
def test_training_that_may_go_far_takes_the_wide_series(given: dict[str, Any], half: int) -> None:
    assert planned(params(**given), 1000, 3, 3).encoding.series.half == half


@pytest.mark.parametrize(
    ("given", "rows", "columns", "sizes"),
    [
        ({"batch_size": 40}, 130, 4, (40, 40, 50)),
        ({"batch_size": 40}, 120, 4, (40, 40, 40)),
        ({"batch_size": -1}, 130, 13, (130,)),
    ],
)
def test_opened_gradients_need_ten_rows_per_column_of_every_batch(
    given: dict[str, Any], rows: int, columns: int, sizes: tuple[int, ...]
) -> None:
    p = params(optimizer="rmsprop", **given)
    assert planned(p, rows, 3, columns).batches == sizes
    with pytest.raises(DataError, match=r"FED-725.*batch_rows_per_column"):
        planned(p, rows, 3, columns + 1)
    planned(params(**given), rows, 3, columns + 1)  # gradients that stay shared do not


@pytest.mark.parametrize(
    ("rows", "columns", "size", "sizes"),
    [
        (569, 20, 320, (320, 249)),
        (700, 20, 320, (320, 380)),
        (720, 20, 320, (320, 320, 80)),
        (323, 12, 320, (323,)),
        (643, 12, 320, (320, 323)),
        (700, 340, 320, (700,)),
        (300, 12, 320, (300,)),
        (640, 12, 320, (320, 320)),
    ],
)
def test_a_rest_that_weights_would_be_about_joins_the_last_batch(
    rows: int, columns: int, size: int, sizes: tuple[int, ...]
) -> None:
    found = planned(params(batch_size=size), rows, 3, columns).batches
    assert found == sizes
    assert effective_rows(1 / np.repeat(found, found)) >= 2 * columns
    weighed = planned(params(batch_size=size, class_weight="balanced"), rows, 3, columns).batches
    assert weighed == (sizes if sum(sizes[-1:]) > 200 else (*sizes[:-2], sum(sizes[-2:])))


def test_a_rate_that_decays_below_the_numbers_is_refused() -> None:
    with pytest.raises(DataError, match="FED-250"):
        planned(params(decay=1000.0, decay_sqrt=False, max_iter=100), 10_000, 3, 3)
