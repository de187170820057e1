"""Boosted trees: messages of the right shape that no party sends which keeps to the protocol end with a code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.components.hetero_secureboost import HETERO_SECUREBOOST
from federatedml.components.tree_hosts import Start
from federatedml.components.tree_paillier_host import _ties
from federatedml.components.tree_paillier_nodes import KnownNodes, packed
from federatedml.components.tree_paillier_plan import PaillierPlan
from federatedml.components.tree_shared_host import _groups
from federatedml.conformance.case import Case
from federatedml.conformance.hostile import Witness
from federatedml.errors import ProtocolError
from federatedml.federation.wire import Array
from tests.boost_cases import case, cut, made, params

TOPICS = HETERO_SECUREBOOST.topic_table()
TABLES = cut(*made(150, 4), [2, 2])
LATE = cut(*made(40, 4, seed=1), [2, 2], "late")


def changed(step: Case, topic: str, change: Callable[[Mapping[str, Array]], Mapping[str, Array]], folder: Path) -> None:
    """A step in which every message of a topic is another."""
    codec = TOPICS[topic].codec
    step.over(
        Witness(folder, lambda key, body: codec.encode(change(codec.decode(body))) if key.topic == topic else body)
    )


def no_splits(told: Mapping[str, Array]) -> Mapping[str, Array]:
    """Rows as they are, but a host that has split nothing."""
    return {"shape": np.array([told["shape"][0], 0]), "bits": np.zeros(0, np.uint8)}


def test_a_host_that_tells_fewer_bits_than_it_has_splits(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="FED-802"):
        changed(case(params(validation_freqs=1), TABLES, LATE), "split_bits", no_splits, tmp_path)


def test_a_host_that_tells_fewer_bits_of_the_model_that_trees_go_on_from(tmp_path: Path) -> None:
    first = case(params(), TABLES).run(tmp_path / "first")
    step = case(params(), TABLES)
    given = {m: replace(i, isometric_model=first.outputs[m].model) for m, i in step.inputs.items()}
    with pytest.raises(ProtocolError, match="FED-802"):
        changed(replace(step, inputs=given), "split_bits", no_splits, tmp_path / "second")


def test_bits_of_no_rows_and_more_splits_than_there_can_be(tmp_path: Path) -> None:
    none = {m: replace(t, ids=t.ids[:0], columns={k: c[:0] for k, c in t.columns.items()}) for m, t in LATE.items()}
    many = {"shape": np.array([0, 2**62]), "bits": np.zeros(0, np.uint8)}
    with pytest.raises(ProtocolError, match="FED-381"):
        changed(case(params(), TABLES, none), "split_bits", lambda _: many, tmp_path)


@pytest.mark.parametrize("ends", [[0], [2], [1, 1], [2**63 - 1, -(2**63), -1, 1]], ids=str)
def test_nodes_with_no_candidate_at_a_host_of_protocol_shared(ends: Sequence[int]) -> None:
    with pytest.raises(ProtocolError, match="FED-802"):
        _groups(np.zeros(1, np.int64), np.array(ends, np.int64))


@pytest.mark.parametrize(("tied", "told"), [([0], 0), ([3], 3), ([2**32 - 1], 3)], ids=str)
def test_candidates_that_were_not_told_under_paillier(tied: Sequence[int], told: int) -> None:
    with pytest.raises(ProtocolError, match="FED-821"):
        _ties(np.array(tied, "<u4"), np.array([1], "<u4"), 1, told)


def test_numbers_of_nodes_that_wrap(tmp_path: Path) -> None:
    def wrapping(message: Mapping[str, Array]) -> dict[str, Any]:
        sets = len(message["ends"])
        return {**message, "trees": np.array([2**63 - 1, 2**63 - 1, 2 + sets, 0])}

    x, y = made(150, 4, "multi")
    with pytest.raises(ProtocolError, match="FED-802"):
        changed(case(params(num_trees=1), cut(x, y, [2, 2])), "chosen", wrapping, tmp_path)


def test_nodes_with_few_drawn_rows_under_paillier() -> None:
    """Sums are of the rows that a round uses: a node of many others does not hide them."""
    plan = PaillierPlan.of(params(protocol="paillier", run_goss=True, min_cell_rows=4), Start(20, 1, 0))
    used = np.arange(20) < 10
    few, enough = (packed((np.arange(20) >= start)[None]) for start in (3, 2))
    for some, refused in ((few, True), (enough, False)):
        known = KnownNodes(plan, used)
        known.named(packed(np.ones((1, 20), bool)))
        if refused:
            with pytest.raises(ProtocolError, match="FED-821"):
                known.named(some)
        else:
            assert len(known.named(some)) == 1
