"""Options of HeteroFeatureBinning, its model, tables at the edge, and what peers may not send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from airfed_proto.v1 import features_pb2 as pb
from federatedml.component import Inputs
from federatedml.components import binning_shared, binning_told
from federatedml.components.binning_model import transform
from federatedml.components.binning_params import FeatureBinningParams
from federatedml.components.binning_told import ToldBins, checked_events, told_bins
from federatedml.components.binning_topics import ROWS
from federatedml.components.hetero_feature_binning import HETERO_FEATURE_BINNING
from federatedml.components.quantile_bins import bins_of, quantile_points
from federatedml.crypto.dealt.deal import Deal
from federatedml.crypto.dealt.dealer import MapDealer
from federatedml.crypto.dealt.messages import Correction
from federatedml.crypto.dealt.words import WordRing
from federatedml.data.table import Table
from federatedml.errors import DataError, DslError, ProtocolError
from federatedml.federation.box import Box
from federatedml.federation.local import LocalNetwork
from federatedml.federation.party import Member, Role
from tests.binning_cases import bin_tables, binning_case, binning_param, pooled_iv
from tests.members import ARBITER, GUEST, HOST, OTHER_HOST, table

SHORT = {"encrypt_param": {"key_length": 1024}}
PAILLIER = {"encrypt_param": {"method": "Paillier"}}


def alone(columns: dict[str, Any], folder: Path, labels: list[int] | None = None, **given: Any) -> Any:
    """The guest's outputs of a step without messages."""
    rows = len(next(iter(columns.values())))
    given = {"skip_static": labels is None, "local_only": True, **given}
    extra = {} if labels is None else {"y": labels}
    t = table([f"i{n}" for n in range(rows)], None if labels is None else "y", **columns, **extra)
    result = binning_case({GUEST: t}, **given).run(folder)
    assert not result.sent
    return result.outputs[GUEST]


def points(outputs: Any, name: str) -> list[float]:
    return list(binning_param(outputs).binning_result.binning_result[name].split_points)


