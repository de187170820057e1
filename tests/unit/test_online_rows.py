"""T9: rows that a guest asks for online count on the account of predict jobs, and stop at the policy's limit."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from airfed_proto.v1 import model_pb2
from federated_operators import budgets
from federated_operators.budgets import BLOCK, BLOCK_S, ROWS, OnlineRows, budget_of
from federated_operators.registry.cache import Binding
from federatedml.component import registry
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.errors import PolicyError
from federatedml.federation.box import AttemptKey
from federatedml.federation.home import PartyHome
from federatedml.model_bundle import ModelBundle
from serving.door import InferenceDoor, Spend
from serving.features import FeatureTable
from serving.model import load
from serving.retcode import Retcode, ScoreError
from serving.shelf import Shelf
from tests.members import HOST
from tests.model_halves import KEY, bundle, pb_request, raw_table


def home(folder: Path, most: int) -> PartyHome:
    found = PartyHome(folder)
    found.policy.write_text(f"initiators: []\nbudgets: {{predicted_rows: {{most: {most}, days: 1}}}}\n")
    return found


def total(place: PartyHome, rows: int = 1) -> int:
    """What the account holds when a predict job adds ``rows``."""
    return budget_of(place, HOST, AttemptKey("9999", "1" * 21, "lr_0", 1, 1)).spend(ROWS, "9999", "", rows)


def test_rows_are_noted_before_they_are_told_and_add_to_those_of_jobs(tmp_path: Path) -> None:
    place = home(tmp_path, 10 * BLOCK)
    rows = OnlineRows(place)
    for _ in range(BLOCK):
        rows.spend(HOST, "9999", KEY, 1)
    assert total(place) == BLOCK + 1
    rows.spend(HOST, "9999", KEY, 300)
    assert total(place, 2) == 2 * BLOCK + 3


def test_a_restart_counts_anew_what_was_left_of_a_block(tmp_path: Path) -> None:
    place = home(tmp_path, 10 * BLOCK)
    for _ in range(3):
        OnlineRows(place).spend(HOST, "9999", KEY, 1)
    assert total(place) == 3 * BLOCK + 1


def test_a_block_is_forgotten_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(budgets.time, "time", lambda: now)
    place = home(tmp_path, 10 * BLOCK)
    rows = OnlineRows(place)
    rows.spend(HOST, "9999", KEY, 1)
    now += BLOCK_S
    rows.spend(HOST, "9999", KEY, 1)
    assert total(place) == 2 * BLOCK + 1


def test_the_limit_is_kept_to_the_row_and_is_each_guests_own(tmp_path: Path) -> None:
    place = home(tmp_path, BLOCK + 5)
    rows = OnlineRows(place)
    for amount in (BLOCK, 3, 2):
        rows.spend(HOST, "9999", KEY, amount)
    with pytest.raises(PolicyError, match=r"FED-747.*predicted_rows.*party 9999"):
        rows.spend(HOST, "9999", KEY, 1)
    rows.spend(HOST, "9998", KEY, 1)


def test_hours_pass_out_of_the_account_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr(budgets.time, "time", lambda: now)
    place = home(tmp_path, 24 * BLOCK)
    rows = OnlineRows(place)
    for _ in range(24):
        rows.spend(HOST, "9999", KEY, BLOCK)
        now += 3600
    with pytest.raises(PolicyError):
        rows.spend(HOST, "9999", KEY, 2 * BLOCK)
    now += 1
    rows.spend(HOST, "9999", KEY, BLOCK)


def door(folder: Path, spend: Spend, half: ModelBundle | None = None) -> InferenceDoor:
    shelf, features = Shelf(), FeatureTable(Catalogue(folder), TableName("online", "rows"))
    shelf.replace({"m": load(Binding("m", "product", 1, "job", "d"), half or bundle(HOST, "job"), registry())}, {})
    Catalogue(folder).write(TableName("online", "rows"), raw_table(HOST))
    features.refresh()
    return InferenceDoor(shelf, features, {}, spend)


def test_the_door_answers_up_to_the_limit_and_counts_ids_that_it_does_not_know(tmp_path: Path) -> None:
    """Without the account a guest asks for as many rows as it likes: a column falls per model and 1 + columns rows."""
    limited = door(tmp_path, OnlineRows(home(tmp_path, 3)).spend)
    assert limited._score(pb_request(["id0", "nobody"])).missing == [1]
    with pytest.raises(ScoreError) as refused:
        limited._score(pb_request(["id1", "id2"]))
    assert refused.value.retcode == Retcode.OVERLOAD
    assert "FED-747" in refused.value.message
    assert len(limited._score(pb_request(["id1"])).scores[0].values) == 1
    unlimited = door(tmp_path, lambda me, guest, model_key, rows: None)
    assert all(unlimited._score(pb_request(["id1", "id2"])).scores[0].values for _ in range(50))


def test_a_row_counts_once_for_each_class_as_in_predict_jobs(tmp_path: Path) -> None:
    """Each class tells another combination of the columns."""
    half = bundle(HOST, "job")
    lr = half.components["hetero_lr_0"]
    name = next(name for name in lr.buffers if name.endswith("Param"))
    binary = model_pb2.LRModelParam.FromString(lr.buffers[name])
    whole = model_pb2.LRModelParam(need_one_vs_rest=True, header=binary.header, classifiers=[binary] * 3)
    several = replace(lr, buffers={**lr.buffers, name: whole.SerializeToString()})
    counted: list[int] = []
    components = {**half.components, "hetero_lr_0": several}
    asked = door(tmp_path, lambda me, guest, key, rows: counted.append(rows), replace(half, components=components))
    assert asked._score(pb_request(["id0", "nobody"])).scores[0].width == 3
    assert counted == [6]
