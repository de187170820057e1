"""HeteroFeatureBinning: the bins, WOE and IV of pooled data under both protocols, for one host and for several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
