"""``airfed party``: a party on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airfed.console import readable_errors, show_json, show_rows

party = typer.Typer(no_args_is_help=True)
Home = Annotated[Path, typer.Argument(help="The party's home.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@party.command("init")
def init(
    home: Home,
    party_id: Annotated[str, typer.Option(help="Its id, as in DSL files: 9999.")],
    name: Annotated[str, typer.Option(help="Its name; its pages are at NAME.localhost.")],
    base_port: Annotated[int, typer.Option(min=1024, max=65000, help="First of seven ports.")] = 8700,
    peer: Annotated[list[str] | None, typer.Option(help="Id of a party that may propose jobs; repeatable.")] = None,
    serving: Annotated[bool, typer.Option(help="Whether it answers online scores.")] = True,
) -> None:
    """Make a home with a CA, a certificate and passwords of its own."""
    from airfed.party import init_party, party_config
    from federatedml.federation.home import PartyHome

    with readable_errors():
        PartyHome(home).scheduler_socket  # noqa: B018 - a folder in which no party could start does not become a home
        made = init_party(home, party_config(party_id, name, base_port, serving), peer or ())
    print(f"party {party_id} is in {made.root}; give its peers {made.root / 'pki' / 'ca.pem'}")


@party.command("trust")
def trust(
    home: Home,
    peer_id: Annotated[str, typer.Argument(help="Id of the peer.")],
    ca: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The peer's ca.pem, got on a safe way.")],
    gateway: Annotated[str, typer.Option(help="HOST:PORT of the peer's gateway.")],
    serving: Annotated[str | None, typer.Option(help="HOST:PORT of the peer's serving door.")] = None,
) -> None:
    """Pin the CA of a peer."""
    from airfed.party import trust
    from federatedml.federation.home import PartyHome, Peer

    with readable_errors():
        trust(PartyHome(home), peer_id, ca.read_bytes(), Peer(gateway=gateway, serving=serving))
    print(f"{home} trusts party {peer_id} at {gateway}")


@party.command("start")
def start(
    home: Home, detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready.")] = False
) -> None:
    """Run a party until Ctrl-C; restart what dies."""
    from federatedml.federation.home import PartyHome

    place = PartyHome(home)
    with readable_errors():
        if not detach:
            from airfed.supervisor import supervise

            return supervise(place, lambda line: print(line, flush=True))
        from airfed.control import start_detached

        found = start_detached(place)
    print(f"{place.config.name}: ready after {found.ready_after} s: {place.public_url(place.config.ports.airflow)}")
    return None


@party.command("stop")
def stop(home: Home) -> None:
    """End all processes of a party, also those that a killed supervisor left."""
    from airfed.control import stop
    from federatedml.federation.home import PartyHome

    with readable_errors():
        ran = stop(PartyHome(home))
    print("stopped" if ran else "nothing ran")


@party.command("status")
def status(home: Home, as_json: AsJson = False) -> None:
    """Each process with its state, pid, age, memory (proportional set size) and ports."""
    from dataclasses import asdict

    from airfed.control import status
    from federatedml.federation.home import PartyHome

    with readable_errors(as_json):
        place = PartyHome(home)
        found = {"party_id": place.config.party_id, "processes": [asdict(row) for row in status(place)]}
    if as_json:
        return show_json(found)
    head = ["process", "state", "pid", "age s", "MiB", "ports", "restarts"]
    return show_rows(head, [_cells(row) for row in found["processes"]])  # type: ignore[arg-type]


def _cells(row: dict[str, object]) -> list[str]:
    ports = " ".join(str(port) for port in row["ports"])  # type: ignore[attr-defined]
    memory = f"{int(row['memory']) / 2**20:.0f}"  # type: ignore[call-overload]
    return [
        str(row["name"]),
        str(row["state"]),
        str(row["pid"] or "-"),
        str(row["age"]),
        memory,
        ports,
        str(row["restarts"]),
    ]
