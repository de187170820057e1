"""Scores over two real serving processes with mTLS between them, models from a real MLflow."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from serving_party import Federation, request, sample, until

from airfed_proto.v1 import model_pb2, serving_pb2_grpc
from airfed_proto.v1 import serving_pb2 as pb
from federatedml.component import Component, ModelSpec, Params, registry
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.identity import KeyPair, create_ca, dns_name, issue
from federatedml.model_bundle import StoredModel
from tests.members import ARBITER, GUEST, HOST
from tests.model_halves import KEY, batch_scores, bundle, node, raw_table, with_dsl

JOB = "20260101120000000001"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    federation = Federation(tmp_path_factory.mktemp("federation"), 24010)
    try:
        federation.start_mlflow()
        federation.register(JOB)
        federation.start(GUEST, HOST)
        yield federation
    finally:
        federation.stop()


@pytest.fixture
def federation(running: Federation) -> Federation:
    """Both parties serve JOB and are ready, whatever the test before has done."""
    until(running.ready)
    assert running.serves(JOB, GUEST, HOST)
    return running


def test_the_score_is_the_batch_prediction_bit_for_bit(federation: Federation) -> None:
    expected = batch_scores()
    for row in range(0, 50, 7):
        reply = federation.call(request(row))
        body = reply.json()
        assert reply.status_code == 200
        assert body["data"].pop("timestamp") > 1_700_000_000_000
        assert body == {
            "retcode": 0,
            "retmsg": "",
            "data": {
                "score": float(expected[row]),
                "modelId": f"guest#9999#arbiter-10001#guest-9999#host-10000#{KEY}",
                "modelVersion": JOB,
            },
            "flag": 0,
        }


def test_a_batch_has_a_code_per_row(federation: Federation) -> None:
    rows = [sample(3), sample(4), sample(5)]
    rows[1]["sendToRemoteFeatureData"] = {"device_id": "nobody"}
    del rows[2]["featureData"]["x4"]
    body = {"batchDataList": [{"index": 2 - at, **row} for at, row in enumerate(rows)]}
    reply = federation.call({"head": {"serviceId": KEY}, "body": body}, "batchInference").json()
    assert [row["retcode"] for row in reply["batchDataList"]] == [102, 2113, 0]
    assert reply["batchDataList"][2]["data"] == {"score": float(batch_scores()[3])}
    assert reply["singleInferenceResultMap"]["2"] == reply["batchDataList"][2]


def test_an_id_that_the_host_lacks_gets_no_score(federation: Federation) -> None:
    body = request(0)
    body["body"]["sendToRemoteFeatureData"]["id"] = "nobody"
    reply = federation.call(body)
    assert (reply.status_code, reply.json()["retcode"]) == (404, 2113)
    assert "nobody" not in reply.text
    assert reply.json()["data"] == {}


def test_a_missing_column_is_named(federation: Federation) -> None:
    body = request(0)
    del body["body"]["featureData"]["x7"]
    reply = federation.call(body)
    assert (reply.status_code, reply.json()["retcode"]) == (400, 102)
    assert "'x7'" in reply.json()["retmsg"]


def test_an_unknown_service_is_refused_and_the_known_are_named(federation: Federation) -> None:
    reply = federation.call(request(0, "other"))
    assert (reply.status_code, reply.json()["retcode"]) == (404, 122)
    assert KEY in reply.json()["retmsg"]


def test_a_whole_model_id_is_a_service_id(federation: Federation) -> None:
    model_id = federation.call(request(0)).json()["data"]["modelId"]
    assert federation.call(request(0, model_id)).json()["retcode"] == 0


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, "9" * 5000])
def test_a_wrong_body_is_not_echoed(federation: Federation, value: Any) -> None:
    body = request(0)
    body["body"]["featureData"]["secret_column"] = value
    reply = federation.call(body)
    assert (reply.status_code, reply.json()["retcode"]) == (422, 100)
    assert "secret_column" not in reply.text
    assert "99" not in reply.text


def _calls(federation: Federation, identity: KeyPair, claimed: str) -> list[grpc.StatusCode | None]:
    """What both RPCs of the host's door answer to ``identity``."""
    trusted = federation.cas[HOST.party].certificate
    credentials = grpc.ssl_channel_credentials(trusted, identity.key, identity.certificate)
    options = [("grpc.ssl_target_name_override", dns_name(HOST.party))]
    codes: list[grpc.StatusCode | None] = []
    with grpc.secure_channel(f"127.0.0.1:{federation.port(HOST, 'serving_grpc')}", credentials, options) as channel:
        stub = serving_pb2_grpc.InferenceStub(channel)  # type: ignore[no-untyped-call]
        score = pb.ScoreRequest(model_key=KEY, model_version=JOB, guest_party_id=claimed, ids=["id0"])
        for call, message in (
            (stub.Score, score),
            (stub.Ready, pb.ReadyRequest(model_key=KEY, guest_party_id=claimed)),
        ):
            try:
                reply = call(message, timeout=5)
                codes.append(None if isinstance(reply, pb.ReadyReply) or reply.scores else grpc.StatusCode.NOT_FOUND)
            except grpc.RpcError as error:
                codes.append(error.code())
    return codes


