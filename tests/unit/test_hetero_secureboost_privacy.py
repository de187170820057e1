"""What each party of HeteroSecureBoost sees under protocol shared, and what it does not."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.components import tree_grow, tree_guest, tree_host
from federatedml.components.tree_columns import binned
from federatedml.components.tree_hosts import Cut, Node, Taken
from federatedml.components.tree_shared_guest import SharedHosts
from federatedml.components.tree_shared_topics import CHOSEN, LEVEL, SUMS
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.splits import Shuffle, SplitMap
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.local import Sent, StepResult
from tests.boost_cases import case, cut, guest_param, host_param, made, params
from tests.members import ARBITER, GUEST, HOST

Floats = np.ndarray


def trained(folder: Path, rows: int = 400, seed: int = 0, missing: bool = True, **given: object) -> StepResult:
    x, y = made(rows, 6, missing=missing, seed=seed)
    x[:, 3:] *= np.pi  # no threshold of the host is one of the guest's
    return case(params(use_missing=missing, **given), cut(x, y, [3, 3])).run(folder)


def told(result: StepResult, member: object, *topics: str) -> list[Sent]:
    return [m for m in result.sent if m.key.destination == member and (not topics or m.key.topic in topics)]


def test_models_hold_nothing_of_the_other_side(tmp_path: Path) -> None:
    result = trained(tmp_path)
    stored = {
        member: b"".join(message.SerializeToString() for message in (outputs.model or {}).values())
        for member, outputs in result.outputs.items()
    }
    guest, host = guest_param(result.outputs), host_param(result.outputs)
    weights = [node.weight for tree in guest.trees_ for node in tree.tree_]
    thresholds = [value for tree in host.trees_ for value in tree.split_maskdict.values()]
    assert len(weights) > 20
    assert len(thresholds) > 5
    assert all(struct.pack("<d", weight) in stored[GUEST] for weight in weights if weight)
    assert all(struct.pack("<d", value) in stored[HOST] for value in thresholds)
    leaves = [weight for weight in weights if weight and abs(weight) != params().learning_rate]
    assert not any(struct.pack("<d", weight) in stored[HOST] for weight in leaves)
    assert not any(struct.pack("<d", value) in stored[GUEST] for value in thresholds if value % 1)
    assert b"host_secret" in stored[HOST]
    assert b"host_secret" not in stored[GUEST]
    assert b"guest_secret" not in stored[HOST] + stored[ARBITER]


def test_messages_hold_no_leaf_threshold_or_name(tmp_path: Path) -> None:
    result = trained(tmp_path)
    guest, host = guest_param(result.outputs), host_param(result.outputs)
    numbers = [node.weight for tree in guest.trees_ for node in tree.tree_ if node.weight]
    numbers += [value for tree in host.trees_ for value in tree.split_maskdict.values() if value % 1]
    wire = b"".join(message.body for message in result.sent)
    assert not any(struct.pack("<d", number) in wire for number in numbers)
    assert b"secret" not in wire


def memberships(result: StepResult, rows: int) -> Floats:
    """(sets, rows) what a host gets for the nodes that it is to split."""
    found = [CHOSEN.codec.decode(message.body)["masked"] for message in told(result, HOST, "chosen")]
    return np.unpackbits(np.concatenate(found), axis=1, count=rows).astype(bool)


def the_nodes(monkeypatch: pytest.MonkeyPatch) -> list[Floats]:
    """Rows of the nodes that the guest has a host split, as a training goes on."""
    nodes: list[Floats] = []
    plain = SharedHosts.split

    def split(self: SharedHosts, cuts: Sequence[Cut]) -> Sequence[Taken]:
        nodes.extend(cut.node.rows for cut in cuts)
        return plain(self, cuts)

    monkeypatch.setattr(SharedHosts, "split", split)
    return nodes


@pytest.mark.parametrize("masked", [True, False])
def test_a_host_reads_the_rows_of_a_node_only_without_masks(
    masked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = the_nodes(monkeypatch)
    if not masked:
        monkeypatch.setattr(Deal, "bit_mask", lambda self, *_: np.zeros(-(-self.inputs // 8), np.uint8))
    seen = memberships(trained(tmp_path), 400)
    assert len(seen) == len(nodes)
    assert len(nodes) > 5
    truth = np.stack([np.isin(np.arange(400), rows) for rows in nodes])
    agree = (seen == truth).mean()
    assert (agree == 1) != masked
    assert abs(agree - 0.5) < 0.05 or not masked


@pytest.mark.parametrize("masked", [True, False])
def test_a_host_reads_gradients_only_without_masks(
    masked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first tree's gradients are plus or minus one half: their words have two values, and tell every label."""
    if not masked:
        plain = Deal.vector_masks
        monkeypatch.setattr(Deal, "vector_masks", lambda *given: np.zeros_like(plain(*given)))
    result = trained(tmp_path)
    body = LEVEL.codec.decode(told(result, HOST, "masked_gradients")[0].body)["sealed"].tobytes()
    words = np.frombuffer(body[-8 * 400 :], "<u4").reshape(400, 2)
    labels = made(400, 6, missing=True)[1]
    tells = len(set(words[:, 0].tolist())) == 2 and abs(np.corrcoef(words[:, 0] > 2**31, labels)[0, 1]) > 0.99
    assert tells != masked


def test_candidates_come_in_another_order_every_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[Floats] = []
    plain = SplitMap.shuffle

    def shuffle(self: SplitMap, *given: object) -> Shuffle:
        found = plain(self, *given)  # type: ignore[arg-type]
        orders.append(found.order)
        return found

    monkeypatch.setattr(SplitMap, "shuffle", shuffle)
    trained(tmp_path)
    assert len({order.tobytes() for order in orders}) == 3
    assert all((np.sort(order) == np.arange(len(order))).all() for order in orders)


