"""``airfed data``: the tables of a party on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airfed.console import readable_errors, say, show_json, show_rows

if TYPE_CHECKING:
    from airfed.data import TableReport

data = typer.Typer(no_args_is_help=True)
Home = Annotated[Path, typer.Option(envvar="AIRFED_HOME", help="The party's home.")]
Namespace = Annotated[str, typer.Argument(help="As a conf names it.")]
Name = Annotated[str, typer.Argument(help="As a conf names it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@data.command("put")
def put(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Parquet, CSV, libsvm or tag.")],
    namespace: Namespace,
    name: Name,
    home: Home,
    kind: Annotated[str | None, typer.Option(help="parquet, csv, libsvm or tag [default: by the ending].")] = None,
    sid: Annotated[str | None, typer.Option("--id", help="The id column [default: the first].")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of CSV; of libsvm and tag after the id.")] = None,
    header: Annotated[bool, typer.Option(help="Whether the first line of CSV names the columns.")] = True,
    extend_sid: Annotated[bool, typer.Option("--extend-sid", help="Ids repeat: make sample ids, keep them.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In the place of a table of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a file and store it as a table of the party: rows, columns, and what is odd about its ids."""
    with readable_errors(as_json):
        from airfed.data import declared_as, put_table
        from federatedml.data.catalogue import Catalogue, TableName
        from federatedml.federation.home import PartyHome

        place = PartyHome(home)
        declared = declared_as(file, kind, sid, delimiter, header, extend_sid)
        place.config  # noqa: B018 - a folder that is no party's home gets no table
        found = put_table(Catalogue(place.data), file, TableName(namespace, name), declared, replace)
    _show(found, as_json)


@data.command("check")
def check(namespace: Namespace, name: Name, home: Home, as_json: AsJson = False) -> None:
    """Read a table of the party as a job would: rows, columns, and what is odd about its ids."""
    with readable_errors(as_json):
        from airfed.data import report
        from federatedml.data.catalogue import Catalogue, TableName
        from federatedml.federation.home import PartyHome

        table = TableName(namespace, name)
        found = report(table, Catalogue(PartyHome(home).data).read(table))
    _show(found, as_json)


@data.command("list")
def list_tables(home: Home, as_json: AsJson = False) -> None:
    """All tables of the party; a dash where only reading would tell."""
    with readable_errors(as_json):
        from airfed.data import listed
        from federatedml.data.catalogue import Catalogue
        from federatedml.federation.home import PartyHome

        found = listed(Catalogue(PartyHome(home).data))
    if as_json:
        return show_json([asdict(each) for each in found])
    cells = [
        [each.table, each.kind, _known(each.rows), _known(each.columns), each.file, each.problem] for each in found
    ]
    return show_rows(["table", "kind", "rows", "columns", "file", "problem"], cells)


def _show(found: TableReport, as_json: bool) -> None:
    if as_json:
        return show_json(asdict(found))
    say(f"{found.table}: {found.rows} rows, {len(found.columns)} columns, ids in {found.id_column}")
    show_rows(["column", "holds", "missing"], [[each.name, each.holds, str(each.missing)] for each in found.columns])
    for note in found.notes:
        say(f"note: {note}")
    return None


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)
