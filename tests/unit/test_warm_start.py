"""A training that goes on from another model, and from its own checkpoint when it dies: not from the model again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from federatedml.component import Outputs
from federatedml.federation.local import Point
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member
from tests import homo_cases, lr_cases, paillier_lr_cases
from tests.conformance import Case
from tests.members import GUEST, HOST


def _hetero(**given: Any) -> Case:
    return lr_cases.case(lr_cases.params(batch_size=30, **given), lr_cases.small(60))


def _encrypted(**given: Any) -> Case:
    return paillier_lr_cases.training(paillier_lr_cases.encrypted(**given))


def _homo(**given: Any) -> Case:
    return homo_cases.case(homo_cases.params(**given), homo_cases.rows())


KINDS: Mapping[str, Callable[..., Case]] = {
    "shared": _hetero,
    "shared, opened": partial(_hetero, optimizer="adam", batch_rows_per_column=0),
    "paillier": _encrypted,
    "homo": _homo,
}


def _weights(outputs: Mapping[Member, Outputs], kind: str) -> dict[str, float]:
    param = homo_cases.param if kind == "homo" else lr_cases.param
    found = {f"{m}.{name}": w for m in (GUEST, HOST) for name, w in param(outputs[m]).weight.items()}
    return {**found, "intercept": param(outputs[GUEST]).intercept}


@pytest.mark.parametrize("kind", KINDS)
def test_a_death_does_not_bring_the_first_model_back(tmp_path: Path, kind: str) -> None:
    before = KINDS[kind](max_iter=2).run(tmp_path / "before").outputs
    one = KINDS[kind](max_iter=3)
    one = replace(one, inputs={m: replace(i, isometric_model=before[m].model) for m, i in one.inputs.items()})
    undisturbed = one.run(tmp_path / "undisturbed")
    points = [at for at in undisturbed.reached if at.member == HOST]
    stored = [number for number, at in enumerate(points, 1) if at.point is Point.TELL]
    result = one.run(tmp_path / "died", Faults(kill={HOST: stored[2]}))
    assert result.resumed == [None, 2]
    expected, found = _weights(undisturbed.outputs, kind), _weights(result.outputs, kind)
    assert found == pytest.approx(expected, abs=2e-3)
    cold = KINDS[kind](max_iter=3).run(tmp_path / "cold").outputs
    assert _weights(cold, kind) != pytest.approx(expected, abs=2e-2)


@pytest.mark.parametrize("kind", ["shared", "paillier", "homo"])
def test_two_trainings_are_one_of_their_epochs(tmp_path: Path, kind: str) -> None:
    before = KINDS[kind](max_iter=2).run(tmp_path / "before").outputs
    one = KINDS[kind](max_iter=2)
    one = replace(one, inputs={m: replace(i, isometric_model=before[m].model) for m, i in one.inputs.items()})
    at_once = KINDS[kind](max_iter=4).run(tmp_path / "at once").outputs
    found = _weights(one.run(tmp_path / "after").outputs, kind)
    assert found == pytest.approx(_weights(at_once, kind), abs=5e-3)
