"""A party's home directory: the one place that knows where things are."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federatedml.compute.engine import Compute, EngineName
from federatedml.errors import PolicyError
from federatedml.federation.identity import KeyPair

_LOOPBACK = re.compile(r"tcp://(127(\.\d+){3}|localhost|\[::1\]):\d+$")
MAX_SOCKET_PATH = 107  # bytes of sun_path that Linux leaves


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Ports(_Model):
    """TCP ports of a party's processes; only ``gateway`` and ``serving_grpc`` face other parties."""

    airflow: int = Field(gt=0, lt=65536)
    worker_log: int = Field(gt=0, lt=65536)
    trigger_log: int = Field(gt=0, lt=65536)
    mlflow: int = Field(gt=0, lt=65536)
    gateway: int = Field(gt=0, lt=65536)
    serving_http: int = Field(gt=0, lt=65536)
    serving_grpc: int = Field(gt=0, lt=65536)


class Peer(_Model):
    """Another party: where its doors are. Its CA is pinned in ``pki/peers/PARTY.pem``."""

    gateway: str = Field(description="HOST:PORT of its gateway")
    serving: str | None = Field(default=None, description="HOST:PORT of its serving door")
    name: str = ""


class Features(_Model):
    """The table in which online scoring looks a sample id up."""

    namespace: str
    name: str


class TransportSettings(_Model):
    """How much of messages between parties is kept in memory, MiB."""

    window: int = Field(default=16, ge=4, le=1024, description="of a worker on their way to one member")
    unacknowledged: int = Field(default=128, ge=4, description="of a worker, sent and not acknowledged: `send` waits")
    in_memory: int = Field(default=64, ge=1, description="of unread bodies; large ones beyond it go to a file")
    held: int = Field(default=1024, ge=1, description="of bodies that a busy task has not read: senders wait")
    unread: int = Field(default=4096, ge=1, description="of bodies that a task has not read: the job fails")
    body: int = Field(default=1024, ge=1, le=1024, description="of one message")
    queue: int = Field(default=128, ge=16, description="that the gateway keeps for one peer, and for one worker")


class ClusterTls(_Model):
    """PEM files by which this party and its own cluster know each other; not those that peers know it by."""

    ca: str
    cert: str
    key: str


class ComputeConfig(_Model):
    """Where the parts of a step's work run."""

    engine: EngineName = Field(default=EngineName.AUTO, strict=False)
    workers: int | None = Field(default=None, ge=1, le=1024, description="parts at once; null: all cores")
    address: str | None = Field(default=None, pattern=r"^(tls|tcp)://[^\s/]+:[0-9]+$", description="Dask scheduler")
    tls: ClusterTls | None = None

    @model_validator(mode="after")
    def _fits(self) -> ComputeConfig:
        if (self.address is not None) != (self.engine is EngineName.DASK):
            raise ValueError("address is for engine dask, which needs it")
        if (self.tls is not None) != (self.address or "").startswith("tls://"):
            raise ValueError("tls is for an address tls://HOST:PORT, which needs it")
        if (self.address or "").startswith("tcp://") and not _LOOPBACK.match(self.address or ""):
            raise ValueError("tcp:// is for this machine (127.0.0.1, localhost): other machines are reached by tls://")
        return self


class PartyConfig(_Model):
    """``party.yaml``."""

    party_id: str
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="label of the party; its UIs are NAME.localhost")
    host: str = Field(default="127.0.0.1", description="address that the party's processes bind")
    ports: Ports
    peers: dict[str, Peer] = Field(default_factory=dict)
    serving: bool = True
    features: Features | None = None
    peer_timeout: float = Field(default=600.0, gt=0, description="seconds of silence after which a peer is given up")
    transport: TransportSettings = TransportSettings()
    compute: ComputeConfig = ComputeConfig()
    parallelism: int = Field(default=6, ge=1, le=64, description="worker slots of the embedded Airflow")


