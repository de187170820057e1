"""Tables that a descriptor declares: text files, other Parquet files, connections; nothing from outside the folder."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federatedml.data import text_tables
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.descriptor import Sql
from federatedml.data.table import Kind, Table
from federatedml.errors import DataError
from tests.members import table

NAME = TableName("bank", "clients")


def put(folder: Path, descriptor: str, **files: str | bytes) -> Catalogue:
    """A catalogue with one descriptor and its files (``__`` for the dot of their names)."""
    place = folder / "data" / "bank"
    place.mkdir(parents=True, exist_ok=True)
    (place / "clients.yaml").write_text(descriptor)
    for name, content in files.items():
        body = content.encode() if isinstance(content, str) else content
        (place / name.replace("__", ".")).write_bytes(body)
    return Catalogue(folder / "data")


def read(folder: Path, descriptor: str, **files: str | bytes) -> Table:
    return put(folder, descriptor, **files).read(NAME)


def test_csv_needs_no_descriptor_and_keeps_ids_as_written(tmp_path: Path) -> None:
    place = tmp_path / "bank"
    place.mkdir()
    text = 'id,x,note\n007,1,"a, ""b""\nc"\n7,,\u00fc\n123456789012345678901234567890,3,\n'
    (place / "clients.csv").write_text(text, encoding="utf-8")
    found = Catalogue(tmp_path).read(NAME)
    assert found.ids.tolist() == ["007", "7", "123456789012345678901234567890"]
    assert found.columns["x"].tolist()[::2] == [1.0, 3.0]
    assert found.columns["note"].tolist() == ['a, "b"\nc', "\u00fc", ""]
    assert (found.kind, found.sid_name) == (Kind.RAW, "id")
    assert Catalogue(tmp_path).names() == [NAME]
    assert Catalogue(tmp_path).columns(NAME) == 2


def test_csv_with_other_marks_and_another_id_column(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "{kind: csv, path: raw.txt, delimiter: ';', quote: \"'\", id: key}",
        raw__txt="\ufeffx;key\n1;'a;b'\n2;c\n",
    )
    assert (found.ids.tolist(), found.columns["x"].tolist(), found.sid_name) == (["a;b", "c"], [1, 2], "key")


def test_csv_without_a_header_has_numbered_columns(tmp_path: Path) -> None:
    found = read(tmp_path, "{kind: csv, header: false}", clients__csv="u1,0,2.5\nu2,1,3.5\n")
    assert (found.sid_name, found.ids.tolist(), found.header) == ("id", ["u1", "u2"], ["0", "1"])


@pytest.mark.parametrize("text", ["id,x\n", "id,x\na,1\n", "id\na\n"])
def test_tables_of_no_row_one_row_and_no_column(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, "kind: csv", clients__csv=text)
    assert len(found) == text.count("\n") - 1
    assert len(found.header) == text.count("x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "FED-853.*first line is empty"),
        (b"\xff\xfe,x\na,1\n", "FED-853.*not UTF-8"),
        (b"id,x\na,\xff\n\xffb,1\n", "FED-853.*not UTF-8|FED-204"),
        (b"id,x\na,secret,3\n", "FED-853.*line 2 has 3 cells, not 2"),
        (b'id,x\na,1\n"secret', "FED-853"),
        (b"id,x,x\na,1,2\n", "FED-206.*3 columns of 2 names"),
        (b"id,x\na,1\na,2\n", "FED-204.*1 are repeated"),
        (b"id,x\na,1\n,2\n", "FED-204.*1 ids are empty"),
    ],
)
def test_text_that_is_no_table_is_refused_without_showing_it(tmp_path: Path, text: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path, "kind: csv", clients__csv=text)
    assert "secret" not in str(caught.value)


def test_to_count_columns_does_not_tell_the_file_either(tmp_path: Path) -> None:
    tables = put(tmp_path, "{kind: csv, path: secret.txt}", secret__txt="")
    for look in (tables.read, tables.columns):
        with pytest.raises(DataError, match="FED-") as caught:
            look(NAME)
        assert "secret" in caught.value.hint
        assert "secret" not in caught.value.message


def test_rows_that_are_long_and_types_that_show_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = read(tmp_path / "wide", "kind: csv", clients__csv=f"id,text\na,{'b' * 2**21}\nc,d\n")
    assert len(wide.columns["text"][0]) == 2**21
    monkeypatch.setattr(text_tables, "LONGEST_ROW", 64)
    with pytest.raises(DataError, match=r"FED-853.*a row of more than 64 bytes"):
        read(tmp_path / "longer", "kind: csv", clients__csv=f"id,text\na,{'b' * 500}\n")
    late = "id,x,z\n" + "".join(f"{at},{at},{at}\n" for at in range(100)) + "a,0.5,text\n"
    found = read(tmp_path / "late", "kind: csv", clients__csv=late)
    assert found.columns["x"][-2:].tolist() == [99.0, 0.5]
    assert found.columns["z"][-2:].tolist() == ["99", "text"]


def test_an_id_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"FED-857.*'key'"):
        read(tmp_path, "{kind: csv, id: key}", clients__csv="id,x\na,1\n")


@pytest.mark.parametrize(
    ("descriptor", "text", "ids", "lines"),
    [
        ("kind: libsvm", "u1 1 3:0.5 7:2\n\nu2 0\n", ["u1", "u2"], ["1 3:0.5 7:2", "0"]),
        ("kind: tag", "u1,a,b\r\nu2,\n", ["u1", "u2"], ["a,b", ""]),
        ("{kind: libsvm, with_id: false}", "1 3:0.5\n0 1:1\n", ["0", "1"], ["1 3:0.5", "0 1:1"]),
        ("{kind: tag, delimiter: ';'}", "u1;a,b", ["u1"], ["a,b"]),
    ],
)
def test_lines_are_an_id_and_a_text(tmp_path: Path, descriptor: str, text: str, ids: list, lines: list) -> None:
    kind = "tag" if "tag" in descriptor else "libsvm"
    found = read(tmp_path, descriptor, **{f"clients__{kind}": text})
    assert (found.ids.tolist(), found.header, found.columns["line"].tolist()) == (ids, ["line"], lines)


def test_a_parquet_file_elsewhere_in_the_folder_with_another_id(tmp_path: Path) -> None:
    catalogue = put(tmp_path, "{kind: parquet, path: ../pool/all.parquet, id: key}")
    (tmp_path / "data" / "pool").mkdir()
    pq.write_table(pa.table({"x": [1, 2], "key": [2**62 + 1, -3]}), tmp_path / "data" / "pool" / "all.parquet")
    assert catalogue.read(NAME).ids.tolist() == [str(2**62 + 1), "-3"]
    assert catalogue.columns(NAME) == 1


def test_ids_that_repeat_can_stay_as_a_column(tmp_path: Path) -> None:
    text = "client,x\nb,1\na,2\nb,3\n"
    found = read(tmp_path, "{kind: csv, extend_sid: true}", clients__csv=text)
    assert found.ids.tolist() == ["ID_0", "ID_1", "ID_2"]
    assert found.sid_name == "sample_id"
    assert found.columns["client"].tolist() == ["b", "a", "b"]
    with pytest.raises(DataError, match=r"FED-206.*sample_id"):
        read(tmp_path, "{kind: csv, extend_sid: true}", clients__csv="sample_id,x\na,1\n")


@pytest.mark.parametrize("path", ["../../secret.csv", "/etc/hostname", "link.csv", "gone.csv", "a\\0b", "."])
def test_no_file_outside_the_folder_is_read(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.csv").write_text("id,x\na,1\n")
    catalogue = put(tmp_path, f'{{kind: csv, path: "{path}"}}')
    (tmp_path / "data" / "bank" / "link.csv").symlink_to(tmp_path / "secret.csv")
    for ask in (catalogue.read, catalogue.source, catalogue.columns):
        with pytest.raises(DataError, match="FED-851"):
            ask(NAME)


def test_a_link_that_leaves_the_folder_is_no_table(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "data")
    Catalogue(tmp_path).write(NAME, table(["a"], x=[1.0]))
    catalogue.path(NAME).parent.mkdir(parents=True)
    catalogue.path(NAME).symlink_to(tmp_path / "bank" / "clients.parquet")
    with pytest.raises(DataError, match=r"FED-851.*leaves"):
        catalogue.read(NAME)


@pytest.mark.parametrize(
    ("descriptor", "words"),
    [
        ("", "the descriptor"),
        ("kind: xml", "csv"),
        ("{kind: csv, separator: ;}", "separator"),
        ("{kind: csv, delimiter: ab}", "delimiter"),
        ("{kind: csv, header: false, id: key}", "header is false"),
        ("{kind: csv, header: 1}", "header"),
        ("{kind: csv, quote: ','}", "two characters"),
        ("{kind: sql, connection: bank}", "one of query and table"),
        ("{kind: sql, connection: bank, table: t, query: SELECT 1}", "one of query and table"),
        ("{kind: sql, connection: bank, table: 't; DROP TABLE t'}", "table"),
        ("[1, 2", "not YAML in line"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("\x00", "not YAML"),
    ],
)
def test_descriptors_that_are_wrong_name_the_key(tmp_path: Path, descriptor: str, words: str) -> None:
    catalogue = put(tmp_path, descriptor, clients__csv="id,x\na,1\n")
    with pytest.raises(DataError, match=rf"FED-850.*{words}"):
        catalogue.read(NAME)


@given(st.text(max_size=60) | st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_descriptor_and_any_text_is_a_table_or_one_typed_error(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    folder = tmp_path_factory.mktemp("d")
    body = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    for descriptor, ending in (("kind: csv", "csv"), ("{kind: csv, header: false}", "csv"), ("kind: tag", "tag")):
        catalogue = put(folder, descriptor, **{f"clients__{ending}": body})
        try:
            found = catalogue.read(NAME)
        except DataError as error:
            code = error.code
        else:
            code = "" if len(set(found.ids.tolist())) == len(found) else "repeated"
        assert code in ("", "FED-853", "FED-204", "FED-206", "FED-857")
        (folder / "data" / "bank" / f"clients.{ending}").unlink()
    (folder / "data" / "bank" / "clients.yaml").write_bytes(body)
    with pytest.raises(DataError, match="FED-850"):
        catalogue.read(NAME)


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: f"t{text}")


@given(st.lists(st.tuples(CELLS, CELLS), unique_by=lambda row: row[0], max_size=8), st.sampled_from(",;\t|"))
@settings(max_examples=150, deadline=None)
def test_any_text_that_is_quoted_is_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("key", "text"), *rows])
    found = read(
        tmp_path_factory.mktemp("d"), f"{{kind: csv, delimiter: {json.dumps(delimiter)}}}", clients__csv=text.getvalue()
    )
    assert found.ids.tolist() == [row[0] for row in rows]
    assert found.columns["text"].tolist() == [row[1] for row in rows]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    catalogue = put(tmp_path, "kind: csv", clients__csv="id,x\na,1\n")
    assert len(catalogue.read(NAME)) == 1
    catalogue.write(NAME, table(["a"], x=[1.0]))
    with pytest.raises(DataError, match=r"FED-852.*clients\.csv or clients\.parquet"):
        catalogue.read(NAME)
    (tmp_path / "data" / "bank" / "clients.yaml").unlink()
    with pytest.raises(DataError, match="FED-852"):
        catalogue.read(NAME)


def test_a_connection_is_read_by_whoever_may(tmp_path: Path) -> None:
    catalogue = put(tmp_path, "{kind: sql, connection: bank, table: risk.clients, id: key}")
    assert catalogue.has(NAME)
    assert catalogue.columns(NAME) is None
    with pytest.raises(DataError, match=r"FED-855.*task of Airflow"):
        catalogue.read(NAME)
    asked: list[Sql] = []

    def frames(declared: Sql) -> pa.Table:
        asked.append(declared)
        return pa.table({"x": [0.5], "key": [2**60 + 1]})

    found = Catalogue(catalogue.folder, frames).read(NAME)
    assert (found.ids.tolist(), found.header) == ([str(2**60 + 1)], ["x"])
    assert (asked[0].connection, asked[0].statement) == ("bank", "SELECT * FROM risk.clients")


def test_no_descriptor_outside_the_folder_is_read(tmp_path: Path) -> None:
    catalogue = put(tmp_path, "{kind: csv}", clients__csv="id,x\na,1\n")
    (tmp_path / "other.yaml").write_text("{kind: sql, connection: warehouse, table: people}")
    (tmp_path / "data" / "bank" / "clients.yaml").unlink()
    (tmp_path / "data" / "bank" / "clients.yaml").symlink_to(tmp_path / "other.yaml")
    with pytest.raises(DataError, match=r"FED-851.*leaves"):
        catalogue.source(NAME)


@pytest.mark.parametrize("rows", ["id,x\na,1\na,2\n", "id,x\na\n", "", "name,id,id\na,b,c\n"])
def test_other_parties_do_not_hear_which_file_it_is(tmp_path: Path, rows: str) -> None:
    catalogue = put(tmp_path, "{kind: csv, path: merger_with_x.csv, id: id}", merger_with_x__csv=rows)
    with pytest.raises(DataError, match="merger_with_x") as caught:
        catalogue.read(NAME)
    assert "merger" not in caught.value.message
    assert "bank/clients" in caught.value.message
    (tmp_path / "data" / "bank" / "merger_with_x.csv").unlink()
    with pytest.raises(DataError, match="merger_with_x") as caught:
        catalogue.source(NAME)
    assert "merger" not in caught.value.message
