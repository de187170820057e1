"""The host's side of a federated score: gRPC with mTLS, answered only to the guest that the model names."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

import grpc
import numpy as np
from grpc import aio

from airfed_proto.v1 import serving_pb2 as pb
from airfed_proto.v1 import serving_pb2_grpc
from federatedml.errors import DataError, FedError, PolicyError
from federatedml.federation.home import PartyHome
from federatedml.federation.identity import verify_leaf
from federatedml.federation.party import Member
from serving.features import FeatureTable
from serving.model import LoadedModel
from serving.parts import MAX_REPLY, encoded
from serving.retcode import Retcode, ScoreError
from serving.shelf import Shelf

LOG = logging.getLogger(__name__)
MAX_IDS = 300  # FATE-Serving's largest batch
MAX_TEXT = 256  # characters of an id, a key or a version
MAX_REQUEST = 256 << 10  # bytes
MAX_CONCURRENT = 64
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_REQUEST),
    ("grpc.so_reuseport", 0),  # a taken port is an error, not a shared one
    ("grpc.max_concurrent_streams", MAX_CONCURRENT * 2),
]


class Spend(Protocol):
    """The party's account of what guests learn."""

    def __call__(self, me: Member, guest: str, model_key: str, rows: int) -> None:
        """Count ``rows`` that ``guest`` is about to be told; ``PolicyError`` beyond the limit."""
        ...


class InferenceDoor(serving_pb2_grpc.InferenceServicer):
    """Answers guests. Who asks is the certificate's party; its role is what the model says."""

    def __init__(self, shelf: Shelf, features: FeatureTable, pinned: Mapping[str, bytes], spend: Spend) -> None:
        self.shelf, self.features, self.pinned, self.spend = shelf, features, pinned, spend
        self.busy = 0

    async def Score(self, request: pb.ScoreRequest, context: Any) -> pb.ScoreReply:  # noqa: N802
        """This party's part of the scores of the asked ids."""
        started = time.monotonic()
        await self._admit(request.guest_party_id, context)
        self.busy += 1
        try:
            reply = await asyncio.to_thread(self._score, request)
        except FedError as error:
            reply = _declined(error)
        finally:
            self.busy -= 1
        LOG.info(
            "event=score_part guest=%s case=%s ids=%d retcode=%d ms=%.1f",
            request.guest_party_id,
            request.case_id[:64] if request.case_id.isprintable() else "",
            len(request.ids),
            reply.retcode,
            (time.monotonic() - started) * 1e3,
        )
        return reply

    async def Ready(self, request: pb.ReadyRequest, context: Any) -> pb.ReadyReply:  # noqa: N802
        """Which version is served for this guest; ready if rows can be looked up, too."""
        await self._admit(request.guest_party_id, context)
        for model in self.shelf.models_for(request.guest_party_id, request.model_key):
            return pb.ReadyReply(ready=self.features.ready, model_version=model.version)
        return pb.ReadyReply(ready=False)

    async def _admit(self, claimed: str, context: Any) -> None:
        leaf = context.auth_context().get("x509_pem_cert", [b""])[0]
        try:
            party = verify_leaf(leaf, self.pinned)
            if party != claimed:
                raise PolicyError("FED-541", f"party {party} may not ask as another party")
        except PolicyError as error:
            LOG.warning("event=peer_refused peer=%s reason=%s", context.peer(), error)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))

    def _score(self, request: pb.ScoreRequest) -> pb.ScoreReply:
        if self.busy > MAX_CONCURRENT:
            raise ScoreError(Retcode.OVERLOAD, f"{MAX_CONCURRENT} requests are being answered")
        _check(request)
        model = self.shelf.for_guest(request.guest_party_id, request.model_key, request.model_version)
        self._count(model, request)
        table, missing = self.features.lookup(request.ids)
        reply = pb.ScoreReply(model_version=model.version, missing=missing)
        if not len(table):
            raise ScoreError(Retcode.HOST_FEATURE_NOT_FOUND, "no features for the id")
        known = np.setdiff1d(np.arange(len(request.ids)), missing)
        for component, values in model.partials(table).items():
            whole = np.zeros((len(request.ids), *values.shape[1:]))
            whole[known] = values
            reply.scores.append(encoded(component, whole))
        if reply.ByteSize() > MAX_REPLY:
            raise ScoreError(Retcode.PARAM_ERROR, f"the answer has more than {MAX_REPLY} bytes: ask for fewer ids")
        return reply

    def _count(self, model: LoadedModel, request: pb.ScoreRequest) -> None:
        """Every id that is asked for, once for each class: that it is known is told, too."""
        try:
            self.spend(model.me, request.guest_party_id, model.model_key, model.parts_per_row * len(request.ids))
        except PolicyError as error:
            LOG.warning("event=rows_refused guest=%s reason=%s", request.guest_party_id, error)
            raise ScoreError(Retcode.OVERLOAD, f"{error.code} {error.message}") from None


def _check(request: pb.ScoreRequest) -> None:
    if not 1 <= len(request.ids) <= MAX_IDS:
        raise ScoreError(Retcode.PARAM_ERROR, f"{len(request.ids)} ids, 1 to {MAX_IDS} are allowed")
    texts = (*request.ids, request.model_key, request.model_version)
    if not all(1 <= len(text) <= MAX_TEXT for text in texts):
        raise ScoreError(Retcode.PARAM_ERROR, f"an id, the key or the version is empty or longer than {MAX_TEXT}")


def _declined(error: FedError) -> pb.ScoreReply:
    if isinstance(error, ScoreError):
        return pb.ScoreReply(retcode=error.retcode, message=error.message)
    LOG.error("event=score_failed reason=%s", error)
    code = Retcode.FEATURE_ERROR if isinstance(error, DataError) else Retcode.SYSTEM_ERROR
    return pb.ScoreReply(retcode=code, message=f"{error.code} at the host")


async def start(home: PartyHome, door: InferenceDoor) -> aio.Server:
    """Serve the door on the party's port; ``PolicyError`` if the port is taken."""
    server = aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_CONCURRENT * 4)
    serving_pb2_grpc.add_InferenceServicer_to_server(door, server)  # type: ignore[no-untyped-call]
    identity = home.identity
    credentials = grpc.ssl_server_credentials(
        [(identity.key, identity.certificate)], b"".join(door.pinned.values()), require_client_auth=True
    )
    address = f"{home.config.host}:{home.config.ports.serving_grpc}"
    try:
        server.add_secure_port(address, credentials)
    except RuntimeError:
        raise PolicyError("FED-780", f"{address} is taken", "ports.serving_grpc of party.yaml") from None
    await server.start()
    return server
