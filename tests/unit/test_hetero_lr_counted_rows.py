"""Rows that are no cover, because they weigh next to nothing or are of one class: attacks, and what refuses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from federatedml.components import hetero_lr_shared, lr_plan
from federatedml.components.linear_model import telling
from federatedml.components.lr_batches import check_columns
from federatedml.components.lr_counted_rows import Counted, Known, check_batches, check_table
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_row_weights import effective_rows, support
from federatedml.crypto.paillier.matvec import MaskedProducts
from federatedml.crypto.shared_linear import batch_order, batch_sizes
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.party import Member
from tests.lr_cases import param, params
from tests.members import GUEST, HOST
from tests.paillier_lr_cases import encrypted, tables, training

Floats = NDArray[np.float64]
ROWS, COLUMNS, FEW = 600, 60, 8
BY = {"sample_weight_name": "counts", "batch_size": -1, "max_iter": 1}


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[Floats]:
    """Everything that parties unmask during the run."""
    seen: list[Floats] = []
    remove = MaskedProducts.remove
    monkeypatch.setattr(MaskedProducts, "remove", lambda self, o: seen.append(remove(self, o)) or seen[-1])
    return seen


def with_columns(data: dict[Member, Table], **columns: Any) -> dict[Member, Table]:
    return data | {GUEST: replace(data[GUEST], columns={**data[GUEST].columns, **columns})}


def weighed(rest: float, heavy: float = 1.0) -> dict[Member, Table]:
    """Labels that have nothing to do with the host's columns; 8 rows have weight, ``rest`` is that of the others."""
    random = np.random.default_rng(5)
    counts = np.full(ROWS, rest)
    counts[random.choice(ROWS, FEW, replace=False)] = heavy
    labels = random.permutation(np.arange(ROWS) % 2)
    return with_columns(tables({GUEST: 0, HOST: COLUMNS}, ROWS), y=labels, counts=counts)


def read(data: dict[Member, Table], sums: Floats, signs: Sequence[int] = (1, -1)) -> set[tuple[int, int]]:
    """Rows that the host finds, with their labels: residuals that fit, with the least sum of absolute values.

    Args:
        sums: (columns,) of residuals times the host's columns.
        signs: that residuals may have; of one class it is one.
    """
    features = data[HOST].features()
    parts = linprog(np.ones(ROWS * len(signs)), A_eq=np.hstack([features.T * sign for sign in signs]), b_eq=sums).x
    found = np.array(signs) @ parts.reshape(len(signs), ROWS)
    return {(int(row), int(found[row] < 0)) for row in np.flatnonzero(np.abs(found) > np.abs(found).max() / 2)}


def heavy(data: dict[Member, Table]) -> set[tuple[int, int]]:
    rows = np.flatnonzero(data[GUEST].columns["counts"] >= 0.5)
    return {(int(row), int(data[GUEST].labels()[row])) for row in rows}


@pytest.mark.parametrize("rest", [0.0, 1e-9, 1e-4])
def test_a_host_would_read_the_rows_that_alone_weigh_from_a_gradient(
    rest: float, gradients: list[Floats], tmp_path: Path
) -> None:
    data, p = weighed(rest), encrypted(**BY)
    with pytest.raises(DataError, match=r"FED-938.*fewer than 600 .*60 columns of host_10000.*batch_rows_per_column"):
        training(p, data).run(tmp_path / "refused")
    assert not gradients
    training(p.model_copy(update={"batch_rows_per_column": 0.01}), data).run(tmp_path / "lifted")
    (sums,) = (seen for seen in gradients if len(seen) == COLUMNS)
    assert read(data, sums) == heavy(data)


