"""Two parties with serving processes and one MLflow server, for tests: homes, certificates, models, processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from airfed_proto.v1 import model_pb2
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.rest import MlflowRest
from federatedml.component import component
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.data.table import Kind, Table
from federatedml.federation.identity import KeyPair, create_ca, issue
from federatedml.federation.party import Member, Role
from federatedml.model_bundle import ModelBundle, StoredModel

GUEST, HOST, ARBITER = Member(Role.GUEST, "9999"), Member(Role.HOST, "10000"), Member(Role.ARBITER, "10001")
MEMBERS = (ARBITER, GUEST, HOST)
KEY = "breast"
COLUMNS = {GUEST: [f"x{i}" for i in range(10)], HOST: [f"z{i}" for i in range(20)]}
ROWS = 50


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


def mlflow_server(folder: Path, port: int) -> Process:
    """MLflow as a party runs it."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": "^models:/m-",
    }
    command = [sys.executable, "-m", "mlflow", "server", "-w", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/db.sqlite",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    return Process(command, environment, folder / "log")


def healthy(port: int, path: str = "/health") -> bool:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 200


def raw_table(member: Member, seed: int = 7) -> Table:
    """The party's own table."""
    random = np.random.default_rng([seed, int(member.party)])
    columns = {name: random.normal(size=ROWS) for name in COLUMNS[member]}
    return Table(np.array([f"id{i}" for i in range(ROWS)], object), columns, kind=Kind.RAW)


def bundle(me: Member, job: str, seed: int = 1, model_key: str = KEY) -> ModelBundle:
    """A party's half of a DataIO + HeteroLR model with weights from ``seed``."""
    random = np.random.default_rng([seed, int(me.party)])
    header = COLUMNS[me]
    lr = model_pb2.LRModelParam(
        header=header, weight=dict(zip(header, random.normal(size=len(header)), strict=True)), intercept=random.normal()
    )
    models = {
        "dataio_0": (
            "DataIO",
            {"DataIOMeta": model_pb2.DataIOMeta(), "DataIOParam": model_pb2.DataIOParam(header=header)},
        ),
        "hetero_lr_0": ("HeteroLR", {_lr("Meta"): model_pb2.LRModelMeta(threshold=0.5), _lr("Param"): lr}),
    }
    stored = {
        name: StoredModel(module, "model", {buffer: message.SerializeToString() for buffer, message in buffers.items()})
        for name, (module, buffers) in models.items()
    }
    return ModelBundle(me, MEMBERS, model_key, job, "9999", 1, stored, model_pb2.Pipeline().SerializeToString())


def _lr(end: str) -> str:
    spec = component("HeteroLR").model
    assert spec
    return next(name for name in spec.buffers if name.endswith(end))


def batch_scores(seed: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What batch prediction gives for all rows of both tables, by the components themselves."""
    data_io, lr = component("DataIO"), component("HeteroLR")
    partials, buffers = {}, {}
    for member in (GUEST, HOST):
        stored = bundle(member, "1", seed).components
        fitted = data_io.model.parse(stored["dataio_0"].buffers)  # type: ignore[union-attr]
        buffers[member] = lr.model.parse(stored["hetero_lr_0"].buffers)  # type: ignore[union-attr]
        table = data_io.scorer.transform(fitted, raw_table(member))  # type: ignore[union-attr,misc]
        partials[member] = lr.scorer.partial(buffers[member], table)  # type: ignore[union-attr,misc]
    return np.asarray(lr.scorer.merge(buffers[GUEST], partials[GUEST], [partials[HOST]]))  # type: ignore[union-attr,misc]


@dataclass
class Federation:
    """Guest and host with one MLflow; ports from ``base``."""

    root: Path
    base: int
    cas: dict[str, KeyPair] = field(default_factory=dict)
    serving: dict[Member, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cas = {member.party: create_ca(member.party) for member in MEMBERS}
        self.mlflow = mlflow_server(self.root / "mlflow", self.base)
        for at, member in enumerate((GUEST, HOST), start=1):
            self._home(member, self.base + 10 * at)
            environment = {"AIRFED_HOME": str(self.home(member))}
            self.serving[member] = Process([sys.executable, "-m", "serving"], environment, self.root / f"{member}.log")

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
        ca = self.cas[member.party]
        leaf = issue(ca, member.party)
        (home / "pki/ca.pem").write_bytes(ca.certificate)
        (home / "pki/party.pem").write_bytes(leaf.certificate)
        (home / "pki/party.key").write_bytes(leaf.key)
        for other in MEMBERS:
            if other != member:
                (home / f"pki/peers/{other.party}.pem").write_bytes(self.cas[other.party].certificate)

    def start_mlflow(self) -> None:
        self.mlflow.start()
        until(lambda: healthy(self.base), 60)

    def start(self, *members: Member) -> None:
        for member in members:
            self.serving[member].start()
        for member in members:
            until(lambda member=member: healthy(self.port(member), "/health/live"))  # type: ignore[misc]

    def stop(self) -> None:
        for process in (*self.serving.values(), self.mlflow):
            process.stop()

    def register(self, job: str, seed: int = 1, members: tuple[Member, ...] = (GUEST, HOST)) -> None:
        """A new version of ``members``' halves, with the alias."""
        with MlflowRest(f"http://127.0.0.1:{self.base}") as rest:
            registry = ModelRegistry(rest)
            for member in members:
                made = registry.register(bundle(member, job, seed), f"{KEY}@{member}")
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
