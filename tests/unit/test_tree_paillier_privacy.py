"""What leaves whom in boosting under protocol ``paillier``: attacks that work without a control, not with it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz

from federatedml.components import tree_guest, tree_host, tree_paillier_guest, tree_paillier_host
from federatedml.components.hetero_secureboost import HETERO_SECUREBOOST
from federatedml.components.tree_hosts import Node, Start
from federatedml.components.tree_paillier_guest import PaillierHosts
from federatedml.components.tree_paillier_host import PaillierAnswers
from federatedml.components.tree_paillier_nodes import KnownNodes, packed
from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.conformance.hostile import Witness
from federatedml.crypto.paillier.keys import generate
from federatedml.crypto.paillier.owner_noise import OwnerNoise
from federatedml.crypto.paillier.parts import packed as numbers_packed
from federatedml.crypto.paillier.parts import unpacked
from federatedml.errors import ProtocolError
from federatedml.federation.local import StepResult
from federatedml.federation.memory import Faults
from federatedml.federation.party import Role
from tests.boost_cases import cut, guest_param, host_param, made
from tests.lr_cases import bodies
from tests.members import GUEST
from tests.unit.test_tree_paillier import encrypted, of

ROWS = 64
TOPICS = HETERO_SECUREBOOST.topic_table()
KEY = generate(1024)
Floats = np.ndarray


@pytest.fixture
def known_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest's key, for the eyes of the test."""
    monkeypatch.setattr(tree_paillier_guest, "generate", lambda bits: KEY)


def trained(folder: Path, **given: Any) -> StepResult:
    x, y = made(ROWS, 6)
    return of(encrypted(tree_param={"min_child_weight": 0.5}, **given), cut(x, y, [3, 3])).run(folder)


def ciphertexts(result: StepResult, topic: str) -> list[mpz]:
    found = [TOPICS[topic].codec.decode(body) for body in bodies(result, topic)]
    return [c for vector in found for c in unpacked(vector.body, vector.width)]


DOUBLES = ("<d", ">d")


class TestLeafValues:
    """A host that knew the values of leaves, and which rows are in them, would know labels."""

    def test_none_leaves_the_guest(self, tmp_path: Path) -> None:
        result = trained(tmp_path)
        param = guest_param(result.outputs)
        weights = [node.weight for tree in param.trees_ for node in tree.tree_ if node.is_leaf]
        scores = result.outputs[GUEST].data.columns["predict_score"].tolist()
        sent = b"".join(m.body for m in result.sent if m.key.source == GUEST)
        assert len(set(weights)) > 8
        assert shown(param.SerializeToString(), weights) == set(weights)  # the search finds them where they are
        assert len(shown(sent, [*weights, *scores])) < len(set(weights)) / 2  # four bytes stand somewhere by chance
        assert shown(sent, [*weights, *scores], DOUBLES) == set()

    def test_a_hosts_part_of_the_model_has_none(self, tmp_path: Path) -> None:
        trees = host_param(trained(tmp_path).outputs).trees_
        assert any(tree.split_maskdict for tree in trees)
        assert all(node.weight == 0 and not node.is_leaf for tree in trees for node in tree.tree_)


def shown(body: bytes, values: Sequence[float], forms: Sequence[str] = (*DOUBLES, "<f", ">f")) -> set[float]:
    """Which of the values stand in some bytes as a number of 8 or 4 bytes."""
    return {value for value in values if any(struct.pack(form, value) in body for form in forms)}


@pytest.mark.usefixtures("known_key")
class TestCiphertextDifferences:
    """Two ciphertexts with the same noise differ by (1 + n)^(m - m'): whoever divides them reads the difference."""

    @pytest.mark.parametrize("topic", ["encrypted_gradients", "encrypted_sums"])
    def test_no_two_ciphertexts_share_their_noise(self, topic: str, tmp_path: Path) -> None:
        found = ciphertexts(trained(tmp_path), topic)
        assert len(found) > 2
        assert alike(found) == 0

    def test_without_noise_all_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        width = KEY.public.width
        monkeypatch.setattr(OwnerNoise, "for_peers", lambda noise, elements: numbers_packed(elements, width))
        found = ciphertexts(trained(tmp_path), "encrypted_gradients")
        assert alike(found) == len(found) - 1


def alike(found: Sequence[mpz]) -> int:
    """Ciphertexts that have the noise of an earlier one: they are equal modulo n."""
    return len(found) - len({c % KEY.public.n for c in found})


class Dishonest(PaillierHosts):
    """A guest whose first derivatives are powers of two: a sum tells which rows are in it."""

    def begin(self, round: int, gradients: Floats) -> None:
        chosen = gradients.copy()
        chosen[:, 0] = 2.0 ** -np.arange(len(chosen))
        super().begin(round, chosen)

    def sums(self, nodes: Sequence[Node]) -> Sequence[Floats]:
        found = super().sums(nodes)
        self.read: list[Floats] = getattr(self, "read", [])
        self.read.append(found[0][0][:, 0])
        return found