def test_only_the_guest_of_the_model_gets_an_answer(federation: Federation) -> None:
    refused = [grpc.StatusCode.PERMISSION_DENIED] * 2
    guest, host, arbiter = (federation.cas[party] for party in ("9999", "10000", "10001"))
    assert _calls(federation, issue(guest, "9999"), "9999") == [None, None]
    assert _calls(federation, issue(host, "9999"), "9999") == refused, "a certificate for the guest, minted by the host"
    assert _calls(federation, issue(arbiter, "10001"), "9999") == refused, "the arbiter in the guest's name"
    assert _calls(federation, issue(arbiter, ARBITER.party), ARBITER.party)[0] is grpc.StatusCode.NOT_FOUND


def test_a_certificate_of_an_unknown_authority_is_refused_by_tls(federation: Federation) -> None:
    assert _calls(federation, issue(create_ca("9999"), "9999"), "9999") == [grpc.StatusCode.UNAVAILABLE] * 2


def test_new_versions_are_served_without_a_restart_and_never_mixed(federation: Federation) -> None:
    second, third = f"{JOB[:-1]}2", f"{JOB[:-1]}3"
    federation.register(second, seed=2)
    until(lambda: federation.serves(second, GUEST, HOST))
    assert federation.call(request(1)).json()["data"]["score"] == float(batch_scores(2)[1])

    federation.register(third, seed=3, members=(GUEST,))
    until(lambda: federation.serves(third, GUEST))
    reply = federation.call(request(1))
    assert (reply.status_code, reply.json()["retcode"]) == (503, 2104)
    assert second in reply.json()["retmsg"]
    assert federation.get("/health/ready").status_code == 503
    federation.register(JOB)  # found again, not made again: the alias goes back
    until(lambda: federation.serves(JOB, GUEST, HOST))
    assert federation.call(request(1)).json()["data"]["score"] == float(batch_scores(1)[1])


def test_a_model_that_cannot_be_scored_is_refused_by_name_and_the_one_before_stays(federation: Federation) -> None:
    nodes = {"nn_0": node("HeteroNN", "dataio_0.train"), "hetero_lr_0": node("HeteroLR", "nn_0.data")}
    half = with_dsl(bundle(GUEST, f"{JOB[:-1]}4"), **nodes)
    more = {**half.components, "nn_0": StoredModel("HeteroNN", "model", {"Net": b""})}
    net = Component("HeteroNN", "", Params, {}, model=ModelSpec({"Net": model_pb2.LRModelMeta}))
    federation.publish(replace(half, components=more), {**registry(), "HeteroNN": net})
    until(lambda: federation.get("/models").json()["problems"])
    assert "nn_0 (HeteroNN)" in str(federation.get("/models").json()["problems"])
    assert federation.get("/health/ready").status_code == 503
    assert federation.call(request(1)).json()["data"]["modelVersion"] == JOB
    federation.register(JOB)
    until(federation.ready)


def test_without_the_host_there_is_an_error_and_no_score(federation: Federation) -> None:
    federation.serving[HOST].stop(signal.SIGKILL)
    reply = federation.call(request(0))
    assert (reply.status_code, reply.json()["retcode"]) == (504, 105)
    assert reply.json()["data"] == {}
    assert not federation.ready()
    federation.start(HOST)
    until(lambda: federation.call(request(0)).json()["retcode"] == 0)


def test_a_changed_feature_table_is_read_again(federation: Federation) -> None:
    catalogue, name = Catalogue(federation.home(HOST) / "data"), TableName("online", "rows")
    table = raw_table(HOST)
    fewer = replace(table, ids=table.ids[1:], columns={key: column[1:] for key, column in table.columns.items()})
    catalogue.write(name, fewer)
    until(lambda: federation.call(request(0)).json()["retcode"] == 2113)
    assert federation.call(request(1)).json()["data"]["score"] == float(batch_scores()[1])
    catalogue.write(name, table)
    until(lambda: federation.call(request(0)).json()["retcode"] == 0)


def test_models_are_served_from_the_cache_while_mlflow_is_down(federation: Federation) -> None:
    """The last of this file: MLflow stays down."""
    federation.stop_mlflow()
    assert federation.call(request(2)).json()["data"]["score"] == float(batch_scores()[2])
    for member in (GUEST, HOST):
        assert federation.serving[member].stop(signal.SIGTERM) == 0
        federation.start(member)
    until(federation.ready)
    assert federation.call(request(2)).json()["data"]["score"] == float(batch_scores()[2])
