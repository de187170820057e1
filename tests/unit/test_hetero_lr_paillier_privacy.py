"""What each party sees of a HeteroLR under protocol ``paillier``; attacks that work without a control, not with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import erf, sqrt
from pathlib import Path
from typing import Any

import gmpy2
import numpy as np
import pytest
from numpy.typing import NDArray

from federatedml.components import hetero_lr_paillier
from federatedml.components.hetero_lr import HETERO_LR
from federatedml.components.lr_encrypted import CipherPlan
from federatedml.crypto.paillier.evaluator import evaluator
from federatedml.crypto.paillier.keys import PrivateKey, generate
from federatedml.crypto.paillier.matvec import MaskedProducts
from federatedml.crypto.paillier.opening import Opener
from federatedml.crypto.paillier.parts import unpacked
from federatedml.crypto.shared_linear import batch_order
from federatedml.crypto.vector import Packed
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.local import StepResult
from federatedml.federation.party import Member
from federatedml.federation.topic import Carries
from tests.lr_cases import bodies
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST
from tests.paillier_lr_cases import PAIR, encrypted, in_clear, tables, training

TOPICS = HETERO_LR.topic_table()
KEY = generate(1024)


@pytest.fixture
def known_key(monkeypatch: pytest.MonkeyPatch) -> PrivateKey:
    """The arbiter's key of the run, for the eyes of the test."""
    monkeypatch.setattr(hetero_lr_paillier, "generate", lambda bits: KEY)
    return KEY


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float64]]:
    """Everything that parties unmask during the run."""
    seen: list[NDArray[np.float64]] = []
    remove = MaskedProducts.remove

    def watched(self: MaskedProducts, opened: Any) -> NDArray[np.float64]:
        seen.append(remove(self, opened))
        return seen[-1]

    monkeypatch.setattr(MaskedProducts, "remove", watched)
    return seen


def packets(result: StepResult, topic: str) -> Iterator[Packed]:
    yield from (TOPICS[topic].codec.decode(body) for body in bodies(result, topic))


def ciphertexts(result: StepResult, topic: str) -> list[int]:
    return [int(c) for packet in packets(result, topic) for c in unpacked(packet.body, packet.width)]


def constant(rows: int = 60) -> dict[Member, Table]:
    """Tables without any randomness in their values."""
    data = tables(PAIR, rows)
    return {m: replace(t, columns=t.columns | {n: np.ones(rows) for n in t.header}) for m, t in data.items()}


def test_the_arbiter_reads_uniform_numbers_only(known_key: PrivateKey, tmp_path: Path) -> None:
    """On constant columns what it decrypts is spread evenly over Z_n, and never the same number twice."""
    p = encrypted(max_iter=20, learning_rate=1e-6, converge_func="abs")
    result = training(p, constant()).run(tmp_path)
    read = known_key.decrypt(ciphertexts(result, "masked_gradient") + ciphertexts(result, "masked_loss"))
    assert len(set(read)) == len(read) == 20 * (2 * 2 + 1)
    places = np.array([int(m) / int(KEY.public.n) for m in read])
    counts = np.histogram(places, bins=10, range=(0, 1))[0]
    assert ((counts - len(read) / 10) ** 2 / (len(read) / 10)).sum() < 66, "10 cells: above 66 once in 10^10"
    steps = np.diff(sorted(map(int, read)))
    assert steps.min() > KEY.public.n >> 50, "the gradients of these batches are nearly equal, their masks are not"


def test_without_masks_it_would_read_gradients(known_key: PrivateKey, tmp_path: Path) -> None:
    """What FATE's arbiter sees."""
    p, data = encrypted(max_iter=1), tables(PAIR)
    plan = CipherPlan(p, (30, 30), {GUEST: 3, HOST: 2})
    party = evaluator(known_key.public)
    d = party.encrypt(-np.where(data[GUEST].labels() == 1, 0.5, -0.5), plan.residual)
    products = party.plan_matvec(data[HOST].features()).apply(d)
    plain = [known_key.public.signed(m) for m in known_key.decrypt(products.vector.elements)]
    found = np.array(plain, float) * products.factors / 2.0**d.scale_bits
    expected = data[HOST].features().T @ -np.where(data[GUEST].labels() == 1, 0.5, -0.5)
    assert np.allclose(found, expected, atol=1e-2)