class PartyHome:
    """Paths and configuration below one party's home (mode 0700).

    Raises:
        PolicyError: ``party.yaml`` is missing or invalid; the message names the key.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @cached_property
    def config(self) -> PartyConfig:
        """The validated ``party.yaml``."""
        path = self.root / "party.yaml"
        try:
            return PartyConfig.model_validate(yaml.safe_load(path.read_bytes()))
        except FileNotFoundError:
            raise PolicyError("FED-510", f"{self.root} is not a party's home", "airfed party init makes one") from None
        except (ValidationError, yaml.YAMLError) as error:
            raise PolicyError("FED-511", f"{path}: {error}") from None

    # What people put in
    @property
    def dropin(self) -> Path:
        """Folder that people drop pipelines into."""
        return self.root / "pipelines"

    @property
    def data(self) -> Path:
        """Tables: NAMESPACE/NAME.parquet."""
        return self.root / "data"

    @property
    def policy(self) -> Path:
        """What other parties may do here."""
        return self.root / "policy.yaml"

    # What airfed keeps
    @property
    def bundle(self) -> Path:
        """Store of the DAG bundle."""
        return self.root / "bundle"

    @property
    def installed(self) -> Path:
        """Pipelines of other parties' jobs, installed by the gateway; part of the same bundle."""
        return self.root / "installed"

    @property
    def jobs(self) -> Path:
        """Per job: INITIATOR/JOB/."""
        return self.root / "jobs"

    def job_dir(self, initiator: str, job_id: str) -> Path:
        """Everything this party keeps of a job."""
        return self.jobs / initiator / job_id

    @property
    def gateway_db(self) -> Path:
        """Decisions, durable."""
        return self.root / "gateway" / "gateway.db"

    @property
    def budgets_db(self) -> Path:
        """What peers have learned over jobs, durable."""
        return self.root / "gateway" / "budgets.db"

    @property
    def vault(self) -> Path:
        """Keys and lists that outlive a job, until they expire (0700)."""
        return self.root / "gateway" / "vault"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.root / "airflow"

    @property
    def mlflow(self) -> Path:
        """Database and artifacts of the MLflow server."""
        return self.root / "mlflow"

    @property
    def serving_cache(self) -> Path:
        """Verified models, by manifest digest: serves while MLflow is down."""
        return self.root / "serving"

    @property
    def model_cache(self) -> Path:
        """Verified models that predict jobs use, by manifest digest."""
        return self.root / "models"

    @property
    def logs(self) -> Path:
        """Logs of the supervised processes."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Sockets and process records."""
        return self.root / "run"

    @property
    def passwords(self) -> Path:
        """JSON: user name -> password of this party's Airflow (0600)."""
        return self.root / "secrets" / "passwords.json"

    @property
    def worker_socket(self) -> Path:
        """The gateway's Unix socket for the streams of workers."""
        return self._socket("worker.sock")

    @property
    def socket(self) -> Path:
        """The gateway's Unix socket for this party's own processes."""
        return self._socket("gateway.sock")

    @property
    def scheduler_socket(self) -> Path:
        """Where the embedded scheduler takes nudges."""
        return self._socket("scheduler.sock")

    def _socket(self, name: str) -> Path:
        path = self.run / name
        if len(str(path).encode()) > MAX_SOCKET_PATH:
            raise PolicyError(
                "FED-512", f"{path} is longer than the {MAX_SOCKET_PATH} bytes of a socket's path", "use a shorter home"
            )
        return path

    # Identity
    @cached_property
    def identity(self) -> KeyPair:
        """This party's certificate and key."""
        return KeyPair((self.root / "pki/party.pem").read_bytes(), (self.root / "pki/party.key").read_bytes())

    def pinned(self) -> dict[str, bytes]:
        """Party id -> CA of every peer, and of this party itself."""
        found = {path.stem: path.read_bytes() for path in (self.root / "pki/peers").glob("*.pem")}
        return {**found, self.config.party_id: (self.root / "pki/ca.pem").read_bytes()}

    def compute(self) -> AbstractContextManager[Compute]:
        """The party's engine for parts of a step's work, until the block ends; paths of ``tls`` start at the home."""
        from federatedml.compute.choice import compute_engine  # heavy, and few who know the home compute
        from federatedml.compute.cluster import Tls

        found, tls = self.config.compute, None
        if found.tls is not None:
            tls = Tls(*(str(self.root / path) for path in (found.tls.ca, found.tls.cert, found.tls.key)))
        return compute_engine(found.engine, found.workers, found.address or "", tls)

    # Addresses of this party's own processes
    @property
    def airflow_url(self) -> str:
        """Base URL of the own Airflow, for programs."""
        return f"http://{self.config.host}:{self.config.ports.airflow}"

    @property
    def mlflow_url(self) -> str:
        """Base URL of the own MLflow, for programs."""
        return f"http://{self.config.host}:{self.config.ports.mlflow}"

    @property
    def serving_url(self) -> str:
        """Base URL of the own serving process, for programs."""
        return f"http://{self.config.host}:{self.config.ports.serving_http}"

    def public_url(self, port: int) -> str:
        """URL for people: one name per party, because browsers do not separate cookies by port."""
        return f"http://{self.config.name}.localhost:{port}"

    def run_url(self, dag_id: str, run_id: str) -> str:
        """Page on which this party's people watch a run."""
        return f"{self.public_url(self.config.ports.airflow)}/dags/{dag_id}/runs/{quote(run_id, safe='')}"
