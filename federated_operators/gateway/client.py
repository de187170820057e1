"""Calls to the own gateway over its Unix socket, for task processes and the command line. Blocking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from airfed_proto.v1 import job_pb2, local_pb2, local_pb2_grpc
from federatedml.errors import PeerError, PolicyError

FRAME_BYTES = 4 * 2**20
OPTIONS = [
    ("grpc.max_receive_message_length", FRAME_BYTES),
    ("grpc.max_send_message_length", FRAME_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
]
PAUSE_S = 0.2
SOMEBODY_IS_HERE = local_pb2.AdmissionNews()  # what a gateway says before it has looked at the request
RETRYABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


def open_channel(socket: Path) -> grpc.Channel:
    """A channel to a gateway's socket. Make it after a fork, never before."""
    return grpc.insecure_channel(f"unix:{socket}", OPTIONS)


class GatewayClient:
    """The gateway of this party.

    Args:
        socket: its Unix socket.
        patience: seconds for which a gateway that is not there (it restarts) is tried again, from when it was lost on.
    """

    def __init__(self, socket: Path, patience: float = 60.0) -> None:
        self._socket, self._patience = socket, patience
        self._channel = open_channel(socket)
        self._stub = local_pb2_grpc.LocalStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def federate(self, request: local_pb2.FederateRequest) -> Iterator[local_pb2.AdmissionNews]:
        """Propose a job; news until one has ``done``. Survives a restart of the gateway."""
        return self._news(self._stub.Federate, request)

    def enrol(self, request: local_pb2.EnrolRequest) -> Iterator[local_pb2.AdmissionNews]:
        """Ask whether a run belongs to an agreed job; news until one has ``done``."""
        return self._news(self._stub.EnrolRun, request)

    def show(self, initiator: str = "", job_id: str = "", timeout: float = 10.0) -> local_pb2.JobViews:
        """What the gateway knows of these jobs, newest first, a page at most; ``PeerError`` if it is not there."""
        return self._page(local_pb2.JobQuery(initiator=initiator, job_id=job_id), timeout)

    def newest(self, limit: int = 0, timeout: float = 10.0) -> Iterator[local_pb2.JobView]:
        """All jobs, newest first, at most ``limit`` if that is not 0: page by page, each within ``timeout``."""
        seen: set[tuple[str, str]] = set()  # a job that starts meanwhile shifts the pages
        skip = 0
        while not limit or len(seen) < limit:
            page = self._page(local_pb2.JobQuery(skip=skip, limit=limit and limit - len(seen)), timeout).jobs
            fresh = {(view.job.initiator, view.job.job_id): view for view in page}
            fresh = {key: view for key, view in fresh.items() if key not in seen}
            if not fresh:
                return
            yield from fresh.values()
            seen, skip = seen | fresh.keys(), skip + len(page)

    def _page(self, query: local_pb2.JobQuery, timeout: float) -> local_pb2.JobViews:
        views: local_pb2.JobViews = self._call(self._stub.Show, query, timeout)
        return views

    def end_job(self, request: local_pb2.EndJobRequest, timeout: float = 10.0) -> local_pb2.EndJobReply:
        """Cancel a job."""
        reply: local_pb2.EndJobReply = self._call(self._stub.EndJob, request, timeout)
        return reply

    def abandon(self, request: local_pb2.EndJobRequest, timeout: float = 30.0) -> local_pb2.EndJobReply:
        """Give a job up whose coordinator is silent."""
        reply: local_pb2.EndJobReply = self._call(self._stub.Abandon, request, timeout)
        return reply

    def rerun(self, order: job_pb2.RerunOrder, timeout: float = 90.0) -> job_pb2.RerunAnswer:
        """Have components of a job run again; every party is asked first."""
        answer: job_pb2.RerunAnswer = self._call(self._stub.Rerun, order, timeout)
        return answer

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            raise self._error(error) from None

    def _news(self, method: Any, request: Any) -> Iterator[local_pb2.AdmissionNews]:
        lost: float | None = None  # since when there is no gateway; one that is silent is there
        while True:
            try:
                for news in method(request):
                    lost = None
                    if news != SOMEBODY_IS_HERE:
                        yield news
                    if news.done:
                        return
            except grpc.RpcError as error:
                now = time.monotonic()
                lost = now if lost is None else lost
                if error.code() not in RETRYABLE or now - lost > self._patience:
                    raise self._error(error) from None
            time.sleep(PAUSE_S)

    def _error(self, error: grpc.RpcError) -> PeerError | PolicyError:
        if error.code() in RETRYABLE:
            return PeerError("FED-430", f"the gateway at {self._socket} does not answer", "airfed party status")
        return PolicyError("FED-545", error.details() or error.code().name)
