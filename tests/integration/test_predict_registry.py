"""Every party holds a predict job to its own registered half of the model, in a real MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import mlflow_server
from typer.testing import CliRunner

from airfed.cli import app
from airfed.party import init_party, party_config
from airfed.predict import predict_pipeline, submit_prediction
from dags_generator.acceptor import DslAcceptor
from federated_operators.gateway.plan import ModelRef, ProposedJob
from federated_operators.registry.models import ModelRegistry
from federated_operators.registry.rest import MlflowRest
from federated_operators.trained import TrainedModels
from federatedml.component import component
from federatedml.errors import DslError, FedError, ModelError, PeerError
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member
from federatedml.model_bundle import ModelBundle
from tests import pipeline_example
from tests.members import ARBITER, GUEST, HOST
from tests.pipeline_example import Edit, at, unchanged, without
from tests.predict_example import JOB_ID, MODEL_ID, TRAINING, conf, dsl, half, proposal

pytestmark = pytest.mark.timeout(240)
PORT, NOBODY = 26205, 26206
LATER = "202611220000000000005"
NAME = {member: f"{member.role}#{member.party}#{MODEL_ID}" for member in (GUEST, HOST, ARBITER)}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelRegistry]:
    """All members' halves in one server: their names differ."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), PORT) as url, MlflowRest(url) as rest:
        found = ModelRegistry(rest)
        for member in NAME:
            version = put(found, half(member))
            found.set_alias(NAME[member], version)
        yield found


def put(registry: ModelRegistry, bundle: ModelBundle) -> int:
    return registry.register(bundle, "tests").version


def home_of(folder: Path, member: Member, port: int = PORT) -> PartyHome:
    config = party_config(member.party, str(member.role), 26210)
    ports = config.ports.model_copy(update={"mlflow": port})
    return init_party(folder / str(member), config.model_copy(update={"ports": ports}), [])


@pytest.mark.parametrize("member", NAME, ids=str)
def test_every_party_agrees_with_its_own_half(registry: ModelRegistry, tmp_path: Path, member: Member) -> None:
    home = home_of(tmp_path, member)
    (plan,) = DslAcceptor(home).plans(proposal(), member.party)
    assert plan.model_digest == registry.resolve(NAME[member]).digest
    offline = home_of(tmp_path / "offline", member, NOBODY)
    with pytest.raises(PeerError, match="FED-622"):
        TrainedModels(offline).agreed(plan)
    offline.model_cache.parent.mkdir(exist_ok=True)
    home.model_cache.rename(offline.model_cache)
    ref = ModelRef("hetero_lr_0", "hetero_lr", stored=True)
    spec = component("HeteroLR").model
    assert spec is not None
    expected = spec.parse(half(member).components["hetero_lr_0"].buffers)
    for place in (offline, home):  # from disk, and downloaded again
        assert TrainedModels(place).buffers(plan, ref) == expected


