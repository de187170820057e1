"""``airfed``: every command calls one function that a package exports, and none imports Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airfed.cli_component import component
from airfed.cli_data import data
from airfed.cli_history import history
from airfed.cli_job import job, plan, predict, simulate
from airfed.cli_party import party
from airfed.console import readable_errors, say

app = typer.Typer(
    name="airfed",
    help="Federated learning pipelines as Apache Airflow DAGs, for parties that keep their data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(party, name="party", help="A party on this machine: make it, run it, look at it.")
app.add_typer(component, name="component", help="The modules that a pipeline can use.")
app.add_typer(data, name="data", help="The tables of a party.")
app.add_typer(job, name="job", help="Jobs of a party.")
app.command()(plan)
app.command()(simulate)
app.command()(predict)
app.command()(history)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything afterwards.")] = False,
    home: Annotated[Path | None, typer.Option(help="Folder of the three homes [default: ~/.airfed/demo].")] = None,
    base_port: Annotated[int, typer.Option(min=1024, max=65000, help="First of 30 ports.")] = 8700,
) -> None:
    """Three parties on this machine: one job from a DSL file to a federated score over REST."""
    from airfed.demo import run_demo

    with readable_errors():
        raise typer.Exit(run_demo(home or Path.home() / ".airfed" / "demo", base_port, once))


@app.command("example-data")
def example_data(folder: Annotated[Path, typer.Argument(help="Gets PARTY_ID/NAMESPACE/NAME.parquet.")]) -> None:
    """The tables that the pipelines of examples/ name, for ``airfed simulate --data``."""
    from airfed.example_data import write_example_data

    with readable_errors():
        say(f"{len(write_example_data(folder))} tables in {folder}")


if __name__ == "__main__":
    app()
