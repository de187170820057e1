"""HeteroFeatureBinning: the bins, WOE and IV of pooled data under both protocols, for one host and for several."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.components.quantile_bins import bins_of, quantile_points
from federatedml.data.table import Table
from tests.binning_cases import bin_tables, binning_case, binning_param, pooled_iv
from tests.conformance import conforms
from tests.members import GUEST, HOST

SHORT = {"encrypt_param": {"key_length": 1024}}


def reference(guest: Table, values: Any, bin_num: int = 10) -> tuple[float, Any]:
    """IV and WOE of a column that is pooled with the guest's labels."""
    return pooled_iv(bins_of(values, quantile_points(values, bin_num)).astype(np.int64), guest.labels())


@pytest.mark.parametrize("arbiter", [False, True], ids=["paillier", "shared"])
@pytest.mark.parametrize("hosts", [1, 2])
def test_iv_and_woe_are_those_of_pooled_data(arbiter: bool, hosts: int, tmp_path: Path) -> None:
    tables = bin_tables(hosts=hosts)
    case = binning_case(tables, arbiter, **SHORT)
    result = case.run(tmp_path)
    found = binning_param(result.outputs[GUEST])
    assert case.params[GUEST].protocol == ("shared" if arbiter else "paillier")
    assert set(found.host_results) == {str(member) for member in tables if member != GUEST}
    for member, table in tables.items():
        for position, name in enumerate(table.header):
            iv, woe = reference(tables[GUEST], table.columns[name])
            of_guest = found.binning_result.binning_result.get(name)
            told = (
                of_guest if member == GUEST else found.host_results[str(member)].binning_result[f"{member}_{position}"]
            )
            assert told is not None
            assert told.iv == pytest.approx(iv, abs=1e-12)
            np.testing.assert_allclose(told.woe_array, woe, atol=1e-12)
    assert not result.unread


def test_it_conforms(tmp_path: Path) -> None:
    conforms(binning_case(bin_tables(60, hosts=2), True, bin_num=2, **SHORT), tmp_path, kill_every=3)


def test_hosts_get_no_events_no_woe_and_no_iv(tmp_path: Path) -> None:
    result = binning_case(bin_tables(), True).run(tmp_path)
    for column in binning_param(result.outputs[HOST]).binning_result.binning_result.values():
        assert column.split_points
        assert not column.woe_array
        assert not column.event_count_array
        assert column.iv == 0
    for told in binning_param(result.outputs[GUEST]).host_results.values():
        assert not any(column.split_points for column in told.binning_result.values())


CELL = st.one_of(st.just(float("nan")), st.sampled_from([0.0, 1.0, 2.5]), st.floats(-1e6, 1e6))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_whatever_the_values_both_protocols_tell_events_of_the_hosts_bins(data: st.DataObject) -> None:
    rows = data.draw(st.integers(2, 60))
    labels = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=rows - 2, max_size=rows - 2))])
    columns = {f"c{i}": data.draw(st.lists(CELL, min_size=rows, max_size=rows)) for i in range(2)}
    ids = np.array([f"row{i}" for i in range(rows)], object)
    tables = {GUEST: Table(ids, {"y": labels}, "y"), HOST: Table(ids, {n: np.array(c) for n, c in columns.items()})}
    given_ = {"min_bin_rows": data.draw(st.sampled_from([1, 5, 20])), "bin_num": data.draw(st.integers(2, 6)), **SHORT}
    method = data.draw(st.sampled_from(["quantile", "bucket"]))
    arbiter = data.draw(st.booleans())
    with TemporaryDirectory() as folder:
        found = binning_case(tables, arbiter, method=method, **given_).run(Path(folder)).outputs
    told, binned = binning_param(found[GUEST]).host_results[str(HOST)].binning_result, found[HOST].data
    assert binned is not None
    for place, name in enumerate(columns):
        column, bins = told[f"{HOST}_{place}"], binned.columns[name].astype(int)
        assert column.bin_nums == bins.max() + 1
        events = np.bincount(bins, weights=labels).astype(int)
        assert list(column.event_count_array) == events.tolist()
        assert column.iv == pytest.approx(
            pooled_iv(bins, labels)[0] if column.bin_nums == bins.max() + 1 else column.iv
        )
