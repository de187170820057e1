"""``airfed data``: files are checked before they become tables, and the report says what is odd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from airfed.cli import app
from airfed.party import init_party, party_config
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.home import PartyHome

NAME = TableName("bank", "clients")


@pytest.fixture
def home(tmp_path: Path) -> PartyHome:
    return init_party(tmp_path / "home", party_config("9999", "guest", 8700))


def run(home: PartyHome, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments], env={"AIRFED_HOME": str(home.root)})


def file(home: PartyHome, name: str, text: str) -> str:
    path = home.root.parent / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_becomes_a_table_that_jobs_can_read(home: PartyHome) -> None:
    text = 'client;x;city;empty\n007;1,5;"Bern; CH";\n8;na;;\n-9;3;Z\u00fcrich;\n'
    done = run(home, "put", file(home, "RAW.CSV", text), "bank", "clients", "--delimiter", ";")
    assert done.exit_code == 0, done.output
    assert "bank/clients: 3 rows, 3 columns, ids in client" in done.stdout
    assert "note: 1 of 3 ids are whole numbers with leading zeros" in done.stdout
    assert "note: column empty holds nothing" in done.stdout
    assert "Bern" not in done.stdout
    assert Catalogue(home.data).read(NAME).ids.tolist() == ["007", "8", "-9"]
    shown = json.loads(run(home, "check", "bank", "clients", "--json").stdout)
    assert [(each["name"], each["holds"], each["missing"]) for each in shown["columns"]] == [
        ("x", "text", 1),
        ("city", "text", 1),
        ("empty", "nothing", 3),
    ]


@pytest.mark.parametrize(
    ("ids", "note"),
    [
        (["1", " 2"], "1 of 2 ids begin or end with a space"),
        (["1.0", "2.0"], "2 of 2 ids are whole numbers written with '.0'"),
        (["1", "u2"], "1 of 2 ids are whole numbers, the others are not"),
    ],
)
def test_ids_that_others_write_differently_are_noted(home: PartyHome, ids: list[str], note: str) -> None:
    text = "id,x\n" + "".join(f"{each},1\n" for each in ids)
    assert f"note: {note}" in run(home, "put", file(home, "t.csv", text), "bank", "clients").stdout


@pytest.mark.parametrize(
    ("name", "text", "arguments", "code"),
    [
        ("t.csv", "id,x\na,1\na,2\n", (), "FED-204"),
        ("t.csv", "id,x\na,1,2\n", (), "FED-853"),
        ("t.csv", "id,x\na,1\n", ("--id", "key"), "FED-857"),
        ("t.csv", "id,x\na,1\n", ("--kind", "excel"), "FED-862"),
        ("t.xlsx", "id,x\na,1\n", (), "FED-862"),
        ("t.parquet", "id,x\na,1\n", (), "FED-202"),
        ("t.csv", "id,x\na,1\n", ("--no-header", "--id", "x"), "FED-850"),
        ("t.csv", "id,x\na,1\n", ("--delimiter", "ab"), "FED-850"),
    ],
)
def test_what_is_no_table_is_not_stored(
    home: PartyHome, name: str, text: str, arguments: tuple[str, ...], code: str
) -> None:
    done = run(home, "put", file(home, name, text), "bank", "clients", *arguments)
    assert done.exit_code == 1
    assert f"error: [{code}]" in done.stderr
    assert not Catalogue(home.data).names()


def test_a_table_is_replaced_only_on_demand(home: PartyHome) -> None:
    one, two = (file(home, f"{rows}.csv", "id,x\n" + "".join(f"{at},1\n" for at in range(rows))) for rows in (1, 2))
    assert run(home, "put", one, "bank", "clients").exit_code == 0
    assert "[FED-863] there is a table bank/clients" in run(home, "put", two, "bank", "clients").stderr
    assert run(home, "put", two, "bank", "clients", "--replace").exit_code == 0
    assert len(Catalogue(home.data).read(NAME)) == 2
    (home.data / "bank" / "other.yaml").write_text("{kind: sql, connection: c, table: t}")
    assert "[FED-863] table bank/other is declared" in run(home, "put", two, "bank", "other", "--replace").stderr


def test_the_list_has_every_table_and_its_problem(home: PartyHome) -> None:
    run(home, "put", file(home, "t.svm", "a 1 3:0.5\nb 0 1:2\n"), "bank", "lines")
    (home.data / "bank" / "db.yaml").write_text("{kind: sql, connection: c, table: t}")
    (home.data / "bank" / "bad.yaml").write_text("{kind: csv, path: ../../party.yaml}")
    (home.data / "bank" / "text.csv").write_text("id,x,z\na,1,2\n")
    (home.data / "bank" / "damaged.parquet").write_bytes(b"PAR1")
    elsewhere = home.root / "elsewhere"
    home.data.rename(elsewhere)
    home.data.symlink_to(elsewhere)
    (home.data / "bank" / "long.yaml").write_text(f"{{kind: csv, path: {elsewhere / 'bank' / 'text.csv'}}}")
    listed = {each["table"]: each for each in json.loads(run(home, "list", "--json").stdout)}
    assert [listed["bank/lines"][key] for key in ("kind", "rows", "columns")] == ["parquet", 2, 1]
    assert [listed["bank/db"][key] for key in ("kind", "rows", "file")] == ["sql", None, "bank/db.yaml"]
    assert [listed["bank/text"][key] for key in ("rows", "columns")] == [None, 2]
    assert "FED-851" in listed["bank/bad"]["problem"]
    assert "FED-202" in listed["bank/damaged"]["problem"]
    assert listed["bank/long"]["columns"] == 2
    assert "bank/lines" in run(home, "list").stdout
    assert "FED-855" in run(home, "check", "bank", "db").stderr


def test_only_a_party_gets_tables(home: PartyHome, tmp_path: Path) -> None:
    other = PartyHome(tmp_path)
    done = run(other, "put", file(home, "t.csv", "id,x\na,1\n"), "bank", "clients")
    assert "FED-510" in done.stderr
    assert "FED-205" in run(home, "put", file(home, "t.csv", "id,x\na,1\n"), "..", "clients").stderr