def test_buckets_have_one_width_and_quantiles_as_many_rows(tmp_path: Path) -> None:
    columns = {"a": [0.0, 1.0, 2.0, 100.0, np.nan]}
    found = alone(columns, tmp_path / "bucket", method="bucket", bin_num=4)
    assert points(found, "a") == [25.0, 50.0, 75.0, 100.0]
    assert found.data.columns["a"].tolist() == [0, 0, 0, 3, 4]
    found = alone(columns, tmp_path / "quantile", bin_num=4)
    assert points(found, "a") == [0.0, 1.0, 2.0, 100.0]
    assert found.data.columns["a"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("method", ["quantile", "bucket"])
@pytest.mark.parametrize(
    ("values", "expected", "bins"),
    [
        ([7.0, 7.0, 7.0], [7.0], [0, 0, 0]),
        ([np.nan, np.nan], [0.0], [0, 0]),
        ([1.5], [1.5], [0]),
        ([], [0.0], []),
    ],
    ids=["constant", "missing", "one row", "no row"],
)
def test_columns_at_the_edge(
    method: str, values: list[float], expected: list[float], bins: list[int], tmp_path: Path
) -> None:
    found = alone({"a": values}, tmp_path, method=method)
    assert points(found, "a") == expected
    assert found.data.columns["a"].tolist() == bins


@pytest.mark.parametrize("method", ["quantile", "bucket"])
def test_a_column_without_a_value_tells_nothing(method: str, tmp_path: Path) -> None:
    found = alone({"a": [np.nan] * 5}, tmp_path, [0, 1, 1, 0, 1], method=method)
    told = binning_param(found).binning_result.binning_result["a"]
    assert (told.iv, list(told.event_count_array), list(told.non_event_count_array)) == (0.0, [3], [2])
    assert (told.bin_nums, told.has_missing_bin) == (1, False)


@pytest.mark.parametrize(
    ("given", "refused"), [({}, True), ({"local_only": True}, True), ({"skip_static": True}, False)]
)
def test_rows_that_weigh_are_not_counted_as_if_they_did_not(given: Any, refused: bool, tmp_path: Path) -> None:
    tables = bin_tables(100)
    columns = {**tables[GUEST].columns, "sample_weight": np.full(100, 2.0)}
    one = binning_case({**tables, GUEST: replace(tables[GUEST], columns=columns, weight="sample_weight")}, **given)
    if refused:
        with pytest.raises(DataError, match=r"FED-721.*'sample_weight': HeteroFeatureBinning before FederatedSample"):
            one.run(tmp_path)
    else:
        assert one.run(tmp_path).outputs[GUEST].data is not None


def test_the_widest_range_does_not_overflow(tmp_path: Path) -> None:
    found = alone({"a": [-1.7e308, 1.7e308]}, tmp_path, method="bucket", bin_num=4)
    assert points(found, "a") == pytest.approx([-0.85e308, 0.0, 0.85e308, 1.7e308])


def test_columns_are_chosen_by_position_and_by_name(tmp_path: Path) -> None:
    columns = {name: [1.0, 2.0, 3.0] for name in "abcd"}
    ways: list[tuple[dict[str, Any], list[str]]] = [
        ({"cols": [0, 3]}, ["a", "d"]),
        ({"bin_indexes": [2]}, ["c"]),
        ({"bin_names": ["d", "b"]}, ["b", "d"]),
        ({"cols": [0], "bin_names": ["b"]}, ["a", "b"]),
        ({"cols": [0], "category_names": ["b"]}, ["a", "b"]),
        ({"cols": -1}, list("abcd")),
        ({"cols": []}, []),
    ]
    for number, (given, expected) in enumerate(ways):
        found = alone(columns, tmp_path / str(number), **given)
        assert [n for n in found.data.header if n in binning_param(found).binning_result.binning_result] == expected
        assert {n for n in "abcd" if found.data.columns[n].tolist() == [0, 1, 2]} == set(expected)


def test_categories_have_a_bin_for_each_value(tmp_path: Path) -> None:
    columns = {"a": [3.0, 9.0, 3.0, -1.0, np.nan], "b": [1.0, 2.0, 3.0, 4.0, 5.0]}
    found = alone(columns, tmp_path, bin_num=2, category_indexes=[0])
    assert points(found, "a") == [-1.0, 3.0, 9.0]
    assert found.data.columns["a"].tolist() == [1, 2, 1, 0, 3]
    assert found.data.columns["b"].tolist() == [0, 0, 0, 1, 1]


def test_only_the_named_columns_change(tmp_path: Path) -> None:
    columns = {"a": [1.0, 2.0], "b": [10.0, 20.0]}
    for number, given in enumerate([{"transform_cols": [1]}, {"transform_names": ["b"]}]):
        found = alone(columns, tmp_path / str(number), transform_param=given)
        assert (found.data.columns["a"].tolist(), found.data.columns["b"].tolist()) == ([1.0, 2.0], [0.0, 1.0])
    found = alone(columns, tmp_path / "none", transform_param={"transform_type": None})
    assert found.data.columns["b"].tolist() == [10.0, 20.0]
    for number, given in enumerate([{"transform_cols": [2]}, {"transform_names": ["c"]}]):
        with pytest.raises(DataError, match="FED-830"):
            alone(columns, tmp_path / f"absent {number}", transform_param=given)
    with pytest.raises(DataError, match=r"FED-830.*no bins"):
        alone(columns, tmp_path / "not binned", cols=[0], transform_param={"transform_cols": [1]})


def test_evidence_replaces_values_at_the_guest(tmp_path: Path) -> None:
    labels = [0, 1, 1, 0, 1, 0, 0, 1]
    values = [1.0, 2.0, 3.0, np.nan, 1.5, 2.5, 0.5, 9.0]
    found = alone({"a": values}, tmp_path, labels, bin_num=3, transform_param={"transform_type": "woe"})
    bins = bins_of(np.array(values), quantile_points(np.array(values), 3)).astype(int)
    iv, woe = pooled_iv(bins, np.array(labels))
    np.testing.assert_allclose(found.data.columns["a"], woe[bins], atol=1e-12)
    told = binning_param(found).binning_result.binning_result["a"]
    assert told.has_missing_bin
    assert told.iv == pytest.approx(iv)
    assert told.bin_nums == 4
    assert sum(told.event_count_array) == sum(labels)


def test_empty_cells_are_adjusted_as_fate_does(tmp_path: Path) -> None:
    """A bin with two events and no other row: (0 + f) / others over (2 + f) / events; totals stay."""
    for number, factor in enumerate((0.5, 2.0)):
        found = alone(
            {"a": [1.0, 1.0, 5.0, 5.0, 5.0]}, tmp_path / str(number), [1, 1, 0, 0, 1], adjustment_factor=factor
        )
        told = binning_param(found).binning_result.binning_result["a"]
        assert list(told.event_rate_array) == pytest.approx([(2 + factor) / 3, 1 / 3])
        assert list(told.non_event_rate_array) == pytest.approx([factor / 2, 1.0])
        assert list(told.woe_array) == pytest.approx([np.log(factor / 2 / ((2 + factor) / 3)), np.log(3)])
        assert told.is_woe_monotonic


@pytest.mark.parametrize("labels", [[0, 1, 2], [1, 1, 1], [5, 5, 5]])
def test_labels_of_another_number_of_classes_are_refused(labels: list[int], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"FED-257.*exactly 2"):
        alone({"a": [1.0, 2.0, 3.0]}, tmp_path, labels)


def test_a_label_may_have_any_two_values(tmp_path: Path) -> None:
    found = alone({"a": [1.0, 1.0, 2.0, 2.0]}, tmp_path, [-1, 3, -1, -1])
    param = binning_param(found)
    assert list(param.classes) == [-1.0, 3.0]
    assert list(param.binning_result.binning_result["a"].event_count_array) == [1, 0]


@pytest.mark.parametrize(
    ("columns", "code"),
    [({"a": ["x", "y"]}, "FED-831"), ({"a": [1.0, np.inf]}, "FED-831"), ({"a": [1.0, -np.inf]}, "FED-831")],
)
def test_values_that_are_no_numbers_are_refused(columns: dict[str, Any], code: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=code) as caught:
        alone(columns, tmp_path)
    assert "'a'" not in caught.value.message, "names stay at the party"


@pytest.mark.parametrize("given", [{"cols": [5]}, {"bin_names": ["z"]}, {"category_names": ["z"]}], ids=str)
def test_columns_that_are_not_there_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="FED-830"):
        alone({"a": [1.0, 2.0]}, tmp_path, **given)


