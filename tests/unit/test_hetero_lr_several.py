"""Who sees what with several hosts and every option of protocol ``shared``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.component import Inputs
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.lr_optimizers import RMS_KEPT
from federatedml.components.lr_params import LogisticParams
from federatedml.components.lr_plan import training_plan
from federatedml.crypto.dealer import CLOSER, Dealer, draw
from federatedml.crypto.lr_shapes import Plan
from federatedml.crypto.ring import encode
from federatedml.crypto.series import waves
from federatedml.crypto.shared_linear import batch_order
from federatedml.crypto.stream import Stream
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.local import StepResult
from federatedml.federation.party import Role
from federatedml.federation.topic import Carries
from tests.lr_cases import HOSTS, case, looks_uniform, params, small, spread, table
from tests.members import ARBITER, GUEST, HOST

TOPICS = HETERO_LR.topic_table()
OPTIONS: list[dict[str, Any]] = [
    {},
    {"optimizer": "nesterov_momentum_sgd", "penalty": "L2", "learning_rate": 0.05},
    {"converge_func": "weight_diff"},
    {"optimizer": "adam", "learning_rate": 0.05, "batch_size": -1},
    {"class_weight": {"0": 1.0, "1": 1.0}},
    {"class_weight": {"0": 1.0, "1": 1.0}, "optimizer": "rmsprop", "learning_rate": 0.02, "batch_size": -1},
    {"validation_freqs": 1},
]


def constant(rows: int = 1000) -> Any:
    """Two tables without any randomness: what is uniform in a run on them is uniform by its masks."""
    ids = np.array([f"row{i}" for i in range(rows)], dtype=object)
    labels = (np.arange(rows) < rows // 2).astype(int)
    return table(ids, np.ones((rows, 4)), "g", labels), table(ids, np.ones((rows, 40)), "h")


def words_of(result: StepResult, topic: str, source: Any, to: Any) -> Any:
    found: list[Any] = []
    for message in result.sent:
        key = message.key
        if (key.topic, key.source, key.destination) == (topic, source, to):
            value = TOPICS[topic].codec.decode(message.body)
            found += value.values() if isinstance(value, dict) else [value]
    return np.concatenate([np.ravel(a) for a in found]) if found else np.zeros(0, np.uint64)


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_what_is_declared_masked_is_uniform_to_each_receiver(given: dict[str, Any], tmp_path: Path) -> None:
    rows = constant()
    p = params(**{"max_iter": 3, "batch_size": 500, **given})
    result = spread(p, *rows, 2, rows if p.validates else None).run(tmp_path)
    parties, tried = (GUEST, *HOSTS[:2]), set()
    for name in {message.key.topic for message in result.sent}:
        topic = TOPICS[name]
        if topic.carries is not Carries.MASKED:
            continue
        for source in parties:
            for to in parties:
                found = words_of(result, name, source, to)
                if len(found) >= 800:
                    assert looks_uniform(found, 5 if name == "masked_predictor" else 8), (name, source, to)
                    tried.add(name)
    assert {"masked_features", "masked_predictor", "masked_rounding"} <= tried
    for option, name in (("class_weight", "masked_unweighted"), ("class_weight", "masked_row_weights")):
        assert option not in given or name in tried


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_the_arbiter_gets_the_same_bytes_whatever_the_data_are(given: dict[str, Any], tmp_path: Path) -> None:
    seen = []
    for seed in (0, 1):
        p = params(**{"max_iter": 2, **given})
        tables = small(120, 2, 4, seed)
        run = spread(p, *tables, 2, tables if p.validates else None).run(tmp_path / str(seed))
        seen.append({(m.key, m.body) for m in run.sent if m.key.destination == ARBITER})
    assert seen[0] == seen[1]


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_only_the_declared_messages_of_the_options_are_sent(given: dict[str, Any], tmp_path: Path) -> None:
    p, tables = params(**given), small(120, 2, 4)
    running = HETERO_LR.variant(HETERO_LR, p)
    result = spread(p, *tables, 2, tables if p.validates else None).run(tmp_path)
    assert {m.key.topic for m in result.sent} == {topic.name for topic in running.topics}
    disclosed = {entry["topic"] for entry in running.disclosure()["topics"]}
    assert ("opened_gradient" in disclosed) == (p.optimizer in ("adam", "rmsprop"))
    assert ("validation_scores" in disclosed) == bool(p.validates)


def test_what_is_dealt_adds_up_over_three_parties() -> None:
    p = params(optimizer="nesterov_momentum_sgd", penalty="L2", class_weight="balanced")
    plan = planned(p, 60, (3, 2, 1))
    streams = [Stream(bytes([i]) * 32, b"test") for i in range(3)]
    dealer = Dealer(plan, streams)
    corrections = dealer.deal(0, 7)
    drawn = [draw(stream, plan, 0, 7, party) for party, stream in enumerate(streams)]
    at, angle, r = 0, sum(d["angle"] for d in drawn), sum(d["round"] for d in drawn)
    total = {}
    for name, shape in plan.dealt(0).items():
        size = int(np.prod(shape))
        shares = [corrections[at : at + size], *(d[name].ravel() for i, d in enumerate(drawn) if i != CLOSER)]
        total[name], at = sum(shares), at + size
    assert at == len(corrections) == plan.correction_words(0)
    e = plan.encoding
    sines = encode(waves(angle, e.angle_bits, e.doublings, e.series.terms), 20)
    assert np.array_equal(total["sine"], sines[0].ravel())
    assert np.array_equal(total["cosine"], sines[1].ravel())
    assert np.array_equal(total["sign"], r >> np.uint64(63))
    others = [sum(d["residual"] for i, d in enumerate(drawn) if i != owner) for owner in range(3)]
    gradient = np.concatenate([a @ mask for a, mask in zip(others, dealer.masks[0], strict=True)])
    assert np.array_equal(total["gradient"], gradient)


def planned(p: LogisticParams, rows: int, columns: tuple[int, int, int]) -> Plan:
    return training_plan(p, rows, dict(zip((GUEST, *HOSTS[:2]), columns, strict=True)))


def labels_of_gradients(p: LogisticParams, tmp_path: Path, columns: int, rows: int) -> float:
    """Share of labels that a host solves from its first opened gradient, X^T (1/2 - y) / n at zero weights."""
    guest, host = small(rows, 2, columns)
    chance = np.random.default_rng(7).integers(0, 2, rows)
    guest = replace(guest, columns={**guest.columns, "y": chance})
    seen: list[Any] = []

    def watching(p: Any, box: Box, inputs: Inputs) -> Any:
        checkpoint = box.checkpoint
        box.checkpoint = lambda round, state: (seen.append(state["square"]), checkpoint(round, state))  # type: ignore
        return HETERO_LR.roles[Role.HOST](p, box, inputs)

    watched = replace(HETERO_LR, roles={**HETERO_LR.roles, Role.HOST: watching})
    outputs = replace(case(p, (guest, host)), component=watched).run(tmp_path).outputs
    moved = outputs[HOST].model["HeteroLogisticRegressionParam"]
    signs = -np.sign([moved.weight[name] for name in moved.header])
    gradient = signs * np.sqrt(np.asarray(seen[0]) / (1 - RMS_KEPT))
    x = host.features()[batch_order(host.ids)]
    residuals = np.linalg.lstsq(x.T / rows, gradient, rcond=None)[0]
    labels = guest.labels()[batch_order(guest.ids)]
    return float(np.mean((residuals < 0) == (labels == 1)))


def test_an_opened_gradient_over_few_rows_tells_the_labels(tmp_path: Path) -> None:
    """The attack of threat T10 that the floor of rows per column prevents."""
    given: dict[str, Any] = {"optimizer": "rmsprop", "batch_size": -1, "max_iter": 1, "learning_rate": 0.01}
    with pytest.raises(DataError, match="FED-725"):
        labels_of_gradients(params(**given), tmp_path / "refused", 60, 120)
    weak = params(**given, batch_rows_per_column=2.0)
    at_half = labels_of_gradients(weak, tmp_path / "half", 60, 120)
    at_floor = labels_of_gradients(params(**given), tmp_path / "floor", 60, 600)
    assert at_half > 0.78
    assert at_floor < 0.68
    texts = " ".join(HETERO_LR.variant(HETERO_LR, weak).disclosure()["outputs"]["host"])
    assert "EXCEPTION: batch_rows_per_column is 2" in texts


def test_steps_that_the_numbers_do_not_hold_are_refused(tmp_path: Path) -> None:
    p = params(optimizer="nesterov_momentum_sgd", learning_rate=10.0)
    guest, host = small(60)
    large = table(host.ids, host.features() * 30, "h")
    with pytest.raises(DataError, match=r"FED-723.*learning_rate"):
        case(p, (guest, large)).run(tmp_path)


@pytest.mark.parametrize("topic", ["opened_gradient", "validation_scores", "masked_unweighted", "masked_rounding"])
def test_a_message_of_another_shape_is_refused(topic: str, tmp_path: Path) -> None:
    tables = small(120, 2, 4)
    p = params(optimizer="adam", batch_size=-1, class_weight="balanced", validation_freqs=1)

    def host(p: Any, box: Box, inputs: Inputs) -> Any:
        whole = box.send

        def send(sent: Any, value: Any, *rest: Any, **named: Any) -> None:
            if sent.name == topic:
                value = {k: v[:-1] for k, v in value.items()} if isinstance(value, dict) else value[:-1]
            whole(sent, value, *rest, **named)

        box.send = send  # type: ignore[method-assign]
        return HETERO_LR.roles[Role.HOST](p, box, inputs)

    hostile = replace(HETERO_LR, roles={**HETERO_LR.roles, Role.HOST: host})
    with pytest.raises(ProtocolError, match="FED-381"):
        replace(spread(p, *tables, 2, tables), component=hostile).run(tmp_path)
