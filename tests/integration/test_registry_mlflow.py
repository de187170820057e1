"""The registry client against a real MLflow server, with lost answers and changed files."""

import contextlib
import math
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import mlflow_server

from federated_operators.registry.cache import Binding, ModelCache
from federated_operators.registry.models import PRODUCT, ModelRegistry
from federated_operators.registry.rest import Metric, MlflowRest
from federatedml.errors import ModelError, PeerError
from federatedml.federation.party import Role
from tests.members import GUEST, HOST
from tests.model_halves import KEY, bundle

PORT, PROXY_PORT = 24040, 24041
JOB = "20260101120000000001"


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowRest]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), PORT) as url, MlflowRest(url) as client:
        yield client


class LossyProxy:
    """Passes requests on; loses the answer to the first one that names ``path``, after the server has done it."""

    def __init__(self, path: bytes) -> None:
        self.path, self.lost = path, 0
        self._listening = socket.create_server(("127.0.0.1", PROXY_PORT))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._pass, args=(caller,), daemon=True).start()

    def _pass(self, caller: socket.socket) -> None:
        with caller, socket.create_connection(("127.0.0.1", PORT)) as server:
            asked = threading.Event()
            threading.Thread(target=self._requests, args=(caller, server, asked), daemon=True).start()
            while answer := server.recv(1 << 16):
                if asked.is_set() and not self.lost:
                    self.lost += 1
                    caller.shutdown(socket.SHUT_RDWR)
                    return
                caller.sendall(answer)

    def _requests(self, caller: socket.socket, server: socket.socket, asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while request := caller.recv(1 << 16):
                if self.path in request:
                    asked.set()
                server.sendall(request)
            server.shutdown(socket.SHUT_RDWR)


def test_runs_points_and_tags_are_kept_and_sent_again_without_harm(rest: MlflowRest) -> None:
    experiment = rest.experiment("breast@guest_9999", {"fed.role": "guest"})
    assert rest.experiment("breast@guest_9999") == experiment
    run = rest.create_run(experiment, JOB, {"fed.job": JOB})
    points = [Metric("train/loss", step / 8, 1_700_000_000_000 + step, step) for step in range(1500)]
    for _ in range(2):
        rest.log_batch(run.run_id, [*points, Metric("odd", math.nan, 1)], {"alpha": "0.1"}, {"more": "it's"})
    rest.set_tag(run.run_id, "one", "1")
    rest.update_run(run.run_id, "FINISHED")
    (found,) = rest.search_runs(experiment, {"fed.job": JOB, "one": "1"})
    assert found.status == "FINISHED"
    assert found.end_time >= found.start_time > 0
    assert found.params == {"alpha": "0.1"}
    assert found.tags["more"] == "it's"
    assert found.metrics["train/loss"] == 1499 / 8
    assert math.isnan(found.metrics["odd"])
    assert rest.search_runs(experiment, {"fed.job": "another"}) == []


def test_artifacts_go_through_the_server_and_come_back(rest: MlflowRest) -> None:
    run = rest.create_run(rest.experiment("files"), "r", {})
    bodies = {"metrics/train/roc.json": b"{}", "a b.bin": bytes(range(256)) * 50}
    for path, body in bodies.items():
        rest.upload(run.artifact_uri, path, body)
    assert rest.files(run.artifact_uri) == {path: len(body) for path, body in sorted(bodies.items())}
    assert {path: rest.download(run.artifact_uri, path) for path in bodies} == bodies
    with pytest.raises(ModelError, match="larger than 100 bytes"):
        rest.download(run.artifact_uri, "a b.bin", max_bytes=100)
    with pytest.raises(ModelError, match="FED-610"):
        rest.download(run.artifact_uri, "nothing.json")
    for path in ("../../escape", "a/../b", "/etc/x", "a\\b", "a%2e%2e/b", ".hidden", "", "a\0"):
        with pytest.raises(ModelError, match="FED-618"):
            rest.upload(run.artifact_uri, path, b"")


def test_refusals_carry_mlflows_reason(rest: MlflowRest) -> None:
    with pytest.raises(ModelError, match=r"FED-610.*Run with id"):
        rest.get_run("0" * 32)
    rest.registered_model("empty")
    with pytest.raises(ModelError, match=r"FED-610.*no alias 'nope'"):
        rest.get_by_alias("empty", "nope")
    with pytest.raises(ModelError, match="FED-615"):
        rest.search_versions("it's")


def test_registering_again_finds_the_version_that_is_there(rest: MlflowRest) -> None:
    registry = ModelRegistry(rest)
    half = bundle(GUEST, JOB)
    first = registry.register(half, "registry", tags={"fed.dsl": "d"}, description="a model")
    again = registry.register(half, "registry")
    assert (again.version, again.source) == (first.version, first.source)
    assert rest.get_version(first.name, first.version).tags["fed.dsl"] == "d"
    assert rest.get_version(first.name, first.version).aliases == ()
    with pytest.raises(ModelError, match="FED-610"):
        registry.resolve(half.party_model_id)
    with pytest.raises(ModelError, match="FED-616"):
        registry.register(bundle(GUEST, JOB, seed=2), "registry")
    rerun = registry.register(bundle(GUEST, f"{JOB}9", seed=2), "registry")
    assert rerun.version == first.version + 1


def test_the_alias_leads_to_the_same_bytes(rest: MlflowRest, tmp_path: Path) -> None:
    registry = ModelRegistry(rest, ModelCache(tmp_path))
    half = bundle(HOST, JOB)
    made = registry.register(half, "alias")
    registry.set_alias(made.name, made.version)
    binding = registry.resolve(half.party_model_id)
    assert (binding.version, binding.job_id, binding.alias) == (made.version, JOB, PRODUCT)
    assert registry.load(binding) == half
    assert rest.get_by_alias(made.name, PRODUCT).aliases == (PRODUCT,)
    assert [model.name for model in registry.of_key(Role.HOST, "10000", KEY)] == [made.name]
    assert registry.of_key(Role.GUEST, "10000", KEY) == []
    assert registry.of_key(Role.HOST, "10000", "reast") == []
    assert registry.of_key(Role.HOST, "1000_", KEY) == [], "a wildcard of SQL is a character of a name"


def _published(rest: MlflowRest, job: str) -> tuple[Binding, str]:
    """A registered model and the artifact URI of its files."""
    registry = ModelRegistry(rest)
    made = registry.register(bundle(HOST, job), "changed")
    registry.set_alias(made.name, made.version)
    return registry.resolve(made.name), rest.get_logged_model(made.model_id).artifact_uri


def test_a_changed_added_or_foreign_file_is_never_loaded_and_never_cached(rest: MlflowRest, tmp_path: Path) -> None:
    cache = ModelCache(tmp_path)
    registry = ModelRegistry(rest, cache)
    binding, uri = _published(rest, f"{JOB}1")
    path = next(p for p in rest.files(uri) if p.startswith("components/hetero_lr_0/") and p.endswith("Param.pb"))
    body = rest.download(uri, path)
    rest.upload(uri, path, body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"FED-604.*Param\.pb is not what"):
        registry.load(binding)
    rest.upload(uri, path, body)
    rest.upload(uri, "components/extra.pb", b"")
    with pytest.raises(ModelError, match=r"FED-604.*not listed: components/extra\.pb"):
        registry.load(binding)
    assert cache.get(binding.digest) is None
    other, _ = _published(rest, f"{JOB}2")
    with pytest.raises(ModelError, match="FED-604"):
        registry.load(Binding(binding.name, PRODUCT, other.version, other.job_id, binding.digest))


def test_a_cached_model_needs_no_server(rest: MlflowRest, tmp_path: Path) -> None:
    cache = ModelCache(tmp_path)
    binding, _ = _published(rest, f"{JOB}3")
    half = ModelRegistry(rest, cache).load(binding)
    with MlflowRest("http://127.0.0.1:24049", tries=1) as nobody:
        assert ModelRegistry(nobody, cache).load(binding) == half
        with pytest.raises(PeerError, match=r"FED-480.*24049"):
            ModelRegistry(nobody).load(binding)


@pytest.mark.parametrize("path", [b"/model-versions/create", b"POST /api/2.0/mlflow/logged-models "])
def test_a_lost_answer_makes_no_second_version(rest: MlflowRest, path: bytes) -> None:
    proxy = LossyProxy(path)
    half = bundle(GUEST, f"{JOB}{len(path)}")
    try:
        with MlflowRest(f"http://127.0.0.1:{PROXY_PORT}") as lossy:
            made = ModelRegistry(lossy).register(half, "lossy")
    finally:
        proxy.close()
    assert proxy.lost == 1
    tags = {"fed.job": half.model_version}
    assert [version.version for version in rest.search_versions(half.party_model_id, tags)] == [made.version]
    assert len(rest.search_logged_models(rest.experiment("lossy"), tags)) == 1


def test_a_job_that_repeats_its_end_does_not_bring_its_old_model_back(rest: MlflowRest) -> None:
    registry = ModelRegistry(rest)
    old, new = (registry.register(bundle(HOST, f"2026090112000000000{n}"), "again@host_10000") for n in (1, 2))
    assert registry.promote(old.name, old.version)
    assert registry.promote(new.name, new.version)
    assert not registry.promote(old.name, old.version)
    assert registry.resolve(old.name).version == new.version
