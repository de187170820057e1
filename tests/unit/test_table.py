"""Tables on disk: what is written is read, foreign Parquet files are raw tables, odd ones are refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.data import table as stored_table
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.durable import written
from federatedml.data.table import Kind, Table, aligned, read, write
from federatedml.errors import DataError
from tests.members import table

GOOD = table(["a", "b"], "y", x=[0.5, np.nan], y=[0, 1], text=["s", None])


def parquet(path: Path, *columns: tuple[str, object]) -> Path:
    arrays = [pa.array(values) if isinstance(values, list) else values for _, values in columns]
    pq.write_table(pa.Table.from_arrays(arrays, names=[name for name, _ in columns]), path)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "t.parquet"
    write(replace(GOOD, origin="dataio_0", sid_name="key"), path)
    found = read(path)
    assert (found.label, found.kind, found.sid_name, found.origin) == ("y", Kind.INSTANCES, "key", "dataio_0")
    assert list(found.ids) == ["a", "b"]
    assert [found.columns[name].dtype.kind for name in found.columns] == ["f", "i", "O"]
    assert found.columns["text"].tolist() == ["s", None]
    assert found.digest() == replace(GOOD, sid_name="key").digest()
    assert [file.name for file in path.parent.iterdir()] == ["t.parquet"]


@given(st.lists(st.tuples(st.text(), st.floats(), st.one_of(st.none(), st.text()))), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_table_is_read_as_written(tmp_path_factory: pytest.TempPathFactory, rows: list, labelled: bool) -> None:
    unique = list({row[0]: row for row in rows}.values())
    ids, x, text = ([row[i] for row in unique] for i in range(3))
    before = table(ids, "x" if labelled else None, x=np.array(x, np.float64), text=np.array([*text, None], object)[:-1])
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    write(before, path)
    after = read(path)
    assert list(after.ids) == ids
    np.testing.assert_array_equal(after.columns["x"], before.columns["x"])
    assert after.columns["text"].tolist() == text
    assert after.label == before.label


def test_a_foreign_file_is_a_raw_table_with_its_first_column_as_id(tmp_path: Path) -> None:
    words = pa.array(["u", "v", "u"]).dictionary_encode()
    path = parquet(
        tmp_path / "t.parquet", ("key", [3, 1, 2]), ("n", [1, None, 3]), ("c", words), ("b", [True, None, False])
    )
    found = read(path)
    assert (found.kind, found.sid_name, found.label, list(found.ids)) == (Kind.RAW, "key", None, ["3", "1", "2"])
    np.testing.assert_array_equal(found.columns["n"], [1, np.nan, 3])
    assert found.columns["c"].tolist() == ["u", "v", "u"]
    assert found.columns["b"].tolist() == [True, None, False]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([("id", ["a", None]), ("x", [1, 2])], "FED-204.*1 ids are null"),
        ([("id", ["a", "a"]), ("x", [1, 2])], "FED-204.*1 are repeated"),
        ([("id", [1.0, 2.0]), ("x", [1, 2])], "FED-204.*type double.*whole numbers"),
        ([("id", ["a", "b"]), ("x", [1, 2]), ("x", [3, 4])], "FED-206.*3 columns of 2 names"),
        ([], "FED-206.*0 columns"),
    ],
)
def test_files_that_are_no_table_of_samples_are_refused(tmp_path: Path, columns: list, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(parquet(tmp_path / "t.parquet", *columns))


def test_files_that_are_not_parquet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"FED-201.*t\.parquet"):
        read(tmp_path / "t.parquet")
    write(GOOD, tmp_path / "t.parquet")
    body = (tmp_path / "t.parquet").read_bytes()
    for damaged in (b"", b"id,x\na,1\n", body[:-1], body[: len(body) // 2]):
        (tmp_path / "bad.parquet").write_bytes(damaged)
        with pytest.raises(DataError, match=r"FED-202.*bad\.parquet is not a Parquet table"):
            read(tmp_path / "bad.parquet")


def test_rows_features_and_labels() -> None:
    one = table(["a", "b", "c"], "y", x=[1, 2, 3], y=[0, 1, 1], z=[4.0, 5.0, 6.0])
    assert (len(one), one.header) == (3, ["x", "z"])
    assert one.features().tolist() == [[1, 4], [2, 5], [3, 6]]
    assert one.labels().tolist() == [0, 1, 1]
    taken = one.take(np.array([2, 0]))
    assert (list(taken.ids), taken.features().tolist()) == (["c", "a"], [[3, 6], [1, 4]])
    assert replace(one, columns={"y": one.columns["y"]}).features().shape == (3, 0)
    with pytest.raises(DataError, match=r"FED-203.*columns: x, y, z"):
        replace(one, label=None).labels()


def test_features_of_text_are_refused() -> None:
    with pytest.raises(DataError, match=r"FED-860.*1 feature columns are not numeric \('text'"):
        GOOD.features()


def test_digests_tell_tables_apart() -> None:
    others = [
        GOOD,
        GOOD.take(np.array([1, 0])),
        replace(GOOD, label=None),
        replace(GOOD, kind=Kind.RAW),
        replace(GOOD, columns=dict(reversed(GOOD.columns.items()))),
        replace(GOOD, columns={**GOOD.columns, "x": np.array([0.5, 1.0])}),
        replace(GOOD, columns={**GOOD.columns, "y": GOOD.columns["y"].astype(float)}),
        replace(GOOD, ids=np.array(["a", "c"], dtype=object)),
    ]
    assert len({one.digest() for one in others}) == len(others)


def test_aligned_means_equal_ids_in_equal_order() -> None:
    assert aligned([GOOD, replace(GOOD, columns={})])
    assert not aligned([GOOD, GOOD.take(np.array([1, 0]))])
    assert not aligned([GOOD, GOOD.take(np.array([0]))])


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with written(path) as file:
            file.write(b"new")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_the_catalogue_finds_tables_by_namespace_and_name(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    name = TableName("breast", "guest.v1")
    catalogue.write(name, GOOD)
    assert list(catalogue.read(name).ids) == ["a", "b"]
    assert catalogue.names() == [name]
    with pytest.raises(DataError, match=r"FED-201.*breast/host does not exist"):
        catalogue.read(TableName("breast", "host"))


@pytest.mark.parametrize("bad", ["", "..", "a/b", "../x", "a\\b", "a\0", "-x", ".x", "x" * 129, "\u00e9", "a\n"])
def test_names_that_could_leave_the_folder_are_refused(bad: str) -> None:
    for one in ((bad, "x"), ("x", bad)):
        with pytest.raises(DataError, match="FED-205"):
            TableName(*one)


def test_ids_of_a_file_are_no_objects_and_mean_the_same(tmp_path: Path) -> None:
    ids = ["b", "\u00fc" * 20, "", "a\0"]
    stored = Table(np.array(ids, dtype=object), {"x": np.arange(4.0)})
    write(stored, tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet")
    assert found.ids.dtype == np.dtypes.StringDType()
    assert found.ids.tolist() == ids
    assert found.digest() == stored.digest()
    assert aligned([stored, found])
    write(found, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "t.parquet").read_bytes()


def test_more_ids_than_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_table, "IDS_AT_ONCE", 3)
    ids = [f"u{i}" for i in range(10)]
    write(Table(np.array(ids, dtype=object), {}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").ids.tolist() == ids


@pytest.mark.parametrize("kind", [pa.int64(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_ids_of_any_allowed_type_become_text(tmp_path: Path, kind: pa.DataType) -> None:
    values = [30, 4, -5] if kind == pa.int64() else ["30", "4", "-5"]
    pq.write_table(pa.table({"id": pa.array(values, kind)}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").ids.tolist() == ["30", "4", "-5"]


@pytest.mark.parametrize("kind", ["int8", "uint16", "int64", "uint64", "float32", "float64"])
@given(data=st.data())
def test_numbers_are_read_as_arrow_reads_them(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 100) | st.none(), max_size=12))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    ends = [0, *cuts, len(values)]
    chunks = [pa.array(values[a:b], pa.type_for_alias(kind)) for a, b in itertools.pairwise(ends)]
    column = pa.chunked_array(chunks, pa.type_for_alias(kind)).slice(data.draw(st.integers(0, len(values))))
    found, expected = stored_table._column(column), column.to_numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_columns_of_a_damaged_file_are_refused_without_reading_it_whole(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    path = catalogue.path(TableName("bank", "clients"))
    path.parent.mkdir()
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="FED-202"):
        catalogue.columns(TableName("bank", "clients"))


@pytest.mark.parametrize(
    "note",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"label": "gone", "kind": "instances", "sid_name": "id", "origin": ""}',
        b'{"label": ["x"], "kind": "instances", "sid_name": "id", "origin": ""}',
        b'{"label": "id", "kind": "instances", "sid_name": "id", "origin": ""}',
        b'{"label": null, "kind": "raw", "sid_name": "id", "origin": "", "copies": "many"}',
        b'{"label": null, "kind": "other", "sid_name": "id", "origin": ""}',
    ],
)
def test_notes_that_airfed_did_not_write_are_refused(tmp_path: Path, note: bytes) -> None:
    rows = pa.table({"id": ["a"], "x": [1.0]}).replace_schema_metadata({b"airfed": note})
    pq.write_table(rows, tmp_path / "foreign.parquet")
    with pytest.raises(DataError, match="FED-202"):
        read(tmp_path / "foreign.parquet")


def test_copies_are_kept(tmp_path: Path) -> None:
    write(replace(GOOD, copies=3), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").copies == 3