def test_each_party_unmasks_its_own_gradient_only(gradients: list[Any], tmp_path: Path) -> None:
    p, data = encrypted(max_iter=1, optimizer="adam"), tables(PAIR)
    training(p, data).run(tmp_path)
    expected = [own * 30 for step in in_clear(p, data).gradients for own in step.values()]
    assert len(gradients) == len(expected)
    for own in expected:
        assert any(len(own) == len(seen) and np.allclose(own, seen, atol=1e-2) for seen in gradients)


def quotients_that_tell(first: list[int], second: list[int]) -> int:
    """How often two ciphertexts differ by a plaintext in the open: c' / c = 1 + k n has no noise."""
    n, n2 = KEY.public.n, KEY.public.n2
    return sum(c2 * gmpy2.invert(c1, n2) % n2 % n == 1 for c1, c2 in zip(first, second, strict=True))


def test_a_host_cannot_take_its_own_ciphertexts_off_the_residuals(known_key: PrivateKey, tmp_path: Path) -> None:
    """T13: [d] without fresh noise over the host's own [z / 4] is z_guest / 4 - y / 2 in the open."""
    data = tables(PAIR)
    result = training(encrypted(max_iter=1), data).run(tmp_path)
    sent, returned = ciphertexts(result, "encrypted_predictor"), ciphertexts(result, "encrypted_residual")
    assert len(sent) == len(returned) == 60
    assert quotients_that_tell(sent, returned) == 0
    party = evaluator(known_key.public)
    plan = CipherPlan(encrypted(), (60,), {GUEST: 3, HOST: 2})
    received = party.receive(party.encrypt(np.zeros(60), plan.predictor).seal(), plan.predictor)
    stale = received.add_plain(np.full(60, 0.5), 1.0)
    assert quotients_that_tell(list(received.elements), list(stale.elements)) == 60


def test_no_ciphertext_is_sent_twice_though_weights_hardly_change(tmp_path: Path) -> None:
    result = training(encrypted(max_iter=3, learning_rate=1e-9), constant()).run(tmp_path)
    for topic in ("encrypted_predictor", "encrypted_residual", "encrypted_squares"):
        found = ciphertexts(result, topic)
        assert len(set(found)) == len(found)


