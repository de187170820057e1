"""The guest towards hosts that lie, hang or refuse: an error with a code, in time, never a score."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import yaml
from grpc import aio

from airfed_proto.v1 import serving_pb2 as pb
from airfed_proto.v1 import serving_pb2_grpc
from federated_operators.registry.cache import Binding
from federatedml.component import registry
from federatedml.data.catalogue import Catalogue, TableName
from federatedml.federation.home import PartyHome
from federatedml.federation.identity import KeyPair, create_ca, issue
from serving.door import InferenceDoor, start
from serving.features import FeatureTable
from serving.model import load
from serving.peers import Peers
from serving.retcode import FROM_HOST, ScoreError
from serving.scoring import Row, Scoring
from serving.shelf import Shelf
from tests.members import GUEST, HOST
from tests.model_halves import bundle, raw_table

CAS = {party: create_ca(party) for party in ("9999", "10000")}
GRPC_PORT = 24091
JOB = "1"


def home(root: Path, party: str, host_port: int) -> PartyHome:
    """A party whose only peer is the other one."""
    other = "10000" if party == "9999" else "9999"
    names = ("airflow", "worker_log", "trigger_log", "mlflow", "gateway", "serving_http")
    ports = {name: 24092 + at for at, name in enumerate(names)} | {"serving_grpc": GRPC_PORT}
    peers = {other: {"gateway": "127.0.0.1:1", "serving": f"127.0.0.1:{host_port}"}}
    (root / "pki/peers").mkdir(parents=True)
    (root / "party.yaml").write_text(yaml.safe_dump({"party_id": party, "name": "p", "ports": ports, "peers": peers}))
    leaf = issue(CAS[party], party)
    for name, body in {"party.pem": leaf.certificate, "party.key": leaf.key, "ca.pem": CAS[party].certificate}.items():
        (root / "pki" / name).write_bytes(body)
    (root / f"pki/peers/{other}.pem").write_bytes(CAS[other].certificate)
    return PartyHome(root)


class Lying(serving_pb2_grpc.InferenceServicer):
    """A host that answers whatever the test wants."""

    def __init__(self, answer: Callable[[pb.ScoreRequest], Any]) -> None:
        self.answer = answer
        self.asked: list[pb.ScoreRequest] = []

    async def Score(self, request: pb.ScoreRequest, context: Any) -> pb.ScoreReply:
        self.asked.append(request)
        reply = self.answer(request)
        return await reply if isinstance(reply, Awaitable) else reply


async def guest_score(root: Path, host: Lying, identity: KeyPair, deadline: float = 30.0) -> float:
    """The guest's score of one row, with ``host`` behind ``identity``."""
    server = aio.server()
    serving_pb2_grpc.add_InferenceServicer_to_server(host, server)  # type: ignore[no-untyped-call]
    credentials = grpc.ssl_server_credentials(
        [(identity.key, identity.certificate)], CAS["9999"].certificate, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        return await score(root, port, deadline)
    finally:
        await server.stop(0)


async def score(root: Path, port: int, deadline: float) -> float:
    peers, shelf = Peers(home(root, "9999", port)), Shelf()
    shelf.replace({"m": load(Binding("m", "product", 1, JOB, "d"), bundle(GUEST, JOB), registry())}, {})
    features = {f"x{i}": float(raw_table(GUEST).columns[f"x{i}"][0]) for i in range(10)}
    try:
        answer = (await Scoring(shelf, peers, deadline).score("breast", [Row(features, "id0")])).rows[0]
        if isinstance(answer, ScoreError):
            raise answer
        assert isinstance(answer.score, float)
        return answer.score
    finally:
        await peers.close()


def reply(**changed: Any) -> pb.ScoreReply:
    part = pb.PartialScore(component="hetero_lr_0", values=changed.pop("values", [0.5]))
    said: dict[str, Any] = {"model_version": JOB, "scores": [part], **changed}
    return pb.ScoreReply(**said)


def test_an_honest_answer_is_a_score_and_only_the_id_has_left(tmp_path: Path) -> None:
    host = Lying(lambda _: reply())
    assert 0 < asyncio.run(guest_score(tmp_path, host, issue(CAS["10000"], "10000"))) < 1
    (asked,) = host.asked
    assert len(asked.case_id) == 32
    asked.case_id = ""
    assert asked == pb.ScoreRequest(model_key="breast", model_version=JOB, guest_party_id="9999", ids=["id0"])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply(values=[np.nan]), 135),
        (reply(values=[np.inf]), 135),
        (reply(values=[]), 135),
        (reply(values=[1.0, 2.0]), 135),
        (reply(model_version="2"), 135),
        (reply(scores=[]), 135),
        (reply(scores=[pb.PartialScore(component="hetero_lr_0", values=[1.0], width=1)]), 135),
        (reply(scores=[pb.PartialScore(component="hetero_lr_0", width=2**20)]), 135),
        (reply(scores=[pb.PartialScore(component="hetero_lr_0", width=3, bits=b"\xff")]), 135),
        (reply(scores=[pb.PartialScore(component="other", values=[1.0])]), 135),
        (reply(scores=[pb.PartialScore(component="hetero_lr_0", values=[1.0])] * 17), 135),
        (reply(missing=[1]), 135),
        (reply(missing=[0, 0]), 135),
        (reply(missing=[0]), 2113),
        (pb.ScoreReply(retcode=104, message="another version"), 2104),
        (pb.ScoreReply(retcode=7), 2007),
        (reply(message="x" * (5 << 20)), 2124),
    ],
)
def test_an_answer_that_was_not_asked_is_no_score(tmp_path: Path, answer: pb.ScoreReply, code: int) -> None:
    with pytest.raises(ScoreError) as refused:
        asyncio.run(guest_score(tmp_path, Lying(lambda _: answer), issue(CAS["10000"], "10000")))
    assert refused.value.retcode == code


