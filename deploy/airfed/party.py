"""A new party: its home, its identity, its passwords, and the peers it trusts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from cryptography import x509
from pydantic import ValidationError

from airfed.airflow_config import PEOPLE, SERVICE_USER, secret, write_private
from federated_operators.gateway.policy import default_policy
from federatedml.errors import PolicyError
from federatedml.federation.home import PartyConfig, PartyHome, Peer, Ports
from federatedml.federation.identity import KeyPair, create_ca, issue
from federatedml.federation.party import PARTY_ID

NOT_IN_PATHS = set("%?$")  # addresses of databases and Airflow's settings give them a meaning
FOLDERS = (
    "pipelines",
    "installed",
    "data",
    "jobs",
    "logs",
    "run",
    "run/tmp",
    "pki",
    "pki/peers",
    "secrets",
    "airflow",
    "mlflow",
)


def ports_from(base: int) -> Ports:
    """Seven ports in a row."""
    names = ("airflow", "mlflow", "gateway", "serving_http", "serving_grpc", "worker_log", "trigger_log")
    return Ports(**{name: base + offset for offset, name in enumerate(names)})


def init_party(root: Path, config: PartyConfig, initiators: Sequence[str] = ()) -> PartyHome:
    """Make a home (0700) with a CA, a certificate, passwords and keys of its own.

    Args:
        initiators: peers that may propose jobs, for the first ``policy.yaml``.

    Raises:
        PolicyError: the folder already is a home or cannot be one, or the party id is not valid.
    """
    if not PARTY_ID.fullmatch(config.party_id):
        raise PolicyError("FED-501", f"{config.party_id!r} is not a party id", f"allowed: {PARTY_ID.pattern}")
    if (root / "party.yaml").exists():
        raise PolicyError("FED-513", f"{root} already is a party's home", "choose another folder")
    if odd := sorted(NOT_IN_PATHS & set(str(root.resolve()))):
        problem = f"{root}: the path of a home holds {', '.join(odd)}"
        raise PolicyError("FED-519", problem, "Airflow and MLflow would look for their databases elsewhere")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    root.chmod(0o700)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    home = PartyHome(root)
    _make_identity(home, config)
    for name in ("jwt", "api", "fernet"):
        secret(home, name)
    passwords = {user: secrets.token_urlsafe(12) for user in (PEOPLE, SERVICE_USER)}
    write_private(home.passwords, json.dumps(passwords))
    write_private(home.policy, default_policy(config.party_id, initiators))
    _write_config(home, config)
    return home


def trust(home: PartyHome, party_id: str, ca: bytes, peer: Peer) -> None:
    """Pin the CA of a peer and note its doors.

    Raises:
        PolicyError: the file is not the certificate of a CA.
    """
    if not PARTY_ID.fullmatch(party_id) or party_id == home.config.party_id:
        raise PolicyError("FED-501", f"{party_id[:64]!r} is not the id of a peer")
    _check_ca(party_id, ca)
    write_private(
        home.root / "pki" / "peers" / f"{party_id}.pem", ca.decode("ascii", errors="ignore")
    )  # the rest is commentary
    rewrite(home, home.config.model_copy(update={"peers": {**home.config.peers, party_id: peer}}))


def rewrite(home: PartyHome, config: PartyConfig) -> None:
    """Give a party that does not run another ``party.yaml``."""
    _write_config(home, config)
    home.__dict__.pop("config", None)  # read again at the next use


def ca_of(home: PartyHome) -> bytes:
    """This party's CA certificate, to be given to its peers."""
    return (home.root / "pki" / "ca.pem").read_bytes()


def passwords(home: PartyHome) -> Mapping[str, str]:
    """User name -> password of the party's Airflow."""
    stored: dict[str, str] = json.loads(home.passwords.read_text())
    return stored


def party_config(party_id: str, name: str, base_port: int, serving: bool = True) -> PartyConfig:
    """The configuration of a new party; ``PolicyError`` names the value that is not allowed."""
    try:
        return PartyConfig(party_id=party_id, name=name, ports=ports_from(base_port), serving=serving)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PolicyError("FED-511", f"{key}: {first['msg']}, found {first['input']!r}") from None


def _make_identity(home: PartyHome, config: PartyConfig) -> None:
    ca = create_ca(config.party_id)
    hosts = tuple(sorted({config.host, "127.0.0.1", "localhost"}))
    for stem, pair in (("ca", ca), ("party", issue(ca, config.party_id, hosts=hosts))):
        _write_pair(home.root / "pki" / stem, pair)


def _write_pair(stem: Path, pair: KeyPair) -> None:
    write_private(stem.with_suffix(".pem"), pair.certificate.decode("ascii"))
    write_private(stem.with_suffix(".key"), pair.key.decode("ascii"))


def _write_config(home: PartyHome, config: PartyConfig) -> None:
    text = yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False)
    write_private(home.root / "party.yaml", text)


def _check_ca(party_id: str, ca: bytes) -> None:
    try:
        constraints = x509.load_pem_x509_certificate(ca).extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, x509.ExtensionNotFound):
        raise PolicyError("FED-507", f"what was given as the CA of party {party_id} is not a certificate") from None
    if not constraints.value.ca:
        raise PolicyError("FED-507", f"the certificate given for party {party_id} is not that of a CA")
