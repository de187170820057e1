"""What each party of HeteroLR sees: the arbiter shapes, the others uniform words; and which conditions that needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.components import hetero_lr_shared, lr_plan, lr_shared_topics
from federatedml.components.common_rows import SAME_ROWS
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.lr_predict import PARTIAL
from federatedml.crypto.dealer import feature_mask
from federatedml.crypto.encoding import WEIGHT_BITS
from federatedml.crypto.ring import Words, decode, encode
from federatedml.crypto.shared_linear import batch_order
from federatedml.crypto.stream import Stream
from federatedml.errors import DataError
from federatedml.federation.box import AttemptKey
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.local import LocalNetwork, Sent, StepResult
from federatedml.federation.memory import Faults
from federatedml.federation.party import Member, Role
from federatedml.federation.topic import Carries
from tests.lr_cases import bodies, breast, case, looks_uniform, param, params, small, table, weights
from tests.members import ARBITER, GUEST, HOST

TOPICS = HETERO_LR.topic_table()
MESSAGES = (*lr_shared_topics.TOPICS, SAME_ROWS, PARTIAL)
FEATURE_BITS = 14
CONTEXT = AttemptKey("", "simulation", "hetero_lr_0", 1, 1).context()


def words(messages: Iterable[Sent]) -> Words:
    """All words of messages, in order."""
    arrays: list[Any] = []
    for message in messages:
        value = TOPICS[message.key.topic].codec.decode(message.body)
        arrays += value.values() if isinstance(value, dict) else [value]
    return np.concatenate([np.ravel(a) for a in arrays])


def of(result: StepResult, topic: str, source: Member) -> list[Sent]:
    return [m for m in result.sent if m.key.topic == topic and m.key.source == source]


def constant(rows: int = 1000) -> Any:
    """Two tables without any randomness: what is uniform in a run on them is uniform by its masks."""
    ids = np.array([f"row{i}" for i in range(rows)], dtype=object)
    labels = (np.arange(rows) < rows // 2).astype(int)
    return table(ids, np.ones((rows, 4)), "g", labels), table(ids, np.ones((rows, 4)), "h")


@pytest.mark.parametrize("penalty", ["NONE", "L2"])
def test_the_arbiter_gets_the_same_bytes_whatever_the_data_are(penalty: str, tmp_path: Path) -> None:
    seen = []
    for seed in (0, 1):
        guest, host = small(seed=seed)
        run = case(params(penalty=penalty), (guest, replace(host, ids=guest.ids))).run(tmp_path / str(seed))
        seen.append({(m.key, m.body) for m in run.sent if m.key.destination == ARBITER})
    assert seen[0] == seen[1]
    assert {key.topic for key, _ in seen[0]} == {"shape", "stop"}


def test_progress_holds_nothing_that_depends_on_data(tmp_path: Path) -> None:
    """It goes to the job's initiator, who may be the arbiter."""
    told: list[set[tuple[Member, float, str]]] = []
    for seed in (0, 1):
        the_case = case(params(), small(seed=seed))
        news: list[tuple[Member, float, str]] = []
        run = LocalNetwork(tmp_path / str(seed)).run
        run(HETERO_LR, the_case.params, the_case.inputs, on_progress=lambda *said, to=news: to.append(said))
        told.append({said for said in news if said[1] == 1.0})
    assert told[0] == told[1]
    assert {member for member, *_ in told[0]} == {GUEST, HOST, ARBITER}


@pytest.mark.parametrize("penalty", ["NONE", "L2"])
def test_masked_messages_are_uniform_even_on_constant_data(penalty: str, tmp_path: Path) -> None:
    result = case(params(penalty=penalty, max_iter=4, batch_size=500), constant()).run(tmp_path)
    tried = set()
    for topic in TOPICS.values():
        for source in (GUEST, HOST):
            sent = of(result, topic.name, source)
            if topic.carries is not Carries.MASKED or not sent or topic.name == "masked_predictor":
                continue
            found = words(sent)
            if len(found) >= 1000:
                assert looks_uniform(found), (topic.name, source)
                tried.add(topic.name)
    assert {"masked_features", "masked_labels", "masked_rounding"} <= tried
    assert looks_uniform(words(of(result, "corrections", ARBITER)))


def test_of_the_predictor_only_the_low_bits_travel_and_they_are_uniform(tmp_path: Path) -> None:
    result = case(params(max_iter=4, batch_size=500), constant()).run(tmp_path)
    for source in (GUEST, HOST):
        found = words(of(result, "masked_predictor", source))
        assert int(found.max()) < 2**43
        assert looks_uniform(found, 5)