@pytest.mark.parametrize("arbiter", [False, True], ids=["paillier", "shared"])
def test_parties_without_columns_take_part(arbiter: bool, tmp_path: Path) -> None:
    tables = bin_tables(100, hosts=2)
    tables[HOST] = replace(tables[HOST], columns={})
    tables[GUEST] = replace(tables[GUEST], columns={"y": tables[GUEST].columns["y"]})
    result = binning_case(tables, arbiter, **SHORT).run(tmp_path)
    found = binning_param(result.outputs[GUEST])
    assert not found.binning_result.binning_result
    assert not found.host_results[str(HOST)].binning_result
    assert set(found.host_results[str(OTHER_HOST)].binning_result) == {f"{OTHER_HOST}_0", f"{OTHER_HOST}_1"}
    assert not result.unread


@pytest.mark.parametrize("arbiter", [False, True], ids=["paillier", "shared"])
def test_bins_of_a_host_on_few_rows_are_one(arbiter: bool, tmp_path: Path) -> None:
    result = binning_case(bin_tables(12), arbiter, **SHORT).run(tmp_path)
    for column in binning_param(result.outputs[GUEST]).host_results[str(HOST)].binning_result.values():
        assert column.bin_nums == 1
        assert column.iv == pytest.approx(0)
    host = result.outputs[HOST].data
    assert host is not None
    assert all((column == 0).all() for column in host.columns.values())


