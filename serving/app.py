"""The REST side: FATE-Serving's calls with typed bodies, health, and what is served.

Every error has FATE's body, ``{"retcode", "retmsg", "data", "flag"}``, and an HTTP status that tells machines the same:
400 features, 404 unknown service or id, 405 wrong method, 408 slow body, 413 large body, 422 wrong body, 502 a host
refused or answered wrongly, 503 overload or a version that differs, 504 a host that is not there. Bodies of requests
are never echoed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from airfed_proto.v1 import serving_pb2 as pb
from federatedml.errors import FedError
from federatedml.federation.party import Role
from serving import schema
from serving.features import FeatureTable
from serving.limits import Limits
from serving.model import LoadedModel
from serving.peers import Peers
from serving.retcode import Retcode, ScoreError
from serving.scoring import Answer, Row, Scored, Scoring
from serving.shelf import Shelf

LOG = logging.getLogger(__name__)
READY_SECONDS = 1.0
CASE_HEADER = "caseId"
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.InferenceReply, "description": text}
    for status, text in {
        400: "a feature is missing or not a number",
        404: "unknown service id, or a host does not know the id",
        413: "the body is larger than 1 MiB",
        422: "the body is not of this shape",
        502: "a host refused, or its answer was not valid",
        503: "too many requests, or the host serves another version",
        504: "a host cannot be reached in time",
    }.items()
}


def build(shelf: Shelf, scoring: Scoring, peers: Peers, features: FeatureTable) -> FastAPI:
    """The application."""
    # Swagger's files come with the package: a page on this machine must not fetch scripts from elsewhere.
    app = FastAPIOffline(title="airfed serving", description=__doc__, version="1")
    app.add_middleware(Limits)
    _add_inference(app, scoring)
    _add_health(app, shelf, peers, features)
    _add_errors(app)
    return app


def _add_inference(app: FastAPI, scoring: Scoring) -> None:
    @app.post("/federation/v1/inference", response_model=schema.InferenceReply, responses=_ERRORS, tags=["inference"])
    async def inference(request: schema.InferenceRequest) -> Response:
        """Score one sample together with the hosts of the model."""
        scored = await scoring.score(request.head.service_id, [_row(request.body)])
        answer = scored.rows[0]
        _log(scored)
        if isinstance(answer, ScoreError):
            raise answer
        return _reply(schema.InferenceReply(retcode=0, retmsg="", data=_score(scored.model, answer)), scored)

    @app.post("/federation/v1/batchInference", response_model=schema.BatchReply, responses=_ERRORS, tags=["inference"])
    async def batch_inference(request: schema.BatchRequest) -> Response:
        """Score up to 300 samples with one call to each host; a row that cannot be scored has its own retcode."""
        samples = sorted(request.body.batch_data_list, key=lambda sample: sample.index)
        scored = await scoring.score(request.head.service_id, [_row(sample) for sample in samples])
        rows = [_row_reply(scored, index, answer) for index, answer in enumerate(scored.rows)]
        _log(scored)
        reply = schema.BatchReply(
            retcode=0,
            retmsg="",
            data=_score(scored.model, None),
            batch_data_list=rows,
            single_inference_result_map={str(row.index): row for row in rows},
        )
        return _reply(reply, scored)


def _add_health(app: FastAPI, shelf: Shelf, peers: Peers, features: FeatureTable) -> None:
    @app.get("/health/live", tags=["health"])
    async def live() -> schema.Health:
        """Whether the process answers."""
        return schema.Health()

    @app.get("/health/ready", tags=["health"], responses={503: {"model": schema.Readiness}})
    async def ready(response: Response) -> schema.Readiness:
        """Whether every model can give a score now, its hosts included."""
        served = {name: await _readiness(model, peers, features) for name, model in shelf.models.items()}
        good = bool(served) and not shelf.problems and all(state["ready"] for state in served.values())
        response.status_code = 200 if good else 503
        return schema.Readiness(ready=good, models=served, problems=dict(shelf.problems))

    @app.get("/models", tags=["health"])
    async def models() -> schema.Models:
        """What is served, and why other models are not."""
        return schema.Models(
            models=[_served(model) for _, model in sorted(shelf.models.items())], problems=dict(shelf.problems)
        )


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(ScoreError)
    async def declined(_: Request, error: ScoreError) -> JSONResponse:
        headers = {"Retry-After": "1"} if error.http_status == 503 else {}
        message = f"{error.message} ({error.hint})" if error.hint else error.message
        return _error(error.http_status, error.retcode, message, headers)

    @app.exception_handler(RequestValidationError)
    async def wrong_body(_: Request, error: RequestValidationError) -> JSONResponse:
        return _error(422, Retcode.PARAM_ERROR, "; ".join(_place(one) for one in error.errors()[:5]))

    @app.exception_handler(HTTPException)
    async def not_taken(_: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, Retcode.PARAM_ERROR, error.detail, dict(error.headers or {}))

    @app.exception_handler(FedError)
    async def failed(_: Request, error: FedError) -> JSONResponse:
        LOG.error("event=request_failed reason=%s", error)
        return _error(500, Retcode.SYSTEM_ERROR, error.message)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        LOG.error("event=request_broken kind=%s", type(error).__name__)
        return _error(500, Retcode.SYSTEM_ERROR, "internal error")


_KNOWN = {
    name
    for model in (schema.InferenceRequest, schema.BatchRequest, schema.BatchSample, schema.Head, schema.RemoteIds)
    for key, field in model.model_fields.items()
    for name in (key, field.alias or key)
} | {"body", "batchDataList"}


def _place(error: dict[str, Any]) -> str:
    """Where and what, without what the caller sent: names of columns are the caller's, too."""
    parts = [str(part) if isinstance(part, int) or part in _KNOWN else "*" for part in error["loc"]]
    return f"{'.'.join(parts)}: {error['msg']}"


