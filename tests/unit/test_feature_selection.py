"""HeteroFeatureSelection: each filter against the same on pooled data, filters in order, several parties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Inputs, ModelBuffers, Outputs
from federatedml.components import hetero_feature_selection
from federatedml.components.hetero_feature_selection import HETERO_FEATURE_SELECTION
from federatedml.components.selection_iv import STAYING, candidates
from federatedml.components.selection_model import transform
from federatedml.components.selection_params import FeatureSelectionParams
from federatedml.components.selection_rules import Rule
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, FedError, ProtocolError
from federatedml.federation.party import Member
from tests.binning_cases import bin_tables, binning_case, binning_param
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, OTHER_HOST, table

Models = Mapping[Member, ModelBuffers | None]


def selecting(tables: Mapping[Member, Table], models: Models | None = None, **given: Any) -> Case:
    p = FeatureSelectionParams.model_validate(given)
    inputs = {m: Inputs({"data": [t]}, isometric_model=(models or {}).get(m)) for m, t in tables.items()}
    settled = HETERO_FEATURE_SELECTION.settle(dict.fromkeys(inputs, p))
    return Case(HETERO_FEATURE_SELECTION, settled, inputs, "selection_0")


def binned(tables: Mapping[Member, Table], folder: Path, **given: Any) -> dict[Member, Outputs]:
    case = binning_case(tables, arbiter=True, transform_param={"transform_type": None}, **given)
    return case.run(folder / "binning").outputs


def models_of(outputs: Mapping[Member, Outputs]) -> Models:
    return {member: found.model for member, found in outputs.items()}


def ivs(outputs: Mapping[Member, Outputs]) -> dict[tuple[Member, int], float]:
    """IV of every column of every party."""
    found = binning_param(outputs[GUEST])
    own = {(GUEST, list(found.header).index(n)): c.iv for n, c in found.binning_result.binning_result.items()}
    return own | {
        (member, int(name.rpartition("_")[2])): column.iv
        for member in (HOST, OTHER_HOST)
        for name, column in found.host_results[str(member)].binning_result.items()
    }


def left(result: Mapping[Member, Outputs]) -> dict[Member, list[str]]:
    return {member: found.data.header for member, found in result.items() if found.data is not None}


def param(outputs: Outputs) -> pb.FeatureSelectionParam:
    assert outputs.model is not None
    return cast(pb.FeatureSelectionParam, outputs.model["FeatureSelectionParam"])


@pytest.fixture(scope="module")
def tables() -> dict[Member, Table]:
    return bin_tables(300, hosts=2, columns=3)


@pytest.fixture(scope="module")
def outputs(tables: dict[Member, Table], tmp_path_factory: pytest.TempPathFactory) -> dict[Member, Outputs]:
    return binned(tables, tmp_path_factory.mktemp("bins"))


FEDERATED = [
    ({"filter_methods": ["iv_value_thres"], "iv_value_param": {"value_threshold": 0.25}}, "threshold"),
    ({"filter_methods": ["iv_percentile"], "iv_percentile_param": {"percentile_threshold": 0.5}}, "share"),
    ({"filter_methods": ["iv_top_k"], "iv_top_k_param": {"k": 4}}, "k"),
    ({"filter_methods": ["iv_filter"], "iv_param": {"filter_type": ["top_k"], "threshold": [4]}}, "k"),
]


@pytest.mark.parametrize(("given", "kind"), FEDERATED, ids=lambda given: str(given))
def test_filters_by_iv_choose_among_the_columns_of_all(
    given: dict[str, Any], kind: str, tables: dict[Member, Table], outputs: dict[Member, Outputs], tmp_path: Path
) -> None:
    result = selecting(tables, models_of(outputs), **given).run(tmp_path)
    known = ivs(outputs)
    ranked = sorted(known, key=lambda column: -known[column])
    chosen = {
        "threshold": {column for column, iv in known.items() if iv >= 0.25},
        "share": set(ranked[:5]),
        "k": set(ranked[:4]),
    }[kind]
    for member in tables:  # each keeps its best
        chosen.add(max((c for c in known if c[0] == member), key=lambda column: known[column]))
    expected = {
        member: [name for place, name in enumerate(t.header) if (member, place) in chosen]
        for member, t in tables.items()
    }
    assert left(result.outputs) == expected
    assert any(len(names) < 3 for names in expected.values())
    assert not result.unread
    told = param(result.outputs[GUEST]).results[0]
    for host in (HOST, OTHER_HOST):
        assert {n: v for n, v in told.host_left_cols[str(host)].left_cols.items() if v} == {
            f"{host}_{place}": True for place in range(3) if (host, place) in chosen
        }
        assert not param(result.outputs[host]).results[0].feature_values, "a host learns no IV"


def column_table(**columns: Any) -> Table:
    rows = len(next(iter(columns.values())))
    return table([f"i{n}" for n in range(rows)], **columns)


LOCAL = [
    ({"filter_methods": ["unique_value"]}, ["b", "c"], "UNIQUE FILTER"),
    ({"filter_methods": ["unique_value"], "unique_param": {"eps": 50.0}}, ["c"], "UNIQUE FILTER"),
    ({"filter_methods": ["unique_value"], "unique_param": {"eps": 1e9}}, ["c"], "UNIQUE FILTER"),
    (
        {"filter_methods": ["coefficient_of_variation_value_thres"], "variance_coe_param": {"value_threshold": 0.5}},
        ["b", "c"],
        "COEFFICIENT OF VARIANCE",
    ),
    ({"filter_methods": ["outlier_cols"], "outlier_param": {"upper_threshold": 5.5}}, ["a", "b"], "OUTLIER"),
    (
        {"filter_methods": ["outlier_cols"], "outlier_param": {"percentile": 0.75, "upper_threshold": 4.5}},
        ["a", "c"],
        "OUTLIER",
    ),
    ({"filter_methods": ["percentage_value"], "percentage_value_param": {"upper_pct": 0.5}}, ["b", "c"], None),
    ({"filter_methods": ["manually"], "manually_param": {"filter_out_names": ["a"]}}, ["b", "c"], None),
    ({"filter_methods": ["manually"], "manually_param": {"filter_out_indexes": [0, 2]}}, ["b"], None),
    ({"filter_methods": ["manually"], "manually_param": {"left_col_names": ["c"]}}, ["c"], None),
    ({"filter_methods": ["manually"], "manually_param": {"filter_out_indexes": -1}}, ["a"], None),
    ({"filter_methods": ["unique_value", "outlier_cols"]}, ["b"], "UNIQUE FILTER"),
    ({"filter_methods": ["unique_value"], "select_cols": [1, 2]}, ["a", "b", "c"], "UNIQUE FILTER"),
    ({"filter_methods": ["outlier_cols"], "select_names": ["c", "b"]}, ["a", "b"], "OUTLIER"),
]


@pytest.mark.parametrize(("given", "expected", "name"), LOCAL, ids=lambda given: str(given)[:60])
def test_filters_of_own_columns(given: dict[str, Any], expected: list[str], name: str | None, tmp_path: Path) -> None:
    t = column_table(a=[3.0, 3.0, 3.0, 3.0], b=[1.0, 2.0, np.nan, 5.0], c=[0.0, 4.0, 1.0, 99.0])
    result = selecting({GUEST: t}, **given).run(tmp_path)
    assert left(result.outputs)[GUEST] == expected
    assert not result.sent
    found = param(result.outputs[GUEST])
    assert name is None or found.results[0].filter_name == name
    assert {n for n, stays in found.final_left_cols.left_cols.items() if stays} == set(expected)


def test_it_conforms(tmp_path: Path) -> None:
    tables = bin_tables(80, hosts=2, missing=0)
    models = models_of(binned(tables, tmp_path))
    methods = ["unique_value", "iv_value_thres", "coefficient_of_variation_value_thres", "iv_percentile"]
    case = selecting(tables, models, filter_methods=methods, iv_percentile_param={"percentile_threshold": 0.4})
    conforms(case, tmp_path)


def test_columns_without_bins_have_no_iv_and_stay(tables: dict[Member, Table], tmp_path: Path) -> None:
    models = models_of(binned(tables, tmp_path, cols=[1]))
    strict = {"filter_methods": ["iv_value_thres"], "iv_value_param": {"value_threshold": 99.0}}
    result = selecting(tables, models, **strict).run(tmp_path)
    assert left(result.outputs) == {member: t.header for member, t in tables.items()}


def test_hosts_can_have_thresholds_of_their_own(
    tables: dict[Member, Table], outputs: dict[Member, Outputs], tmp_path: Path
) -> None:
    given = {"value_threshold": 0.0, "host_thresholds": [99.0, 0.0]}
    result = selecting(tables, models_of(outputs), filter_methods=["iv_value_thres"], iv_value_param=given)
    assert {m: len(names) for m, names in left(result.run(tmp_path).outputs).items()} == {
        GUEST: 3,
        HOST: 1,
        OTHER_HOST: 3,
    }
    with pytest.raises(DslError, match="FED-841"):
        selecting({m: tables[m] for m in (GUEST, HOST)}, filter_methods=["iv_value_thres"], iv_value_param=given)


@pytest.mark.parametrize(
    "given", [{"local_only": True}, {"iv_value_param": {"value_threshold": 99.0, "local_only": True}}]
)
def test_local_only_leaves_hosts_alone(
    given: dict[str, Any], tables: dict[Member, Table], outputs: dict[Member, Outputs], tmp_path: Path
) -> None:
    given = {"iv_value_param": {"value_threshold": 99.0}, "filter_methods": ["iv_value_thres"], **given}
    result = selecting(tables, models_of(outputs), **given).run(tmp_path)
    assert not result.sent
    assert {m: len(names) for m, names in left(result.outputs).items()} == {GUEST: 1, HOST: 3, OTHER_HOST: 3}


def test_a_fitted_model_selects_the_same_columns_and_fits_nothing(
    tables: dict[Member, Table], outputs: dict[Member, Outputs], tmp_path: Path
) -> None:
    case = selecting(tables, models_of(outputs), filter_methods=["iv_top_k"], iv_top_k_param={"k": 2})
    fitted = case.run(tmp_path / "fit").outputs
    few = {member: Inputs({"data": [t.take(np.arange(1))]}, fitted[member].model) for member, t in tables.items()}
    again = replace(case, inputs=few).run(tmp_path / "again")
    assert not again.sent
    assert left(again.outputs) == left(fitted)
    model = fitted[HOST].model
    assert model is not None
    swapped = Table(tables[HOST].ids, {"extra": tables[HOST].columns["h1"], **tables[HOST].columns})
    assert transform(model, swapped).header == left(fitted)[HOST]
    without = Table(tables[HOST].ids, {"extra": tables[HOST].columns["h1"]})
    with pytest.raises(DataError, match="FED-846"):
        transform(model, without)


def test_need_run_false_passes_data_and_a_model_that_does_nothing(tables: dict[Member, Table], tmp_path: Path) -> None:
    result = selecting(tables, filter_methods=["iv_top_k"], need_run=False).run(tmp_path)
    for member, found in result.outputs.items():
        assert found.model is not None
        assert found.data is not None
        assert found.data.columns is tables[member].columns
        assert transform(found.model, tables[member]) is tables[member]


def test_a_statistic_decides(tmp_path: Path) -> None:
    t = column_table(a=[1.0, 2.0], b=[5.0, 6.0], c=[9.0, 9.0])
    found = pb.StatisticParam()
    for name, value in (("a", 1.5), ("b", 5.5), ("c", 9.0)):
        found.self_values[name].values["mean"] = value
    models: Models = {GUEST: {"StatisticParam": found}}
    given = {"filter_methods": ["statistic_filter"]}
    high = {"statistic_param": {"metrics": ["mean"], "threshold": [5.0]}}
    low = {"statistic_param": {"filter_type": "top_k", "threshold": 2.0, "take_high": False}}
    for number, (more, expected) in enumerate([(high, ["b", "c"]), (low, ["a", "b"])]):
        result = selecting({GUEST: t}, models, **given, **more).run(tmp_path / str(number))
        assert left(result.outputs)[GUEST] == expected
    with pytest.raises(DslError, match="FED-843"):
        selecting({GUEST: t}, **given).run(tmp_path / "none")
    with pytest.raises(DataError, match="FED-842"):
        selecting({GUEST: t}, models, **given, statistic_param={"metrics": "median"}).run(tmp_path / "absent")


def test_filters_by_iv_need_a_binning_with_ivs(tables: dict[Member, Table], tmp_path: Path) -> None:
    with pytest.raises(DslError, match="FED-843"):
        selecting(tables, filter_methods=["iv_top_k"]).run(tmp_path / "none")
    models = models_of(binned(tables, tmp_path, skip_static=True))
    with pytest.raises(DslError, match="FED-844"):
        selecting(tables, models, filter_methods=["iv_top_k"]).run(tmp_path / "bins only")


@pytest.mark.parametrize(
    "given",
    [
        {"filter_methods": []},
        {"filter_methods": ["vif_filter"]},
        {"filter_methods": ["sorting"]},
        {"iv_percentile_param": {"percentile_threshold": 0.0}},
        {"iv_top_k_param": {"k": 0}},
        {"iv_param": {"filter_type": "top_k", "threshold": 1.5}},
        {"iv_param": {"take_high": False}},
        {"manually_param": {"filter_out_indexes": [0], "left_col_names": ["a"]}},
        {"select_cols": [0], "select_col_indexes": [0]},
        {"select_cols": [-2]},
    ],
    ids=str,
)
def test_what_cannot_run_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FeatureSelectionParams.model_validate(given)


def test_what_must_be_alike_is_checked() -> None:
    one, other = FeatureSelectionParams(), FeatureSelectionParams(filter_methods=["manually"])
    with pytest.raises(DslError, match="FED-847"):
        HETERO_FEATURE_SELECTION.settle({GUEST: one, HOST: other})


@pytest.mark.parametrize("columns", [{"a": [1.0, np.inf]}, {"a": ["x", "y"]}])
def test_values_that_are_no_numbers_are_refused(columns: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FedError, match="FED-831"):
        selecting({GUEST: column_table(**columns)}).run(tmp_path)


def test_huge_values_do_not_overflow(tmp_path: Path) -> None:
    methods = ["unique_value", "coefficient_of_variation_value_thres"]
    t = column_table(a=[-1.7e308, 1.7e308], b=[1e-300, 1e200], c=[1.0, 1.0])
    result = selecting({GUEST: t}, filter_methods=methods).run(tmp_path)
    assert left(result.outputs)[GUEST] == ["a", "b"]
    for step in param(result.outputs[GUEST]).results:
        assert np.isfinite(list(step.feature_values.values())).all()


def test_a_table_of_one_row_and_of_none_keeps_a_column(tmp_path: Path) -> None:
    methods = ["unique_value", "coefficient_of_variation_value_thres", "outlier_cols", "percentage_value"]
    for rows in (1, 0):
        t = column_table(a=[1.0], b=[2.0]).take(np.arange(rows))
        result = selecting({GUEST: t}, filter_methods=methods).run(tmp_path / str(rows))
        assert left(result.outputs)[GUEST] == ["a"]


def test_label_and_weights_of_rows_are_no_columns_to_select(tmp_path: Path) -> None:
    columns = {"y": np.array([0, 1, 0, 1]), "w": np.ones(4), "a": np.ones(4), "b": np.arange(4.0)}
    ids = np.array(["i", "j", "k", "l"], object)
    result = selecting({GUEST: Table(ids, columns, "y", weight="w")}).run(tmp_path)
    found = result.outputs[GUEST].data
    assert found is not None
    assert (list(found.columns), found.label, found.weight) == (["y", "w", "b"], "y", "w")


VALUES = st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5, 2.0]), max_size=6)


@given(
    st.lists(VALUES, min_size=1, max_size=4),
    st.sampled_from(["threshold", "top_k", "top_percentile"]),
    st.integers(1, 10),
    st.booleans(),
)
def test_whatever_the_rule_each_party_keeps_its_best(
    parties: list[list[float]], kind: Any, tenths: int, high: bool
) -> None:
    values = [{f"{party}_{n}": v for n, v in enumerate(own)} for party, own in enumerate(parties)]
    rule = Rule(kind, tenths if kind == "top_k" else tenths / 10, high=high)
    left = rule.stays(values)
    for own, kept in zip(values, left, strict=True):
        best = (max if high else min)(own.values(), default=None)
        assert [c for c in own if c in kept] == kept
        assert not own or best in {own[column] for column in kept}
    total, most = sum(map(len, left)), sum(map(len, values))
    if kind == "top_k":
        assert min(tenths, most) <= total <= max(tenths, 0) + len(parties)
    if kind == "threshold":
        passing = sum(v >= tenths / 10 if high else v <= tenths / 10 for own in parties for v in own)
        assert passing <= total <= passing + len(parties)


def test_a_guest_that_answers_with_other_columns_is_refused(
    tables: dict[Member, Table], outputs: dict[Member, Outputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, answer in enumerate(([0, 0], [7], [])):
        monkeypatch.setattr(
            hetero_feature_selection,
            "tell",
            lambda box, left, round_, answer=answer: [
                box.send(STAYING, np.array(answer, "<u4"), round_, host) for host in left
            ],
        )
        with pytest.raises(ProtocolError, match="FED-845"):
            selecting(tables, models_of(outputs), filter_methods=["iv_top_k"]).run(tmp_path / str(number))


@pytest.mark.parametrize("asked", [[0, 0], [9], [0, 1, 2, 3]])
def test_a_host_that_asks_about_columns_without_bins_is_refused(
    asked: list[int], outputs: dict[Member, Outputs]
) -> None:
    with pytest.raises(ProtocolError, match="FED-845"):
        candidates(_Asking(asked), binning_param(outputs[GUEST]), 0)  # type: ignore[arg-type]


class _Asking:
    """A guest's box with what its hosts ask."""

    def __init__(self, asked: list[int]) -> None:
        self.asked = asked

    def gather(self, topic: Any, round_: int) -> dict[Member, Any]:
        return {HOST: np.array(self.asked, "<u4")}
