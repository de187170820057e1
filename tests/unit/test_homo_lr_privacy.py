"""What an honest but curious member of HomoLR reads: attacks that work on plain updates, and none on masked ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federatedml.component import Inputs, Outputs
from federatedml.components import homo_lr_rounds
from federatedml.components.homo_lr import HOMO_LR
from federatedml.components.homo_lr_agreement import AGREEMENT, SHAPE, told_columns
from federatedml.components.homo_lr_looks import LOOKS, followed
from federatedml.components.homo_lr_params import HomoLogisticParams
from federatedml.components.homo_lr_rounds import AVERAGE, BOUND, UPDATE
from federatedml.components.lr_optimizers import MOMENTUM
from federatedml.crypto.ring import Floats, Words, decode
from federatedml.crypto.secagg.client import Client
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.steps import MAX_ROWS, take_sum, take_weights
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.local import StepResult
from federatedml.federation.party import Member, Role
from tests.homo_cases import THREE, TWO, case, in_clear, params, rows
from tests.members import ARBITER, GUEST, HOST

FIXED = FixedPoint.finest(BOUND, 3)
SIZES = (30, 1, 25)  # the host has one row
ROWS = rows(sizes=SIZES)
SHARE = 1 / sum(SIZES)  # what the arbiter may know: it counts rows by other means


def bodies(result: StepResult, source: Member) -> list[Words]:
    """What the arbiter got from a member, round by round."""
    sent = [m for m in result.sent if (m.key.topic, m.key.source) == (UPDATE.name, source)]
    return [UPDATE.codec.decode(message.body) for message in sorted(sent, key=lambda m: m.key.round)]


def read_row(update: Floats) -> Floats:
    """The row of a party with one row, from its weights after one step from zero: the residual cancels (T10)."""
    step = update[:-1] / SHARE  # the last is the loss
    return step[:-1] / step[-1]


def unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in FATE 1.0."""

    def plain(self: Client, values: Floats, fixed: FixedPoint, *_: object) -> Words:
        out, weight = np.empty(len(values), np.uint64), _[2]
        fixed.encode(values, float(str(weight)), out)
        return out

    monkeypatch.setattr(Client, "mask", plain)


def one_step(folder: Path) -> StepResult:
    return case(params(max_iter=1, batch_size=-1, penalty="NONE"), ROWS).run(folder)


def test_without_masks_the_arbiter_reads_a_row_and_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unmasked(monkeypatch)
    update = decode(bodies(one_step(tmp_path), HOST)[0], FIXED.bits)
    np.testing.assert_allclose(read_row(update), ROWS[HOST].features()[0], rtol=1e-6)
    assert update[-1] / SHARE == pytest.approx(np.log(2), rel=1e-6)


def test_with_masks_it_reads_nothing(tmp_path: Path) -> None:
    for attempt in range(3):
        update = decode(bodies(one_step(tmp_path / str(attempt)), HOST)[0], FIXED.bits)
        assert np.abs(read_row(update) - ROWS[HOST].features()[0]).max() > 1e-3
        assert abs(update[-1] / SHARE - np.log(2)) > 1e-3


def test_updates_look_uniform_and_never_repeat(tmp_path: Path) -> None:
    """Weights and losses alike, although nearly nothing changes from round to round."""
    p = params(max_iter=40, learning_rate=1e-9, penalty="NONE")
    seen = np.stack(bodies(case(p, rows(sizes=SIZES, columns=60)).run(tmp_path), HOST))
    assert len(np.unique(seen)) == seen.size
    bits = np.unpackbits(seen.view(np.uint8))
    losses = np.unpackbits(np.ascontiguousarray(seen[:, -1]).view(np.uint8))
    assert abs(bits.mean() - 0.5) < 0.01
    assert abs(losses.mean() - 0.5) < 0.07


def test_the_sum_of_all_but_one_says_nothing(tmp_path: Path) -> None:
    result = one_step(tmp_path)
    words = [bodies(result, member)[0] for member in THREE]
    whole = decode(words[0] + words[1] + words[2], FIXED.bits)
    told = AVERAGE.codec.decode(next(m.body for m in result.sent if m.key.topic == AVERAGE.name))
    np.testing.assert_allclose(whole[:-1], told["weights"], atol=1e-9)
    assert np.abs(decode(words[0] + words[1], FIXED.bits)).max() > 1.0


