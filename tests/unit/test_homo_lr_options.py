"""HomoLR: weights of rows and parties, held-out rows, other starts, and every way in which members do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from federatedml.components.homo_lr import HOMO_LR
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, FedError, PolicyError
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Member, Role
from tests.homo_cases import (
    THREE,
    TWO,
    by_rows,
    case,
    contributing,
    in_clear,
    param,
    params,
    rows,
    table,
    weights,
    without,
)
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST

Tables = dict[Member, Table]


def breast() -> tuple[Tables, Table]:
    """Rows of three parties, and others to test."""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    order = np.random.default_rng(5).permutation(len(x))
    parts = [
        table(np.array([f"r{i}" for i in at], object), x[at], data.target[at]) for at in np.split(order, [80, 250, 400])
    ]
    return dict(zip(THREE, parts[:3], strict=True)), parts[3]


def pooled(tables: Tables) -> Table:
    found = list(tables.values())
    columns = {name: np.concatenate([own.columns[name] for own in found]) for name in found[0].columns}
    return Table(np.concatenate([own.ids for own in found]), columns, "y")


def test_the_model_is_as_good_as_one_on_pooled_rows(tmp_path: Path) -> None:
    tables, test = breast()
    p = params(optimizer="rmsprop", max_iter=30, batch_size=320)
    found = case(p, tables, dict.fromkeys(THREE, test)).run(tmp_path).outputs[HOST].data
    assert found is not None
    at = found.columns["type"] == "validate"
    ours = roc_auc_score(test.labels(), found.columns["predict_score"][at].astype(float))
    whole = pooled(tables)
    central = LogisticRegression(C=1.0, max_iter=1000).fit(whole.features(), whole.labels())
    assert abs(ours - roc_auc_score(test.labels(), central.decision_function(test.features()))) <= 0.005


def test_one_step_on_all_rows_is_the_step_on_pooled_rows(tmp_path: Path) -> None:
    """With weights of rows, too: each row counts as it would in one table."""
    tables, random = rows(), np.random.default_rng(3)
    scales = {member: random.random(len(own)) for member, own in tables.items()}
    weighted = {m: replace(own, columns={**own.columns, "w": scales[m]}) for m, own in tables.items()}
    p = params(batch_size=-1, max_iter=1, penalty="NONE", sample_weight_name="w")
    found = weights(case(p, weighted).run(tmp_path).outputs[GUEST])
    x = np.column_stack([pooled(tables).features(), np.ones(sum(map(len, tables.values())))])
    s, y = np.concatenate([scales[m] for m in tables]), pooled(tables).labels()
    np.testing.assert_allclose(found, -0.15 * x.T @ (s * (0.5 - y)) / s.sum(), atol=1e-9)


def test_the_weights_of_the_table_count_and_are_no_feature(tmp_path: Path) -> None:
    """Weight 2 is a row twice."""
    tables = rows(TWO, (12, 9))
    twice = np.arange(12) % 3 == 0
    p, own = params(batch_size=-1), tables[GUEST]
    doubled = own.take(np.concatenate([np.arange(12), np.flatnonzero(twice)]))
    doubled = replace(doubled, ids=np.array([f"d{i}" for i in range(len(doubled))], object))
    heavy = replace(own, columns={**own.columns, "w": 1.0 + twice}, weight="w")
    one, other = (
        weights(case(p, {**tables, GUEST: given}).run(tmp_path / name).outputs[HOST])
        for name, given in (("twice", doubled), ("heavy", heavy))
    )
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_party_weight_and_class_weight_are_of_the_party(tmp_path: Path) -> None:
    tables = rows(TWO, (20, 20))
    heavy, light = params(party_weight=3), params()
    found = case({GUEST: heavy, HOST: light, ARBITER: light}, tables).run(tmp_path / "party").outputs
    clear = in_clear(light, tables, {GUEST: 0.75, HOST: 0.25})
    np.testing.assert_allclose(weights(found[HOST]), clear.weights, atol=1e-9)
    balanced = case({GUEST: params(class_weight="balanced"), HOST: light, ARBITER: light}, tables)
    found = balanced.run(tmp_path / "class").outputs
    assert not np.allclose(weights(found[HOST]), in_clear(light, tables, by_rows(tables)).weights, atol=1e-3)


def test_training_stops_when_held_out_rows_say_so_and_keeps_the_best(tmp_path: Path) -> None:
    """Labels of most held-out rows are turned round: every round makes it worse, although not at the host."""
    tables = rows()
    wrong = replace(tables[GUEST], columns={**tables[GUEST].columns, "y": 1 - tables[GUEST].labels()})
    p = params(early_stopping_rounds=2, metrics=["loss"], max_iter=9)
    run = case(p, tables, {GUEST: wrong, HOST: tables[HOST].take(np.arange(9))}).run(tmp_path)
    clear = in_clear(params(max_iter=1), tables, by_rows(tables))
    for outputs in contributing(run.outputs).values():
        assert outputs.summary["epochs"] == 3
        assert outputs.summary["best_epoch"] == 1
        np.testing.assert_allclose(weights(outputs), clear.weights, atol=1e-9)
    assert run.outputs[ARBITER].summary == {"epochs": 3, "is_converged": 0}
    looks = {m: [point.name for point in found if point.namespace == "validate"] for m, found in run.metrics.items()}
    assert looks == {GUEST: ["loss"] * 3, HOST: ["loss"] * 3, OTHER_HOST: [], ARBITER: ["loss"] * 3}
    values = [[point.value for point in run.metrics[m] if point.namespace == "validate"] for m in (*TWO, ARBITER)]
    np.testing.assert_allclose(values[2], (40 * np.array(values[0]) + 9 * np.array(values[1])) / 49, atol=1e-5)
    assert values[1] == sorted(values[1], reverse=True)


def test_rows_of_one_class_count_for_the_loss_only(tmp_path: Path) -> None:
    tables = rows()
    ones = {member: own.take(np.flatnonzero(own.labels() == 1)) for member, own in tables.items()}
    p = params(early_stopping_rounds=5, metrics=["loss", "auc"])
    run = case(p, tables, {**ones, HOST: tables[HOST]}).run(tmp_path / "one")
    aucs = {m: [point.value for point in found if point.name == "auc"] for m, found in run.metrics.items()}
    assert [len(aucs[m]) for m in (GUEST, HOST, OTHER_HOST, ARBITER)] == [0, 3, 0, 3]
    np.testing.assert_allclose(aucs[ARBITER], aucs[HOST], atol=1e-5)
    with pytest.raises(DataError, match=r"FED-897.*measure auc"):
        case(p, tables, ones).run(tmp_path / "none")


@pytest.mark.parametrize(("function", "eps"), [("diff", 0.02), ("abs", 0.55), ("weight_diff", 0.05)])
def test_training_stops_when_it_has_converged(function: str, eps: float, tmp_path: Path) -> None:
    p = params(converge_func=function, eps=eps, max_iter=50)
    found = case(p, rows()).run(tmp_path).outputs
    assert {out.summary["is_converged"] for out in found.values()} == {1.0}
    epochs = {out.summary["epochs"] for out in found.values()}
    assert len(epochs) == 1
    assert 1 < epochs.pop() < 50


@pytest.mark.parametrize(
    ("change", "error"), [({"y": np.full(25, 7)}, "FED-257"), ({"x1": np.full(25, np.nan)}, "FED-253")]
)
def test_held_out_rows_are_checked_before_the_training(change: dict[str, Any], error: str, tmp_path: Path) -> None:
    tables = rows()
    odd = replace(tables[HOST], columns={**tables[HOST].columns, **change})
    network = LocalNetwork(tmp_path)
    with pytest.raises(DataError, match=error):
        case(params(), tables, {HOST: odd}).over(network)
    assert "update" not in {message.key.topic for message in network.sent}


def test_any_partys_held_out_rows_may_stop_a_training(tmp_path: Path) -> None:
    tables = rows()
    p = params(early_stopping_rounds=1, metrics=["loss"])
    run = case(p, tables, {HOST: tables[HOST]}).run(tmp_path)
    assert {out.summary["epochs"] for out in run.outputs.values()} == {3}
    assert run.outputs[GUEST].summary["best_epoch"] == 3


def test_looks_are_every_so_many_epochs_and_losses_every_average(tmp_path: Path) -> None:
    tables = rows()
    p = params(max_iter=7, aggregate_iters=2, validation_freqs=3, metrics=["auc", "loss"])
    run = case(p, tables, tables).run(tmp_path)
    keys = {
        name: [point.key for point in run.metrics[HOST] if (point.namespace, point.name) == name]
        for name in (("train", "loss"), ("validate", "auc"))
    }
    assert keys == {("train", "loss"): [2, 4, 6, 7], ("validate", "auc"): [4, 6]}
    assert run.outputs[HOST].views[0].json()["series"][0]["x"] == [2, 4, 6, 7]
    assert "looked" not in {message.key.topic for message in run.sent}


def test_a_training_goes_on_from_another_model(tmp_path: Path) -> None:
    tables, p = rows(), params(optimizer="sgd", max_iter=2)
    first = case(p, tables).run(tmp_path / "first").outputs
    models = {member: out.model for member, out in first.items()}
    again = case(p, tables)
    again = replace(again, inputs={m: replace(given, isometric_model=models[m]) for m, given in again.inputs.items()})
    found = again.run(tmp_path / "again").outputs[GUEST]
    np.testing.assert_allclose(weights(found), in_clear(params(max_iter=4), tables, by_rows(tables)).weights, atol=1e-9)
    other = replace(again, inputs={**again.inputs, HOST: replace(again.inputs[HOST], isometric_model=None)})
    with pytest.raises(DataError, match=r"FED-892.*starts with other weights"):
        other.run(tmp_path / "other")


def test_columns_may_be_in_any_order(tmp_path: Path) -> None:
    tables = rows()
    own = tables[HOST].columns
    turned = {**tables, HOST: replace(tables[HOST], columns={name: own[name] for name in reversed(own)})}
    one, other = (case(params(), given).run(tmp_path / name).outputs for name, given in (("a", tables), ("b", turned)))
    np.testing.assert_allclose(weights(one[GUEST]), weights(other[GUEST]), atol=1e-12)
    assert list(param(other[HOST]).header) == ["x2", "x1", "x0"]


def test_a_party_may_have_one_row_of_one_class_and_constant_columns(tmp_path: Path) -> None:
    tables = rows(sizes=(30, 1, 25))
    still = replace(tables[OTHER_HOST], columns={**tables[OTHER_HOST].columns, "x1": np.zeros(25)})
    p = params(class_weight="balanced")
    found = case(p, {**tables, OTHER_HOST: still}).run(tmp_path).outputs
    assert {len(np.unique(tables[HOST].labels())), len(found[HOST].data or ())} == {1}
    assert list(param(found[HOST]).classes) == [0, 1]


def test_guest_and_host_may_be_roles_of_one_party(tmp_path: Path) -> None:
    both = Member(Role.HOST, GUEST.party)
    tables = rows((GUEST, both, HOST))
    found = case(params(), tables).run(tmp_path).outputs
    np.testing.assert_allclose(weights(found[both]), in_clear(params(), tables, by_rows(tables)).weights, atol=1e-9)


def test_data_pass_through_if_it_does_not_run(tmp_path: Path) -> None:
    tables = rows()
    found = case(params(need_run=False), tables).run(tmp_path)
    assert not found.sent
    assert all(found.outputs[member].data is tables[member] for member in THREE)


# What does not fit


def _edited(member: Member, **columns: Any) -> Tables:
    tables = rows()
    own = tables[member]
    return {**tables, member: replace(own, columns={**own.columns, **columns})}


def _twelve(value: float) -> np.ndarray:
    column = np.ones(25)
    column[3] = value
    return column


REFUSED: Mapping[str, tuple[Tables, dict[str, Any], str]] = {
    "no rows": ({**rows(), HOST: rows()[HOST].take(np.zeros(0, np.int64))}, {}, "FED-890"),
    "nan": (_edited(HOST, x1=_twelve(np.nan)), {}, "FED-253.*'x1'"),
    "infinite": (_edited(HOST, x1=_twelve(np.inf)), {}, "FED-253.*'x1'"),
    "text": (_edited(HOST, x1=np.array(["a"] * 25, object)), {}, "FED-253.*'x1'"),
    "three classes": (_edited(HOST, y=np.arange(25) % 3), {}, "FED-257.*has 3 classes.*'y'"),
    "labels that are not the same": (_edited(HOST, y=np.arange(25) % 2 + 1), {}, "FED-257.*3 classes together"),
    "one class": (
        {m: replace(t, columns={**t.columns, "y": np.ones(len(t))}) for m, t in rows().items()},
        {},
        "FED-257",
    ),
    "no label": ({**rows(), HOST: replace(without(rows()[HOST], "y"), label=None)}, {}, "FED-203"),
    "a column less": ({**rows(), HOST: without(rows()[HOST], "x2")}, {}, "FED-891.*[23] columns here, [23] at"),
    "another name": (_edited(HOST, x1=np.ones(25), other=np.ones(25)), {}, "FED-891"),
    "no weight": (rows(), {"sample_weight_name": "w"}, "FED-721"),
    "weights of nothing": (
        {m: replace(t, columns={**t.columns, "w": np.zeros(len(t))}) for m, t in rows().items()},
        {"sample_weight_name": "w"},
        "FED-721.*weigh nothing",
    ),
    "a negative weight": (
        {m: replace(t, columns={**t.columns, "w": -np.ones(len(t))}) for m, t in rows().items()},
        {"sample_weight_name": "w"},
        "FED-721.*negative",
    ),
    "nothing to look at": (rows(), {"validation_freqs": 1}, "FED-722"),
    "running away": (_edited(GUEST, x1=1e200 * np.arange(40)), {"max_iter": 2}, "FED-761"),
}


@pytest.mark.parametrize(("tables", "given", "error"), REFUSED.values(), ids=REFUSED)
def test_data_that_do_not_fit_are_refused(tables: Tables, given: dict[str, Any], error: str, tmp_path: Path) -> None:
    with pytest.raises(FedError, match=error) as found:
        case(params(**given), tables).run(tmp_path)
    assert "other" not in str(found.value), "names of a party's columns stay there"


def test_other_parameters_are_refused_before_rows_are_compared(tmp_path: Path) -> None:
    for odd in (HOST, ARBITER):
        given = {member: params(max_iter=4 if member == odd else 3) for member in (*THREE, ARBITER)}
        with pytest.raises(DslError, match="FED-180"):
            case(given, rows()).run(tmp_path / str(odd))


MEMBERS: Mapping[str, tuple[tuple[Member, ...], int, str | None]] = {
    "three": ((ARBITER, *THREE), 3, None),
    "two": ((ARBITER, *TWO), 3, "FED-893.*2 parties, min_contributors is 3.*each learns the other's"),
    "two, as agreed": ((ARBITER, *TWO), 2, None),
    "two of one party": ((ARBITER, GUEST, HOST, Member(Role.HOST, GUEST.party)), 3, "FED-893"),
    "no arbiter": (THREE, 3, "FED-181"),
    "no host": ((ARBITER, GUEST), 2, "FED-181"),
}


@pytest.mark.parametrize(("members", "least", "error"), MEMBERS.values(), ids=MEMBERS)
def test_members_are_settled_before_anything_runs(members: tuple[Member, ...], least: int, error: str | None) -> None:
    submitted = dict.fromkeys(members, params(min_contributors=least))
    if error is None:
        assert HOMO_LR.settle(submitted) == submitted
        return
    with pytest.raises(DslError, match=error):
        HOMO_LR.settle(submitted)


def test_own_parameters_may_differ_and_common_ones_not() -> None:
    own = params(party_weight=2, class_weight="balanced", encrypt_param={"method": None}, re_encrypt_batches=3)
    HOMO_LR.settle({GUEST: own, HOST: params(), ARBITER: params()})
    with pytest.raises(DslError, match="FED-180"):
        HOMO_LR.settle({GUEST: params(alpha=0.5), HOST: params(), ARBITER: params()})


def test_a_party_does_not_contribute_to_a_sum_of_too_few(tmp_path: Path) -> None:
    """Although nobody settled the parameters."""
    with pytest.raises(PolicyError, match="FED-763"):
        case(params(min_contributors=3), rows(TWO)).run(tmp_path)


def test_an_exception_for_two_is_shown() -> None:
    for least, shown in ((2, True), (3, False)):
        learns = HOMO_LR.variant(HOMO_LR, params(min_contributors=least)).learns
        assert any("EXCEPTION" in text for text in learns[Role.HOST]) == shown


@pytest.mark.parametrize("method", ["Paillier", "paillier", None, "Plain"])
def test_fates_encrypted_host_is_accepted_with_a_note(method: str | None) -> None:
    p = HomoLogisticParams.model_validate({"encrypt_param": {"method": method}, "re_encrypt_batches": 5, "tol": 0.1})
    assert p.eps == 0.1
    assert any("re_encrypt_batches has no effect" in note for note in HOMO_LR.notes(p))
    assert not list(HOMO_LR.notes(HomoLogisticParams()))
    with pytest.raises(ValueError, match="affine"):
        HomoLogisticParams.model_validate({"encrypt_param": {"method": "IterativeAffine"}})
    with pytest.raises(ValueError, match="two names of one parameter"):
        HomoLogisticParams.model_validate({"eps": 0.1, "tol": 0.1})


def test_a_model_is_given_but_a_column_is_missing(tmp_path: Path) -> None:
    tables = rows()
    found = case(params(), tables).run(tmp_path / "train").outputs[HOST].model
    assert HOMO_LR.scorer is not None
    assert HOMO_LR.scorer.alone
    assert found is not None
    with pytest.raises(DataError, match=r"FED-258.*'x1'"):
        HOMO_LR.scorer.partial(found, without(tables[HOST], "x1"))  # type: ignore[misc]