@pytest.mark.parametrize("least", [1, 20])
def test_sums_of_single_rows_are_told_only_without_a_floor(
    least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two candidates that differ by one row tell its label: in the first tree h is 1/4 for each row."""
    sizes: list[int] = []
    plain = SharedHosts.sums

    def sums(self: SharedHosts, nodes: Sequence[Node]) -> Sequence[Floats]:
        found = plain(self, nodes)
        sizes.extend(len(node.rows) for node in nodes)
        counts = np.rint(found[0][0, :, 1] * 4).astype(int)
        steps.append(counts)
        return found

    steps: list[Floats] = []
    monkeypatch.setattr(SharedHosts, "sums", sums)
    x, y = made(400, 6)
    x[:, 3:] = np.round(x[:, 3:] * 100) + np.arange(400)[:, None] / 1000
    p = params(num_trees=1, min_cell_rows=least, bin_num=300, tree_param={"max_depth": 4})
    case(p, cut(x, y, [3, 3])).run(tmp_path)
    table = binned(p, cut(x, y, [3, 3])[HOST], least).table
    counts = [np.bincount(bins, minlength=count) for bins, count in zip(table.bins, table.counts, strict=True)]
    assert min(int(count.min()) for count in counts) >= least
    assert min(sizes) >= 2 * least
    single = 1 in np.diff(np.sort(steps[0])) and min(int(count.min()) for count in counts) == 1
    assert single == (least == 1)


@pytest.mark.parametrize("rest", [0.0, 1e-12])
def test_a_guest_would_read_on_which_side_of_all_candidates_rows_are_that_alone_weigh(
    rest: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rows of weights 1, 2 and 4 each sum says which are on the left, whatever else is in the node."""
    steps: list[Floats] = []
    plain = SharedHosts.sums

    def sums(self: SharedHosts, nodes: Sequence[Node]) -> Sequence[Floats]:
        found = plain(self, nodes)
        steps.append(np.rint(found[0][0, :, 1] * 4))
        return found

    monkeypatch.setattr(SharedHosts, "sums", sums)
    x, y = made(400, 6)
    tables, weights = cut(x, y, [3, 3]), np.full(400, rest)
    weights[[50, 150, 250]] = 1.0, 2.0, 4.0
    weighed = replace(tables[GUEST], columns={**tables[GUEST].columns, "w": weights}, weight="w")
    p = params(num_trees=1, min_cell_rows=20, tree_param={"max_depth": 1, "min_child_weight": 0.0})
    training = case(p, {**tables, GUEST: weighed})
    with pytest.raises(DataError, match=r"FED-940.*fewer than 40.*min_cell_rows 20"):
        training.run(tmp_path / "refused")
    monkeypatch.setattr(tree_guest, "check_cover", lambda p, weights: None)
    training.run(tmp_path / "of the root")
    assert not steps, "no node has as many rows that weigh, either"
    monkeypatch.setattr(tree_grow._Growth, "_cover", lambda self, opened: 400.0)
    training.run(tmp_path / "lifted")
    own = binned(p, tables[HOST], 20).table
    sides = [own.goes_left(candidate) @ np.rint(weights) for candidate in range(len(own.candidates.splits))]
    assert sorted(steps[0]) == sorted(sides)
    assert len(set(sides)) > 4


def test_rows_of_one_sample_do_not_make_a_bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smallest: list[int] = []

    def seen(p: Any, table: Table, least: int) -> Any:
        found = binned(p, table, least)
        smallest.append(min(int(np.bincount(bins).min()) for bins in found.table.bins))
        return found

    monkeypatch.setattr(tree_host, "binned", seen)
    x, y = made(400, 6)
    tables = {member: replace(table, copies=4) for member, table in cut(x, y, [3, 3]).items()}
    case(params(num_trees=1, min_cell_rows=10, bin_num=300), tables).run(tmp_path)
    assert smallest[0] >= 40


def test_the_arbiter_hears_of_shapes_only(tmp_path: Path) -> None:
    """Other labels and values in the same bins: the same bytes but for the random name of the masks."""
    heard = []
    for seed in (1, 2):
        result = trained(tmp_path / str(seed), seed=seed, missing=False, bin_num=8)
        messages = {(m.key.topic, m.key.round): m.body for m in told(result, ARBITER)}
        assert {topic for topic, _ in messages} == {"shape", "table_shape", "deal"}
        heard.append({key: body for key, body in messages.items() if key[0] != "table_shape"})
    assert heard[0] == heard[1]


def test_more_vectors_than_planned_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that asks about both children would learn more than it needs: the host's order is for fewer vectors."""
    monkeypatch.setattr(tree_grow, "_families", lambda nodes: [[node] for node in nodes])
    with pytest.raises(ProtocolError, match="an order for columns"):
        trained(tmp_path, tree_param={"min_child_weight": 0.0, "max_depth": 5})


def test_the_golden_transcript_of_a_level(tmp_path: Path) -> None:
    """Lengths follow from the plan and the numbers of nodes; nothing else is in the messages."""
    result = trained(tmp_path, num_trees=1)
    candidates = len(binned(params(use_missing=True), cut(*made(400, 6, missing=True), [3, 3])[HOST]).table.candidates)
    for message in told(result, HOST, "masked_gradients"):
        sealed = LEVEL.codec.decode(message.body)["sealed"]
        assert (len(sealed) - 40) % (4 * 2 * 400) in (0, (0 - 40) % (4 * 2 * 400))
    for message in told(result, GUEST, "sums"):
        found = SUMS.codec.decode(message.body)
        assert (len(found["reply"]) - 40) % (4 * 2 * candidates) == 0
        assert not len(found["closed"])