def test_of_two_contributors_each_learns_the_others_update_which_is_disclosed(tmp_path: Path) -> None:
    tables = rows(TWO, (30, 1))
    p = params(max_iter=1, batch_size=-1, penalty="NONE")
    result = case(p, tables).run(tmp_path)
    told = AVERAGE.codec.decode(next(m.body for m in result.sent if m.key.topic == AVERAGE.name))
    mine = in_clear(p, {GUEST: tables[GUEST]}, {GUEST: 30 / 31}).weights
    theirs = told["weights"] - mine
    np.testing.assert_allclose(theirs[:-1] / theirs[-1], tables[HOST].features()[0], rtol=1e-6)
    learns = HOMO_LR.variant(HOMO_LR, p).learns
    assert any("EXCEPTION" in text and "learns the other's values" in text for text in learns[Role.GUEST])


@pytest.mark.parametrize(("heavy", "light"), [(1e6, 1.0), (1.0, 1e-9)])
def test_of_three_the_others_would_read_the_row_of_one_that_alone_weighs(
    heavy: float, light: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host has one row; the average is its update, whether it weighs very much or the others next to nothing."""
    tables = {
        member: replace(own, columns={**own.columns, "w": np.full(len(own), heavy if member == HOST else light)})
        for member, own in ROWS.items()
    }
    p = params(max_iter=1, batch_size=-1, penalty="NONE", sample_weight_name="w", min_contributors=3)
    with pytest.raises(DataError, match=r"FED-941.*host_10000.*90%.*party_weight"):
        case(p, tables).run(tmp_path / "refused")
    monkeypatch.setattr(homo_lr_rounds, "MOST_PART", 1.0)
    result = case(p, tables).run(tmp_path / "lifted")
    told = AVERAGE.codec.decode(next(m.body for m in result.sent if m.key.topic == AVERAGE.name))
    found = told["weights"]
    np.testing.assert_allclose(found[:-1] / found[-1], ROWS[HOST].features()[0], rtol=1e-3)


def test_a_part_of_nine_tenths_is_not_too_much_and_of_two_any_is_not(tmp_path: Path) -> None:
    tables = rows(sizes=(90, 4, 6))
    case(params(max_iter=1, min_contributors=3), tables).run(tmp_path / "three")
    case(params(max_iter=1, min_contributors=2), rows(sizes=(96, 3, 1))).run(tmp_path / "two")
    with pytest.raises(DataError, match=r"FED-941.*guest_9999.*part is 0\.9600"):
        case(params(max_iter=1, min_contributors=3), rows(sizes=(96, 3, 1))).run(tmp_path / "refused")


def test_the_arbiter_gets_shapes_and_masked_words_only(tmp_path: Path) -> None:
    result = one_step(tmp_path)
    assert {m.key.topic for m in result.sent if m.key.destination == ARBITER} == {"shape", "secagg_rows", "update"}
    shape = SHAPE.codec.decode(next(m.body for m in result.sent if m.key.topic == SHAPE.name))
    assert shape["columns"].tolist() == [3]
    assert ARBITER.role not in AGREEMENT.to


def test_no_message_holds_a_name_of_a_column_or_an_id(tmp_path: Path) -> None:
    tables = {
        member: replace(own, columns={"y": own.labels(), **{f"secret-{n}": own.columns[n] for n in own.header}})
        for member, own in ROWS.items()
    }
    for message in case(params(), tables).run(tmp_path).sent:
        assert b"secret" not in message.body
        assert str(tables[HOST].ids[0]).encode() not in message.body


def test_one_scale_is_made_for_all_contributors() -> None:
    """|x| times the part of the rows is checked before a mask is added; sums stay below 2^63."""
    assert homo_lr_rounds.BOUND * 2.0**FIXED.bits * len(THREE) < 2.0**63
    assert FIXED.bits >= 40


SATURATED = 1e3  # predictors so large that no residual is left


def telling_apart(folder: Path) -> StepResult:
    """The arbiter tells all but the host weights after which their rows move nothing."""

    def lying(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Outputs:
        told_columns(p, box)
        take_weights(box)
        take_sum(box, UPDATE, 5, FIXED, 0)
        for member in THREE:
            own = np.zeros(4) if member == HOST else np.array([SATURATED, 0.0, 0.0, 0.0])
            told = {"weights": own, "loss": np.zeros(1), "stop": np.zeros(2, np.uint8)}
            box.send(AVERAGE, told, 0, member)
        mean = take_sum(box, UPDATE, 5, FIXED, 1)
        box.send(AVERAGE, {"weights": mean[:4], "loss": mean[4:], "stop": np.ones(2, np.uint8)}, 1)
        known = np.array([SATURATED, 0.0, 0.0, 0.0]) * (1 - SHARE)
        return Outputs(summary={f"row {at}": value for at, value in enumerate(mean[:4] - known)})

    tables = {
        member: replace(own, columns={**own.columns, "x0": np.where(own.labels() == 1, 1.0, -1.0)})
        if member != HOST
        else own
        for member, own in ROWS.items()
    }
    step = case(params(max_iter=2, batch_size=-1, penalty="NONE"), tables)
    component = replace(HOMO_LR, roles={**HOMO_LR.roles, Role.ARBITER: lying})
    return replace(step, component=component).run(folder)


def test_an_arbiter_that_tells_each_another_average_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProtocolError, match="FED-896"):  # masks that do not cancel are no average
        telling_apart(tmp_path / "found")
    monkeypatch.setattr(homo_lr_rounds, "followed", lambda before, weights: b"")
    step = np.array(list(telling_apart(tmp_path / "open").outputs[ARBITER].summary.values()))
    np.testing.assert_allclose(step[:3] / step[3], ROWS[HOST].features()[0], rtol=1e-5)


def telling_apart_once(folder: Path) -> StepResult:
    """Likewise for one round, whose sum is lost, and then all the same again: momentum still has that round's step."""
    saturated = np.array([SATURATED, 0.0, 0.0, 0.0])

    def lying(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Outputs:
        told_columns(p, box)
        take_weights(box)
        sums = []
        for round in range(3):
            sums.append(take_sum(box, UPDATE, 5, FIXED, round)[:4])
            for member in THREE:
                own = np.zeros(4) if (round, member) == (0, HOST) else saturated
                told = {"weights": own, "loss": np.zeros(1), "stop": np.full(2, round == 2, np.uint8)}
                box.send(AVERAGE, told, round, member)
        known = saturated + MOMENTUM**3 * sums[0] / (1 + MOMENTUM)
        return Outputs(summary={f"row {at}": value for at, value in enumerate(sums[2] - known)})

    more = {"max_iter": 3, "batch_size": -1, "penalty": "NONE", "optimizer": "nesterov_momentum_sgd"}
    tables = {
        member: replace(own, columns={**own.columns, "x0": np.where(own.labels() == 1, 1.0, -1.0)})
        if member != HOST
        else own
        for member, own in ROWS.items()
    }
    component = replace(HOMO_LR, roles={**HOMO_LR.roles, Role.ARBITER: lying})
    return replace(case(params(**more), tables), component=component).run(folder)


def test_what_an_optimiser_remembers_of_another_average_stays_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(folder: Path) -> Floats:
        found = np.array(list(telling_apart_once(folder).outputs[ARBITER].summary.values()))
        return found[:3] / found[3]

    expected = ROWS[HOST].features()[0]
    assert np.abs(row(tmp_path / "masked") - expected).max() > 1e-3
    monkeypatch.setattr(homo_lr_rounds, "followed", lambda before, weights: followed(b"", weights))
    np.testing.assert_allclose(row(tmp_path / "open"), expected, rtol=1e-5)


def test_no_more_updates_are_told_than_the_parameters_say(tmp_path: Path) -> None:
    """Whatever the arbiter says."""

    def greedy(p: HomoLogisticParams, box: Box, inputs: Inputs) -> Outputs:
        told_columns(p, box)
        take_weights(box)
        for round in range(2):
            mean = take_sum(box, UPDATE, 5, FIXED, round)
            box.send(AVERAGE, {"weights": mean[:4], "loss": mean[4:], "stop": np.zeros(2, np.uint8)}, round)
        return Outputs()

    component = replace(HOMO_LR, roles={**HOMO_LR.roles, Role.ARBITER: greedy})
    result = replace(case(params(max_iter=2), ROWS), component=component).run(tmp_path)
    assert len(bodies(result, HOST)) == 2


def test_metrics_on_held_out_rows_are_masked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the arbiter reads of the host's loss on its held-out row."""

    def read(folder: Path) -> Floats:
        result = case(params(max_iter=1, early_stopping_rounds=1, metrics=["loss"]), ROWS, ROWS).run(folder)
        body = next(m.body for m in result.sent if (m.key.topic, m.key.source) == (LOOKS.name, HOST))
        return decode(LOOKS.codec.decode(body), FixedPoint.finest(MAX_ROWS, 3).bits)

    found = read(tmp_path / "masked")
    unmasked(monkeypatch)
    loss, rows = read(tmp_path / "open")
    assert rows == 1
    assert 0 < loss < np.log(2)
    assert abs(found[0] - loss) > 1
