"""``airfed history``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from airfed.console import readable_errors, show_json


def history(
    homes: Annotated[list[Path], typer.Argument(help="Homes of the parties on this machine, the initiator's first.")],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Check what the gateways of these parties have on disk against the contract of a job; 1 if it does not hold."""
    with readable_errors(as_json):
        from federated_operators.gateway.history.check import check
        from federated_operators.gateway.history.facts import read_party
        from federatedml.federation.home import PartyHome

        chosen = [PartyHome(home) for home in homes]
        parties = [read_party(home.gateway_db, home.config.party_id) for home in chosen]
        found = check(parties)
    if as_json:
        show_json({"findings": [asdict(finding) for finding in found]})
    else:
        jobs = {job for party in parties for job in party.jobs}
        print("\n".join([*map(str, found), f"{len(jobs)} jobs at {len(parties)} parties, {len(found)} findings"]))
    raise typer.Exit(1 if found else 0)
