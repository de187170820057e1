"""HeteroLR under protocol ``shared``: the result is that of the same steps in clear."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from federatedml.component import Inputs
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.linear_model import initial_weights
from federatedml.components.lr_result import META, PARAM
from federatedml.data.table import Kind, Table, read, write
from federatedml.errors import DataError, DslError, FedError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Member, Role
from tests.conformance import Case
from tests.lr_cases import breast, case, in_clear, param, params, small, table, weights
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST


def guest_data(result: Any) -> Table:
    data = result.outputs[GUEST].data
    assert data is not None
    return data


@pytest.mark.parametrize("penalty", ["NONE", "L2"])
def test_weights_and_scores_are_those_of_the_same_steps_in_clear(penalty: str, tmp_path: Path) -> None:
    p, (guest, host) = params(penalty=penalty, max_iter=30), breast()
    result, clear = case(p, (guest, host)).run(tmp_path), in_clear(p, guest, host)
    assert np.abs(weights(result.outputs) - clear.weights).max() < 0.003
    data = guest_data(result)
    auc = roc_auc_score(data.columns["label"], data.columns["predict_score"])
    assert abs(auc - roc_auc_score(guest.labels(), clear.scores)) < 0.001
    assert abs(result.outputs[GUEST].summary["loss"] - clear.loss) < 1e-3
    assert abs(param(result.outputs[GUEST]).loss_history[-1] - clear.loss) < 0.01


def test_auc_is_near_converged_scikit_learn(tmp_path: Path) -> None:
    guest, host = breast()
    data = guest_data(case(params(max_iter=30), (guest, host)).run(tmp_path))
    x, y = np.column_stack([guest.features(), host.features()]), guest.labels()
    pooled = LogisticRegression(C=1, max_iter=1000).fit(x, y).predict_proba(x)[:, 1]
    assert abs(roc_auc_score(y, pooled) - roc_auc_score(y, data.columns["predict_score"])) < 0.005


@pytest.mark.parametrize(
    "given",
    [
        {"batch_size": -1},
        {"batch_size": 16},
        {"batch_size": 1000},
        {"max_iter": 120, "batch_size": -1},
        {"learning_rate": 1.0, "penalty": "L2", "alpha": 0.1},
        {"init_param": {"init_method": "zeros", "fit_intercept": False}},
        {"init_param": {"init_method": "zeros", "fit_intercept": False}, "penalty": "L2", "alpha": 1.0},
        {"learning_rate": 1e-4, "batch_size": -1},
    ],
)
def test_batches_series_intercept_and_small_steps_follow_the_reference(given: dict[str, Any], tmp_path: Path) -> None:
    p, tables = params(**given), small()
    result, clear = case(p, tables).run(tmp_path), in_clear(p, *tables)
    found = weights(result.outputs)
    if not p.init_param.fit_intercept:
        assert found[2] == 0.0
        found = np.delete(found, 2)
    assert np.abs(found - clear.weights).max() < 1e-4 + 0.02 * p.learning_rate


@pytest.mark.parametrize("method", ["random_normal", "random_uniform", "ones", "const"])
def test_first_weights_are_drawn_by_each_party_and_repeatable(method: str, tmp_path: Path) -> None:
    init = {"init_method": method, "init_const": -0.5, "random_seed": 7}
    p, tables = params(init_param=init), small()
    start = np.concatenate([initial_weights(p.init_param, n, str(role)) for n, role in [(3, "guest"), (3, "host")]])
    found = weights(case(p, tables).run(tmp_path / "one").outputs)
    assert np.abs(found - in_clear(p, *tables, start).weights).max() < 0.003
    again = weights(case(p, tables).run(tmp_path / "two").outputs)
    assert np.abs(found - again).max() < HETERO_LR.reproducible


def test_random_first_weights_differ_between_parties_and_seeds() -> None:
    inits = [params(init_param={"random_seed": seed}).init_param for seed in (1, 2)]
    drawn = {tuple(initial_weights(init, 3, role)) for init in inits for role in ("guest", "host")}
    assert len(drawn) == 4


def test_a_guest_with_the_label_only_fits_the_intercept(tmp_path: Path) -> None:
    guest, host = small()
    only_label = replace(guest, columns={"y": guest.columns["y"]})
    result = case(params(), (only_label, host)).run(tmp_path)
    assert np.abs(weights(result.outputs) - in_clear(params(), only_label, host).weights).max() < 0.003


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1), (3.0, 7.5), (-1, 0)])
def test_any_two_label_values_become_0_and_1(labels: tuple[float, float], tmp_path: Path) -> None:
    guest, host = small()
    named = replace(guest, columns={**guest.columns, "y": np.array(labels)[guest.columns["y"]]})
    result = case(params(), (named, host)).run(tmp_path)
    assert guest_data(result).columns["label"].tolist() == guest.columns["y"].tolist()
    assert np.abs(weights(result.outputs) - in_clear(params(), guest, host).weights).max() < 0.003


def test_each_party_keeps_its_own_weights_only(tmp_path: Path) -> None:
    guest, host = small()
    outputs = case(params(penalty="L2"), (guest, host)).run(tmp_path).outputs
    assert (set(param(outputs[GUEST]).weight), list(param(outputs[GUEST]).header)) == ({"g0", "g1"}, ["g0", "g1"])
    assert (set(param(outputs[HOST]).weight), param(outputs[HOST]).intercept) == ({"h0", "h1", "h2"}, 0.0)
    assert outputs[HOST].data is None
    assert outputs[ARBITER].data is None
    assert (dict(param(outputs[ARBITER]).weight), param(outputs[ARBITER]).iters) == ({}, 3)
    meta = outputs[GUEST].model[META]
    assert (meta.penalty, meta.alpha, meta.protocol, meta.threshold) == ("L2", 0.01, "shared", 0.5)


def test_predictions_hold_result_score_and_detail(tmp_path: Path) -> None:
    p = params(predict_param={"threshold": 0.7})
    data = guest_data(case(p, small()).run(tmp_path))
    assert (data.kind, data.label, data.origin) == (Kind.PREDICTIONS, "label", "hetero_lr_0")
    assert list(data.columns) == ["label", "predict_result", "predict_score", "predict_detail", "type"]
    scores = data.columns["predict_score"]
    assert data.columns["predict_result"].tolist() == (scores > 0.7).astype(int).tolist()
    assert set(data.columns["type"]) == {"train"}
    for text, score in zip(data.columns["predict_detail"], scores, strict=True):
        assert json.loads(text) == {"0": pytest.approx(1 - score), "1": score}
    write(data, tmp_path / "predictions.parquet")
    assert read(tmp_path / "predictions.parquet").digest() == data.digest()


def test_evaluation_rows_come_after_training_rows(tmp_path: Path) -> None:
    guest, host = small(80)
    halves = [np.arange(0, 50), np.arange(50, 80)]
    train, held_out = [(guest.take(h), host.take(h)) for h in halves]
    data = guest_data(case(params(), train, held_out).run(tmp_path))
    assert list(data.ids) == list(guest.ids)
    assert data.columns["type"].tolist() == ["train"] * 50 + ["validate"] * 30
    assert data.columns["label"].tolist() == guest.columns["y"].tolist()


@pytest.mark.parametrize("values", [(1, 2), (3, 7), (-1, 0)])
def test_evaluation_rows_of_one_class_keep_the_trainings_meaning(values: tuple[int, int], tmp_path: Path) -> None:
    guest, host = small(80)
    named = replace(guest, columns={**guest.columns, "y": np.array(values)[guest.columns["y"]]})
    for positive in (0, 1):
        rows = np.flatnonzero(guest.columns["y"] == positive)[:12]
        held_out = named.take(rows), host.take(rows)
        data = guest_data(case(params(), (named, host), held_out).run(tmp_path / str(positive)))
        assert data.columns["label"][80:].tolist() == [positive] * 12


def test_a_label_that_training_did_not_have_is_refused(tmp_path: Path) -> None:
    guest, host = small(80)
    other = replace(guest, columns={**guest.columns, "y": guest.columns["y"] + 1})
    with pytest.raises(DataError, match=r"FED-257.*has a value that the training did not have.*'y'"):
        case(params(), (guest, host), (other, host)).run(tmp_path)


def test_evaluation_on_the_training_rows_keeps_ids_unique(tmp_path: Path) -> None:
    tables = small(30)
    data = guest_data(case(params(), tables, tables).run(tmp_path))
    assert len(set(data.ids)) == 60
    assert data.ids[30] == "row0.validate"
    scores = data.columns["predict_score"]
    assert np.array_equal(scores[:30], scores[30:])


def predict_case(models: Any, tables: tuple[Table, Table]) -> Case:
    inputs = {
        GUEST: Inputs({"eval_data": [tables[0]]}, model=models[GUEST].model),
        HOST: Inputs({"eval_data": [tables[1]]}, model=models[HOST].model),
        ARBITER: Inputs(model=models[ARBITER].model),
    }
    return Case(HETERO_LR, dict.fromkeys(inputs, params()), inputs, "hetero_lr_1")


def test_a_model_predicts_other_rows_without_training(tmp_path: Path) -> None:
    trained = case(params(), small()).run(tmp_path / "train")
    result = predict_case(trained.outputs, small()).run(tmp_path / "predict")
    data, before = guest_data(result), guest_data(trained)
    assert set(data.columns["type"]) == {"predict"}
    assert np.array_equal(data.columns["predict_score"], before.columns["predict_score"])
    assert {m.key.topic for m in result.sent} == {"same_rows", "partial_scores"}


def test_rows_without_label_are_predicted(tmp_path: Path) -> None:
    trained = case(params(), small()).run(tmp_path / "train")
    guest, host = small()
    unlabelled = replace(guest, columns={k: v for k, v in guest.columns.items() if k != "y"}, label=None)
    data = guest_data(predict_case(trained.outputs, (unlabelled, host)).run(tmp_path / "predict"))
    assert data.label is None
    assert "label" not in data.columns


def test_one_row_and_a_batch_score_alike_to_the_last_bit(tmp_path: Path) -> None:
    guest, host = breast()
    outputs = case(params(), (guest, host)).run(tmp_path).outputs
    partial, merge = HETERO_LR.scorer.partial, HETERO_LR.scorer.merge
    models = outputs[GUEST].model, outputs[HOST].model
    batch = guest_data(case(params(), (guest, host)).run(tmp_path / "again")).columns["predict_score"]
    batch = merge(models[0], partial(models[0], guest), [partial(models[1], host)])
    for i in range(0, len(guest), 7):
        one = np.array([i])
        row = merge(models[0], partial(models[0], guest.take(one)), [partial(models[1], host.take(one))])
        assert row[0] == batch[i]


def test_batch_prediction_is_the_scorer(tmp_path: Path) -> None:
    guest, host = small()
    result = case(params(), (guest, host)).run(tmp_path)
    models = [result.outputs[m].model for m in (GUEST, HOST)]
    partials = [HETERO_LR.scorer.partial(m, t) for m, t in zip(models, (guest, host), strict=True)]
    scores = HETERO_LR.scorer.merge(models[0], partials[0], partials[1:])
    assert np.array_equal(scores, guest_data(result).columns["predict_score"])


def test_columns_are_found_by_name_and_a_missing_one_is_named(tmp_path: Path) -> None:
    guest, host = small()
    model = case(params(), (guest, host)).run(tmp_path).outputs[HOST].model
    turned = replace(host, columns=dict(reversed(host.columns.items())))
    assert np.array_equal(HETERO_LR.scorer.partial(model, host), HETERO_LR.scorer.partial(model, turned))
    lacking = replace(host, columns={k: v for k, v in host.columns.items() if k != "h1"})
    with pytest.raises(DataError, match=r"is missing.*'h1'"):
        HETERO_LR.scorer.partial(model, lacking)


@pytest.mark.parametrize("side", [0, 1])
def test_evaluation_rows_that_are_not_finite_are_refused_not_scored(side: int, tmp_path: Path) -> None:
    name = ("g1", "h2")[side]
    held_out = spoiled(side, **{name: np.where(np.arange(50) == 3, np.nan, RAMP)})
    with pytest.raises(DataError, match="FED-253"):
        case(params(), small(), held_out).run(tmp_path)


def test_extreme_scores_do_not_overflow() -> None:
    scores = HETERO_LR.scorer.merge({}, np.array([-1e4, 0.0, 1e4]), [])
    assert scores.tolist() == [0.0, 0.5, 1.0]


def test_need_run_false_passes_data_through(tmp_path: Path) -> None:
    guest, host = small()
    result = case(params(need_run=False), (guest, host)).run(tmp_path)
    assert result.outputs[GUEST].data is guest
    assert result.outputs[HOST].data is host
    assert result.sent == []


def test_training_stops_when_the_loss_stands_still(tmp_path: Path) -> None:
    result = case(params(max_iter=100, eps=1e-3), small(200)).run(tmp_path)
    history = param(result.outputs[GUEST])
    assert 3 < history.iters < 100
    assert history.is_converged
    assert param(result.outputs[HOST]).is_converged
    assert abs(history.loss_history[-1] - history.loss_history[-2]) < 1e-3
    summary = result.outputs[GUEST].summary
    assert (summary["epochs"], summary["is_converged"]) == (history.iters, 1.0)


def test_abs_convergence_looks_at_the_loss_itself(tmp_path: Path) -> None:
    result = case(params(converge_func="abs", eps=0.6, max_iter=50), small(200)).run(tmp_path)
    history = list(param(result.outputs[GUEST]).loss_history)
    assert history[-1] < 0.6 <= min(history[:-1])


def test_loss_is_reported_once_an_epoch_and_drawn(tmp_path: Path) -> None:
    told: list[tuple[Any, float, str]] = []
    the_case = case(params(max_iter=4), small())
    network = LocalNetwork(tmp_path)
    result = network.run(HETERO_LR, the_case.params, the_case.inputs, "lr", on_progress=lambda *news: told.append(news))
    points = result.metrics[GUEST]
    assert [(p.namespace, p.name, p.key, p.round) for p in points] == [("train", "loss", i, i) for i in range(1, 5)]
    assert [p.value for p in points] == list(param(result.outputs[GUEST]).loss_history)
    assert np.allclose([p.value for p in result.metrics[HOST]], [p.value for p in points], atol=5.1e-5)
    assert result.metrics[ARBITER] == []
    (view,) = result.outputs[GUEST].views
    assert (view.namespace, view.name, view.metric_type, view.series[0].x) == ("train", "loss", "LOSS", [1, 2, 3, 4])
    assert view.meta == {"name": "train", "unit_name": "iters"}
    assert {member for member, *_ in told} == {GUEST, HOST, ARBITER}
    assert max(done for _, done, _ in told) == 1.0


def spoiled(side: int, **columns: Any) -> tuple[Table, Table]:
    tables = list(small())
    changed = {**tables[side].columns, **{k: np.asarray(v) for k, v in columns.items()}}
    tables[side] = replace(tables[side], columns=changed)
    return tables[0], tables[1]


def standardised(values: Any) -> Any:
    return (values - values.mean()) / values.std()


RAMP = np.linspace(-1, 1, 50)


@pytest.mark.parametrize(
    ("tables", "error"),
    [
        (spoiled(0, g1=np.where(np.arange(50) == 3, np.nan, RAMP)), r"holds values that are not finite.*'g1'"),
        (spoiled(1, h2=RAMP * 1e5), r"is not scaled.*'h2'"),
        (spoiled(1, h0=RAMP * 1e200), r"is not scaled.*'h0'"),
        (spoiled(1, h2=RAMP * 1e-3), r"is not scaled.*'h2'"),
        (spoiled(1, h1=(np.arange(50) < 9).astype(float)), r"singles out fewer than 10 rows.*'h1'"),
        (spoiled(1, h1=standardised(np.arange(50) < 9)), r"singles out fewer than 10 rows.*'h1'"),
        (spoiled(0, g1=standardised(np.arange(50) >= 9)), r"singles out fewer than 10 rows.*'g1'"),
        (spoiled(1, h1=np.where(np.arange(50) == 3, 1.0, 1e-9)), r"singles out fewer than 10 rows.*'h1'"),
        (spoiled(1, h1=np.where(np.arange(50) == 3, 1.0, 0.0)), r"singles out fewer than 10 rows.*'h1'.*Selection"),
        (
            tuple(replace(data, copies=2) for data in spoiled(1, h1=(np.arange(50) < 15).astype(float))),
            r"singles out fewer than 20 rows.*'h1'",
        ),
        (small(50, 2, 26), "FED-259.*the host has 26 weights for 50 rows"),
        (spoiled(0, g0=np.array(["a"] * 50, dtype=object)), r"is not numeric.*'g0'"),
        (spoiled(0, y=np.arange(50) % 3), r"the label has 3 classes.*'y'"),
        (spoiled(0, y=np.ones(50)), r"the label has 1 classes.*'y'"),
        (
            spoiled(0, y=np.array(["yes", "no"] * 25, dtype=object)),
            r"the label is not numeric.*'y'.*label_type int or float of DataIO",
        ),
        ((small()[0], small(seed=1)[1].take(np.arange(50)[::-1])), "the same samples in the same order"),
        ((small()[1], small()[1]), "no label"),
        ((small()[0], replace(small()[1], columns={})), "0 columns of host_10000"),
    ],
)
def test_data_that_cannot_be_used_is_refused_by_name(tables: tuple[Table, Table], error: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=error) as caught:
        case(params(), tables).run(tmp_path)
    assert not re.search(r"'[gh]\d'", caught.value.message), "names of columns cross the border"


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov_momentum_sgd", "adam", "rmsprop", "adagrad"])
@pytest.mark.parametrize("protocol", ["shared", "paillier"])
def test_a_column_of_zeros_has_no_gradient_and_no_weight(protocol: str, optimizer: str, tmp_path: Path) -> None:
    guest, host = small(120, 2, 3)
    more = tuple(replace(t, columns={**t.columns, "zero": np.zeros(120)}) for t in (guest, host))
    given = {"protocol": protocol, "optimizer": optimizer, "batch_size": 40, "penalty": "L2", "learning_rate": 0.05}
    drawn = {"init_param": {"init_method": "random_normal"}, "encrypt_param": {"key_length": 1024}}
    outputs = case(params(**given, **drawn), more).run(tmp_path).outputs
    assert [param(outputs[member]).weight["zero"] for member in (GUEST, HOST)] == [0.0, 0.0]
    assert all(weights(outputs)[[0, 1, 3, 4, 5, 6]])


def test_a_column_of_zeros_leaves_the_other_weights_as_they_are(tmp_path: Path) -> None:
    guest, host = small(120, 2, 3)
    more = replace(host, columns={**host.columns, "zero": np.zeros(120)})
    found = [weights(case(params(), (guest, t)).run(tmp_path / str(len(t.header))).outputs) for t in (host, more)]
    assert np.allclose(found[0], found[1][:-1], atol=1e-3)


def test_a_model_to_start_from_keeps_its_weight_of_a_column_that_is_zero_now(tmp_path: Path) -> None:
    before = case(params(), small()).run(tmp_path / "before").outputs
    one = case(params(max_iter=1), spoiled(1, h1=np.zeros(50)))
    one = replace(one, inputs={m: replace(i, isometric_model=before[m].model) for m, i in one.inputs.items()})
    again = one.run(tmp_path / "again").outputs
    assert param(again[HOST]).weight["h1"] == pytest.approx(param(before[HOST]).weight["h1"], abs=1e-5)


@pytest.mark.parametrize("column", [np.ones(50), standardised(np.arange(50) < 10)], ids=["constant", "ten rows"])
def test_columns_that_single_out_no_row_or_enough_are_taken(column: Any, tmp_path: Path) -> None:
    assert case(params(), spoiled(1, h1=column)).run(tmp_path).outputs[HOST].model is not None


def test_the_summary_tells_how_many_equations_are_released(tmp_path: Path) -> None:
    outputs = case(params(), small()).run(tmp_path).outputs
    for member in (GUEST, HOST):
        summary = outputs[member].summary
        assert (summary["equations_revealed"], summary["rows_per_equation"]) == (3, 16.67)


def test_running_away_is_noticed(tmp_path: Path) -> None:
    shifted = spoiled(1, h0=small()[1].columns["h0"] + 40)
    with pytest.raises(DataError, match=r"FED-256.*runs away"):
        case(params(learning_rate=0.5, max_iter=20), shifted).run(tmp_path)


def test_columns_that_start_beyond_the_range_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="FED-256"):
        case(params(init_param={"init_method": "const", "init_const": 30.0}), small()).run(tmp_path)


@pytest.mark.parametrize("member", [HOST, ARBITER])
def test_parameters_that_differ_are_refused_at_run_time(member: Any, tmp_path: Path) -> None:
    the_case = case(params(), small())
    given = {**the_case.params, member: params(learning_rate=0.2)}
    with pytest.raises(DslError, match="FED-180"):
        replace(the_case, params=given).run(tmp_path)


def test_members_are_settled_before_anything_runs() -> None:
    good = dict.fromkeys((GUEST, HOST, ARBITER), params())
    assert HETERO_LR.settle(good) == good
    other_threshold = {**good, HOST: params(predict_param={"threshold": 0.1})}
    assert HETERO_LR.settle(other_threshold) == other_threshold
    assert set(HETERO_LR.settle({**good, OTHER_HOST: params()})) == {*good, OTHER_HOST}
    with pytest.raises(DslError, match="guest, host"):
        HETERO_LR.settle({GUEST: params(), HOST: params()})
    with pytest.raises(DslError, match="differ between parties"):
        HETERO_LR.settle({**good, HOST: params(max_iter=5)})


def test_the_dealer_is_a_party_of_its_own() -> None:
    dealer_is_guest = dict.fromkeys((GUEST, HOST, Member(Role.ARBITER, GUEST.party)), params())
    with pytest.raises(DslError, match="a party apart"):
        HETERO_LR.settle(dealer_is_guest)


@pytest.mark.parametrize(
    "topic", ["masked_features", "masked_predictor", "masked_step", "epoch_sums", "partial_scores"]
)
def test_a_message_of_another_shape_is_refused(topic: str, tmp_path: Path) -> None:
    class Cutting:
        """The host's transport, which shortens what it encodes for one topic."""

        def __init__(self, box: Box) -> None:
            self.send_whole, self.box = box.send, box

        def send(self, sent: Any, value: Any, *rest: Any, **named: Any) -> None:
            if sent.name == topic:
                value = {k: v[:-1] for k, v in value.items()} if isinstance(value, dict) else value[:-1]
            self.send_whole(sent, value, *rest, **named)

    def host(p: Any, box: Box, inputs: Inputs) -> Any:
        box.send = Cutting(box).send  # type: ignore[method-assign]
        return HETERO_LR.roles[Role.HOST](p, box, inputs)

    hostile = replace(HETERO_LR, roles={**HETERO_LR.roles, Role.HOST: host})
    with pytest.raises(ProtocolError, match="FED-381"):
        replace(case(params(), small()), component=hostile).run(tmp_path)


def test_rows_are_batched_by_their_ids_not_by_their_place(tmp_path: Path) -> None:
    guest, host = small()
    renamed = np.array([f"other{i}" for i in range(50)], dtype=object)
    tables = [
        table(ids, t.features(), p, t.columns.get("y")) for ids, t, p in [(renamed, guest, "g"), (renamed, host, "h")]
    ]
    p = params(batch_size=10)
    one, other = (
        weights(case(p, t).run(tmp_path / n).outputs) for n, t in [("a", (guest, host)), ("b", tuple(tables))]
    )
    assert np.abs(one - other).max() > 0.003


def test_errors_never_hold_values(tmp_path: Path) -> None:
    with pytest.raises(FedError) as caught:
        case(params(), spoiled(1, h2=RAMP * 123456.0)).run(tmp_path)
    assert "123456" not in str(caught.value)


def test_buffers_parse_back(tmp_path: Path) -> None:
    model = case(params(), small()).run(tmp_path).outputs[GUEST].model
    stored = {name: message.SerializeToString() for name, message in model.items()}
    assert HETERO_LR.model.parse(stored)[PARAM] == model[PARAM]
