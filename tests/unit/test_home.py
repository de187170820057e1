"""A party's home: configuration with readable errors, pinned CAs, paths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from federatedml.compute.choice import Auto, cores
from federatedml.compute.cluster import Cluster, Tls
from federatedml.compute.engine import SERIAL
from federatedml.compute.threads import Threads
from federatedml.errors import PolicyError
from federatedml.federation.home import PartyHome

PORTS = {
    "airflow": 8080,
    "worker_log": 8081,
    "trigger_log": 8082,
    "mlflow": 8083,
    "gateway": 8084,
    "serving_http": 8085,
    "serving_grpc": 8086,
}
TLS = {"ca": "dask/ca.pem", "cert": "dask/party.pem", "key": "/etc/dask.key"}
GOOD = {"party_id": "9999", "name": "guest", "ports": PORTS, "peers": {"10000": {"gateway": "127.0.0.1:9084"}}}


def home(root: Path, **changed: Any) -> PartyHome:
    (root / "party.yaml").write_text(yaml.safe_dump({**GOOD, **changed}))
    return PartyHome(root)


def test_a_home_knows_its_configuration_and_addresses(tmp_path: Path) -> None:
    one = home(tmp_path)
    assert one.config.peers["10000"].gateway == "127.0.0.1:9084"
    assert one.config.peer_timeout == 600
    assert one.airflow_url == "http://127.0.0.1:8080"
    assert one.mlflow_url == "http://127.0.0.1:8083"
    assert one.serving_url == "http://127.0.0.1:8085"
    assert one.public_url(8080) == "http://guest.localhost:8080"
    assert one.job_dir("9999", "1") == tmp_path.resolve() / "jobs" / "9999" / "1"


def test_a_party_chooses_its_engine(tmp_path: Path) -> None:
    with home(tmp_path).compute() as found:
        assert isinstance(found, Auto) == (cores() > 1)
    with home(tmp_path, compute={"engine": "serial"}).compute() as found:
        assert found is SERIAL
    with home(tmp_path, compute={"engine": "threads", "workers": 3}).compute() as found:
        assert (type(found), found.workers) == (Threads, 3)
    with home(
        tmp_path, compute={"engine": "dask", "workers": 9, "address": "tls://a.b:1", "tls": TLS}
    ).compute() as found:
        assert isinstance(found, Cluster)
        assert (found.address, found.workers) == ("tls://a.b:1", 9)
        assert found.tls == Tls(f"{tmp_path}/dask/ca.pem", f"{tmp_path}/dask/party.pem", "/etc/dask.key")


def test_a_cluster_needs_what_talks_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    party = home(tmp_path, compute={"engine": "dask", "address": "tcp://127.0.0.1:1"})
    with pytest.raises(PolicyError, match=r"FED-755.*airfed\[dask\]"), party.compute():
        pass


def test_a_folder_without_configuration_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"FED-510.*is not a party's home.*airfed party init"):
        _ = PartyHome(tmp_path).config


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"ports": {**PORTS, "gateway": 0}}, "ports.gateway"),
        ({"ports": {**PORTS, "gateway": "8084"}}, "ports.gateway"),
        ({"ports": {key: port for key, port in PORTS.items() if key != "mlflow"}}, "ports.mlflow"),
        ({"name": "Guest GmbH"}, "name"),
        ({"party_id": 9999}, "party_id"),
        ({"peers": {"10000": {}}}, "peers.10000.gateway"),
        ({"peer_timeout": 0}, "peer_timeout"),
        ({"colour": "red"}, "colour"),
        ({"compute": {"engine": "spark"}}, "compute.engine"),
        ({"compute": {"workers": 0}}, "compute.workers"),
        ({"compute": {"engine": "dask"}}, "address is for engine dask"),
        ({"compute": {"address": "tcp://127.0.0.1:8786"}}, "address is for engine dask"),
        ({"compute": {"engine": "dask", "address": "cluster:8786"}}, "compute.address"),
        ({"compute": {"engine": "dask", "address": "tls://cluster:8786"}}, "tls is for an address tls://"),
        ({"compute": {"engine": "dask", "address": "tcp://cluster:8786"}}, "other machines are reached by tls://"),
        (
            {"compute": {"engine": "dask", "address": "tcp://127.0.0.1.org:8786"}},
            "other machines are reached by tls://",
        ),
        ({"compute": {"engine": "dask", "address": "tcp://localhost:1", "tls": TLS}}, "tls is for an address tls://"),
        ({"compute": {"engine": "dask", "address": "tls://cluster:1", "tls": {"ca": "a.pem"}}}, "compute.tls.cert"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path: Path, changed: dict, key: str) -> None:
    with pytest.raises(PolicyError, match="FED-511") as caught:
        _ = home(tmp_path, **changed).config
    assert key in str(caught.value)
    assert "party.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "party_id: [", "!!python/object/apply:os.system ['true']", "\0"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "party.yaml").write_text(text)
    with pytest.raises(PolicyError, match="FED-511"):
        _ = PartyHome(tmp_path).config


def test_a_configuration_in_another_encoding_is_refused_and_a_byte_order_mark_is_not(tmp_path: Path) -> None:
    text = (home(tmp_path).root / "party.yaml").read_bytes()
    (tmp_path / "party.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert PartyHome(tmp_path).config == home(tmp_path).config
    (tmp_path / "party.yaml").write_bytes(text + b"# Z\xfcrich\n")
    with pytest.raises(PolicyError, match="FED-511"):
        _ = PartyHome(tmp_path).config


def test_pinned_cas_are_those_of_peers_and_the_own(tmp_path: Path) -> None:
    one = home(tmp_path)
    (tmp_path / "pki" / "peers").mkdir(parents=True)
    (tmp_path / "pki" / "peers" / "10000.pem").write_bytes(b"peer")
    (tmp_path / "pki" / "peers" / "9999.pem").write_bytes(b"somebody who claims to be us")
    (tmp_path / "pki" / "ca.pem").write_bytes(b"own")
    assert one.pinned() == {"10000": b"peer", "9999": b"own"}


def test_a_socket_path_that_cannot_be_bound_is_refused(tmp_path: Path) -> None:
    assert PartyHome(Path("/h")).socket == Path("/h/run/gateway.sock")
    with pytest.raises(PolicyError, match=r"FED-512.*use a shorter home"):
        _ = PartyHome(tmp_path / ("x" * 100)).socket