REFUSED: dict[str, tuple[Edit, Edit, str]] = {
    "other outputs": (at("intersection_0", output={"data": ["other"]}), unchanged, "FED-122"),
    "without a component": (without("dataio_0"), unchanged, "FED-120"),
    "another table": (at("dataio_0", "input", data={"data": ["args.other"]}), unchanged, "FED-134"),
    "intersected twice": (
        at(intersection_1={"module": "Intersection", "input": {"data": {"data": ["dataio_0.train"]}}}),
        unchanged,
        "FED-196",
    ),
    "scores of rows that are not common": (
        at("hetero_lr_0", "input", data={"eval_data": ["dataio_0.train"]}),
        unchanged,
        "FED-196",
    ),
    "another parameter": (unchanged, at("algorithm_parameters", "hetero_lr_0", max_iter=31), "FED-198"),
    "another threshold": (
        unchanged,
        at("algorithm_parameters", "hetero_lr_0", predict_param={"threshold": 0.1}),
        "FED-198",
    ),
    "a smaller intersection": (
        unchanged,
        at("algorithm_parameters", intersection_0={"min_intersection": 1}),
        "FED-198",
    ),
    "a parameter left out": (unchanged, without("algorithm_parameters", "hetero_lr_0", "max_iter"), "FED-198"),
    "a party's parameters left out": (unchanged, without("role_parameters", "host", "dataio_0"), "FED-198"),
    "no version": (unchanged, without("job_parameters", "model_version"), "FED-198"),
    "a version that nobody trained": (unchanged, at("job_parameters", model_version=JOB_ID), "FED-610"),
    "a key that nobody trained": (unchanged, at("job_parameters", model_id=MODEL_ID.replace("breast", "x")), "FED-610"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_not_agreed_when_training_is_refused(registry: ModelRegistry, tmp_path: Path, name: str) -> None:
    dsl_edit, filled_edit, code = REFUSED[name]
    job = proposal(dsl_edit, filled_edit=filled_edit)
    with pytest.raises(FedError) as error:
        DslAcceptor(home_of(tmp_path, HOST)).plans(job, HOST.party)
    assert error.value.code == code
    assert registry.rest.url not in error.value.message


def test_a_component_without_its_part_of_the_model_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    bundle = half(HOST, job=LATER)
    put(registry, replace(bundle, components={"dataio_0": bundle.components["dataio_0"]}))
    job = proposal(filled_edit=at("job_parameters", model_version=LATER))
    with pytest.raises(ModelError, match=r"FED-624.*host_10000 has no part 'hetero_lr' of hetero_lr_0"):
        DslAcceptor(home_of(tmp_path, HOST)).plans(job, HOST.party)


def test_a_registry_that_does_not_answer_is_a_refusal_that_may_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(PeerError) as error:
        DslAcceptor(home_of(tmp_path, HOST, NOBODY)).plans(proposal(), HOST.party)
    assert error.value.code == "FED-622"
    assert error.value.retryable
    assert str(NOBODY) not in error.value.message


def test_the_last_generation_of_a_job_is_its_model(registry: ModelRegistry) -> None:
    job, name = "202611220000000000006", NAME[GUEST].replace("breast", "again")
    first = put(registry, half(GUEST, job=job, key="again"))
    assert registry.of_job(name, job).version == first
    digest = registry.of_job(name, job).digest
    second = put(registry, replace(half(GUEST, job=job, key="again"), generation=2))
    assert registry.of_job(name, job).version == second
    assert registry.of_job(name, job, digest).version == first
    put(registry, replace(half(GUEST, job=job, key="again"), initiator="10000"))
    with pytest.raises(ModelError, match="FED-619"):
        registry.of_job(name, job)


def test_a_training_of_which_nothing_was_deployed_cannot_predict(registry: ModelRegistry, tmp_path: Path) -> None:
    def nothing(components: Any) -> None:
        for body in components.values():
            body["need_deploy"] = False

    put(registry, half(GUEST, nothing, key="nothing"))
    with pytest.raises(ModelError, match="FED-625"):
        TrainedModels(home_of(tmp_path, GUEST)).find(NAME[GUEST].replace("breast", "nothing"), TRAINING)


# airfed predict


def conf_file(folder: Path, edit: Edit = unchanged) -> Path:
    path = folder / "scores_conf.json"
    path.write_text(json.dumps(conf(edit)))
    return path


def test_the_whole_pipeline_comes_from_the_registry(registry: ModelRegistry, tmp_path: Path) -> None:
    found = predict_pipeline(home_of(tmp_path, GUEST), conf_file(tmp_path))
    assert found.name == "scores"
    assert found.dsl == dsl()
    assert found.conf["job_parameters"]["model_version"] == TRAINING
    params = pipeline_example.spec().params["hetero_lr_0"]
    assert found.spec.params["hetero_lr_0"] == params
    job = ProposedJob("9999", JOB_ID, found.name, proposal().dsl, proposal().conf)
    (plan,) = DslAcceptor(home_of(tmp_path, HOST)).plans(job, HOST.party)
    assert plan.conf == found.conf


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (at("job_parameters", job_type="train"), "FED-194"),
        (at(dsl_version=2), "FED-102"),
        (without("job_parameters", "model_id"), "FED-102"),
        (at("job_parameters", model_id=["x"]), "FED-103"),
        (at("job_parameters", model_id="no#such#model"), "FED-610"),
        (at("job_parameters", model_version="it's"), "FED-615"),
        (at("role", host=[10002]), "FED-197"),
        (without("role"), "FED-102"),
        (without("role_parameters", "host"), "FED-134"),
        (at(algorithm_parameters={"hetero_lr_0": {"max_iter": 1}}), "FED-198"),
        (at(algorithm_parameters={"evaluation_0": {}}), "FED-132"),
        (at(algorithm_parameters=[]), "FED-103"),
    ],
)
def test_a_conf_that_cannot_work_is_refused_before_anything_is_written(
    registry: ModelRegistry, tmp_path: Path, edit: Edit, code: str
) -> None:
    home = home_of(tmp_path, GUEST)
    with pytest.raises(FedError, match=code):
        predict_pipeline(home, conf_file(tmp_path, edit))
    assert list(home.dropin.iterdir()) == []


def test_the_command_prints_the_whole_pipeline(registry: ModelRegistry, tmp_path: Path) -> None:
    home = home_of(tmp_path, GUEST)
    arguments = ["predict", str(conf_file(tmp_path)), "--home", str(home.root), "--print"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["dsl"] == dsl()
    assert list(home.dropin.iterdir()) == []
    conf_file(tmp_path, at("job_parameters", model_version=JOB_ID))
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: [FED-610]")
    submitted = CliRunner().invoke(app, ["job", "submit", arguments[1], "--home", str(home.root)])
    assert submitted.stderr.startswith("error: [FED-610]")


def test_a_training_is_not_overwritten(registry: ModelRegistry, tmp_path: Path) -> None:
    home = home_of(tmp_path, GUEST)
    names = ("hetero_lr_dsl.json", "hetero_lr_conf.json")
    before = {name: (pipeline_example.FOLDER / name).read_bytes() for name in names}
    for name, body in before.items():
        (home.dropin / name).write_bytes(body)
    pipeline = predict_pipeline(home, conf_file(tmp_path), "hetero_lr")
    with pytest.raises(DslError, match="FED-163"):
        submit_prediction(home, pipeline)
    assert {path.name: path.read_bytes() for path in home.dropin.iterdir()} == before