def labels_from(gradient: NDArray[np.float64], features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """T10: least squares for the residuals; in the first batch from zeros they are minus half the labels."""
    residuals, *_ = np.linalg.lstsq(features.T, gradient, rcond=None)
    return np.asarray(residuals < 0)


def recovered(p: Any, columns: int, rows: int, gradients: list[Any], folder: Path) -> float:
    """Share of the labels, which have nothing to do with its columns, that the host gets right."""
    data = tables({GUEST: 1, HOST: columns}, rows)
    labels = np.random.default_rng(1).permutation(np.arange(rows) % 2)
    data[GUEST] = replace(data[GUEST], columns={**data[GUEST].columns, "y": labels})
    training(p, data).run(folder)
    (gradient,) = (seen for seen in gradients if len(seen) == columns)
    order = batch_order(data[HOST].ids)
    found = labels_from(gradient, data[HOST].features()[order])
    return float(np.mean(found == (labels[order] == 1)))


def test_with_as_many_columns_as_rows_the_host_reads_all_labels(gradients: list[Any], tmp_path: Path) -> None:
    """The attack that the rule of ten rows per column prevents."""
    p = encrypted(max_iter=1, batch_size=-1)
    with pytest.raises(DataError, match=r"FED-725.*host_10000"):
        recovered(p, 20, 20, gradients, tmp_path / "refused")
    assert not gradients
    lifted = p.model_copy(update={"batch_rows_per_column": 1.0})
    assert recovered(lifted, 20, 20, gradients, tmp_path / "lifted") == 1.0


def by_theory(rows_per_column: float) -> float:
    """Share of labels that least squares guess: the projection on the columns has 1/r of a residual and noise of
    variance (1/r) (1 - 1/r)."""
    return 0.5 + erf(1 / sqrt(2 * (rows_per_column - 1))) / 2


def test_at_the_limit_of_the_rule_the_host_guesses_what_theory_says(gradients: list[Any], tmp_path: Path) -> None:
    """63.1 % of 600 labels; .02 is a standard deviation. 60 % would take 17 rows for each column."""
    p = encrypted(max_iter=1, batch_size=-1)
    assert by_theory(p.batch_rows_per_column) == pytest.approx(0.6306, abs=1e-4)
    assert by_theory(16) > 0.6 > by_theory(17)
    found = recovered(p, 60, 600, gradients, tmp_path)
    assert found == pytest.approx(by_theory(p.batch_rows_per_column), abs=0.02)


def test_the_theory_of_the_limit_is_what_many_tables_give() -> None:
    """36,000 labels: five standard deviations are .013."""
    random, right = np.random.default_rng(0), []
    for _ in range(60):
        x, labels = random.standard_normal((600, 60)), random.permutation(np.arange(600) % 2)
        right.append(np.mean(labels_from(x.T @ (0.5 - labels), x) == (labels == 1)))
    assert np.mean(right) == pytest.approx(by_theory(10), abs=0.013)


def test_a_column_of_few_rows_would_tell_their_residuals(gradients: list[Any], tmp_path: Path) -> None:
    """The attack that the rule about rare values prevents: three rows of the batch are not zero."""
    data = tables({GUEST: 1, HOST: 2})
    order = batch_order(data[HOST].ids)
    rare = np.zeros(60)
    rare[order[:3]] = 1.0
    rare[order[30:50]] = 1.0
    data[HOST] = replace(data[HOST], columns={**data[HOST].columns, "rare": rare})
    p = encrypted(max_iter=1)
    with pytest.raises(DataError, match="FED-726"):
        training(p, data).run(tmp_path / "refused")
    training(p.model_copy(update={"batch_rows_per_column": 1.0}), data).run(tmp_path / "lifted")
    told = next(seen[-1] for seen in gradients if len(seen) == 3)
    labels = data[GUEST].labels()[order[:3]]
    assert told == pytest.approx(-np.where(labels == 1, 0.5, -0.5).sum(), abs=1e-3)


def test_what_is_not_masked_nor_encrypted_is_declared() -> None:
    running = HETERO_LR.variant(HETERO_LR, encrypted(converge_func="weight_diff"))
    plain = {t.name for t in running.topics if t.carries not in (Carries.MASKED, Carries.CIPHERTEXT)}
    assert plain == {
        "agreement",
        "shape",
        "paillier_key",
        "decrypted_gradient",
        "decrypted_loss",
        "weight_change",
        "verdict",
        "same_rows",
        "partial_scores",
    }
    for topic in running.topics:
        if topic.carries in (Carries.MASKED, Carries.CIPHERTEXT):
            assert topic.learns.startswith("nothing")
        if ARBITER.role in topic.to:
            assert topic.carries in (Carries.MASKED, Carries.CONTROL)


@pytest.mark.parametrize("change", ["again", "longer", "unplanned"])
def test_the_arbiter_opens_what_the_plan_says_and_once(change: str) -> None:
    plan = CipherPlan(encrypted(), (30, 30), {GUEST: 3, HOST: 2})
    opener, party = Opener(KEY, plan.allowances(KEY.public, "gradient", "loss")), evaluator(KEY.public)
    reply, _ = party.encrypt(np.zeros(1), plan.residual).mask()
    longer, _ = party.encrypt(np.zeros(1), plan.residual).share()
    opener.masked(f"gradient {HOST}", 0, reply)
    topic, round_, again = {
        "again": (f"gradient {HOST}", 0, reply),
        "longer": (f"gradient {HOST}", 1, replace(longer, count=2, body=longer.body * 2)),
        "unplanned": (f"gradient {OTHER_HOST}", 0, reply),
    }[change]
    with pytest.raises(ProtocolError, match="FED-709"):
        opener.masked(topic, round_, again)