@pytest.mark.parametrize("topic", ["masked_rounding", "masked_step", "masked_predictor"])
def test_no_mask_is_used_twice_over_epochs(topic: str, tmp_path: Path) -> None:
    """Steps are tiny: under one mask the messages of two epochs would differ by small numbers."""
    result = case(params(max_iter=4, learning_rate=1e-4, batch_size=-1), constant()).run(tmp_path)
    for source in (GUEST, HOST):
        values = [TOPICS[topic].codec.decode(m.body) for m in of(result, topic, source)]
        epochs = [v["residual"] if isinstance(v, dict) else v for v in values]
        differences = np.concatenate([later - before for before, later in pairwise(epochs)])
        assert looks_uniform(differences, 5 if topic == "masked_predictor" else 8)


def test_one_mask_for_two_matrices_would_tell_their_difference() -> None:
    """The attack that fresh keys prevent: E_1 - E_2 = X_1 - X_2 under the same seed, context and batch."""
    stream = Stream(bytes(32), CONTEXT)
    mask = feature_mask(stream, 0, 5, 3)
    one, other = (encode(np.random.default_rng(i).standard_normal((5, 3)), FEATURE_BITS) for i in (1, 2))
    assert np.array_equal((one - mask) - (other - mask), one - other)
    fresh = feature_mask(Stream(bytes(32), AttemptKey("", "simulation", "hetero_lr_0", 1, 2).context()), 0, 5, 3)
    assert not ((one - mask) - (other - fresh) == one - other).any()


def test_a_resumed_attempt_masks_the_same_features_anew(tmp_path: Path) -> None:
    the_case = case(params(batch_size=-1), constant())
    late = the_case.points(tmp_path / "counted")[GUEST] // 2
    result = the_case.run(tmp_path / "killed", Faults(kill={GUEST: late}))
    for source in (GUEST, HOST):
        first, second = (words([m]) for m in of(result, "masked_features", source))
        assert looks_uniform(first - second)
        assert not (first == second).any()
    assert len(set(bodies(result, "seed"))) == 4


@pytest.mark.parametrize("penalty", ["NONE", "L2"])
def test_final_shares_and_a_look_do_not_unmask_validation_rows(penalty: str, tmp_path: Path) -> None:
    """The attack that one stream for two masks allows: final shares tell the mask of the weights of the only look."""
    guest, host = small()
    rest = small(30, seed=1)
    p = params(penalty=penalty, max_iter=1, batch_size=-1, validation_freqs=1)
    result = case(p, (guest, host), rest).run(tmp_path)
    hidden, masked, final = (
        words(of(result, topic, HOST)) for topic in ("masked_validation", "masked_validation_weights", "final_shares")
    )
    gradient_bits = 0 if penalty == "L2" else 21
    read = hidden[: len(masked)] - masked + (final >> np.uint64(gradient_bits))
    low = np.uint64(2 ** (64 - gradient_bits) - 1)
    plain = encode(rest[1].features(), FEATURE_BITS).ravel()[: len(masked)]
    assert not ((read ^ plain) & low == 0).any()