def attacked(folder: Path, hosts: type[PaillierHosts]) -> tuple[PaillierHosts, PaillierAnswers]:
    """The first round with a guest that does not keep to the protocol, and the host's side of it."""
    sides: list[Any] = []

    def kept(kind: Any) -> Any:
        return lambda *given: [sides.append(kind(*given)), sides[-1]][1]

    step = of(encrypted(num_trees=1, tree_param={"min_child_weight": 0.0}), cut(*made(ROWS, 4), [2, 2]))
    roles = {
        Role.GUEST: lambda p, box, inputs: tree_guest.train(p, box, inputs, kept(hosts)),
        Role.HOST: lambda p, box, inputs: tree_host.answer(p, box, inputs, kept(PaillierAnswers)),
    }
    replace(step, component=replace(HETERO_SECUREBOOST, roles=roles, variant=lambda c, p: c)).run(folder)
    guest, host = (next(s for s in sides if isinstance(s, kind)) for kind in (hosts, PaillierAnswers))
    return guest, host


class TestChosenGradients:
    """Reverse-sum attack: a dishonest guest reads of a sum as many rows as a number has bits, which is declared."""

    def test_rows_beyond_the_bits_of_a_number_are_out_of_reach(self, tmp_path: Path) -> None:
        guest, host = attacked(tmp_path, Dishonest)
        left = np.stack([host._table.goes_left(c) for c in range(len(host._table.candidates))])
        bits = np.floor(guest.read[0][:, None] * 2.0 ** np.arange(33)) % 2 == 1  # (told, rows)
        told = {row.tobytes() for row in bits[:, :30]}
        assert told == {row.tobytes() for row in left[:, :30]}
        assert any("as many as two sums have bits" in text for text in HETERO_SECUREBOOST.learns[Role.GUEST])
        resolved = guest.read[0] * 2.0**32
        np.testing.assert_array_equal(resolved, np.rint(resolved))  # rows from the 34th on have left no trace

    def test_the_order_of_candidates_is_not_that_of_bins_and_does_not_follow_from_the_conf(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        orders: list[list[int]] = []
        told = tree_paillier_host._told

        def watched(*given: Any) -> Any:
            orders.append(told(*given).tolist())
            return np.array(orders[-1])

        monkeypatch.setattr(tree_paillier_host, "_told", watched)
        for run in range(2):
            trained(tmp_path / str(run))
        assert len(orders) == 4
        assert len({tuple(order) for order in orders}) == 4
        assert all(order != sorted(order) for order in orders)
        assert len({tuple(sorted(order)) for order in orders}) == 1


class Naming(PaillierHosts):
    """A guest that names all rows but one: the difference to all rows would be that row."""

    def sums(self, nodes: Sequence[Node]) -> Sequence[Floats]:
        return super().sums([Node(0, nodes[0].rows[1:])])


class TestNodes:
    """Nodes are made by splitting nodes; whoever names other sets of rows is refused."""

    def test_differences_of_nodes_would_read_a_row(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with pytest.raises(ProtocolError, match="FED-821"):
            attacked(tmp_path / "checked", Naming)
        named: list[int] = []

        def trusting(known: KnownNodes, rows: Any) -> Any:
            nodes = np.unpackbits(rows, axis=1, count=ROWS).astype(bool)
            named.append(int(nodes.sum()))
            return nodes[:0] if len(named) > 1 else nodes

        monkeypatch.setattr(KnownNodes, "named", trusting)
        monkeypatch.setattr(KnownNodes, "cut", lambda known, rows, trees: np.zeros((0, ROWS), bool))
        with pytest.raises(ProtocolError):  # the host answers about these rows; later the guest is lost
            attacked(tmp_path / "unchecked", Naming)
        assert named[0] == ROWS - 1

    def test_children_of_nodes_are_known_and_nothing_else(self) -> None:
        known = KnownNodes(plan())
        known.named(bits(range(20)))
        known.named(bits(range(8)))  # and with it the rows from 8 to 19
        assert known.cut(bits(range(8, 20)), 1).sum() == 12
        for wrong in (bits(range(7)), bits(range(20)), np.concatenate([bits(range(8))] * 2)):
            with pytest.raises(ProtocolError, match="FED-821"):
                known.cut(wrong, 1)
        assert known.named(bits(range(8, 13))).sum() == 5

    @pytest.mark.parametrize(
        "rows",
        [range(4), range(6, 12), [0, 1, 2, 3, 4, 19]],
        ids=["few rows", "two parents", "two parents again"],
    )
    def test_others_are_refused(self, rows: Sequence[int]) -> None:
        known = KnownNodes(plan())
        known.named(bits(range(20)))
        known.named(bits(range(8)))
        with pytest.raises(ProtocolError, match="FED-821"):
            known.named(bits(rows))

    def test_the_first_has_all_rows_and_there_are_no_more_than_planned(self) -> None:
        for wrong in (bits(range(19)), np.concatenate([bits(range(20))] * 2), np.full((1, 3), 255, np.uint8)):
            with pytest.raises(ProtocolError, match="FED-821"):
                KnownNodes(plan()).named(wrong)
        with pytest.raises(ProtocolError, match="FED-821"):
            KnownNodes(plan()).named(np.zeros((1, 2), np.uint8))

    def test_several_classes_split_one_node_once_each(self) -> None:
        known = KnownNodes(replace(plan(), classes=2))
        known.named(bits(range(20)))
        both = np.concatenate([bits(range(20))] * 2)
        assert len(known.cut(both, 2)) == 2
        assert len(known.named(np.concatenate([bits(range(8)), bits(range(5, 15))]))) == 2
        assert known.cut(bits([*range(5), *range(15, 20)]), 2).sum() == 10


def plan() -> PaillierPlan:
    return PaillierPlan.of(encrypted(tree_param={"min_leaf_node": 2, "min_sample_split": 5}), Start(20, 1, 0))


def bits(rows: Sequence[int] | range) -> np.ndarray:
    found = np.zeros((1, 20), bool)
    found[0, list(rows)] = True
    return packed(found)


def changed(topic: str, change: Callable[[bytes], bytes], folder: Path) -> None:
    """A training in which every message of a topic is another."""
    step = of(encrypted(num_trees=1), cut(*made(ROWS, 4), [2, 2]))
    step.over(Witness(folder, lambda key, body: change(body) if key.topic == topic else body))


def ciphertext(number: int) -> Callable[[bytes], bytes]:
    """The last ciphertext of a message replaced."""
    return lambda body: body[: -KEY.public.width] + number.to_bytes(KEY.public.width, "little")


@pytest.mark.usefixtures("known_key")
class TestHostileMessages:
    """What does not follow the plan ends the attempt with a code."""

    @pytest.mark.parametrize("topic", ["encrypted_gradients", "encrypted_sums"])
    @pytest.mark.parametrize("kind", ["zero", "a factor of n", "n^2"])
    def test_no_ciphertext(self, topic: str, kind: str, tmp_path: Path) -> None:
        number = {"zero": 0, "a factor of n": int(KEY.p), "n^2": int(KEY.public.n2)}[kind]
        with pytest.raises(ProtocolError, match="FED-706" if topic == "encrypted_gradients" else "FED-709"):
            changed(topic, ciphertext(number), tmp_path)

    @pytest.mark.parametrize(
        ("topic", "count", "code"), [("encrypted_gradients", -1, "FED-707"), ("encrypted_sums", -1, "FED-719")]
    )
    def test_another_number_of_ciphertexts(self, topic: str, count: int, code: str, tmp_path: Path) -> None:
        def shorter(body: bytes) -> bytes:
            kind = TOPICS[topic].codec
            vector = kind.decode(body)
            return kind.encode(replace(vector, count=vector.count + count, body=vector.body[: -vector.width]))

        with pytest.raises(ProtocolError, match=code):
            changed(topic, shorter, tmp_path)

    @pytest.mark.parametrize("topic", ["encrypted_gradients", "encrypted_sums"])
    def test_another_key(self, topic: str, tmp_path: Path) -> None:
        def foreign(body: bytes) -> bytes:
            kind = TOPICS[topic].codec
            return kind.encode(replace(kind.decode(body), key=bytes(16)))

        with pytest.raises(ProtocolError, match=r"FED-70[59]"):
            changed(topic, foreign, tmp_path)

    @pytest.mark.parametrize("told", [-1, 2**40])
    def test_a_number_of_candidates_that_no_host_has(self, told: int, tmp_path: Path) -> None:
        body = TOPICS["told_candidates"].codec.encode(np.array([told]))
        with pytest.raises(ProtocolError, match="FED-822"):
            changed("told_candidates", lambda _: body, tmp_path)


def test_every_attempt_has_a_key_of_its_own(tmp_path: Path) -> None:
    step = of(encrypted(num_trees=3), cut(*made(ROWS, 4), [2, 2]))
    points = [at for at in step.run(tmp_path / "whole").reached if at.member == GUEST]
    result = step.run(tmp_path / "killed", Faults(kill={GUEST: len(points) - 3}))
    keys = bodies(result, "paillier_key")
    assert result.attempts == len(set(keys)) == 2
    assert result.resumed[1] == 2
