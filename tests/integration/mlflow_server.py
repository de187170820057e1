"""A real MLflow server with its own database, for as long as a test module needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

OFF = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[str]:
    """URL of a server that listens on ``port`` and keeps everything in ``folder``."""
    command = [sys.executable, "-m", "mlflow", "server", "-w", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **OFF}, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
        try:
            _wait_until_healthy(url, process, folder / "log")
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(log.read_text())
