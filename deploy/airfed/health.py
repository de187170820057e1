"""Is it ready? One question per kind of process, asked by the supervisor until the answer is yes."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from functools import cache

import httpx

from federated_operators.gateway.client import GatewayClient
from federatedml.errors import PeerError
from federatedml.federation.home import PartyHome

Ready = Callable[[PartyHome, float], Awaitable[bool]]  # (home, Unix time of the start) -> is it ready?
Stuck = Callable[[PartyHome, float], Awaitable[str]]  # (home, Unix time of the start) -> why it must be replaced
PATIENCE = 30.0  # seconds for one answer: the first request to the execution API builds it


def http(url: str) -> Ready:
    """Ready when ``url`` answers 200."""

    async def ready(_home: PartyHome, _since: float) -> bool:
        return await _get(url) is not None

    return ready


async def airflow_api(home: PartyHome, _since: float) -> bool:
    """Ready when it answers and the execution API, which is built at its first request, is warm."""
    answered = await _get(f"{home.airflow_url}/api/v2/version") is not None
    return answered and await _get(f"{home.airflow_url}/execution/health") is not None


def airflow_job(name: str) -> Ready:
    """Ready when Airflow calls the job healthy by a heartbeat of this start, not of an earlier one."""

    async def ready(home: PartyHome, since: float) -> bool:
        response = await _get(f"{home.airflow_url}/api/v2/monitor/health")
        if response is None:
            return False
        job = response.json().get(name) or {}
        beat = str(job.get(f"latest_{name}_heartbeat"))
        return job.get("status") == "healthy" and datetime.datetime.fromisoformat(beat).timestamp() >= since

    return ready


async def gateway(home: PartyHome, _since: float) -> bool:
    """Ready when it answers on its Unix socket."""
    return await asyncio.to_thread(_gateway_answers, home)


def _gateway_answers(home: PartyHome) -> bool:
    if not home.socket.exists():
        return False
    try:
        with GatewayClient(home.socket, patience=0.0) as client:
            client.show(job_id="none", timeout=5.0)
    except PeerError:
        return False
    return True


@cache
def _client() -> httpx.AsyncClient:
    """One for the process: to make one costs more than a request."""
    return httpx.AsyncClient(timeout=PATIENCE, trust_env=False)


async def _get(url: str) -> httpx.Response | None:
    try:
        response = await _client().get(url)
    except httpx.TransportError:
        return None
    return response if response.status_code == 200 else None