def test_one_party_may_be_guest_and_host(tmp_path: Path) -> None:
    tables = bin_tables(100)
    twin = Member(Role.HOST, GUEST.party)
    result = binning_case({GUEST: tables[GUEST], twin: tables[HOST]}, True).run(tmp_path)
    assert set(binning_param(result.outputs[GUEST]).host_results) == {str(twin)}


def test_the_hosts_parameters_are_their_own(tmp_path: Path) -> None:
    case = binning_case(bin_tables(200, missing=0), True, bin_num=4)
    own = case.params[HOST].model_copy(update={"bin_num": 2, "cols": [1]})
    result = replace(case, params={**case.params, HOST: own}).run(tmp_path)
    told = binning_param(result.outputs[GUEST]).host_results[str(HOST)].binning_result
    assert {name: column.bin_nums for name, column in told.items()} == {f"{HOST}_1": 2}


def test_other_rows_are_refused_before_bins_are_told(tmp_path: Path) -> None:
    tables = bin_tables(100)
    tables[HOST] = tables[HOST].take(np.arange(99, -1, -1))
    with pytest.raises(DataError, match="FED-251"):
        binning_case(tables, True).run(tmp_path)


@pytest.mark.parametrize("arbiter", [False, True], ids=["paillier", "shared"])
def test_a_fitted_model_transforms_and_fits_nothing(arbiter: bool, tmp_path: Path) -> None:
    tables = bin_tables(200)
    case = binning_case(tables, arbiter, **SHORT)
    fitted = case.run(tmp_path / "fit").outputs
    inputs = {
        m: Inputs({"data": [t.take(np.arange(5))]} if (t := tables.get(m)) else {}, fitted[m].model)
        for m in case.params
    }
    predicting = replace(case, inputs=inputs)
    again = predicting.run(tmp_path / "again")
    assert not again.sent
    assert set(again.outputs) == set(case.params)
    for member in tables:
        whole, part = fitted[member].data, again.outputs[member].data
        assert whole is not None
        assert part is not None
        assert again.outputs[member].model == fitted[member].model
        for name in whole.header:
            assert part.columns[name].tolist() == whole.columns[name][:5].tolist()


def test_one_row_and_a_batch_agree_and_other_columns_are_left(tmp_path: Path) -> None:
    found = alone({"a": [1.0, 2.0, np.nan], "b": [4.0, 4.0, 5.0]}, tmp_path, bin_num=2)
    assert found.model is not None
    rows = [
        Table(np.array(["x"], object), {"a": np.array([v]), "b": np.array([9.0]), "c": np.array(["t"], object)})
        for v in (0.5, 1.0, 1.5, 9.0, np.nan)
    ]
    done = [transform(found.model, row) for row in rows]
    assert [t.columns["a"][0] for t in done] == [0, 0, 1, 1, 2]
    assert [t.columns["b"][0] for t in done] == [1] * 5
    assert all(t.columns["c"][0] == "t" for t in done)
    with pytest.raises(DataError, match="FED-836"):
        transform(found.model, Table(np.array(["x"], object), {"a": np.array([1.0])}))


def test_a_value_missing_where_training_had_none_is_in_the_last_bin(tmp_path: Path) -> None:
    found = alone({"a": [1.0, 2.0, 3.0]}, tmp_path)
    assert found.model is not None
    assert transform(found.model, Table(np.array(["x"], object), {"a": np.array([np.nan])})).columns["a"] == [2.0]


