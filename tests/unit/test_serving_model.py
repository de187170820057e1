"""What may be loaded for online scoring, and that it scores as batch prediction does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federated_operators.registry.cache import Binding
from federatedml.component import Component, Params, Scorer, registry
from federatedml.errors import DataError, ModelError
from federatedml.model_bundle import StoredModel
from serving.model import LoadedModel, load
from serving.scoring import Row, table_of
from tests.members import GUEST, HOST
from tests.model_halves import ROWS, batch_scores, bundle, raw_table

BINDING = Binding("name", "product", 1, "job", "0" * 64)


def loaded(member: object) -> LoadedModel:
    half = bundle(GUEST if member == GUEST else HOST, "job")
    return load(BINDING, half, registry())


def test_row_by_row_and_as_a_batch_the_scores_are_the_same_bits() -> None:
    guest, host = loaded(GUEST), loaded(HOST)
    tables = {member: raw_table(member) for member in (GUEST, HOST)}
    expected = batch_scores()
    whole = guest.merge(guest.partials(tables[GUEST]), [host.partials(tables[HOST])])
    assert whole.tobytes() == expected.tobytes()
    for row in range(ROWS):
        at = np.array([row])
        features = {name: float(values[row]) for name, values in tables[GUEST].columns.items()}
        own = guest.partials(table_of(Row(features, "any id")))
        assert guest.merge(own, [host.partials(tables[HOST].take(at))])[0] == expected[row]


def test_hosts_are_added_in_party_order() -> None:
    guest = loaded(GUEST)
    own = guest.partials(raw_table(GUEST))
    parts = [{"hetero_lr_0": np.full(ROWS, value)} for value in (1e16, -1e16, 3.0)]
    scores = guest.merge(own, parts)
    z = own["hetero_lr_0"]
    for part in parts:
        z = z + part["hetero_lr_0"]
    assert np.allclose(scores, 1 / (1 + np.exp(-z)))


def test_a_missing_column_is_named_and_more_columns_are_ignored() -> None:
    guest = loaded(GUEST)
    features: dict[str, float | str | None] = {f"x{i}": 0.5 for i in range(10)}
    assert guest.partials(table_of(Row({**features, "other": "text"}, "1")))["hetero_lr_0"].shape == (1,)
    del features["x3"]
    with pytest.raises(DataError, match="'x3'"):
        guest.partials(table_of(Row(features, "1")))


@pytest.mark.parametrize("value", ["text", None])
def test_what_is_not_a_number_gives_no_score(value: str | None) -> None:
    features: dict[str, float | str | None] = {f"x{i}": 0.5 for i in range(10)}
    with pytest.raises(DataError):
        loaded(GUEST).partials(table_of(Row({**features, "x3": value}, "1")))


def test_components_without_online_scoring_are_refused_by_name_all_at_once() -> None:
    half = bundle(GUEST, "job")
    silent = Component(module="Silent", title="", params=Params, roles={})
    more = {
        **half.components,
        "nn_0": StoredModel("HeteroNN", "model", {}),
        "silent_0": StoredModel("Silent", "model", {}),
    }
    with pytest.raises(ModelError, match=r"FED-606.*nn_0 \(HeteroNN\), silent_0 \(Silent\)"):
        load(BINDING, replace(half, components=more), {**registry(), "Silent": silent})


@pytest.mark.parametrize("names", [["dataio_0"], ["hetero_lr_0", "dataio_0", "again"]])
def test_a_model_gives_one_score(names: list[str]) -> None:
    half = bundle(GUEST, "job")
    found = {**half.components, "again": half.components["hetero_lr_0"]}
    with pytest.raises(ModelError, match="FED-607"):
        load(BINDING, replace(half, components={name: found[name] for name in names}), registry())


def test_a_missing_buffer_is_named() -> None:
    half = bundle(GUEST, "job")
    cut = StoredModel("DataIO", "model", {"DataIOMeta": b""})
    with pytest.raises(ModelError, match=r"FED-601.*DataIOParam"):
        load(BINDING, replace(half, components={**half.components, "dataio_0": cut}), registry())


@pytest.mark.parametrize("values", [[1.0], [[1.0, 2.0]], [np.nan, 1.0], [np.inf, 1.0], []])
def test_a_component_that_gives_no_finite_number_per_row_gives_no_score(values: list[float]) -> None:
    bad = Component(
        module="Bad",
        title="",
        params=Params,
        roles={},
        scorer=Scorer(partial=lambda _model, _table: np.array(values), merge=lambda _m, own, _hosts: own),
    )
    half = replace(bundle(GUEST, "job"), components={"bad_0": StoredModel("Bad", "model", {})})
    model = load(BINDING, half, {"Bad": bad})
    with pytest.raises(ModelError, match=r"FED-608.*bad_0"):
        model.partials(raw_table(GUEST).take(np.array([0, 1])))
