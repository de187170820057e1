"""The guest's score: own part, hosts' parts, merge. A row gets its score from all parties or none."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from airfed_proto.v1 import serving_pb2 as pb
from federatedml.data.table import Column, Kind, Table
from federatedml.errors import DataError, FedError, ModelError
from serving.model import LoadedModel, Partials
from serving.parts import decoded
from serving.peers import Peers
from serving.retcode import Retcode, ScoreError
from serving.shelf import Shelf

LOG = logging.getLogger(__name__)
DEADLINE = 3.0  # seconds for a whole request
Value = float | str | None
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """What a caller sends: this party's features by column, and the id that the hosts look up."""

    features: Mapping[str, Value]
    sample_id: str


@dataclass(frozen=True)
class Answer:
    """One row's score; of several classes one each, and the label of the highest."""

    score: float | list[float]
    label: float | None = None


@dataclass(frozen=True)
class Scored:
    """Per row a score or the reason why there is none, in the order of the rows."""

    model: LoadedModel
    case_id: str
    rows: Sequence[Answer | ScoreError]


class Scoring:
    """Scores rows with the model of a service id."""

    def __init__(self, shelf: Shelf, peers: Peers, deadline: float = DEADLINE) -> None:
        self.shelf, self.peers, self.deadline = shelf, peers, deadline

    async def score(self, service_id: str, rows: Sequence[Row]) -> Scored:
        """Scores of ``rows``; an unreachable host or a version that differs fails all of them.

        Raises:
            ScoreError: no row can be scored, with the reason.
        """
        started, case_id = time.monotonic(), uuid.uuid4().hex
        model = self.shelf.for_caller(service_id)
        own = [_own(model, row) for row in rows]
        good = [(row, part) for row, part in zip(rows, own, strict=True) if not isinstance(part, ScoreError)]
        scores: Iterator[Answer | ScoreError] = iter(())
        if good:
            ids = [row.sample_id for row, _ in good]
            replies = await self._ask(model, ids, case_id, started + self.deadline)
            scores = iter(_merged(model, [part for _, part in good], replies))
        answers = [part if isinstance(part, ScoreError) else next(scores) for part in own]
        return Scored(model, case_id, answers)

    async def _ask(
        self, model: LoadedModel, ids: Sequence[str], case_id: str, until: float
    ) -> list[tuple[str, pb.ScoreReply]]:
        """Every host's answer, in party order; only ids leave. The first failure ends the others."""
        request = pb.ScoreRequest(
            model_key=model.model_key,
            model_version=model.version,
            guest_party_id=model.me.party,
            ids=ids,
            case_id=case_id,
        )
        left = until - time.monotonic()
        calls = [asyncio.ensure_future(self.peers.score(host, request, left)) for host in model.asked]
        try:
            replies = await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
        return list(zip(model.asked, replies, strict=True))


def _own(model: LoadedModel, row: Row) -> Partials | ScoreError:
    """This party's part of one row. A batch is scored row by row, so that one bad row harms no other."""
    try:
        return model.partials(table_of(row))
    except DataError as error:
        return ScoreError(Retcode.FEATURE_ERROR, error.message, error.hint)
    except FedError as error:
        LOG.error("event=score_failed model=%s reason=%s", model.binding.name, error)
        return ScoreError(Retcode.SYSTEM_ERROR, error.message)


def table_of(row: Row) -> Table:
    """One row as the raw table that training would have read; null is a missing number."""
    columns: dict[str, Column] = {
        name: np.array([value], object) if isinstance(value, str) else np.array([np.nan if value is None else value])
        for name, value in row.features.items()
    }
    return Table(np.array([row.sample_id], object), columns, kind=Kind.RAW)


def _merged(
    model: LoadedModel, own: Sequence[Partials], replies: Sequence[tuple[str, pb.ScoreReply]]
) -> list[Answer | ScoreError]:
    component = model.merging.name
    mine = np.concatenate([part[component] for part in own])
    remote = [
        {component: _part(host, component, reply, mine, used)}
        for (host, reply), used in zip(replies, model.used, strict=True)
    ]
    unknown: dict[int, str] = {}
    for host, reply in replies:
        unknown |= dict.fromkeys(reply.missing, host)
    return [
        ScoreError.from_host(unknown[index], Retcode.HOST_FEATURE_NOT_FOUND, "no features for the id")
        if index in unknown
        else _answer(model, score)
        for index, score in enumerate(_together(model, {component: mine}, remote))
    ]


def _together(model: LoadedModel, own: Partials, remote: Sequence[Partials]) -> Floats:
    """Scores; a host whose part has another width than its half of the model gives is at fault."""
    try:
        return model.merge(own, remote)
    except (ModelError, ValueError, IndexError):
        if not remote:
            raise
        raise ScoreError(Retcode.INVALID_RESPONSE, "the hosts' parts do not fit this party's part") from None


def _answer(model: LoadedModel, score: Floats) -> Answer:
    if score.ndim == 0:
        return Answer(float(score))
    return Answer([float(value) for value in score], model.label(score))


def _part(host: str, component: str, reply: pb.ScoreReply, mine: Floats, used: int | None) -> Floats:
    """What is ``used`` of a host's part of ``component``; if that is None, a part of the shape of the own one."""
    for part in reply.scores:
        if part.component == component:
            width = mine.shape[1] if mine.ndim == 2 else 0
            values = decoded(part, len(mine), used) if used is not None or part.width == width else None
            if values is None:
                raise ScoreError(Retcode.INVALID_RESPONSE, f"host {host} sent a part of another shape")
            return values
    raise ScoreError(Retcode.INVALID_RESPONSE, f"host {host} sent no part for component {component}")
