"""The host's table by id: order, unknown ids, new files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind
from serving.features import FeatureTable
from serving.retcode import Retcode, ScoreError
from tests.members import table

NAME = TableName("online", "rows")


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    found = Catalogue(tmp_path)
    found.write(NAME, table(["a", "b", "7"], kind=Kind.RAW, x=[1.0, 2.0, 3.0], word=["p", None, "q"]))
    return found


def test_rows_come_in_the_order_asked_and_unknown_ids_are_counted(catalogue: Catalogue) -> None:
    features = FeatureTable(catalogue, NAME)
    features.refresh()
    rows, missing = features.lookup(["7", "nobody", "a", "7", ""])
    assert list(rows.ids) == ["7", "a", "7"]
    assert list(rows.columns["x"]) == [3.0, 1.0, 3.0]
    assert missing == [1, 4]
    assert features.lookup(["nobody"])[1] == [0]
    assert len(features.lookup(["nobody"])[0]) == 0


def test_a_new_file_is_read_and_a_broken_one_leaves_the_rows_in_place(catalogue: Catalogue) -> None:
    features = FeatureTable(catalogue, NAME)
    features.refresh()
    catalogue.write(NAME, table(["a"], kind=Kind.RAW, x=[9.0]))
    features.refresh()
    assert np.array_equal(features.lookup(["a"])[0].columns["x"], [9.0])
    assert features.lookup(["b"])[1] == [0]
    catalogue.path(NAME).write_bytes(b"not a table")
    features.refresh()
    assert features.ready
    assert "online/rows" in features.problem
    assert features.lookup(["a"])[1] == []


@pytest.mark.parametrize("name", [None, TableName("online", "other")])
def test_without_a_table_no_id_is_looked_up(catalogue: Catalogue, name: TableName | None) -> None:
    features = FeatureTable(catalogue, name)
    features.refresh()
    assert not features.ready
    with pytest.raises(ScoreError) as refused:
        features.lookup(["a"])
    assert refused.value.retcode == Retcode.FEATURE_ADAPTOR_ERROR
