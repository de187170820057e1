"""The demo's tables are what the demo says they are."""

import sys

import numpy as np
import pytest

from airfed.demo_data import breast, joined
from airfed.example_data import example_tables
from federatedml.errors import FedError


def test_without_scikit_learn_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FedError, match=r"FED-936.*pip install scikit-learn"):
        breast()
    with pytest.raises(FedError, match="FED-936"):
        next(example_tables())


def test_halves_have_their_columns_and_only_the_guest_the_label() -> None:
    data = breast()
    assert list(data.guest.columns) == ["y", *(f"x{i}" for i in range(10))]
    assert list(data.host.columns) == [f"x{i}" for i in range(20)]
    assert set(np.unique(data.guest.columns["y"])) == {0, 1}


def test_enough_ids_are_shared_some_are_not_and_orders_differ() -> None:
    data = breast()
    guest, host = list(data.guest.ids), list(data.host.ids)
    both = set(guest) & set(host)
    assert len(both) >= 420
    assert set(guest) - both
    assert set(host) - both
    assert [i for i in guest if i in both] != [i for i in host if i in both]
    assert len(set(guest)) == len(guest)
    assert all(isinstance(i, str) for i in guest + host)


def test_each_party_is_standardised_on_its_own_rows() -> None:
    data = breast()
    for table in (data.guest, data.host):
        values = np.column_stack([table.columns[name] for name in table.columns if name != "y"])
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-9)


def test_the_same_tables_every_time() -> None:
    first, second = breast(), breast()
    assert first.guest.digest() == second.guest.digest()
    assert first.host.digest() == second.host.digest()


def test_joined_rows_are_of_one_sample() -> None:
    data = breast()
    features, label, ids = joined(data)
    assert features.shape == (len(ids), 30)
    for row in (0, len(ids) // 2, len(ids) - 1):
        guest_at, host_at = list(data.guest.ids).index(ids[row]), list(data.host.ids).index(ids[row])
        assert label[row] == data.guest.columns["y"][guest_at]
        assert features[row, 9] == data.guest.columns["x9"][guest_at]
        assert features[row, 29] == data.host.columns["x19"][host_at]
