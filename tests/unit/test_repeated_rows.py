"""Rows that are repeated are no cover for each other: what protects by numbers of rows asks for as many more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federatedml.components import tree_grow
from federatedml.conformance.case import Case
from federatedml.data.table import Table
from federatedml.errors import DataError, ProtocolError
from federatedml.federation.party import Member
from tests.boost_cases import case as boost_case
from tests.boost_cases import cut, made
from tests.boost_cases import params as boost_params
from tests.lr_cases import params, spread
from tests.members import GUEST, HOST
from tests.paillier_lr_cases import encrypted, tables, training


def repeated(table: Table, times: int) -> Table:
    """Each row so many times, as FederatedSample draws them."""
    rows = np.tile(np.arange(len(table)), times)
    ids = np.array([f"row{i}" for i in range(len(rows))], dtype=object)
    return replace(table.take(rows), ids=ids, copies=times)


def regression(name: str, data: Mapping[Member, Table]) -> Case:
    if name == "paillier":
        return training(encrypted(batch_size=-1, max_iter=1), data)
    optimizer = "sgd" if name == "shared" else "adam"
    return spread(params(optimizer=optimizer, batch_size=-1, max_iter=1), *data.values(), 1)


@pytest.mark.parametrize(("name", "persons"), [("paillier", 25), ("adam", 25), ("shared", 20)])
def test_a_regression_on_few_samples_is_refused_however_often_each_is_there(
    tmp_path: Path, name: str, persons: int
) -> None:
    """The host's 12 columns ask for ten, or two, times as many samples, not rows."""
    data = {member: repeated(table, 20) for member, table in tables({GUEST: 1, HOST: 12}, rows=persons).items()}
    with pytest.raises(DataError, match=r"FED-944.*20 of which may be of one sample"):
        regression(name, data).run(tmp_path)


def test_a_host_sees_to_its_own_repeated_rows(tmp_path: Path) -> None:
    data = dict(tables({GUEST: 1, HOST: 12}, rows=1000))
    data[HOST] = replace(data[HOST], copies=20)
    with pytest.raises(DataError, match="FED-944"):
        regression("paillier", data).run(tmp_path)


@pytest.mark.parametrize("protocol", ["shared", "paillier"])
@pytest.mark.parametrize("at", [(GUEST, HOST), (HOST,)], ids=["both", "host"])
def test_hosts_are_asked_about_nodes_of_so_many_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, at: tuple[Member, ...]
) -> None:
    """Ten times the rows of a sample would be a node of its own."""
    asked: list[int] = []
    sums = tree_grow._Growth._host_sums

    def spy(growth: Any, nodes: Any) -> Any:
        large = [opened for opened in nodes if growth._cover(opened) >= 2 * growth.rules.floor]
        asked.extend(len(family.node.rows) for family, *_ in tree_grow._families(large))
        return sums(growth, nodes)

    monkeypatch.setattr(tree_grow._Growth, "_host_sums", spy)
    x, y = made(60, 4)
    data = {m: repeated(table, 10) for m, table in cut(x, y, [1, 3]).items()}
    data = {m: table if m in at else replace(table, copies=1) for m, table in data.items()}
    key = {"protocol": protocol, "encrypt_param": {"method": "Paillier", "key_length": 1024}}
    p = boost_params(min_cell_rows=5, num_trees=1, tree_param={"max_depth": 5, "min_child_weight": 0.0}, **key)
    boost_case(p if protocol == "shared" else {GUEST: p, HOST: p}, data).run(tmp_path)
    assert asked
    assert min(asked) >= 2 * 5 * 10


@pytest.mark.parametrize("told", [0, -5, 62, 2**62])
def test_a_peer_cannot_say_that_more_rows_are_of_one_sample_than_there_are(tmp_path: Path, told: int) -> None:
    """No host would be asked about any node, and nobody would notice."""
    data = dict(cut(*made(60, 4), [1, 3]))
    data[HOST] = replace(data[HOST], copies=told)
    with pytest.raises(ProtocolError, match="FED-945"):
        boost_case(boost_params(num_trees=1), data).run(tmp_path)