def test_local_only_leaves_hosts_as_they_are(tmp_path: Path) -> None:
    tables = bin_tables(100)
    result = binning_case(tables, local_only=True).run(tmp_path)
    assert not result.sent
    host, model = result.outputs[HOST].data, result.outputs[HOST].model
    assert host is not None
    assert model is not None
    assert all(host.columns[name] is column for name, column in tables[HOST].columns.items())
    assert transform(model, tables[HOST]).columns["h0"] is tables[HOST].columns["h0"]
    assert binning_param(result.outputs[GUEST]).binning_result.binning_result["g0"].iv > 0


def test_skip_static_bins_everywhere_and_says_nothing(tmp_path: Path) -> None:
    tables = bin_tables(100)
    tables[GUEST] = replace(tables[GUEST], label=None, columns={"g0": tables[GUEST].columns["g0"]})
    result = binning_case(tables, skip_static=True).run(tmp_path)
    assert not result.sent
    for member in tables:
        data = result.outputs[member].data
        assert data is not None
        assert all(set(np.unique(column)) <= set(range(11)) for column in data.columns.values())


def test_need_run_false_passes_data_through(tmp_path: Path) -> None:
    tables = bin_tables(50)
    result = binning_case(tables, True, need_run=False).run(tmp_path)
    assert not result.sent
    for member, t in tables.items():
        assert result.outputs[member].data is not None
        assert result.outputs[member].data.columns is t.columns  # type: ignore[union-attr]


def protocol(members: list[Member], **given: Any) -> str:
    p = FeatureBinningParams.model_validate(given)
    settled = HETERO_FEATURE_BINNING.settle(dict.fromkeys(members, p))
    assert HETERO_FEATURE_BINNING.settle(settled) == settled
    (found,) = {q.protocol for q in settled.values()}  # type: ignore[attr-defined]
    return str(found)


def test_auto_is_shared_where_an_arbiter_can_deal() -> None:
    same = Member(Role.ARBITER, HOST.party)
    assert protocol([GUEST, HOST]) == "paillier"
    assert protocol([GUEST, HOST, ARBITER]) == "shared"
    assert protocol([GUEST, HOST, ARBITER], **PAILLIER) == "paillier"
    assert protocol([GUEST, HOST, ARBITER], encrypt_param={"key_length": 1024}) == "shared"
    assert protocol([GUEST, HOST, same]) == "paillier"
    for members in ([GUEST, HOST, same], [GUEST, HOST]):
        with pytest.raises(DslError, match="FED-840"):
            protocol(members, protocol="shared")


def test_what_does_not_fit_together_is_refused_in_the_plan() -> None:
    p = FeatureBinningParams()
    for change in ({"need_run": False}, {"local_only": True}, {"min_bin_rows": 5}, {"protocol": "paillier"}):
        with pytest.raises(DslError, match="FED-837"):
            HETERO_FEATURE_BINNING.settle({GUEST: p, HOST: p.model_copy(update=change)})
    woe = FeatureBinningParams.model_validate({"transform_param": {"transform_type": "woe"}})
    with pytest.raises(DslError, match=r"FED-838.*bin_num or null"):
        HETERO_FEATURE_BINNING.settle({GUEST: p, HOST: woe})
    assert HETERO_FEATURE_BINNING.settle({GUEST: woe, HOST: p})
    with pytest.raises(DslError, match="FED-839"):
        HETERO_FEATURE_BINNING.settle({GUEST: p})


@pytest.mark.parametrize(
    "given",
    [
        {"method": "optimal"},
        {"bin_num": 1},
        {"cols": [-2]},
        {"cols": 3},
        {"cols": [0], "bin_indexes": [1]},
        {"adjustment_factor": 0.0},
        {"transform_param": {"transform_type": "log"}},
        {"skip_static": True, "transform_param": {"transform_type": "woe"}},
        {"encrypt_param": {"method": "IterativeAffine"}},
        {"min_bin_rows": 0},
    ],
    ids=str,
)
def test_parameters_that_cannot_run_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FeatureBinningParams.model_validate(given)