def _error(status: int, retcode: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = {"retcode": int(retcode), "retmsg": message, "data": {}, "flag": 0}
    return JSONResponse(body, status_code=status, headers=headers)


def _reply(reply: schema.InferenceReply, scored: Scored) -> Response:
    body = reply.model_dump_json(by_alias=True, exclude_none=True)
    return Response(body, media_type="application/json", headers={CASE_HEADER: scored.case_id})


def _row(sample: schema.Sample) -> Row:
    return Row(sample.feature_data, sample.send_to_remote_feature_data.sample_id)


def _score(model: LoadedModel, answer: Answer | None) -> schema.Score:
    label, score = (None, None) if answer is None else (_whole(answer.label), answer.score)
    return schema.Score(
        score=score, label=label, model_id=model.binding.name, model_version=model.version, timestamp=model.loaded_at
    )


def _whole(label: float | None) -> float | int | None:
    """Labels are mostly whole numbers, and FATE's callers compare them as such."""
    return int(label) if label is not None and label == int(label) else label


def _row_reply(scored: Scored, index: int, answer: Answer | ScoreError) -> schema.RowReply:
    if isinstance(answer, ScoreError):
        return schema.RowReply(index=index, retcode=answer.retcode, retmsg=answer.message, data=schema.Score())
    return schema.RowReply(index=index, retcode=0, retmsg="", data=_row_score(answer))


def _row_score(answer: Answer) -> schema.Score:
    return schema.Score(score=answer.score, label=_whole(answer.label))


def _log(scored: Scored) -> None:
    declined = sum(isinstance(answer, ScoreError) for answer in scored.rows)
    LOG.info(
        "event=score case=%s model=%s job=%s rows=%d declined=%d",
        scored.case_id,
        scored.model.binding.name,
        scored.model.version,
        len(scored.rows),
        declined,
    )


async def _readiness(model: LoadedModel, peers: Peers, features: FeatureTable) -> dict[str, Any]:
    if model.me.role is Role.HOST and not model.merging.scorer.alone:
        return {"modelVersion": model.version, "ready": features.ready, "problem": features.problem}
    states = await asyncio.gather(*(_host_state(model, host, peers) for host in model.asked))
    hosts = dict(zip(model.asked, states, strict=True))
    return {"modelVersion": model.version, "ready": all(state["ready"] for state in states), "hosts": hosts}


async def _host_state(model: LoadedModel, host: str, peers: Peers) -> dict[str, Any]:
    request = pb.ReadyRequest(model_key=model.model_key, guest_party_id=model.me.party)
    try:
        reply = await peers.ready(host, request, READY_SECONDS)
    except ScoreError as error:
        return {"ready": False, "problem": error.message}
    same = reply.model_version == model.version
    return {"ready": reply.ready and same, "modelVersion": reply.model_version[:64]}


def _served(model: LoadedModel) -> schema.ServedModel:
    return schema.ServedModel(
        model_id=model.binding.name,
        model_version=model.version,
        registry_version=model.binding.version,
        role=str(model.me.role),
        service_id=model.model_key,
        manifest=model.binding.digest,
        timestamp=model.loaded_at,
        components={stage.name: stage.module for stage in model.stages},
        hosts=list(model.asked),
    )
