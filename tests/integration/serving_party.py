"""Two parties with serving processes and one MLflow server: homes, certificates, processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from mlflow_server import mlflow_server

from federated_operators.gateway.policy import default_policy
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.rest import MlflowRest
from federatedml.component import Component
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.identity import KeyPair, create_ca, issue
from federatedml.federation.party import Member
from federatedml.model_bundle import ModelBundle
from tests.members import GUEST, HOST
from tests.model_halves import KEY, MEMBERS, bundle, raw_table


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true value of ``condition``; a failed connection is not true yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if value := condition():
                return value
        except (httpx.TransportError, OSError):
            pass
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.05)


@dataclass
class Process:
    """A child process in a session of its own."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command, env={**os.environ, **self.environment}, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, number: int = signal.SIGKILL) -> int:
        if self.child is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)
        return self.child.wait(20)


def healthy(port: int, path: str = "/health") -> bool:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 200


@dataclass
class Federation:
    """Guest and host with one MLflow; ports from ``base``."""

    root: Path
    base: int
    cas: dict[str, KeyPair] = field(default_factory=dict)
    serving: dict[Member, Process] = field(default_factory=dict)
    mlflow: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self.cas = {member.party: create_ca(member.party) for member in MEMBERS}
        for at, member in enumerate((GUEST, HOST), start=1):
            self._home(member, self.base + 10 * at)
            environment = {"AIRFED_HOME": str(self.home(member))}
            self.serving[member] = Process(
                [sys.executable, "-m", "airfed.serving"], environment, self.root / f"{member}.log"
            )

    def home(self, member: Member) -> Path:
        return self.root / str(member)

    def port(self, member: Member, door: str = "serving_http") -> int:
        ports = yaml.safe_load((self.home(member) / "party.yaml").read_text())["ports"]
        return int(ports[door])

    def _home(self, member: Member, base: int) -> None:
        home = self.home(member)
        names = ("airflow", "worker_log", "trigger_log", "gateway", "serving_http", "serving_grpc")
        ports = {name: base + at for at, name in enumerate(names)} | {"mlflow": self.base}
        peers = {
            other.party: {"gateway": "127.0.0.1:1", "serving": f"127.0.0.1:{self.base + 10 * at + 5}"}
            for at, other in enumerate((GUEST, HOST), start=1)
            if other != member
        }
        config = {"party_id": member.party, "name": str(member.role), "ports": ports, "peers": peers}
        if member == HOST:
            config["features"] = {"namespace": "online", "name": "rows"}
            Catalogue(home / "data").write(TableName("online", "rows"), raw_table(member))
        (home / "pki" / "peers").mkdir(parents=True)
        (home / "party.yaml").write_text(yaml.safe_dump(config))
        (home / "policy.yaml").write_text(default_policy(member.party, []))
        ca = self.cas[member.party]
        leaf = issue(ca, member.party)
        (home / "pki/ca.pem").write_bytes(ca.certificate)
        (home / "pki/party.pem").write_bytes(leaf.certificate)
        (home / "pki/party.key").write_bytes(leaf.key)
        for other in MEMBERS:
            if other != member:
                (home / f"pki/peers/{other.party}.pem").write_bytes(self.cas[other.party].certificate)

    def start_mlflow(self) -> None:
        folder = self.root / "mlflow"
        folder.mkdir(exist_ok=True)
        self.mlflow.enter_context(mlflow_server(folder, self.base))

    def stop_mlflow(self) -> None:
        self.mlflow.close()

    def start(self, *members: Member) -> None:
        for member in members:
            self.serving[member].start()
        for member in members:
            until(lambda member=member: healthy(self.port(member), "/health/live"))  # type: ignore[misc]

    def stop(self) -> None:
        for process in self.serving.values():
            process.stop()
        self.stop_mlflow()

    def register(self, job: str, seed: int = 1, members: tuple[Member, ...] = (GUEST, HOST)) -> None:
        """A new version of ``members``' halves, with the alias."""
        for member in members:
            self.publish(bundle(member, job, seed))

    def publish(self, half: ModelBundle, modules: Mapping[str, Component] | None = None) -> None:
        """A version of any half, with the alias."""
        with MlflowRest(f"http://127.0.0.1:{self.base}") as rest:
            registry = ModelRegistry(rest)
            made = registry.register(half, f"{KEY}@{half.me}", modules=modules)
            registry.set_alias(made.name, made.version)

    def call(self, body: dict[str, Any], what: str = "inference") -> httpx.Response:
        url = f"http://127.0.0.1:{self.port(GUEST)}/federation/v1/{what}"
        return httpx.post(url, json=body, timeout=10, trust_env=False)

    def get(self, path: str, member: Member = GUEST) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port(member)}{path}", timeout=10, trust_env=False)

    def ready(self) -> bool:
        return self.get("/health/ready").status_code == 200

    def serves(self, job: str, *members: Member) -> bool:
        """Whether each of ``members`` has loaded the model of ``job``."""
        return all(
            [model["modelVersion"] for model in self.get("/models", member).json()["models"]] == [job]
            for member in members
        )


def sample(row: int, **changed: Any) -> dict[str, Any]:
    """What a caller sends for one row of the guest's table."""
    table = raw_table(GUEST)
    features: dict[str, Any] = {name: float(values[row]) for name, values in table.columns.items()}
    return {"featureData": {**features, **changed}, "sendToRemoteFeatureData": {"id": str(table.ids[row])}}


def request(row: int, service: str = KEY) -> dict[str, Any]:
    return {"head": {"serviceId": service}, "body": sample(row)}
