"""HeteroLR dies anywhere and runs over bad networks: the model is the same, no finished epoch is repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from federatedml.federation.memory import Faults
from tests.conformance import conforms
from tests.lr_cases import bodies, case, params, same_model, small, spread
from tests.members import ARBITER, GUEST, HOST


@pytest.mark.parametrize("penalty", ["NONE", "L2"])
def test_the_contract_of_components(penalty: str, tmp_path: Path) -> None:
    p = params(penalty=penalty, batch_size=25, learning_rate=0.5)
    conforms(case(p, small()), tmp_path, kill_every=25, same=same_model)


@pytest.mark.parametrize("member", [GUEST, HOST, ARBITER])
def test_a_resumed_attempt_does_not_repeat_finished_epochs(member: object, tmp_path: Path) -> None:
    the_case = case(params(max_iter=6, batch_size=25), small())
    late = the_case.points(tmp_path / "counted")[member] * 2 // 3
    result = the_case.run(tmp_path / "killed", Faults(kill={member: late}))
    assert result.attempts == 2
    closed = [m.key.round for m in result.sent if m.key.topic == "decision"]
    assert closed in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 3, 4, 5], [0, 1, 2, 2, 3, 4, 5], [0, 1, 2, 3, 4, 4, 5])
    assert [point.key for point in result.metrics[GUEST]] == [1, 2, 3, 4, 5, 6]


def test_an_attempt_after_training_only_opens_and_predicts(tmp_path: Path) -> None:
    the_case = case(params(), small())
    last = the_case.points(tmp_path / "counted")[GUEST]
    result = the_case.run(tmp_path / "killed", Faults(kill={GUEST: last}))
    assert result.attempts == 2
    assert len(bodies(result, "final_shares")) == 4
    assert len(bodies(result, "decision")) == 3
    assert not result.unread


def test_a_long_training_survives_a_kill_of_each_member(tmp_path: Path) -> None:
    the_case = case(params(max_iter=8, penalty="L2"), small(120))
    counts = the_case.points(tmp_path / "counted")
    whole = the_case.run(tmp_path / "whole")
    faults = Faults(seed=3, drop=0.1, duplicate=0.2, truncate=0.1, kill={m: n // 2 for m, n in counts.items()})
    result = the_case.run(tmp_path / "killed", faults)
    assert 2 <= result.attempts <= 4  # two may die in one attempt
    for member, outputs in whole.outputs.items():
        same_model(outputs, result.outputs[member])


@pytest.mark.parametrize(
    "given",
    [
        {"optimizer": "nesterov_momentum_sgd", "learning_rate": 0.05, "batch_size": 60, "early_stopping_rounds": 2},
        {"optimizer": "adam", "learning_rate": 0.05, "batch_size": -1, "early_stopping_rounds": 4},
    ],
    ids=str,
)
def test_momentum_memory_and_the_best_weights_outlive_a_kill(given: dict[str, Any], tmp_path: Path) -> None:
    """Validation labels are turned: the weights of the first epoch stay the best ones, over the restart too."""
    guest, host = small(100)
    turned = replace(guest, columns={**guest.columns, "y": 1 - guest.columns["y"]})
    p = params(max_iter=8, metrics=["loss"], **given)
    the_case = spread(p, guest, host, 2, (turned, host))
    counts = the_case.points(tmp_path / "counted")
    whole = the_case.run(tmp_path / "whole")
    for member in counts:
        result = the_case.run(tmp_path / str(member), Faults(kill={member: counts[member] * 3 // 5}))
        assert result.attempts == 2
        assert max(result.resumed[1:]) is not None
        for one, outputs in whole.outputs.items():
            same_model(outputs, result.outputs[one])
            assert outputs.summary == pytest.approx(result.outputs[one].summary, abs=1e-3)