@pytest.mark.parametrize("rest", [0.0, 1e-9])
def test_a_host_would_read_them_from_its_released_weights(
    rest: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, p = weighed(rest, 10.0), params(**BY)
    with pytest.raises(DataError, match=r"FED-938.*fewer than 120 for the 60 columns of host_10000"):
        training(p, data).run(tmp_path / "refused")
    monkeypatch.setattr(hetero_lr_shared, "check_table", lambda sizes, columns, known: None)
    found = param(training(p, data).run(tmp_path / "lifted").outputs[HOST])
    assert read(data, -np.array([found.weight[name] for name in found.header])) == heavy(data)


def rare() -> dict[Member, Table]:
    """Of 600 rows that all weigh the same, 8 are of one class."""
    labels = np.zeros(ROWS, np.int64)
    labels[np.random.default_rng(5).choice(ROWS, FEW, replace=False)] = 1
    return with_columns(tables({GUEST: 0, HOST: COLUMNS}, ROWS), y=labels)


def positives(data: dict[Member, Table]) -> set[tuple[int, int]]:
    return {(int(row), 1) for row in np.flatnonzero(data[GUEST].labels())}


@pytest.mark.parametrize(
    ("of_class", "usual"),
    [(None, 1.0), ("balanced", ROWS / (2 * (ROWS - FEW))), ({"0": 0.0, "1": 1.0}, 0.0)],
    ids=str,
)
def test_a_host_would_find_the_rows_of_a_rare_class_in_a_gradient(
    of_class: Any, usual: float, gradients: list[Floats], tmp_path: Path
) -> None:
    """Weights of classes, which it knows but for the number of rows, make it neither easier nor harder."""
    data, p = rare(), encrypted(max_iter=1, batch_size=-1, class_weight=of_class)
    with pytest.raises(DataError, match=r"FED-939.*fewer than 60 .*60 columns of host_10000.*batch_rows_per_column"):
        training(p, data).run(tmp_path / "refused")
    lifted = p.model_copy(update={"batch_rows_per_column": 1.0})
    assert not gradients
    training(lifted, data).run(tmp_path / "lifted")
    (sums,) = (seen for seen in gradients if len(seen) == COLUMNS)
    assert read(data, sums - usual / 2 * data[HOST].features().sum(axis=0), signs=[-1]) == positives(data)


def test_a_host_would_find_them_in_its_released_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, p = rare(), params(max_iter=1, batch_size=-1)
    with pytest.raises(DataError, match=r"FED-939.*fewer than 60 for the 60 columns of host_10000"):
        training(p, data).run(tmp_path / "refused")
    monkeypatch.setattr(hetero_lr_shared, "check_table", lambda sizes, columns, known: None)
    found = param(training(p, data).run(tmp_path / "lifted").outputs[HOST])
    sums = -np.array([found.weight[name] for name in found.header]) * ROWS / p.learning_rate
    assert read(data, sums - data[HOST].features().sum(axis=0) / 2, signs=[-1]) == positives(data)


def of_the_rest(folder: Path) -> float:
    """Share of the labels of the last 3 of 323 rows, whose place everybody knows, that least squares give the host."""
    right = []
    for seed in range(8):
        data = tables({GUEST: 0, HOST: 12}, 323, seed)
        data = with_columns(data, y=np.random.default_rng(seed).permutation(np.arange(323) % 2))
        found = param(training(params(batch_size=320, max_iter=1), data).run(folder / str(seed)).outputs[HOST])
        last = batch_order(data[HOST].ids)[320:]
        weights = np.array([found.weight[name] for name in found.header])
        residuals, *_ = np.linalg.lstsq(data[HOST].features()[last].T, weights, rcond=None)
        right += ((residuals > 0) == (data[GUEST].labels()[last] == 1)).tolist()
    return float(np.mean(right))


def test_a_host_would_read_the_rows_of_a_small_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each weighs as much as a hundred others in the mean of its batch, without any weights."""
    assert of_the_rest(tmp_path / "joined") < 0.75
    monkeypatch.setattr(lr_plan, "closed_batches", lambda p, rows, columns: batch_sizes(rows, p.batch_size))
    monkeypatch.setattr(hetero_lr_shared, "check_table", lambda sizes, columns, known: None)
    assert of_the_rest(tmp_path / "apart") == 1.0


def guessed(weights: Floats, columns: int, draws: int) -> float:
    """How often the best linear estimate of somebody who knows all weights has the label of the heaviest row."""
    random, right = np.random.default_rng(0), 0
    at = int(np.argmax(weights))
    for _ in range(draws):
        x, signs = random.standard_normal((len(weights), columns)), random.choice([-1.0, 1.0], len(weights))
        seen = x * weights[:, None]
        right += np.sign(seen[at] @ np.linalg.solve(seen.T @ seen, seen.T @ signs)) == signs[at]
    return right / draws


def limit(rows_per_column: float) -> float:
    return 0.5 + erf(1 / sqrt(2 * (rows_per_column - 1))) / 2


@pytest.mark.parametrize("heavy", [1.0, 2.5, 8.0])
def test_at_the_limit_no_row_is_told_more_of_than_without_weights(heavy: float) -> None:
    """1500 draws: five standard deviations are .064."""
    weights = np.ones(max(80, int(80 * heavy**2 - 7 * heavy**2)))
    weights[:7] = heavy
    assert effective_rows(weights) / 8 == pytest.approx(10, rel=0.12)
    assert guessed(weights[: 80 if heavy == 1 else None], 8, 1500 if heavy < 8 else 300) < limit(10) + 0.064


def test_kish_s_number_of_rows_would_leave_the_heaviest_open() -> None:
    weights = np.ones(600)
    weights[:1] = 15.0
    kish = weights.sum() ** 2 / np.square(weights).sum()
    assert kish > 400
    assert effective_rows(weights) < 4
    assert guessed(weights, 8, 500) > 0.9 > limit(kish / 8) + 0.25


def test_rows_count_as_what_weighs_as_much_as_the_heaviest() -> None:
    assert effective_rows(np.full(7, 0.3)) == 7
    assert effective_rows(np.array([2.0, 1.0, 0.0])) == 1.25
    assert effective_rows(np.zeros(3)) == effective_rows(np.zeros(0)) == 0
    assert effective_rows(np.array([5e-324, 1e308])) == 1


def test_the_support_of_a_class_is_what_weighs() -> None:
    assert support(np.full(7, 0.3)) == pytest.approx(7)
    assert support(np.r_[np.ones(5), np.full(1000, 1e-9)]) == pytest.approx(5, abs=1e-5)
    assert support(np.zeros(3)) == support(np.zeros(0)) == 0


def known(labels: Any, samples: Any, of_class: Any = (1.0, 1.0)) -> Known:
    labels, samples = np.asarray(labels, float), np.asarray(samples, float)
    return Known(labels, samples * np.array(of_class)[labels.astype(int)], samples)


def test_what_the_guest_reads_counts_all_weights_and_what_hosts_read_those_of_samples() -> None:
    found = Counted.of(known([0] * 6 + [1] * 4, [1] * 9 + [0], (1.0, 3.0)))
    assert (found.of_host, found.of_guest, found.of_class) == (9, pytest.approx(3 + 6 / 9), 3)
    assert found.most == 3
    assert Counted.of(known([0] * 50 + [1] * 50, np.ones(100))).most == 50


def test_each_batch_must_count_as_enough_and_errors_hold_no_value() -> None:
    p = LogisticParams.model_validate({"protocol": "paillier"})
    samples, labels = np.ones(80), np.arange(80) % 2
    check_batches(p, (40, 40), {GUEST: 4, HOST: 4}, known(labels, samples))
    samples[40] = 2
    with pytest.raises(
        DataError, match=r"FED-938.*HeteroLR at the guest.*of host_10000.*sum w\^2 .* is 10\.8"
    ) as caught:
        check_batches(p, (40, 40), {GUEST: 1, HOST: 4}, known(labels, samples))
    assert "10.8" not in caught.value.message
    rare = np.where(np.arange(80) % 40 < 37, 0, 1)
    with pytest.raises(DataError, match=r"FED-939.*label: found 3\.0.*at least 4") as caught:
        check_batches(p, (40, 40), {GUEST: 1, HOST: 4}, known(rare, np.ones(80)))
    assert "3.0" not in caught.value.message
    check_batches(p, (40, 40), {GUEST: 4, HOST: 3}, known(rare, np.ones(80)))


def test_rows_that_weigh_less_than_ten_per_column_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    even = known(np.arange(40) % 2, np.ones(40))
    check_table((40,), {GUEST: 4, HOST: 4}, even)
    assert not caplog.records
    check_table((40,), {GUEST: 4, HOST: 5}, even)
    assert "the host has 5 weights for rows that count as 40.0" in caplog.text


def test_a_column_of_the_guest_is_looked_at_where_rows_weigh() -> None:
    p = LogisticParams.model_validate({"protocol": "paillier"})
    x, weights = np.where(np.arange(50) < 20, 1.0, 0.0), np.ones(50)
    check_columns(p, ["x"], [x[:, None]], weights=[weights])
    weights[:15] = 1e-9
    with pytest.raises(DataError, match="FED-726"):
        check_columns(p, ["x"], [x[:, None]], weights=[weights])
    assert (telling(x), telling(x, weights)) == (20, pytest.approx(5))
    standardised = (x - x.mean()) / x.std()
    assert telling(standardised, weights) == pytest.approx(5)
    light = np.where(np.arange(50) < 30, 1e-9, 1.0)
    usual = np.where(np.arange(50) < 30, 0.0, 1.0)
    usual[49] = 2.0
    assert telling(usual, light) == pytest.approx(1), "the usual value is that of rows that weigh"
