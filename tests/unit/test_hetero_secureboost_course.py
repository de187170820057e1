"""How trainings of HeteroSecureBoost go on and end: looks at validation rows, stops, resumes, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from federatedml.component import Inputs
from federatedml.components import tree_agreement, tree_plan
from federatedml.components.hetero_secureboost import HETERO_SECUREBOOST
from federatedml.components.tree_hosts import Start
from federatedml.components.tree_params import SecureBoostParams
from federatedml.components.tree_plan import Plan
from federatedml.errors import DataError, DslError, FedError
from federatedml.federation.local import Point
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member, Role
from tests.boost_cases import case, cut, guest_param, host_param, made, params
from tests.members import ARBITER, GUEST, HOST


def split(rows: int, kind: str = "binary") -> Any:
    """Tables to train on, and validation rows in the same columns."""
    x, y = made(rows + 150, 6, kind)
    return cut(x[:rows], y[:rows], [3, 3]), cut(x[rows:], y[rows:], [3, 3], "late")


def test_validation_rows_are_scored_as_by_the_model(tmp_path: Path) -> None:
    tables, late = split(300)
    training = case(params(num_trees=5, validation_freqs=2, metrics=["auc", "loss"]), tables, late)
    result = training.run(tmp_path / "train")
    found = result.outputs[GUEST].data
    rows = found.columns["type"] == "validate"
    predicting = replace(
        training, inputs={m: Inputs({"train_data": [t]}) for m, t in late.items()} | {ARBITER: Inputs()}
    )
    alone = predicting.predicting(result.outputs).run(tmp_path / "predict").outputs[GUEST].data
    assert found.columns["predict_score"][rows].tolist() == alone.columns["predict_score"].tolist()
    points = {(p.namespace, p.name, p.key): p.value for p in result.metrics[GUEST]}
    assert sorted(key for _, name, key in points if name == "auc") == [2, 4]
    whole = case(params(num_trees=4), tables, late).run(tmp_path / "four").outputs[GUEST].data
    labels, scores = (whole.columns[name][whole.columns["type"] == "validate"] for name in ("label", "predict_score"))
    assert points["validate", "auc", 4] == pytest.approx(roc_auc_score(labels, scores))
    assert [key for space, name, key in points if (space, name) == ("train", "loss")] == [1, 2, 3, 4, 5]
    assert not result.unread


def test_early_stopping_keeps_the_best_model(tmp_path: Path) -> None:
    """Validation labels are turned: the first round is the best one."""
    tables, late = split(300)
    turned = {**late, GUEST: replace(late[GUEST], columns={**late[GUEST].columns, "y": 1 - late[GUEST].columns["y"]})}
    p = params(num_trees=9, early_stopping_rounds=3, metrics=["loss"])
    result = case(p, tables, turned).run(tmp_path / "stopped")
    assert result.outputs[GUEST].summary["rounds"] == 4
    assert result.outputs[GUEST].summary["best_round"] == 1
    param = guest_param(result.outputs)
    assert (param.tree_num, param.best_iteration, len(param.losses)) == (1, 1, 4)
    short = case(params(num_trees=1), tables, late).run(tmp_path / "one")
    first, second = (run.outputs[GUEST].data.columns["predict_score"] for run in (result, short))
    np.testing.assert_allclose(first, second)
    assert not result.unread


def test_no_change_of_the_loss_ends_a_training(tmp_path: Path) -> None:
    tables, _ = split(300)
    result = case(params(num_trees=30, n_iter_no_change=True, tol=0.02), tables).run(tmp_path)
    losses = guest_param(result.outputs).losses
    assert 2 < len(losses) < 30
    assert abs(losses[-1] - losses[-2]) < 0.02 <= abs(losses[-2] - losses[-3])
    assert result.outputs[GUEST].summary["is_converged"] == 1
    assert result.outputs[ARBITER].summary["rounds"] == len(losses)
    assert not result.unread


@pytest.mark.parametrize("member", [GUEST, HOST, ARBITER])
def test_a_resumed_attempt_goes_on(member: Member, tmp_path: Path) -> None:
    tables, late = split(200)
    p = params(num_trees=6, validation_freqs=4, early_stopping_rounds=1, complete_secure=1, subsample_feature_rate=0.7)
    training = case(p, tables, late)
    whole = training.run(tmp_path / "whole")
    late_point = training.points(tmp_path / "counted")[member] * 3 // 4
    result = training.run(tmp_path / "killed", Faults(kill={member: late_point}))
    assert result.attempts == 2
    assert result.resumed[1] is not None
    again = {m.key.round // 3 for m in result.sent if m.key.topic == "masked_gradients"}
    assert again == set(range(1, 6))
    for name in ("predict_score", "type"):
        first, second = (run.outputs[GUEST].data.columns[name].tolist() for run in (whole, result))
        assert first == pytest.approx(second) if name == "predict_score" else first == second
    assert [p.key for p in result.metrics[GUEST] if p.name == "loss" and p.namespace == "train"] == [1, 2, 3, 4, 5, 6]


def test_scores_of_large_tables_are_not_stored_after_every_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_agreement, "CHECKPOINT_CELLS", 80)
    training = case(params(num_trees=8), split(200)[0])
    result = training.run(tmp_path / "whole")
    stored = [at.round for at in result.reached if at.member == GUEST and at.point == Point.STORE]
    assert stored == [3, 6, 8]
    late = training.points(tmp_path / "counted")[HOST] * 3 // 5
    again = training.run(tmp_path / "killed", Faults(kill={HOST: late}))
    assert again.resumed == [None, 3]
    first, second = (run.outputs[GUEST].data.columns["predict_score"].tolist() for run in (result, again))
    assert first == pytest.approx(second)
    assert [p.key for p in again.metrics[GUEST] if p.name == "loss"] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"early_stopping_rounds": 9}, ["loss"]),
        ({"validation_freqs": 1, "metrics": ["auc", "loss"]}, ["loss"]),
        ({"early_stopping_rounds": 9, "metrics": ["loss"]}, ["loss"]),
    ],
)
def test_validation_rows_of_one_class_count_for_the_loss_only(
    given: dict[str, Any], names: list[str], tmp_path: Path
) -> None:
    tables, late = split(200)
    late = changed(late, GUEST, y=np.ones(len(late[GUEST]), int))
    result = case(params(num_trees=2, **given), tables, late).run(tmp_path)
    found = [(m.name, m.key) for m in result.metrics[GUEST] if m.namespace == "validate"]
    assert found == [(name, key) for key in (1, 2) for name in names]


@pytest.mark.parametrize(
    "given", [{"validation_freqs": 1, "metrics": ["auc"]}, {"early_stopping_rounds": 1, "metrics": ["loss", "ks"]}]
)
def test_validation_rows_of_one_class_that_lack_what_is_asked_for_are_refused_before_training(
    given: dict[str, Any], tmp_path: Path
) -> None:
    tables, late = split(200)
    late = changed(late, GUEST, y=np.zeros(len(late[GUEST]), int))
    with pytest.raises(DataError, match=r"FED-897.*all held-out rows are of one class"):
        case(params(**given), tables, late).run(tmp_path)


def test_need_run_false_passes_the_data_on(tmp_path: Path) -> None:
    tables, _ = split(100)
    result = case(params(need_run=False), tables).run(tmp_path)
    assert result.outputs[GUEST].data is tables[GUEST]
    assert not result.sent


def changed(tables: dict[Member, Any], member: Member, **columns: Any) -> dict[Member, Any]:
    old = tables[member]
    return {**tables, member: replace(old, columns={**old.columns, **columns})}


@pytest.mark.parametrize(
    ("code", "member", "name", "values"),
    [
        ("FED-800", HOST, "host_secret1", np.full(100, np.inf)),
        ("FED-800", HOST, "host_secret1", np.where(np.arange(100) < 50, np.nan, 1.0)),
        ("FED-800", GUEST, "guest_secret0", np.array(["a"] * 100, object)),
        ("FED-257", GUEST, "y", np.ones(100)),
        ("FED-257", GUEST, "y", np.array(["a"] * 100, object)),
        ("FED-805", GUEST, "guest_secret2", -np.ones(100)),
    ],
)
def test_tables_that_cannot_be_trained_on(code: str, member: Member, name: str, values: Any, tmp_path: Path) -> None:
    tables = changed(split(100)[0], member, **{name: values})
    p = params(sample_weight_name="guest_secret2" if code == "FED-805" else None)
    with pytest.raises(DataError, match=code) as caught:
        case(p, tables).run(tmp_path)
    assert name in str(caught.value)


def test_no_rows_and_other_rows(tmp_path: Path) -> None:
    tables, late = split(100)
    nothing = {member: table.take(np.zeros(0, np.int64)) for member, table in tables.items()}
    with pytest.raises(DataError, match="FED-806"):
        case(params(), nothing).run(tmp_path / "0")
    with pytest.raises(DataError, match="FED-251"):
        case(params(), {**tables, HOST: late[HOST]}).run(tmp_path / "1")
    with pytest.raises(DataError, match="FED-722"):
        case(params(validation_freqs=1), tables).run(tmp_path / "2")
    with pytest.raises(DataError, match="FED-804"):
        case(params(validation_freqs=1, metrics=["accuracy"]), tables, late).run(tmp_path / "3")
    other = {GUEST: params(), HOST: params(num_trees=4), ARBITER: params()}
    with pytest.raises(DslError, match="FED-180"):
        case(other, tables).run(tmp_path / "4")


def test_validation_and_prediction_of_no_rows(tmp_path: Path) -> None:
    tables, late = split(100)
    nothing = {member: table.take(np.zeros(0, np.int64)) for member, table in late.items()}
    training = case(params(), tables, nothing)
    result = training.run(tmp_path / "train")
    assert len(result.outputs[GUEST].data) == 100
    inputs = {m: Inputs({"train_data": [t]}) for m, t in nothing.items()} | {ARBITER: Inputs()}
    again = replace(training, inputs=inputs).predicting(result.outputs).run(tmp_path / "predict")
    assert len(again.outputs[GUEST].data) == 0


def test_a_party_that_is_guest_and_host(tmp_path: Path) -> None:
    tables, _ = split(200)
    other = Member(Role.HOST, GUEST.party)
    both = {GUEST: tables[GUEST], HOST: tables[HOST], other: tables[HOST]}
    p = params()
    training = case({**dict.fromkeys(both, p), ARBITER: p}, both)
    result = training.run(tmp_path / "train")
    again = training.predicting(result.outputs).run(tmp_path / "predict")
    first, second = (run.outputs[GUEST].data.columns["predict_score"].tolist() for run in (result, again))
    assert first == second
    names = {node.sitename for tree in guest_param(result.outputs).trees_ for node in tree.tree_ if not node.is_leaf}
    assert str(HOST) in names
    assert str(other) not in names


def test_sizes_that_do_not_fit_and_numbers_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, _ = split(100, "regression")
    large = changed(tables, GUEST, y=np.full(100, 1e60))
    with pytest.raises(DataError, match="FED-812"):
        case(params(task_type="regression"), large).run(tmp_path / "label")
    monkeypatch.setattr(tree_plan, "MOST_CUTS", 10)
    with pytest.raises(DataError, match="FED-811"):
        case(params(task_type="regression"), tables).run(tmp_path / "cuts")


@pytest.mark.parametrize(("rows", "cuts"), [(2**32, 10), (2**31, 1), (10**6, 2**16)])
def test_nobody_deals_for_hours_whatever_rows_and_candidates_are_named(rows: int, cuts: int) -> None:
    """T23: of rows that a guest names and bins that a host names, before anything is drawn."""
    Plan.of(params(), Start(10**5, 1, 0)).check(330 * 32)
    with pytest.raises(DataError, match=r"FED-811.*rows times candidates"):
        Plan.of(params(), Start(rows, 1, 0)).check(cuts)


def test_one_row_of_each_class(tmp_path: Path) -> None:
    x = np.array([[1.0, 2.0], [1.0, 3.0]])
    result = case(params(tree_param={"min_child_weight": 0.0}), cut(x, np.array([0.0, 1.0]), [1, 1])).run(tmp_path)
    scores = result.outputs[GUEST].data.columns["predict_score"]
    assert scores[0] < 0.5 < scores[1]


def test_what_the_trees_look_like(tmp_path: Path) -> None:
    result = case(params(num_trees=2), split(200)[0]).run(tmp_path)
    loss, trees, importance = (view.json() for view in result.outputs[GUEST].views)
    assert len(loss["series"][0]["y"]) == 2
    assert trees["rows"][0][2] == "all rows"
    assert any("guest_secret" in str(row[2]) for row in trees["rows"])
    assert sum(row[5] or 0 for row in trees["rows"] if row[0] == 0) == 200
    names = [row[0] for row in importance["rows"]]
    assert any(name.startswith("host_10000_") for name in names)
    assert not any("host_secret" in name for name in names)


def settled(members: list[Member], **given: Any) -> SecureBoostParams:
    p = SecureBoostParams.model_validate(given)
    found = {str(p.protocol): p for p in HETERO_SECUREBOOST.settle(dict.fromkeys(members, p)).values()}
    (one,) = found.values()
    assert isinstance(one, SecureBoostParams)
    return one


def test_auto_is_shared_with_a_dealer() -> None:
    members = [GUEST, HOST, ARBITER]
    assert settled(members).protocol == "shared"
    assert settled(members, num_trees=100).protocol == "shared"
    assert settled(members, protocol="shared").protocol == "shared"


@pytest.mark.parametrize(
    ("code", "members", "given"),
    [
        ("FED-181", [GUEST], {}),
        ("FED-181", [GUEST, Member(Role.GUEST, "2"), HOST], {}),
        ("FED-182", [GUEST, HOST], {"protocol": "shared"}),
        ("FED-182", [GUEST, HOST, Member(Role.ARBITER, HOST.party)], {"protocol": "shared"}),
    ],
)
def test_roles_that_do_not_fit(code: str, members: list[Member], given: dict[str, Any]) -> None:
    with pytest.raises(FedError, match=code):
        settled(members, **given)


@pytest.mark.parametrize("kind", ["binary", "multi", "regression"])
def test_a_training_goes_on_from_a_model(kind: str, tmp_path: Path) -> None:
    """Two rounds and two more are four."""
    tables, late = split(250, kind)
    task = {"task_type": "regression"} if kind == "regression" else {}
    whole = case(params(num_trees=4, **task), tables, late).run(tmp_path / "whole")
    first = case(params(num_trees=2, **task), tables, late).run(tmp_path / "first")
    second = case(params(num_trees=2, **task), tables, late)
    given = {m: replace(i, isometric_model=first.outputs[m].model) for m, i in second.inputs.items()}
    second = replace(second, inputs=given)
    result = second.run(tmp_path / "second")
    for run in (result, second.run(tmp_path / "killed", Faults(kill={HOST: second.points(tmp_path / "c")[HOST] - 4}))):
        expected, found = (one.outputs[GUEST].data.columns["predict_score"] for one in (whole, run))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert not run.unread
    assert guest_param(result.outputs).tree_num == guest_param(whole.outputs).tree_num
    assert len(host_param(result.outputs).trees_) == 4
    again = second.predicting(result.outputs).run(tmp_path / "predict").outputs[GUEST].data.columns["predict_score"]
    assert again.tolist() == result.outputs[GUEST].data.columns["predict_score"][:250].tolist()


def test_a_model_to_go_on_from_must_fit(tmp_path: Path) -> None:
    tables, _ = split(100)
    first = case(params(), tables).run(tmp_path / "first")
    other = case(
        params(), {**tables, HOST: replace(tables[HOST], columns=dict(list(tables[HOST].columns.items())[:2]))}
    )
    for training, members, code in (
        (other, (GUEST, HOST), "FED-810"),
        (case(params(), tables), (GUEST,), "FED-809"),
    ):
        given = {m: replace(i, isometric_model=first.outputs[m].model if m in members else None)
                 for m, i in training.inputs.items()}  # fmt: skip
        with pytest.raises(FedError, match=code):
            replace(training, inputs=given).run(tmp_path / code)