@pytest.mark.parametrize("identity", [issue(CAS["9999"], "10000"), issue(CAS["10000"], "9999")])
def test_a_host_that_cannot_prove_its_name_is_not_asked(tmp_path: Path, identity: KeyPair) -> None:
    host = Lying(lambda _: reply())
    with pytest.raises(ScoreError) as refused:
        asyncio.run(guest_score(tmp_path, host, identity, deadline=3.0))
    assert refused.value.retcode == 105
    assert host.asked == []


def test_a_host_that_hangs_costs_the_deadline_and_no_second_call(tmp_path: Path) -> None:
    host = Lying(lambda _: asyncio.Event().wait())
    with pytest.raises(ScoreError, match="did not answer within") as refused:
        asyncio.run(guest_score(tmp_path, host, issue(CAS["10000"], "10000"), deadline=3.0))
    assert (refused.value.retcode, refused.value.http_status) == (105, 504)
    assert len(host.asked) == 1


def test_a_port_that_never_speaks_costs_the_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ScoreError) as refused:
        asyncio.run(score(tmp_path, silent.getsockname()[1], deadline=0.3))
    assert refused.value.retcode == 105


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"ids": []}, 100),
        ({"ids": ["id0"] * 301}, 100),
        ({"ids": ["x" * 257]}, 100),
        ({"ids": [""]}, 100),
        ({"model_version": ""}, 100),
        ({"model_version": "2"}, 104),
        ({"model_key": "other"}, 104),
        ({"ids": ["nobody"]}, 113),
        ({"ids": ["nobody", "id0"]}, 0),
    ],
)
def test_the_door_answers_within_its_bounds(tmp_path: Path, changed: dict[str, Any], code: int) -> None:
    asked = {"model_key": "breast", "model_version": JOB, "guest_party_id": "9999", "ids": ["id0"], **changed}
    answer = asyncio.run(_ask_door(tmp_path, pb.ScoreRequest(**asked)))
    assert answer.retcode == code
    assert "nobody" not in answer.message
    if code == 0:
        assert list(answer.missing) == [0]
        assert len(answer.scores[0].values) == 2


async def _ask_door(root: Path, request: pb.ScoreRequest) -> pb.ScoreReply:
    party, shelf = home(root / "host", "10000", 1), Shelf()
    catalogue, name = Catalogue(party.data), TableName("n", "t")
    catalogue.write(name, raw_table(HOST))
    features = FeatureTable(catalogue, name)
    features.refresh()
    shelf.replace({"m": load(Binding("m", "product", 1, JOB, "d"), bundle(HOST, JOB), registry())}, {})
    server = await start(party, InferenceDoor(shelf, features, party.pinned(), lambda me, guest, model_key, rows: None))
    peers = Peers(home(root / "guest", "9999", GRPC_PORT))
    try:
        return await peers.score("10000", request, 3)
    except ScoreError as error:
        return pb.ScoreReply(retcode=error.retcode - FROM_HOST, message=error.message)
    finally:
        await peers.close()
        await server.stop(0)
