"""The processes of a party: what runs, on which port, and how one knows that it is ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airfed import health
from airfed.proc import environment
from airfed.watchdog import QueueWatch
from federatedml.federation.home import PartyHome


@dataclass(frozen=True)
class Program:
    """One process of a party and all that it starts.

    Attributes:
        argv: arguments to Python.
        ports: that it listens on; checked before the start.
        ready: asked again and again until it says yes.
        stuck: asked once it is ready: returns, with the reason, when it must be replaced although it lives.
        env: what its environment has beyond the common one.
    """

    name: str
    argv: Sequence[str]
    ready: health.Ready
    ports: Sequence[int] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    stuck: health.Stuck | None = None

    @property
    def command(self) -> list[str]:
        """The whole command line."""
        return [sys.executable, *self.argv]


def programs(home: PartyHome) -> list[Program]:
    """What ``airfed party start`` supervises, in the order of start."""
    ports = home.config.ports
    found = [
        *_airflow(home),
        _mlflow(home),
        Program("gateway", ("-m", "airfed.gateway"), health.gateway, (ports.gateway,)),
    ]
    if home.config.serving:
        ready = health.http(f"{home.serving_url}/health/live")
        found.append(Program("serving", ("-m", "airfed.serving"), ready, (ports.serving_http, ports.serving_grpc)))
    return found


def environment_of(program: Program, home: PartyHome) -> dict[str, str]:
    """The environment that a program of this party runs in."""
    common = {"AIRFLOW_HOME": str(home.airflow), "PYTHONUNBUFFERED": "1", "DO_NOT_TRACK": "true"}
    return environment(home.root, {**common, **program.env}, home.config.host)


def _airflow(home: PartyHome) -> list[Program]:
    """Airflow's own processes.

    No log servers (``-s``): the API server reads the same files, and a log server would listen on all addresses.
    """
    api = Program("api-server", ("-m", "airflow", "api-server"), health.airflow_api, (home.config.ports.airflow,))
    return [
        api,
        Program("scheduler", ("-m", "airflow", "scheduler", "-s"), health.airflow_job("scheduler"), stuck=QueueWatch()),
        Program("dag-processor", ("-m", "airfed.dag_processor"), health.airflow_job("dag_processor")),
        Program("triggerer", ("-m", "airflow", "triggerer", "-s"), health.airflow_job("triggerer")),
    ]


def _mlflow(home: PartyHome) -> Program:
    """One worker and no job runner: two processes instead of fifteen."""
    port = home.config.ports.mlflow
    names = ",".join(f"{host}:*" for host in sorted({home.config.host, f"{home.config.name}.localhost", "localhost"}))
    listen = ("--host", home.config.host, "--port", str(port), "-w", "1")
    stores = ("--backend-store-uri", f"sqlite:///{home.mlflow / 'mlflow.db'}")
    artifacts = ("--artifacts-destination", str(_made(home.mlflow / "artifacts")))
    env = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": names,
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": home.public_url(port),
        "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": "^models:/m-",
    }
    argv = ("-m", "mlflow", "server", *listen, *stores, *artifacts)
    return Program("mlflow", argv, health.http(f"{home.mlflow_url}/health"), (port,), env)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
