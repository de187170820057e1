"""Looks at held-out rows during a training under protocol ``paillier``, and when they stop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from federatedml.component import Inputs, Outputs
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.lr_params import LogisticParams
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.box import Box
from federatedml.federation.local import Point
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member, Role
from tests.conformance import Case, conforms
from tests.lr_cases import param, same_model
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST
from tests.paillier_lr_cases import PAIR, TOLERANCE, encrypted, tables, training

LOOKS = {"validation_freqs": 1, "metrics": ["loss", "auc"]}
Data = Mapping[Member, Table]


def case(p: LogisticParams, data: Data | None = None, held_out: Data | None = None) -> Case:
    one = training(p, data)
    late = tables(PAIR, 40, seed=9) if held_out is None else held_out
    inputs = {
        m: Inputs({**given.data, "eval_data": [late[m]]}) if m in late else given for m, given in one.inputs.items()
    }
    return replace(one, inputs=inputs)


def test_metrics_are_those_of_the_models_on_the_way(tmp_path: Path) -> None:
    found = case(encrypted(max_iter=3, **LOOKS)).run(tmp_path / "all").metrics[GUEST]
    seen = {(m.name, m.key): m.value for m in found if m.namespace == "validate"}
    for epochs in (1, 2, 3):
        data = case(encrypted(max_iter=epochs)).run(tmp_path / str(epochs)).outputs[GUEST].data
        assert data is not None
        rows = data.columns["type"] == "validate"
        y, scores = data.columns["label"][rows], data.columns["predict_score"][rows]
        assert seen["loss", epochs] == pytest.approx(log_loss(y, scores), abs=1e-3)
        assert seen["auc", epochs] == pytest.approx(roc_auc_score(y, scores), abs=0.02)


def _misleading() -> Data:
    """Held-out rows whose labels are the other way round: the first look is the best."""
    late = dict(tables(PAIR, 40, seed=9))
    late[GUEST] = replace(late[GUEST], columns={**late[GUEST].columns, "y": 1 - late[GUEST].labels()})
    return late


def test_training_stops_and_keeps_the_best_model(tmp_path: Path) -> None:
    stops = {"early_stopping_rounds": 2, "metrics": ["loss"]}
    outputs = case(encrypted(max_iter=20, **stops), held_out=_misleading()).run(tmp_path / "a").outputs
    once = case(encrypted(max_iter=1)).run(tmp_path / "b").outputs
    for member in (GUEST, HOST):
        assert outputs[member].summary["best_epoch"] == 1
        assert param(outputs[member]).iters == 3
        one, other = param(outputs[member]).weight, param(once[member]).weight
        assert all(abs(one[name] - other[name]) < TOLERANCE for name in other)
    assert outputs[ARBITER].summary["epochs"] == 3


def test_looks_every_so_many_epochs(tmp_path: Path) -> None:
    result = case(encrypted(max_iter=5, **{**LOOKS, "validation_freqs": 2})).run(tmp_path)
    assert sorted({m.key for m in result.metrics[GUEST] if m.namespace == "validate"}) == [2, 4]
    rounds = sorted(m.key.round for m in result.sent if m.key.topic == "partial_scores")
    assert rounds == [0, 1, 3, 5]


def test_several_hosts(tmp_path: Path) -> None:
    columns = {GUEST: 2, HOST: 1, OTHER_HOST: 1}
    p = encrypted(max_iter=2, converge_func="weight_diff", **LOOKS)
    result = case(p, tables(columns), tables(columns, 40, seed=9)).run(tmp_path)
    pair = case(encrypted(max_iter=2, **LOOKS)).run(tmp_path / "pair")
    several, two = ([m.value for m in r.metrics[GUEST] if m.name == "auc"] for r in (result, pair))
    assert len(several) == 2
    assert several == pytest.approx(two, abs=0.02)


class _Account:
    def __init__(self) -> None:
        self.rows: list[int] = []

    def spend(self, kind: str, peer: str, subject: str, amount: int, most: int | None = None) -> int:
        if kind == "predicted_rows":
            self.rows.append(amount)
        return amount


def _counted(one: Case, account: _Account) -> Case:
    def counting(p: Any, box: Box, inputs: Inputs) -> Outputs:
        box.budget = account
        return HETERO_LR.roles[Role.HOST](p, box, inputs)

    return replace(one, component=replace(HETERO_LR, roles={**HETERO_LR.roles, Role.HOST: counting}))


@pytest.mark.parametrize(
    "more", [{"encrypt_param": {"method": "Paillier", "key_length": 1024}}, {"protocol": "shared"}]
)
def test_rows_of_every_look_are_counted_and_again_by_an_attempt_that_resumes(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    account = _Account()
    p = encrypted(max_iter=2, **LOOKS, **more)
    undisturbed = _counted(case(p), account).run(tmp_path / "a")
    assert sorted(account.rows) == [40, 40, 40, 60]  # two looks; at last those rows and the training's
    last = [at.point for at in undisturbed.reached if at.member == HOST]
    again = _Account()
    death = Faults(kill={HOST: len(last) - 1 - last[::-1].index(Point.TELL) + 2})
    result = _counted(case(p), again).run(tmp_path / "b", death)
    assert result.resumed == [None, 2]
    assert sum(again.rows) == sum(account.rows) + 80


@pytest.mark.parametrize(
    ("given", "held_out", "code"),
    [
        ({"validation_freqs": 1}, {}, "FED-722"),
        ({"early_stopping_rounds": 1}, {GUEST: tables(PAIR, 40)[GUEST], HOST: tables(PAIR, 41)[HOST]}, "FED-251"),
    ],
)
def test_rows_that_cannot_be_looked_at_are_refused(tmp_path: Path, given: Any, held_out: Data, code: str) -> None:
    one = case(encrypted(**given), held_out=held_out)
    with pytest.raises(DataError, match=code):
        one.run(tmp_path)


def _one_class() -> Data:
    late = dict(tables(PAIR, 40, seed=9))
    late[GUEST] = replace(late[GUEST], columns={**late[GUEST].columns, "y": np.zeros(40, int)})
    return late


def test_rows_of_one_class_count_for_the_loss_only(tmp_path: Path) -> None:
    found = case(encrypted(max_iter=2, **LOOKS), held_out=_one_class()).run(tmp_path)
    looks = [(m.name, m.key) for m in found.metrics[GUEST] if m.namespace == "validate"]
    assert looks == [("loss", 1), ("loss", 2)]
    data = found.outputs[GUEST].data
    assert data is not None
    scores = data.columns["predict_score"][data.columns["type"] == "validate"]
    last = next(m.value for m in found.metrics[GUEST] if m.namespace == "validate" and m.key == 2)
    assert last == pytest.approx(-np.log(1 - scores).mean(), abs=1e-3)


@pytest.mark.parametrize("given", [{"validation_freqs": 1}, {"early_stopping_rounds": 1, "metrics": ["loss", "auc"]}])
def test_rows_of_one_class_that_lack_what_is_asked_for_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"FED-897.*all held-out rows are of one class"):
        case(encrypted(**given), held_out=_one_class()).run(tmp_path)


def test_looks_survive_deaths(tmp_path: Path) -> None:
    p = encrypted(max_iter=3, batch_size=-1, early_stopping_rounds=1, metrics=["loss"])
    conforms(case(p, held_out=_misleading()), tmp_path, kill_every=9, same=same_model)
