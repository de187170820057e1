"""HomoLR: every model is what federated averaging gives in clear, at every party, whatever happens on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.components.homo_lr import HOMO_LR
from tests.conformance import conforms
from tests.homo_cases import (
    THREE,
    TWO,
    by_rows,
    case,
    contributing,
    in_clear,
    param,
    params,
    predicting,
    rows,
    weights,
)
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

TRAININGS: dict[str, dict[str, Any]] = {
    "one batch": {"batch_size": -1},
    "batches": {"batch_size": 10},
    "momentum": {"optimizer": "nesterov_momentum_sgd", "batch_size": 10},
    "rmsprop": {"optimizer": "rmsprop", "batch_size": 16},
    "adam": {"optimizer": "adam", "penalty": "NONE"},
    "adagrad": {"optimizer": "adagrad", "penalty": "L1"},
    "decay": {"decay": 0.5, "decay_sqrt": False},
    "rare averages": {"aggregate_iters": 2, "max_iter": 5, "batch_size": 10},
    "random start": {"init_param": {"init_method": "random_normal", "random_seed": 7}},
}


@pytest.mark.parametrize("given", TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("members", [TWO, THREE], ids=len)
def test_the_model_is_that_of_the_same_steps_in_clear(given: dict[str, Any], members: Any, tmp_path: Path) -> None:
    p, tables = params(**given), rows(members)
    found = case(p, tables).run(tmp_path).outputs
    clear = in_clear(p, tables, by_rows(tables))
    for outputs in contributing(found).values():
        np.testing.assert_allclose(weights(outputs), clear.weights, atol=1e-9)
        np.testing.assert_allclose(param(outputs).loss_history, clear.losses, atol=1e-9)
    assert list(param(found[ARBITER]).loss_history) == list(param(found[GUEST]).loss_history)


def test_it_keeps_the_contract_of_a_component(tmp_path: Path) -> None:
    p = params(batch_size=10, optimizer="adam", early_stopping_rounds=1, max_iter=2)
    tables = rows(sizes=(12, 10, 11), columns=1)
    held_out = rows(sizes=(9, 8, 7), columns=1)
    conforms(case(p, tables, held_out), tmp_path, kill_every=3)


def test_prediction_needs_nobody(tmp_path: Path) -> None:
    p, tables = params(), rows()
    trained = case(p, tables).run(tmp_path / "train").outputs
    predicted = predicting(trained, p, tables).run(tmp_path / "predict")
    assert not predicted.sent
    for member in THREE:
        before, after = trained[member].data, predicted.outputs[member].data
        assert before is not None
        assert after is not None
        assert (before.columns["predict_score"] == after.columns["predict_score"]).all()
        assert set(after.columns["type"]) == {"predict"}
    assert predicted.outputs[ARBITER].data is None


def test_all_contributors_have_the_same_model_and_the_arbiter_no_weights(tmp_path: Path) -> None:
    found = case(params(), rows()).run(tmp_path).outputs
    assert param(found[GUEST]) == param(found[HOST]) == param(found[OTHER_HOST])
    assert not param(found[ARBITER]).weight
    assert set(found[ARBITER].model or {}) == set((HOMO_LR.model and HOMO_LR.model.buffers) or {})
