"""Objectives of trees: derivatives against their losses, and one leaf after the other against XGBoost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost

from federatedml.components.tree_objectives import Objective, objective_of
from federatedml.components.tree_params import SecureBoostParams
from federatedml.crypto.ring import Floats
from federatedml.errors import DataError

REGRESSIONS = [("lse", 1.0), ("lae", 1.0), ("huber", 0.7), ("fair", 1.3), ("tweedie", 1.4), ("log_cosh", 1.0)]


def regression(name: str, parameter: float) -> Objective:
    given = {"task_type": "regression", "objective_param": {"objective": name, "params": [parameter]}}
    return objective_of(SecureBoostParams.model_validate(given), 0)


def classification(classes: int) -> Objective:
    return objective_of(SecureBoostParams(), classes)


def every_objective() -> list[Objective]:
    return [classification(2), classification(4), regression("tweedie", 1.0), *(regression(*r) for r in REGRESSIONS)]


def data(objective: Objective, n: int = 60) -> tuple[Floats, Floats]:
    random = np.random.default_rng(1)
    classes = 2 if "Logistic" in repr(objective) else objective.width
    labels = random.integers(0, classes, n).astype(float) if classes > 1 else random.random(n)
    return labels, random.normal(size=(n, objective.width))


@pytest.mark.parametrize("objective", every_objective(), ids=repr)
def test_first_derivatives_are_those_of_the_loss(objective: Objective) -> None:
    labels, scores = data(objective)
    g, h = objective.derivatives(labels, scores)
    assert g.shape == h.shape == scores.shape
    assert (h > 0).all()
    factor = 2 if "'lse'" in repr(objective) else 1  # the loss is d^2, XGBoost's derivative d
    for c in range(objective.width):
        step = np.zeros_like(scores)
        step[:, c] = 1e-6
        slope = (objective.losses(labels, scores + step) - objective.losses(labels, scores - step)) / 2e-6
        np.testing.assert_allclose(slope, factor * g[:, c], atol=1e-7)


@pytest.mark.parametrize("objective", [classification(2), *(regression(*r) for r in REGRESSIONS if r[0] != "lae")])
def test_second_derivatives_are_those_of_the_first(objective: Objective) -> None:
    labels, scores = data(objective)
    slope = (objective.derivatives(labels, scores + 1e-6)[0] - objective.derivatives(labels, scores - 1e-6)[0]) / 2e-6
    np.testing.assert_allclose(slope, objective.derivatives(labels, scores)[1], atol=1e-7)


@pytest.mark.parametrize("objective", every_objective(), ids=repr)
def test_derivatives_stay_finite(objective: Objective) -> None:
    labels, _ = data(objective)
    for size in (1e-9, 30.0, 1e6):
        g, h = objective.derivatives(labels, np.full((len(labels), objective.width), size))
        assert np.isfinite(g).all()
        assert np.isfinite(h).all()


@pytest.mark.parametrize(
    ("name", "classes", "parameter", "params"),
    [
        ("binary:logistic", 2, 0.0, {"base_score": 0.5}),
        ("multi:softprob", 3, 0.0, {"base_score": 0.5, "num_class": 3}),
        ("reg:squarederror", 0, 0.0, {}),
        ("reg:pseudohubererror", 0, 0.7, {"huber_slope": 0.7}),
        ("reg:tweedie", 0, 1.4, {"tweedie_variance_power": 1.4}),
    ],
)
def test_leaves_and_predictions_are_those_of_xgboost(
    name: str, classes: int, parameter: float, params: dict[str, Any]
) -> None:
    ours = {"reg:squarederror": "lse", "reg:pseudohubererror": "huber", "reg:tweedie": "tweedie"}
    objective = classification(classes) if classes else regression(ours[name], parameter or 1.0)
    random = np.random.default_rng(2)
    labels = random.integers(0, classes, 80).astype(float) if classes else random.random(80) * 3
    weights = random.integers(1, 4, 80).astype(float)
    start = objective.start(labels, weights)
    scores = np.tile(start, (80, 1))
    for _ in range(5):  # a constant column: each tree is one leaf
        g, h = objective.derivatives(labels, scores)
        scores = scores - 0.3 * (g * weights[:, None]).sum(0) / ((h * weights[:, None]).sum(0) + 0.5)
    base = params.pop("base_score", float(np.average(labels, weights=weights)))
    fixed = {"objective": name, "eta": 0.3, "lambda": 0.5, "tree_method": "hist", "base_score": base}
    matrix = xgboost.DMatrix(np.zeros((80, 1)), labels, weight=weights)
    booster = xgboost.train(fixed | params, matrix, 5)
    expected = booster.predict(matrix)
    np.testing.assert_allclose(objective.predict(scores), expected.reshape(80, -1).squeeze(), rtol=1e-6)


def test_tweedie_takes_no_negative_labels() -> None:
    objective = regression("tweedie", 1.5)
    for labels, weights in (([1.0, -1.0], [1.0, 1.0]), ([0.0] * 3, [1.0] * 3), ([2.0, 0.0], [0.0, 1.0])):
        with pytest.raises(DataError, match="FED-820"):
            objective.start(np.array(labels), np.array(weights))


def test_first_scores() -> None:
    labels, weights = np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 2.0])
    assert regression("lse", 1.0).start(labels, weights) == pytest.approx(21 / 4)
    assert regression("lae", 1.0).start(labels, weights) == pytest.approx(5.5)  # of 1, 2, 9, 9
    assert regression("lae", 1.0).start(labels[[2, 1, 0]], np.array([0.0, 0.0, 3.0])) == pytest.approx(1)
    some = np.random.default_rng(0).normal(size=8)
    for rows in (some, some[:7]):
        assert regression("lae", 1.0).start(rows, np.ones(len(rows))) == pytest.approx(np.median(rows))
    assert regression("tweedie", 1.5).start(labels, weights) == pytest.approx(np.log(21 / 4))
    assert (classification(5).start(labels, weights) == np.zeros(5)).all()