def test_parameters_without_effect_are_noted() -> None:
    notes = HETERO_FEATURE_BINNING.notes(
        FeatureBinningParams(error=0.01, protocol="paillier", encrypt_param=SHORT["encrypt_param"])
    )  # type: ignore[arg-type]
    assert any("error has no effect" in note for note in notes)
    assert any("1024 is short" in note for note in notes)
    shared = FeatureBinningParams(protocol="shared", encrypt_param=SHORT["encrypt_param"])  # type: ignore[arg-type]
    assert list(HETERO_FEATURE_BINNING.notes(shared)) == ["encrypt_param has no effect under protocol 'shared'"]


GOOD: dict[str, Any] = {"columns": [1, 4], "sizes": [2, 1], "missing": [1, 0], "counts": [30, 20, 50]}


def structure(**changed: Any) -> dict[str, Any]:
    kinds = {"columns": "<u4", "sizes": "<u4", "missing": "|u1", "counts": "<i8"}
    return {name: np.array(value, kinds[name]) for name, value in {**GOOD, **changed}.items()}


def test_what_a_host_tells_of_its_bins_is_read() -> None:
    told = told_bins(structure(), 50, HOST)
    assert (list(told.columns), [c.tolist() for c in told.counts], list(told.missing)) == (
        [1, 4],
        [[30, 20], [50]],
        [True, False],
    )
    assert told_bins(structure(columns=[], sizes=[], missing=[], counts=[]), 50, HOST).cells == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"columns": [4, 1]},
        {"columns": [1, 1]},
        {"columns": [1]},
        {"sizes": [2, 2]},
        {"sizes": [3, 0]},
        {"sizes": [2**31, 2**31]},
        {"missing": [1, 1]},
        {"missing": [2, 0]},
        {"counts": [31, 20, 50]},
        {"counts": [60, -10, 50]},
        {"counts": [2**62, 2**62, 50]},
        {"counts": [30, 20]},
        {"columns": [], "sizes": [], "missing": []},
    ],
    ids=str,
)
def test_bins_that_no_table_has_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="FED-833"):
        told_bins(structure(**changed), 50, HOST)


@pytest.mark.parametrize(
    "sums", [[31.0, 0, 31], [-1, 12, 11], [5, 6, 10], [5.5, 5.5, 11], [5, 6, 11 + 2.0**40]], ids=str
)
def test_sums_that_are_no_events_are_refused(sums: list[float]) -> None:
    told = ToldBins([1, 4], [np.array([30, 20]), np.array([50])], [True, False])
    with pytest.raises(ProtocolError, match="FED-834"):
        checked_events(np.array(sums), told, 11, HOST)
    assert [e.tolist() for e in checked_events(np.array([5.0, 6, 11]), told, 11, HOST)] == [[5, 6], [11]]


def test_views_show_every_column_and_bin(tmp_path: Path) -> None:
    result = binning_case(bin_tables(100), True).run(tmp_path)
    columns, bins, curve = (view.json() for view in result.outputs[GUEST].views)
    assert {row[0] for row in columns["rows"]} == {"g0", "g1", f"{HOST}_0", f"{HOST}_1"}
    assert [row[2] for row in columns["rows"]] == sorted((row[2] for row in columns["rows"]), reverse=True)
    assert len(bins["rows"]) == sum(row[1] for row in columns["rows"])
    assert all(row[2] in (None, "missing") for row in bins["rows"] if row[0].startswith("host"))
    assert curve["series"][0]["y"] == [row[2] for row in columns["rows"]]
    (own,) = (view.json() for view in result.outputs[HOST].views)
    assert {row[0] for row in own["rows"]} == {"h0", "h1"}


