"""Every option of HeteroLR under protocol ``shared`` gives what the same steps in clear give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from federatedml.component import Inputs
from federatedml.components.lr_plan import motion_of
from federatedml.components.lr_validation import Patience
from federatedml.crypto.series import series
from federatedml.data.table import Table
from federatedml.errors import DataError
from federatedml.federation.local import LocalNetwork
from tests.lr_cases import HOSTS, Clear, bodies, breast, case, in_clear, param, params, small, spread, weights
from tests.members import ARBITER, GUEST

MOTIONS: list[dict[str, Any]] = [
    {},
    {"penalty": "L2", "alpha": 0.05},
    {"optimizer": "nesterov_momentum_sgd", "learning_rate": 0.05},
    {"optimizer": "nesterov_momentum_sgd", "learning_rate": 0.05, "penalty": "L2", "alpha": 0.05},
    {"converge_func": "weight_diff"},
    {"decay": 0.5},
    {"decay": 1.0, "decay_sqrt": False, "penalty": "L2", "alpha": 0.05, "optimizer": "nesterov_momentum_sgd"},
    {"optimizer": "rmsprop", "learning_rate": 0.05, "batch_size": 60},
    {"optimizer": "adam", "learning_rate": 0.05, "penalty": "L1", "alpha": 0.5, "batch_size": -1},
    {"optimizer": "adagrad", "learning_rate": 0.1, "penalty": "L2", "alpha": 0.5, "batch_size": -1},
    {"class_weight": "balanced"},
    {"class_weight": {"0": 1.5, "1": 0.25}, "penalty": "L2"},
    {"class_weight": {"0": 1.5, "1": 0.25}, "optimizer": "adam", "learning_rate": 0.05, "batch_size": -1},
]


def near(found: Any, clear: Clear, tolerance: float) -> bool:
    return bool(np.abs(found - clear.weights).max() < tolerance)


@pytest.mark.parametrize("given", MOTIONS, ids=str)
@pytest.mark.parametrize("hosts", [1, 3])
def test_weights_are_those_of_the_same_steps_in_clear(given: dict[str, Any], hosts: int, tmp_path: Path) -> None:
    p, pooled = params(**{"batch_size": 40, "max_iter": 5, **given}), small(120, 2, 4)
    result = spread(p, *pooled, hosts).run(tmp_path)
    motion, clear = motion_of(p), in_clear(p, *pooled)
    sines = series(128, 32) if motion.momentum or motion.opened else series(64, 16)
    assert near(weights(result.outputs), in_clear(p, *pooled, sines=sines), 5e-4)
    assert near(weights(result.outputs), clear, 0.01)
    told = param(result.outputs[GUEST]).loss_history[-1]
    assert abs(told - in_clear(replaced(p, max_iter=4), *pooled).weighted_loss) < 0.1
    assert not result.unread


def replaced(p: Any, **given: Any) -> Any:
    return p.model_copy(update=given)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov_momentum_sgd"])
def test_several_hosts_do_not_bias_small_steps(optimizer: str, tmp_path: Path) -> None:
    """Steps are a few units of the last place: rounding down at every party would show in all weights."""
    p = params(optimizer=optimizer, learning_rate=2e-3, max_iter=40, batch_size=30)
    pooled = small(120, 2, 4)
    runs = [weights(spread(p, *pooled, 3).run(tmp_path / str(run)).outputs) for run in range(2)]
    clear = in_clear(p, *pooled, sines=series(64, 16)).weights
    assert abs((np.mean(runs, axis=0) - clear).mean()) < 3.5e-4  # 1.2e-4 +- 3e-5; biased by half a unit a step 6e-4


@pytest.mark.parametrize("penalty", ["NONE", "L2"])
def test_a_column_of_weights_is_no_feature(penalty: str, tmp_path: Path) -> None:
    guest, host = small(80)
    given = np.random.default_rng(5).random(80) * 3
    weighed = replace(guest, columns={**guest.columns, "trust": given})
    p = params(sample_weight_name="trust", penalty=penalty)
    result = case(p, (weighed, host)).run(tmp_path)
    assert list(param(result.outputs[GUEST]).header) == ["g0", "g1"]
    assert near(weights(result.outputs), in_clear(p, weighed, host), 0.004)
    assert not near(weights(result.outputs), in_clear(params(penalty=penalty), guest, host), 0.004)


@pytest.mark.parametrize(
    ("given", "column", "error"),
    [
        ({"sample_weight_name": "trust"}, None, "lacks the column.*'trust'"),
        ({"sample_weight_name": "y"}, None, "lacks the column.*'y'"),
        ({"sample_weight_name": "trust"}, np.full(50, -1.0), "0 to 64"),
        ({"sample_weight_name": "trust"}, np.full(50, np.nan), "0 to 64"),
        ({"sample_weight_name": "trust"}, np.full(50, 5.0), "at most 4"),
        ({"sample_weight_name": "trust"}, np.zeros(50), "at most 4"),
        ({"sample_weight_name": "trust"}, np.array(["a"] * 50, object), "not numeric"),
        ({"class_weight": {"0": 1.0}}, None, "no weight for 1"),
        ({"class_weight": {"no": 1.0}}, None, "no value of a label.*'no'"),
    ],
)
def test_weights_of_rows_that_cannot_be_used_are_refused(
    given: dict[str, Any], column: Any, error: str, tmp_path: Path
) -> None:
    guest, host = small()
    if column is not None:
        guest = replace(guest, columns={**guest.columns, "trust": column})
    with pytest.raises(DataError, match=f"FED-721.*{error}"):
        case(params(**given), (guest, host)).run(tmp_path)


def test_weight_diff_stops_when_the_weights_stand_still(tmp_path: Path) -> None:
    p = params(converge_func="weight_diff", eps=0.02, max_iter=60)
    pooled = small(200)
    result = spread(p, *pooled, 2).run(tmp_path)
    history = param(result.outputs[GUEST])
    assert history.is_converged
    before, last = (in_clear(replaced(p, max_iter=history.iters - n), *pooled).weights for n in (1, 0))
    earlier = in_clear(replaced(p, max_iter=history.iters - 2), *pooled).weights
    assert np.linalg.norm(last - before) < 0.0202
    assert np.linalg.norm(before - earlier) > 0.0198


def held_out(rows: int = 60) -> tuple[tuple[Table, Table], tuple[Table, Table]]:
    guest, host = small(200 + rows)
    cut = np.arange(200), np.arange(200, 200 + rows)
    train, rest = ((guest.take(rows), host.take(rows)) for rows in cut)
    return train, rest


@pytest.mark.parametrize("given", [{}, {"optimizer": "adam", "batch_size": -1}, {"penalty": "L2"}], ids=str)
@pytest.mark.parametrize("hosts", [1, 2])
def test_looks_at_validation_rows_are_those_in_clear(given: dict[str, Any], hosts: int, tmp_path: Path) -> None:
    train, rest = held_out()
    p = params(**{"max_iter": 6, "validation_freqs": 2, "metrics": ["loss", "auc"], **given})
    result = spread(p, *train, hosts, rest).run(tmp_path)
    looks = [point for point in result.metrics[GUEST] if point.namespace == "validate"]
    assert [(point.name, point.key) for point in looks] == [(n, k) for k in (2, 4, 6) for n in ("loss", "auc")]
    x = np.column_stack([rest[0].features(), np.ones(60), rest[1].features()])
    y = rest[0].labels()
    for point in looks:
        z = x @ in_clear(replaced(p, max_iter=int(point.key)), *train).weights
        clear = roc_auc_score(y, z) if point.name == "auc" else np.mean(np.logaddexp(0, z) - y * z)
        assert abs(point.value - clear) < 0.005
    assert near(weights(result.outputs), in_clear(p, *train), 0.01)


def test_columns_of_validation_rows_are_found_by_name(tmp_path: Path) -> None:
    train, (guest, host) = held_out()
    turned = replace(host, columns={"spare": host.columns["h0"], **dict(reversed(host.columns.items()))})
    p = params(max_iter=1, validation_freqs=1, metrics=["loss"])
    found = [
        [point.value for point in case(p, train, (guest, other)).run(tmp_path / name).metrics[GUEST]]
        for name, other in (("same", host), ("turned", turned))
    ]
    assert np.abs(np.subtract(*found)).max() < 1e-3
    short = replace(host, columns={"h0": host.columns["h0"], "h2": host.columns["h2"]})
    with pytest.raises(DataError, match=r"FED-258.*is missing.*'h1'"):
        case(p, train, (guest, short)).run(tmp_path / "short")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_early_stopping_keeps_the_best_weights(optimizer: str, tmp_path: Path) -> None:
    (guest, host), rest = held_out()
    turned = replace(rest[0], columns={**rest[0].columns, "y": 1 - rest[0].columns["y"]})
    p = params(max_iter=30, optimizer=optimizer, batch_size=-1, metrics=["loss"], early_stopping_rounds=3)
    result = spread(p, guest, host, 2, (turned, rest[1])).run(tmp_path)
    history, summary = param(result.outputs[GUEST]), result.outputs[GUEST].summary
    assert (history.iters, summary["best_epoch"]) == (4, 1)
    assert near(weights(result.outputs), in_clear(replaced(p, max_iter=1), guest, host), 0.004)


def test_validation_without_rows_is_refused(tmp_path: Path) -> None:
    nothing = tuple(table.take(np.arange(0)) for table in small())
    for name, evaluated in (("none", None), ("empty", (nothing[0], nothing[1]))):
        with pytest.raises(DataError, match="FED-722"):
            case(params(validation_freqs=1), small(), evaluated).run(tmp_path / name)


def one_class(rows: tuple[Table, Table]) -> tuple[Table, Table]:
    return replace(rows[0], columns={**rows[0].columns, "y": np.ones(len(rows[0]), int)}), rows[1]


@pytest.mark.parametrize(
    "given",
    [
        {"metrics": ["auc", "loss"], "validation_freqs": 1},
        {"metrics": ["loss"], "early_stopping_rounds": 9},
        {"metrics": ["loss", "auc"], "early_stopping_rounds": 9, "use_first_metric_only": True},
    ],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_rows_of_one_class_count_for_the_loss_only(given: dict[str, Any], optimizer: str, tmp_path: Path) -> None:
    train, rest = held_out()
    p = params(max_iter=2, optimizer=optimizer, batch_size=-1, **given)
    result = case(p, train, one_class(rest)).run(tmp_path)
    looks = [point for point in result.metrics[GUEST] if point.namespace == "validate"]
    assert [(point.name, point.key) for point in looks] == [("loss", 1), ("loss", 2)]
    x = np.column_stack([rest[0].features(), np.ones(60), rest[1].features()])
    for point in looks:
        z = x @ in_clear(replaced(p, max_iter=int(point.key)), *train).weights
        assert point.value == pytest.approx(np.logaddexp(0, -z).mean(), abs=0.01)


@pytest.mark.parametrize(
    "given",
    [
        {"validation_freqs": 1},
        {"early_stopping_rounds": 1},
        {"early_stopping_rounds": 1, "metrics": ["loss", "ks"]},
        {"early_stopping_rounds": 1, "metrics": ["auc", "loss"], "use_first_metric_only": True},
    ],
)
def test_rows_of_one_class_that_lack_what_is_asked_for_are_refused_before_training(
    given: dict[str, Any], tmp_path: Path
) -> None:
    train, rest = held_out()
    network = LocalNetwork(tmp_path)
    one = case(params(**given), train, one_class(rest))
    with pytest.raises(DataError, match=r'FED-897.*all held-out rows are of one class.*metrics \["loss"\]'):
        network.run(one.component, one.params, one.inputs, "lr")


def test_labels_of_validation_rows_mean_what_they_mean_in_training(tmp_path: Path) -> None:
    train, rest = held_out()
    p = params(max_iter=1, validation_freqs=1, metrics=["loss"])
    other = replace(rest[0], columns={**rest[0].columns, "y": rest[0].columns["y"] * 2})
    with pytest.raises(DataError, match=r"FED-257.*a value that the training did not have"):
        case(p, train, (other, rest[1])).run(tmp_path)


def test_patience_counts_looks_of_each_metric() -> None:
    patience = Patience(params(metrics=["auc", "loss"], early_stopping_rounds=2))
    assert patience.better({"auc": 0.6, "loss": 0.5})
    assert patience.better({"auc": 0.7, "loss": 0.5})
    assert not patience.ended
    again = Patience(patience.p)
    again.restore(patience.state())
    assert again == patience
    assert again.better({"auc": 0.8, "loss": 0.6})
    assert again.ended, "the loss got no better twice"
    first = Patience(params(metrics=["auc", "loss"], early_stopping_rounds=2, use_first_metric_only=True))
    for auc in (0.6, 0.7, 0.8):
        first.better({"auc": auc, "loss": 1.0})
    assert not first.ended


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_a_warm_start_goes_on_where_the_other_model_ended(optimizer: str, tmp_path: Path) -> None:
    pooled = small(120, 2, 4)
    p = params(max_iter=2, optimizer=optimizer, batch_size=-1, learning_rate=0.02)
    first = spread(p, *pooled, 2).run(tmp_path / "first").outputs
    again = spread(p, *pooled, 2)
    inputs = {
        member: Inputs(given.data, isometric_model=first[member].model if member != ARBITER else None)
        for member, given in again.inputs.items()
    }
    found = weights(replace(again, inputs=inputs).run(tmp_path / "again").outputs)
    assert near(found, in_clear(p, *pooled, weights(first)), 0.01)


def test_hosts_keep_their_own_weights_only(tmp_path: Path) -> None:
    outputs = spread(params(), *small(120, 2, 4), 3).run(tmp_path).outputs
    assert [sorted(param(outputs[host]).weight) for host in HOSTS] == [["h0"], ["h1"], ["h2", "h3"]]


def test_three_exchanges_a_batch_whatever_the_number_of_hosts(tmp_path: Path) -> None:
    for hosts in (1, 3):
        result = spread(params(batch_size=-1), *small(120, 2, 4), hosts).run(tmp_path / str(hosts))
        between = hosts * (hosts + 1)
        for topic in ("masked_predictor", "masked_rounding", "masked_step"):
            assert len(bodies(result, topic)) == 3 * between


def test_auc_of_momentum_is_that_of_the_same_steps_in_clear(tmp_path: Path) -> None:
    p, (guest, host) = params(optimizer="nesterov_momentum_sgd", max_iter=10, learning_rate=0.1), breast()
    data = case(p, (guest, host)).run(tmp_path).outputs[GUEST].data
    assert data is not None
    auc = roc_auc_score(data.columns["label"], data.columns["predict_score"])
    assert abs(auc - roc_auc_score(guest.labels(), in_clear(p, guest, host).scores)) < 0.001


@pytest.mark.parametrize(("optimizer", "told", "ratio"), [("sgd", 3, 40.0), ("adam", 3 * 2 * 5, 20.0)])
def test_the_summary_counts_opened_gradients(optimizer: str, told: int, ratio: float, tmp_path: Path) -> None:
    p = params(optimizer=optimizer, max_iter=5, batch_size=60, learning_rate=0.02)
    summary = case(p, small(120, 2, 3)).run(tmp_path).outputs[GUEST].summary
    assert (summary["equations_revealed"], summary["rows_per_equation"]) == (told, ratio)


def test_a_table_that_weighs_its_rows_trains_as_if_they_were_repeated(tmp_path: Path) -> None:
    guest, host = small(60)
    counts = np.random.default_rng(3).integers(0, 12, 60)  # 5 on average, which is more than a weight may be
    weighed = replace(guest, weight="n", columns={**guest.columns, "n": counts.astype(float)})
    p = params(sample_weight_name="n", batch_size=-1, penalty="NONE", max_iter=3)
    repeated = np.repeat(np.arange(60), counts)
    found = weights(case(p, (weighed, host)).run(tmp_path).outputs)
    assert near(found, in_clear(replaced(p, sample_weight_name=None), guest.take(repeated), host.take(repeated)), 0.004)


def test_a_table_that_weighs_its_rows_is_never_taken_for_one_that_does_not(tmp_path: Path) -> None:
    guest, host = small()
    weighed = replace(guest, weight="n", columns={**guest.columns, "n": np.ones(50)})
    with pytest.raises(DataError, match=r"FED-721.*weighs its rows by a column.*sample_weight_name: 'n'"):
        case(params(), (weighed, host)).run(tmp_path)
