"""Airflow's own task client with a party's settings while the API server is away; its waits are counted, not waited."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from airfed.airflow_config import configure
from airfed.party import init_party, party_config

CALLS = """
    import sys
    import uuid
    import httpx
    from airflow.sdk.api.client import Client

    away, now = float(sys.argv[1]), [0.0]

    def wait(seconds):
        now[0] += seconds

    def server(request):
        if now[0] < away:
            raise httpx.ConnectError("connection refused", request=request)
        return httpx.Response(204)

    Client.request.retry.sleep = wait
    client = Client(base_url="http://127.0.0.1:1/execution/", token="", transport=httpx.MockTransport(server))
    try:
        client.task_instances.heartbeat(uuid.UUID(int=1), pid=1)
        print("answered after", now[0])
    except httpx.ConnectError:
        print("given up after", now[0])
"""


def heartbeat(home: Path, away: float) -> str:
    """What comes of a heartbeat whose server is away for so many seconds from the first try on."""
    command = [sys.executable, "-c", textwrap.dedent(CALLS), str(away)]
    environ = {**os.environ, "AIRFLOW_HOME": str(home / "airflow"), "AIRFED_HOME": str(home)}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("away", "outcome"),
    [(16.5, "answered after 17.0"), (60.0, "answered after 60.0"), (1000.0, "given up after 90.0")],
)
def test_a_task_asks_a_restarted_api_server_within_a_second_for_a_minute_and_a_half(
    tmp_path: Path, away: float, outcome: str
) -> None:
    home = init_party(tmp_path / "guest", party_config("9999", "guest", 25900))
    configure(home)
    assert heartbeat(home.root, away) == outcome
