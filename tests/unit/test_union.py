"""Union: rows of several tables, repeated ids, tables that do not fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.component import Inputs, Outputs
from federatedml.components.union import UNION, UnionParams, united
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from tests.conformance import Case, conforms
from tests.members import GUEST, HOST, table


def run(tables: list[Table], folder: Path, **given: Any) -> Outputs:
    p = UnionParams.model_validate(given)
    return Case(UNION, {GUEST: p}, {GUEST: Inputs({"data": tables})}).run(folder).outputs[GUEST]


def test_rows_follow_each_other_and_the_first_of_an_id_stays(tmp_path: Path) -> None:
    first = replace(table(["a", "b"], "y", y=[0, 1], x=[1.0, 2.0]), origin="dataio_0")
    second = replace(table(["c", "b", "d"], "y", y=[1, 0, 1], x=[3.0, 9.0, 4.0]), origin="dataio_1")
    out = run([first, second], tmp_path)
    assert (out.data.ids.tolist(), out.data.label) == (["a", "b", "c", "d"], "y")
    assert out.data.columns["x"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert out.summary == {"rows": 4.0, "repeated": 1.0}
    assert [list(row) for row in out.views[0].rows] == [["dataio_0", 2], ["dataio_1", 3], ["Total", 4]]


def test_all_rows_stay_under_new_ids(tmp_path: Path) -> None:
    parts = [replace(table(["a", "b"], x=[1, 2]), origin="s"), replace(table(["b"], x=[3]), origin="s")]
    other = replace(table(["b"], x=[4]), origin="t")
    out = run([*parts, other], tmp_path, keep_duplicate=True)
    assert out.data.ids.tolist() == ["a_s.1", "b_s.1", "b_s.2", "b_t"]
    assert out.data.columns["x"].tolist() == [1, 2, 3, 4]
    assert out.summary["repeated"] == 0.0


def test_new_ids_that_meet_are_refused() -> None:
    with pytest.raises(DataError, match=r"FED-883.*1 of the new ids"):
        united([table(["a_t"], x=[1]), table(["a"], x=[2])], ["u", "t_u"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), unique=True, max_size=10), min_size=1, max_size=4))
def test_each_id_is_there_once_with_the_values_of_its_first_table(groups: list[list[int]]) -> None:
    tables = [table([f"u{i}" for i in ids], x=np.array([100.0 * k + i for i in ids])) for k, ids in enumerate(groups)]
    expected: dict[str, float] = {}
    for part in tables:
        for sid, value in zip(part.ids.tolist(), part.columns["x"].tolist(), strict=True):
            expected.setdefault(sid, value)
    found = united(tables, None)
    assert dict(zip(found.ids.tolist(), found.columns["x"].tolist(), strict=True)) == expected
    assert found.ids.tolist() == list(expected)


def test_columns_may_be_in_another_order_and_ids_of_another_type() -> None:
    first = table(["a"], x=[1], z=[2])
    second = replace(table(["b"], z=[4.5], x=[3.5]), ids=np.array(["b"], np.dtypes.StringDType()))
    found = united([first, second], None)
    assert found.header == ["x", "z"]
    assert (found.columns["x"].tolist(), found.columns["z"].tolist()) == ([1.0, 3.5], [2.0, 4.5])
    assert found.ids.tolist() == ["a", "b"]


def test_tables_without_rows_are_skipped_whatever_they_have(tmp_path: Path) -> None:
    empty = table([], z=np.zeros(0))
    out = run([empty, table(["a"], x=[1])], tmp_path / "1")
    assert (out.data.header, len(out.data)) == (["x"], 1)
    assert run([empty, empty], tmp_path / "2").data.header == ["z"]


def test_one_table_passes(tmp_path: Path) -> None:
    assert run([table(["a"], x=[1])], tmp_path).data.ids.tolist() == ["a"]


def test_without_need_run_the_first_table_passes(tmp_path: Path) -> None:
    first = table(["a"], x=[1])
    assert run([first, table(["b"], z=[1])], tmp_path, need_run=False).data is first


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (table(["b"], z=[1]), "differ in 2 columns"),
        (table(["b"], "x", x=[1]), "another label"),
        (replace(table(["b"], x=[1]), weight="x"), "another weight"),
        (table(["b"], kind=Kind.PREDICTIONS, x=[1]), "another kind"),
        (table(["b"], x=["text"]), "text in one table"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(other: Table, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"FED-882.*{words}") as error:
        run([table(["a"], x=[1]), other], tmp_path)
    assert "'" not in error.value.message


def test_predictions_of_several_jobs_may_be_united() -> None:
    parts = [table([sid], kind=Kind.PREDICTIONS, predict_score=[0.5], type=["train"]) for sid in "ab"]
    assert united(parts, None).kind is Kind.PREDICTIONS


def test_parties_that_unite_the_same_outputs_have_the_same_ids(tmp_path: Path) -> None:
    tables = {
        member: [replace(table(ids, **{name: [1, 2]}), origin="split_0") for ids in (["a", "b"], ["c", "a"])]
        for member, name in ((GUEST, "x"), (HOST, "z"))
    }
    p = UnionParams(keep_duplicate=True)
    case = Case(UNION, dict.fromkeys(tables, p), {m: Inputs({"data": parts}) for m, parts in tables.items()})
    found = conforms(case, tmp_path).outputs
    assert found[GUEST].data.ids.tolist() == found[HOST].data.ids.tolist()


def test_tables_say_how_many_rows_may_be_of_one_sample() -> None:
    one, other = table(["a"], x=[1]), table(["b"], x=[2])
    assert united([one, other], None).copies == 1
    assert united([one, other, other], ["u", "v", "w"]).copies == 3
    renamed = united([one], ["u"])  # who unites it with its source cannot see that they are the same
    assert renamed.copies == 2
    assert united([renamed, one], None).copies == 3