@pytest.mark.parametrize("given", [{}, {"converge_func": "weight_diff", "class_weight": "balanced"}], ids=str)
def test_no_piece_of_a_stream_serves_two_purposes(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who draws a piece again (the dealer, or for the next step of a message) draws as many words."""
    drawn: dict[tuple[bytes, str, int], set[int]] = {}
    plain = Stream.words

    def words_of(self: Stream, purpose: str, index: int, count: int) -> Words:
        drawn.setdefault((self._key, purpose, index), set()).add(count)
        return plain(self, purpose, index, count)

    monkeypatch.setattr(Stream, "words", words_of)
    p = params(max_iter=2, batch_size=20, validation_freqs=1, **given)
    case(p, small(), small(31, seed=1)).run(tmp_path)
    assert len(drawn) > 20
    assert all(len(counts) == 1 for counts in drawn.values())


def test_two_jobs_on_changed_rows_do_not_tell_the_change(tmp_path: Path) -> None:
    guest, host = constant()
    changed = replace(host, columns={**host.columns, "h0": host.columns["h0"] * 2})
    sent = [
        words(of(case(params(batch_size=-1), (guest, h)).run(tmp_path / name), "masked_features", HOST))
        for name, h in (("one", host), ("two", changed))
    ]
    assert looks_uniform(sent[0] - sent[1])


def seeds(result: StepResult) -> dict[Member, bytes]:
    return {
        m.key.destination: TOPICS["seed"].codec.decode(m.body).tobytes() for m in result.sent if m.key.topic == "seed"
    }


def unmasked(result: StepResult, owner: Member, seed: bytes) -> Any:
    """Features of ``owner`` as somebody with ``seed`` reads them off the wire between guest and host."""
    (body,) = (m.body for m in of(result, "masked_features", owner))
    hidden = TOPICS["masked_features"].codec.decode(body)
    return decode(hidden + feature_mask(Stream(seed, CONTEXT), 0, *hidden.shape), FEATURE_BITS)


def test_the_arbiter_could_read_features_if_it_saw_the_wire_between_guest_and_host(tmp_path: Path) -> None:
    """The condition that the disclosure states: that wire is encrypted end to end against the arbiter."""
    guest, host = small()
    result = case(params(batch_size=-1), (guest, host)).run(tmp_path)
    plain = host.features()[batch_order(host.ids)]
    known = seeds(result)
    assert np.abs(unmasked(result, HOST, known[HOST]) - plain).max() < 2.0**-14
    assert np.abs(unmasked(result, HOST, known[GUEST]) - plain).min() > 1  # the guest cannot
    texts = HETERO_LR.disclosure()["outputs"]
    assert "encrypted end to end" in " ".join(texts["arbiter"])
    assert all("must not collude" in " ".join(texts[role]) for role in ("guest", "host"))


def test_own_final_weights_are_equations_in_the_labels(tmp_path: Path) -> None:
    """After one step over all rows w_h = (rate / n) X_h^T (y - 1/2): declared, one equation per column and model."""
    guest, host = small()
    p = params(batch_size=-1, max_iter=1)
    found = weights(case(p, (guest, host)).run(tmp_path).outputs)[3:]
    told = host.features().T @ (guest.labels() - 0.5) * p.learning_rate / len(host)
    assert np.abs(found - told).max() < 1e-3
    assert "equations in the labels" in HETERO_LR.disclosure()["outputs"]["host"][0]


def test_with_as_many_weights_as_rows_the_host_reads_all_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack that the rule of two rows per weight prevents: X_h^T (y - 1/2) is solved for y."""
    guest, host = small(40, 2, 40)
    the_case = case(params(batch_size=-1, max_iter=1), (guest, host))
    with pytest.raises(DataError, match="FED-259"):
        the_case.run(tmp_path / "refused")
    monkeypatch.setattr(lr_plan, "LEAST_ROWS", 1)
    monkeypatch.setattr(hetero_lr_shared, "check_table", lambda sizes, columns, known: None)
    found = weights(the_case.run(tmp_path / "lifted").outputs)[3:]
    solved = np.linalg.solve(host.features().T, found * len(host) / 0.15)
    assert np.array_equal(solved > 0, guest.labels() == 1)
    texts = HETERO_LR.disclosure()["outputs"]
    assert all("counted over jobs" in " ".join(texts[role]) for role in ("guest", "host"))


def test_checkpoints_hold_shares_that_are_nothing_alone(tmp_path: Path) -> None:
    guest, host = breast()
    result = case(params(penalty="L2"), (guest, host)).run(tmp_path)
    states = {}
    for member in (GUEST, HOST):
        path = tmp_path / "hetero_lr_0" / str(member)
        body = (path / "a1" / "ckpt" / "3").read_bytes()
        states[member] = CheckpointStore(path).load(1, 3, hashlib.sha256(body).digest()).state
    own = param(result.outputs[HOST])
    expected = np.array([own.weight[name] for name in own.header])
    mine, theirs = states[HOST]["shares"][11:], states[GUEST]["shares"][11:]
    assert np.array_equal(decode(mine + theirs, WEIGHT_BITS), expected)
    for alone in (mine, theirs):
        assert np.abs(decode(alone, WEIGHT_BITS)).min() > 100 > 10 * np.abs(expected).max()


def test_the_host_hears_of_the_loss_in_four_digits(tmp_path: Path) -> None:
    result = case(params(), small()).run(tmp_path)
    for body in bodies(result, "decision"):
        (loss,) = TOPICS["decision"].codec.decode(body)["loss"]
        assert loss == round(loss, 4)


def test_what_is_not_masked_is_declared() -> None:
    plain = {t.name for t in MESSAGES if t.carries not in (Carries.MASKED, Carries.RANDOMNESS)}
    assert plain == {
        "agreement",
        "shape",
        "epoch_sums",
        "decision",
        "stop",
        "final_shares",
        "opened_gradient",
        "validation_rows",
        "validation_shape",
        "validation_scores",
        "same_rows",
        "partial_scores",
    }
    for topic in MESSAGES:
        if Role.ARBITER in topic.to:
            assert topic.carries is Carries.CONTROL
        if topic.carries is Carries.MASKED:
            assert topic.learns.startswith("nothing: uniform")
