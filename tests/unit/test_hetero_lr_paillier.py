"""HeteroLR under protocol ``paillier``: equal to the same steps in clear, with every optimiser, penalty and stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.component import Inputs, Outputs, component
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.lr_encrypted import CipherPlan, GuestSide
from federatedml.crypto.paillier.evaluator import evaluator
from federatedml.crypto.paillier.keys import generate
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member
from tests.conformance import chart, conforms
from tests.lr_cases import param, same_model
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST
from tests.paillier_lr_cases import PAIR, TOLERANCE, Clear, encrypted, in_clear, tables, training

THREE = {GUEST: 2, HOST: 2, OTHER_HOST: 1}
SEVERAL = {"converge_func": "weight_diff", "batch_size": -1}


def same_weights(expected: Clear, outputs: Mapping[Member, Outputs]) -> None:
    for member, weights in expected.weights.items():
        found = param(outputs[member])
        named = [found.weight[name] for name in found.header] + ([found.intercept] if member == GUEST else [])
        assert named == pytest.approx(weights.tolist(), abs=TOLERANCE), member


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adagrad", "nesterov_momentum_sgd"])
@pytest.mark.parametrize("penalty", ["L2", "L1"])
def test_weights_and_losses_are_those_of_the_same_steps_in_clear(optimizer: str, penalty: str, tmp_path: Path) -> None:
    p, data = encrypted(optimizer=optimizer, penalty=penalty, alpha=0.1, decay=1.0), tables(PAIR)
    outputs, clear = training(p, data).run(tmp_path).outputs, in_clear(p, data)
    same_weights(clear, outputs)
    assert list(param(outputs[GUEST]).loss_history) == pytest.approx(clear.losses, abs=TOLERANCE)
    assert np.abs(clear.weights[HOST]).min() > 10 * TOLERANCE, "too little happened to tell"


def test_several_hosts_train_as_if_their_columns_were_pooled(tmp_path: Path) -> None:
    p, data = encrypted(**SEVERAL), tables(THREE)
    result = training(p, data).run(tmp_path)
    same_weights(in_clear(p, data), result.outputs)
    assert not param(result.outputs[GUEST]).loss_history
    assert not result.outputs[GUEST].views
    between = {(m.key.source, m.key.destination) for m in result.sent if m.key.topic == "encrypted_predictor"}
    assert between == {(HOST, GUEST), (OTHER_HOST, GUEST)}


@pytest.mark.parametrize("given", [{"class_weight": {"0": 0.5, "1": 3.0}}, {"sample_weight_name": "w"}])
def test_rows_count_by_their_weight_in_gradients_and_once_in_the_loss(given: dict[str, Any], tmp_path: Path) -> None:
    p, data = encrypted(batch_size=120, **given), tables(PAIR, 240)
    weights = np.where(data[GUEST].labels() == 1, 3.0, 0.5)
    clear = in_clear(p, data, weights)
    if "sample_weight_name" in given:
        data[GUEST] = replace(data[GUEST], columns={**data[GUEST].columns, "w": weights})
    outputs = training(p, data).run(tmp_path).outputs
    same_weights(clear, outputs)
    assert list(param(outputs[GUEST]).loss_history) == pytest.approx(clear.losses, abs=TOLERANCE)


def test_a_training_may_start_from_another_model(tmp_path: Path) -> None:
    first = training(encrypted(max_iter=1)).run(tmp_path / "one").outputs
    second = training(encrypted(max_iter=1))
    inputs = {m: replace(given, isometric_model=first[m].model) for m, given in second.inputs.items()}
    outputs = replace(second, inputs=inputs).run(tmp_path / "two").outputs
    same_weights(in_clear(encrypted(max_iter=2), tables(PAIR)), outputs)


def test_the_model_predicts_other_rows_during_the_job_and_after_it(tmp_path: Path) -> None:
    held_out, trained = tables(PAIR, rows=15, seed=9), training(encrypted())
    inputs = {
        m: Inputs({**given.data, "eval_data": [held_out[m]]}) for m, given in trained.inputs.items() if m != ARBITER
    }
    outputs = replace(trained, inputs={**inputs, ARBITER: Inputs()}).run(tmp_path / "train").outputs
    later = {m: Inputs({"data": [part]}, outputs[m].model) for m, part in held_out.items()}
    predicting = replace(
        trained,
        component=component("HeteroLR", predicting=True),
        inputs={**later, ARBITER: Inputs(model=outputs[ARBITER].model)},
    )
    found = predicting.run(tmp_path / "predict")
    first, second = outputs[GUEST].data, found.outputs[GUEST].data
    assert first is not None
    assert second is not None
    assert list(first.columns["type"]) == ["train"] * 60 + ["validate"] * 15
    assert np.array_equal(first.columns["predict_score"][60:], second.columns["predict_score"])
    assert {m.key.topic for m in found.sent} == {"same_rows", "partial_scores"}


def test_predictions_of_several_hosts_add_up(tmp_path: Path) -> None:
    data = tables(THREE)
    outputs = training(encrypted(**SEVERAL), data).run(tmp_path).outputs
    z = np.full(60, param(outputs[GUEST]).intercept)
    for member, part in data.items():
        z += sum(np.asarray(part.columns[n]) * param(outputs[member]).weight[n] for n in part.header)
    scored = outputs[GUEST].data
    assert scored is not None
    assert np.allclose(scored.columns["predict_score"], 1 / (1 + np.exp(-z)))


@pytest.mark.parametrize("columns", [PAIR, THREE], ids=["one host", "two hosts"])
def test_the_contract_of_components_is_kept(columns: Mapping[Member, int], tmp_path: Path) -> None:
    one = len(columns) == 2
    p = encrypted(max_iter=2, **({} if one else SEVERAL))
    unused = set() if one else {"encrypted_squares", "masked_loss", "decrypted_loss"}
    conforms(training(p, tables(columns)), tmp_path, unused=unused, kill_every=31, same=same_model)


def test_messages_are_those_of_the_protocol_and_no_others(tmp_path: Path) -> None:
    result = training(encrypted(max_iter=1)).run(tmp_path)
    rounds = [(topic, round_) for topic, round_, source, _ in chart(result) if source == str(HOST)]
    assert [r for r in rounds if r[0] in ("encrypted_predictor", "masked_gradient")] == [
        ("encrypted_predictor", 0),
        ("encrypted_predictor", 1),
        ("masked_gradient", 0),
        ("masked_gradient", 1),
    ]
    assert {m.key.topic for m in result.sent if m.key.destination == ARBITER} == {
        "shape",
        "masked_gradient",
        "masked_loss",
        "verdict",
    }


def test_values_have_no_say_in_batches_or_lengths(tmp_path: Path) -> None:
    """Keys, order and sizes of all messages follow from ids and shapes."""
    seen = []
    for seed in (1, 2):
        run = training(encrypted(), tables(PAIR, seed=seed)).run(tmp_path / str(seed))
        seen.append(sorted((str(m.key), m.size) for m in run.sent))
    assert seen[0] == seen[1]


def test_a_resumed_training_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    the_case = training(encrypted(optimizer="adam", max_iter=3))
    undisturbed = the_case.run(tmp_path / "undisturbed")
    late = the_case.points(tmp_path / "counted")[HOST] * 3 // 4
    resumed = the_case.run(tmp_path / "killed", Faults(kill={HOST: late}))
    assert resumed.resumed == [None, 2]
    for member in (GUEST, HOST):
        assert param(resumed.outputs[member]) == param(undisturbed.outputs[member])
    keys = {m.body for m in resumed.sent if m.key.topic == "paillier_key" and m.key.destination == HOST}
    assert len(keys) == 2, "each attempt has a key of its own"


@pytest.mark.parametrize(
    ("given", "epochs"),
    [
        ({"converge_func": "diff", "eps": 0.5}, 2),
        ({"converge_func": "abs", "eps": 0.9}, 1),
        ({"converge_func": "weight_diff", "eps": 10.0}, 1),
        ({"converge_func": "weight_diff", "eps": 1e-9}, 4),
    ],
)
def test_training_stops_when_it_has_converged(given: dict[str, Any], epochs: int, tmp_path: Path) -> None:
    outputs = training(encrypted(max_iter=4, **given)).run(tmp_path).outputs
    for member in (GUEST, HOST):
        assert (param(outputs[member]).iters, param(outputs[member]).is_converged) == (epochs, epochs < 4)
    assert outputs[ARBITER].summary == {"epochs": epochs}


def test_the_summary_counts_the_equations_of_all_gradients(tmp_path: Path) -> None:
    outputs = training(encrypted()).run(tmp_path).outputs
    assert outputs[HOST].summary["equations_revealed"] == 2 * 2 * 2
    assert outputs[GUEST].summary["equations_revealed"] == 3 * 2 * 2
    assert outputs[HOST].summary["rows_per_equation"] == 15


def test_training_that_runs_away_stops(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"FED-256.*runs away"):
        training(encrypted(learning_rate=10.0, max_iter=100, batch_size=-1)).run(tmp_path)


@pytest.mark.parametrize("rows", [29, 31])
def test_a_vector_of_another_length_is_refused(rows: int) -> None:
    data, public = tables(PAIR), generate(1024).public
    side_plan = CipherPlan(encrypted(), (30, 30), {GUEST: 3, HOST: 2})
    x = np.c_[data[GUEST].features(), np.ones(60)]
    side = GuestSide(side_plan, evaluator(public), x, np.zeros(3), np.zeros(60), np.ones(60))
    sealed = evaluator(public).encrypt(np.zeros(rows), side_plan.predictor).seal()
    with pytest.raises(ProtocolError, match="FED-707"):
        side.residual(0, np.zeros(30), [sealed])


@pytest.mark.parametrize(
    ("members", "given", "code"),
    [
        ((GUEST, HOST), {}, "FED-181"),
        ((GUEST, ARBITER), {}, "FED-181"),
        ((GUEST, HOST, Member.parse("arbiter_10000")), {}, "FED-182"),
        ((GUEST, HOST, OTHER_HOST, ARBITER), {}, "FED-727.*weight_diff"),
    ],
)
def test_members_that_do_not_fit_are_refused(members: tuple[Member, ...], given: dict[str, Any], code: str) -> None:
    with pytest.raises(DslError, match=code):
        HETERO_LR.settle(dict.fromkeys(members, encrypted(**given)))


def test_the_disclosure_is_of_the_protocol_that_runs() -> None:
    p = encrypted()
    running = HETERO_LR.variant(HETERO_LR, p)
    names = {topic.name for topic in running.topics}
    assert "masked_gradient" in names
    assert not {"corrections", "masked_features"} & names
    shared = HETERO_LR.variant(HETERO_LR, encrypted(protocol="shared"))
    assert not {"masked_gradient", "encrypted_residual"} & {topic.name for topic in shared.topics}
    assert {topic.name for topic in HETERO_LR.topics} >= names | {"corrections"}
    assert not [text for texts in shared.learns.values() for text in texts if "EXCEPTION" in text]
    assert "1024 bits" in " ".join(running.learns[GUEST.role])


def test_a_small_batch_is_an_exception_that_the_disclosure_shows() -> None:
    p = encrypted(batch_rows_per_column=4, encrypt_param={"method": "Paillier"})
    learns = HETERO_LR.variant(HETERO_LR, p).learns
    for member in (GUEST, HOST):
        (text,) = (text for text in learns[member.role] if "EXCEPTION" in text)
        assert "batch_rows_per_column is 4, not 10" in text


def test_modes_that_use_ciphertexts_again_run_as_strict_with_a_note() -> None:
    fast = encrypted(encrypted_mode_calculator_param={"mode": "fast"}, encrypt_param={"method": "paillier"})
    (note,) = HETERO_LR.notes(fast)
    assert "'fast' runs as 'strict'" in note
    assert "1024" in " ".join(HETERO_LR.notes(encrypted()))
    (note,) = HETERO_LR.notes(encrypted(protocol="shared"))
    assert note == "encrypt_param has no effect under protocol 'shared'"
    assert not HETERO_LR.notes(HETERO_LR.defaults())