def test_buffers_have_fates_names_and_survive_bytes(tmp_path: Path) -> None:
    result = binning_case(bin_tables(100), True).run(tmp_path)
    spec = HETERO_FEATURE_BINNING.model
    assert spec is not None
    for outputs in result.outputs.values():
        assert outputs.model is not None
        assert set(outputs.model) == {"FeatureBinningMeta", "FeatureBinningParam"}
        stored = {name: message.SerializeToString() for name, message in outputs.model.items()}
        assert spec.parse(stored) == outputs.model
    meta = result.outputs[GUEST].model["FeatureBinningMeta"]  # type: ignore[index]
    assert isinstance(meta, pb.FeatureBinningMeta)
    assert (meta.method, meta.bin_num, meta.protocol, list(meta.cols)) == ("quantile", 10, "shared", ["g0", "g1"])


@pytest.mark.parametrize("arbiter", [False, True], ids=["paillier", "shared"])
def test_a_host_with_too_many_bins_says_so(arbiter: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binning_told, "MOST_CELLS", 3)
    with pytest.raises(DataError, match=r"FED-835.*bins of all columns, at most 3"):
        binning_case(bin_tables(100), arbiter=arbiter, **SHORT).run(tmp_path)


def test_more_bins_than_others_take_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binning_told, "MOST_CELLS", 2)
    with pytest.raises(ProtocolError, match="FED-833"):
        told_bins(structure(), 50, HOST)


def test_the_arbiter_does_not_deal_for_more_bins_than_there_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binning_shared, "MOST_CELLS", 3)
    with pytest.raises(ProtocolError, match=r"FED-833.*at most 3"):
        binning_case(bin_tables(100), arbiter=True).run(tmp_path)


def test_the_arbiter_deals_for_no_other_rows_than_the_guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T23: one message of a host could keep it busy with 2^32 rows, long after the guest has refused."""
    dealt: list[int] = []

    class Dealing(MapDealer):
        def corrections(self, columns: range) -> Iterator[Correction]:
            dealt.append(self.deal.inputs)
            return super().corrections(columns)

    real = binning_shared._announce
    monkeypatch.setattr(binning_shared, "MapDealer", Dealing)

    def more(box: Box, setup: bytes, inputs: int, outputs: int) -> None:
        if box.me == HOST:
            inputs = 2**14
            setup = Deal.new(inputs, outputs, WordRing(32), 1).to_bytes()
        real(box, setup, inputs, outputs)

    binning_case(bin_tables(100), arbiter=True).run(tmp_path / "honest")
    assert dealt == [100]
    monkeypatch.setattr(binning_shared, "_announce", more)
    with pytest.raises(ProtocolError, match="FED-711"):
        binning_case(bin_tables(100), arbiter=True).run(tmp_path / "hostile")
    assert dealt == [100]


@pytest.mark.parametrize("most", [100, 1])
def test_too_many_rows_and_bins_are_refused_before_words_are_dealt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """At every party: a guest and a host together cannot keep the arbiter busy either."""
    monkeypatch.setattr(binning_told, "MOST_WORDS", most)
    network = LocalNetwork(tmp_path)
    with pytest.raises(DataError, match=rf"FED-835.*100 rows by \d+ bins of all columns, at most {most} in all"):
        binning_case(bin_tables(100), arbiter=True).over(network)
    assert not {"correction", "masked_bins"} & {message.key.topic for message in network.sent}


@pytest.mark.parametrize("rows", [[2**40], [-1], [0], [100, 100]])
def test_numbers_of_rows_of_a_hostile_guest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[int]
) -> None:
    real = binning_shared.ask

    def other(box: Box, labels: Any, told: Any) -> Any:
        send = box.send
        box.send = lambda t, v, *rest, **named: send(  # type: ignore[method-assign]
            t, np.array(rows, "<i8") if t is ROWS else v, *rest, **named
        )
        return real(box, labels, told)

    monkeypatch.setattr(binning_shared, "ask", other)
    network = LocalNetwork(tmp_path)
    with pytest.raises((ProtocolError, DataError), match=r"FED-(381|711|835)"):
        binning_case(bin_tables(100), arbiter=True).over(network)
    assert "correction" not in {message.key.topic for message in network.sent}
