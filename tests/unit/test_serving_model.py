"""What may be loaded for online scoring, and that it scores as batch prediction does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airfed_proto.v1 import model_pb2
from federated_operators.registry.cache import Binding
from federatedml.component import Component, Params, Scorer, registry
from federatedml.errors import DataError, ModelError
from federatedml.model_bundle import StoredModel
from serving.model import LoadedModel, load
from serving.scoring import Row, table_of
from tests.members import GUEST, HOST
from tests.model_halves import DSL, ROWS, batch_scores, bundle, node, raw_table, with_dsl

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
    silent = Component(module="Silent", title="", params=Params, roles={}, has_model=True)
    half = with_dsl(
        bundle(GUEST, "job"),
        nn_0=node("HeteroNN", "dataio_0.train"),
        silent_0=node("Silent", "nn_0.data"),
        hetero_lr_0=node("HeteroLR", "silent_0.data"),
        beside_0=node("Silent", "dataio_0.train"),
    )
    with pytest.raises(ModelError, match=r"FED-606.*nn_0 \(HeteroNN\), silent_0 \(Silent\)$"):
        load(BINDING, half, {**registry(), "Silent": silent})


@pytest.mark.parametrize("nodes", [{"hetero_lr_0": None}, {"again_0": node("HeteroLR", "dataio_0.train")}])
def test_a_model_gives_one_score(nodes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="FED-607"):
        load(BINDING, with_dsl(bundle(GUEST, "job"), **nodes), registry())


def test_what_the_score_does_not_depend_on_is_left_out_and_the_rest_is_in_order() -> None:
    half = bundle(GUEST, "job")
    more = {**half.components, "dataio_1": half.components["dataio_0"]}
    beside = with_dsl(replace(half, components=more), dataio_1=node("DataIO", "args.eval_data"))
    model = load(BINDING, beside, registry())
    assert [(stage.name, stage.source) for stage in model.stages] == [("dataio_0", ""), ("hetero_lr_0", "dataio_0")]


def test_a_predict_dsl_that_cannot_be_is_refused() -> None:
    half = bundle(GUEST, "job")
    nothing = replace(half, pipeline=model_pb2.Pipeline().SerializeToString())
    with pytest.raises(ModelError, match="FED-625"):
        load(BINDING, nothing, registry())
    for nodes in (
        {"dataio_0": node("DataIO", "intersection_0.train")},
        {"intersection_0": node("Intersection", "x.y")},
        {"hetero_lr_0": {"input": 5}},
    ):
        with pytest.raises(ModelError, match="FED-603"):
            load(BINDING, with_dsl(half, **nodes), registry())
    with pytest.raises(ModelError, match="FED-603"):
        load(BINDING, replace(half, pipeline=b"\xff"), registry())
    with pytest.raises(ModelError, match=r"FED-601.*hetero_lr_0"):
        load(BINDING, replace(half, components={"dataio_0": half.components["dataio_0"]}), registry())


def test_a_missing_buffer_is_named() -> None:
    half = bundle(GUEST, "job")
    cut = StoredModel("DataIO", "model", {"DataIOMeta": b""})
    with pytest.raises(ModelError, match=r"FED-601.*DataIOParam"):
        load(BINDING, replace(half, components={**half.components, "dataio_0": cut}), registry())


def of_bad(values: Any, classes: Any = None) -> LoadedModel:
    """A model of one component whose part of every score is ``values``."""
    scorer = Scorer(partial=lambda _m, _t: np.array(values), merge=lambda _m, own, _hosts: own, classes=classes)
    bad = Component(module="Bad", title="", params=Params, roles={}, scorer=scorer, has_model=True)
    half = replace(bundle(GUEST, "job"), components={"bad_0": StoredModel("Bad", "model", {})})
    nodes = {**dict.fromkeys(DSL), "bad_0": node("Bad", "args.eval_data")}
    return load(BINDING, with_dsl(half, **nodes), {"Bad": bad})


@pytest.mark.parametrize(
    "values", [[1.0], [[1.0, 2.0]], [np.nan, 1.0], [np.inf, 1.0], [], [[], []], [[[1.0]], [[1.0]]]]
)
def test_a_component_that_gives_no_finite_numbers_for_every_row_gives_no_score(values: Any) -> None:
    with pytest.raises(ModelError, match=r"FED-608.*bad_0"):
        of_bad(values).partials(raw_table(GUEST).take(np.array([0, 1])))


def test_of_several_classes_the_label_is_the_one_with_the_highest_score() -> None:
    model = of_bad([[0.1, 0.7, 0.2]], classes=lambda _: [3.0, 5.0, 8.0])
    (scores,) = model.merge(model.partials(raw_table(GUEST).take(np.array([0]))), [])
    assert (model.label(scores), list(scores)) == (5.0, [0.1, 0.7, 0.2])
    assert of_bad([[0.1, 0.7, 0.2]]).label(scores) is None
    assert of_bad([[0.1, 0.7, 0.2]], classes=lambda _: [1.0]).label(scores) is None
