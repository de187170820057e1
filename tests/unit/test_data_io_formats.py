"""DataIO on lines of text, on columns without names, on text; DataTransform is the same with other messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.datasets import load_svmlight_file

from airfed_proto.v1 import model_pb2 as pb
from federatedml.component import ModelBuffers
from federatedml.components.data_io import DATA_TRANSFORM, DataIOParams, DataTransformParams, fit, transform
from federatedml.data.cells import cells
from federatedml.data.line_cells import LineFormat, lines
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from tests.members import table
from tests.unit.test_data_io import params, raw, run

SPARSE = {"input_format": "sparse", "delimitor": " "}
LINES = ["1 3:0.5 0:2", "0", "1 10:-1 3:4"]


def values(found: Table) -> NDArray[np.float64]:
    return found.features()


def model_of(given: dict[str, Any], lines: list[str | None]) -> ModelBuffers:
    return fit(params(**given), raw(line=lines))


def test_libsvm_lines_become_the_columns_that_they_name() -> None:
    found, _, param = run(params(**SPARSE), raw(line=LINES))
    assert found.header == list(param.header) == ["fid0", "fid3", "fid10"]
    assert (found.label, found.labels().tolist(), found.kind) == ("y", [1, 0, 1], Kind.INSTANCES)
    assert values(found).tolist() == [[2, 0.5, 0], [0, 0, 0], [0, 4, -1]]


def test_libsvm_is_read_as_scikit_learn_reads_it(tmp_path: Any) -> None:
    rng = np.random.default_rng(3)
    dense = np.where(rng.random((40, 9)) < 0.3, rng.normal(size=(40, 9)).round(3), 0.0)
    dense[0] = 1.0
    lines = [" ".join([str(at % 2), *(f"{k}:{v}" for k, v in enumerate(row) if v)]) for at, row in enumerate(dense)]
    (tmp_path / "t").write_text("\n".join(lines))
    expected, labels = load_svmlight_file(str(tmp_path / "t"), zero_based=True)
    found, _, _ = run(params(**SPARSE), raw(line=lines))
    np.testing.assert_array_equal(values(found), expected.toarray())
    np.testing.assert_array_equal(found.labels(), labels)


def test_columns_that_come_and_go_after_training() -> None:
    model = model_of(SPARSE, LINES)
    later = transform(model, raw(line=["0 3:1 99:7", "1 99:3"]))
    assert later.header == ["fid0", "fid3", "fid10"]
    assert values(later).tolist() == [[0, 1, 0], [0, 0, 0]]


def test_lines_of_a_predict_job_need_no_labels() -> None:
    later = transform(model_of(SPARSE, LINES), raw(line=["3:1", "0:2 3:5"]))
    assert later.label is None
    assert values(later).tolist() == [[0, 1, 0], [2, 5, 0]]


def test_online_requests_name_columns() -> None:
    model = model_of(SPARSE, LINES)
    later = transform(model, raw(fid3=[0.5, None], other=["text", "x"]))
    assert values(later).tolist() == [[0, 0.5, 0], [0, 0, 0]]
    assert values(transform(model, raw(line=["1 3:0.5", "1"]))).tolist() == values(later).tolist()


def test_the_columns_that_are_asked_for_are_there_even_if_no_line_names_them() -> None:
    found, _, _ = run(params(**SPARSE, columns=["fid10", "fid7"]), raw(line=LINES))
    assert (found.header, values(found).tolist()) == (["fid10", "fid7"], [[0, 0], [0, 0], [-1, 0]])


def test_tags_become_zeros_and_ones() -> None:
    lines = ["b,a", "", "c, \u00fc ,a,a"]
    found, _, _ = run(params(input_format="tag", with_label=False), raw(line=lines))
    assert found.header == ["a", "b", "c", "\u00fc"]
    assert values(found).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1]]


@pytest.mark.parametrize(("fill", "absent"), [(False, 0.0), (True, 4.0)])
def test_tags_with_values_may_be_missing(fill: bool, absent: float) -> None:
    given = {"input_format": "tag", "delimitor": ";", "tag_with_value": True, "tag_value_delimitor": "="}
    p = params(**given, missing_fill=fill, missing_fill_method="max")
    found, _, param = run(p, raw(line=["1;a=2;b=7", "0;a=4;b=7", "1;b=7"]))
    assert values(found).tolist() == [[2, 7], [4, 7], [absent, 7]]
    assert (param.imputer_param.missing_value_ratio["a"] > 0) is fill


def test_missing_and_outlying_values_of_lines_are_replaced() -> None:
    p = params(**SPARSE, missing_fill=True, missing_fill_method="mean", outlier_replace=True, outlier_impute=[-99])
    found, _, _ = run(p, raw(line=["0 1:na 2:5", "1 1:4 2:-99", "0 1:2"]))
    assert values(found).tolist() == [[3, 5], [4, 0], [2, 0]]  # what is absent is a zero


def test_values_that_stay_missing() -> None:
    found, _, _ = run(params(**SPARSE), raw(line=["0 1:na 2:5", "1 1:4"]))
    np.testing.assert_array_equal(values(found), [[np.nan, 5], [4, 0]])


@pytest.mark.parametrize(
    ("given", "lines", "words"),
    [
        (SPARSE, ["1 3"], r"1 lines are not a label and index:value, separated by ' '.*row 1"),
        (SPARSE, ["1 2:1", "0 -1:2"], r"1 lines.*row 2"),
        (SPARSE, ["1 1:1 01:2"], r"named twice"),
        (SPARSE, ["1 9999999999:1"], r"1 lines"),
        (SPARSE, ["1 :1"], r"1 lines"),
        ({**SPARSE, "delimitor": ","}, ["1 3:0.5"], r"FED-213|FED-858"),
        (SPARSE, ["3:1"], r"FED-213.*no labels"),
        (SPARSE, [None], r"FED-213.*missing labels"),
        (SPARSE, ["a 3:1"], r"FED-213.*not numbers"),
        (SPARSE, ["1 3:secret"], r"FED-211.*columns that hold cells that are not numbers: 1"),
        (SPARSE, ["1 3:inf"], r"FED-211"),
        (SPARSE, ["1 3:1_0"], r"FED-211"),
        ({"input_format": "tag", "tag_with_value": True}, ["1,a"], r"FED-858.*a label and tag:value"),
        ({"input_format": "tag", "with_label": False}, ["a,id"], r"FED-213.*'id'"),
        ({"input_format": "tag"}, ["1,y"], r"FED-213.*'y'"),
    ],
)
def test_lines_of_another_format_are_counted_never_shown(given: dict, lines: list, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        run(params(**given), raw(line=lines))
    assert "secret" not in str(caught.value)


def test_lines_are_one_column_of_text() -> None:
    for data in (raw(a=["1 2:3"], b=["x"]), raw(a=[1.0])):
        with pytest.raises(DataError, match=r"FED-858.*one column of text"):
            fit(params(**SPARSE), data)


def test_a_table_of_lines_that_does_not_fit_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federatedml.data.line_cells.MOST_CELLS", 8)
    with pytest.raises(DataError, match=r"FED-859.*3 rows of 3 columns.*at most 8"):
        run(params(**SPARSE), raw(line=LINES))


@given(st.lists(st.text(max_size=12) | st.none(), max_size=6), st.sampled_from(["sparse", "tag", "values"]))
@settings(max_examples=200, deadline=None)
def test_any_lines_are_numbers_or_one_typed_error(lines: list[str | None], form: str) -> None:
    given = {"input_format": "tag" if form == "values" else form, "tag_with_value": form == "values"}
    data = table([f"u{at}" for at in range(len(lines))], kind=Kind.RAW, line=lines)
    try:
        found, _, _ = run(params(**given, label_type="str"), data)
    except DataError as error:
        code = error.code
    else:
        code = "" if found.features().shape[0] == len(lines) and not np.isinf(found.features()).any() else "wrong"
    assert code in ("", "FED-211", "FED-213", "FED-858")


def test_columns_without_names_are_fates() -> None:
    data = Table(
        np.array(["a", "b"], object), {"0": np.array([1, 2]), "1": np.array([0, 1]), "2": np.array([5.0, 6.0])}
    )
    found, meta, param = run(params(label_idx=1), data)
    assert (found.label, found.header, meta.unnamed) == ("y", ["fid0", "fid1"], 2)
    assert values(found).tolist() == [[1, 5], [2, 6]]
    assert run(params(), data)[0].labels().tolist() == [1, 2]
    assert run(params(with_label=False), data)[0].header == ["fid0", "fid1", "fid2"]
    model = {"DataIOMeta": meta, "DataIOParam": param}
    unlabelled = Table(data.ids, {"0": np.array([7, 8]), "1": np.array([9, 9])})
    assert values(transform(model, unlabelled)).tolist() == [[7, 9], [8, 9]]
    assert transform(model, data).labels().tolist() == [0, 1]
    assert values(transform(model, raw(fid1=[3], fid0=[2]))).tolist() == [[2, 3]]
    with pytest.raises(DataError, match=r"FED-210.*1 columns without names, the model's had 2"):
        transform(model, Table(data.ids, {"0": np.array([7, 8])}))
    with pytest.raises(DataError, match=r"FED-213.*no label column at position 3"):
        run(params(label_idx=3), data)


def test_text_stays_text_where_the_type_says_so() -> None:
    given = {"missing_fill": True, "default_value": "other", "outlier_replace": True, "outlier_impute": ["?"]}
    p = params(exclusive_data_type={"city": "str"}, **{**given, "outlier_replace_value": "odd"}, columns=["city"])
    found, _, param = run(p, raw(city=["Bern", None, "?", "na"], y=[0, 1, 1, 0]))
    assert found.columns["city"].tolist() == ["Bern", "other", "odd", "other"]
    assert dict(param.imputer_param.missing_value_ratio) == {"city": 0.5}
    kept, _, _ = run(params(data_type="str"), raw(city=["Bern", None, "na"], n=[1, 2, 3], y=[0, 1, 1]))
    assert kept.columns["city"].tolist() == ["Bern", None, None]
    assert kept.columns["n"].tolist() == ["1", "2", "3"]


@pytest.mark.parametrize("method", ["min", "max", "mean"])
def test_text_has_no_statistics(method: str) -> None:
    with pytest.raises(DataError, match=rf"FED-214.*text, which has no {method}"):
        run(params(data_type="str", missing_fill=True, missing_fill_method=method), raw(city=["a"], y=[0]))


def test_a_replacement_for_each_column() -> None:
    p = params(missing_fill=True, default_value=[7, 8.5], columns=["b", "a"])
    found, _, _ = run(p, raw(a=[None, "1"], b=["na", "2"], y=[0, 1]))
    assert values(found).tolist() == [[7, 8.5], [2, 1]]
    with pytest.raises(DataError, match=r"FED-214.*3 replacements for 2 columns"):
        run(params(missing_fill=True, default_value=[1, 2, 3]), raw(a=[1], b=[2], y=[0]))
    with pytest.raises(DataError, match=r"FED-214.*replacement that is text"):
        run(
            params(missing_fill=True, default_value="none", exclusive_data_type={"b": "str"}),
            raw(a=[None], b=["x"], y=[0]),
        )


def test_a_type_of_a_column_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"FED-210.*exclusive_data_type names 1 columns"):
        run(params(exclusive_data_type={"city": "str"}), raw(a=[1], y=[0]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"input_format": "tag", "tag_with_value": True, "delimitor": ":"}, "are the same"),
        ({"input_format": "sparse", "delimitor": ":"}, "between index and value"),
        ({"default_value": "none"}, "only where a data_type is str"),
        ({"outlier_replace_value": [0, "none"]}, "only where a data_type is str"),
        ({"input_format": "sparse", "data_type": "str"}, "for input_format dense"),
        ({"input_format": "tag", "exclusive_data_type": {"a": "int"}}, "for input_format dense"),
    ],
)
def test_parameters_that_do_not_fit_together(given: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        params(**given)


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("given", [{}, SPARSE, {"input_format": "tag"}, {"need_run": False}])
def test_tables_of_no_row_and_one_row(rows: int, given: dict) -> None:
    columns: dict[str, list] = {"line": ["1"]} if "input_format" in given else {"x": [0.5], "y": [1]}
    data = table(["a"][:rows], kind=Kind.RAW, **{name: cells[:rows] for name, cells in columns.items()})
    found, _, _ = run(params(**given, missing_fill=True), data)
    assert len(found) == rows


def test_what_need_not_run_passes_everything_through() -> None:
    data = raw(x=["text", None])
    model = fit(params(need_run=False), data)
    assert transform(model, data) is data
    assert not model["DataIOMeta"].need_run


def test_data_transform_is_the_same_with_its_own_messages() -> None:
    data = raw(x=[1.0, None], y=[0, 1])
    given = {"missing_fill": True, "missing_fill_method": "max"}
    model = fit(DataTransformParams(with_label=True, **given), data)
    stored = DATA_TRANSFORM.model.parse({name: message.SerializeToString() for name, message in model.items()})
    assert (type(stored["DataTransformMeta"]), stored["DataTransformMeta"].label_name) == (pb.DataTransformMeta, "y")
    found, same = transform(stored, data), run(DataIOParams(**given), data)[0]
    assert found.digest() == same.digest()
    assert DataTransformParams().with_label is False


def test_a_line_that_names_no_column_does_not_make_first_entries_labels() -> None:
    form = LineFormat(" ", ":", True, True, 0.0)
    found = lines(np.array(["1:0.5 2:3", "", None], object), form)
    assert found.labels is None
    assert found.names == ["fid1", "fid2"]
    labelled = lines(np.array(["1 1:0.5", "", "0"], object), form)
    assert labelled.labels is not None
    assert labelled.labels.tolist() == ["1", "", "0"]


def test_true_and_false_are_numbers_also_beside_missing_cells() -> None:
    whole = cells(np.array([True, False]), ())
    some = cells(np.array([True, False, None], object), ())
    assert whole.values.tolist() == some.values[:2].tolist() == [1.0, 0.0]
    assert some.missing.tolist() == [False, False, True]
    assert not some.bad.any()
